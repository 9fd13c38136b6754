// Whether an entry of the snapshot may take the place of what is in the target.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <string>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/ops/restore/options.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

/// Status of an entry itself, not of what a symlink points to; nothing if it does not exist. Throws io.
[[nodiscard]] inline std::optional<struct stat> status_of(int directory, const char* name, const std::string& path) {
  struct stat status {};
  if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0) return status;
  if (errno == ENOENT) return std::nullopt;
  throw system_error(errno, "cannot look at " + path);
}

[[nodiscard]] inline timestamp mtime_of(const struct stat& status) noexcept {
  return {status.st_mtim.tv_sec, static_cast<std::int32_t>(status.st_mtim.tv_nsec), 0};
}

/// Applies to everything but directories.
[[nodiscard]] inline bool may_overwrite(overwrite_mode mode, const node& entry,
                                        const std::optional<struct stat>& existing) noexcept {
  if (!existing || mode == overwrite_mode::always || mode == overwrite_mode::if_changed) return true;
  return mode == overwrite_mode::if_newer && earlier(mtime_of(*existing), entry.mtime);
}

}  // namespace recoup
