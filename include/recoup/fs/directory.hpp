// Opening and listing directories.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/fs/open_for_reading.hpp>

namespace recoup {

enum class symlinks { do_not_follow, follow };

/// Throws not_found or io; `path` is what the message calls it. `name` may be longer than the kernel takes at once
/// (PATH_MAX, 4096 bytes): it is then gone along in steps.
[[nodiscard]] inline file_descriptor open_directory(int parent_fd, const char* name, symlinks policy,
                                                    std::string_view path) {
  file_descriptor nearer;
  for (std::size_t left = std::strlen(name); left >= PATH_MAX;) {
    const auto slash = std::string_view(name, PATH_MAX - 1).rfind('/');
    if (slash == std::string_view::npos || slash == 0) break;
    const std::string step(name, slash);
    nearer = file_descriptor(
        ::openat(nearer ? nearer.get() : parent_fd, step.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!nearer) throw system_error(errno, "cannot open directory " + std::string(path));
    name += slash + 1;
    left -= slash + 1;
  }
  auto directory = open_for_reading(nearer ? nearer.get() : parent_fd, name,
                                    O_DIRECTORY | (policy == symlinks::do_not_follow ? O_NOFOLLOW : 0));
  if (!directory) throw system_error(errno, "cannot open directory " + std::string(path));
  return directory;
}

[[nodiscard]] inline file_descriptor open_directory(int parent_fd, const char* name,
                                                    symlinks policy = symlinks::do_not_follow) {
  return open_directory(parent_fd, name, policy, name);
}

struct directory_entry {
  std::string name;        ///< raw bytes
  std::uint8_t type = DT_UNKNOWN;  ///< DT_REG, DT_DIR, …; DT_UNKNOWN where the file system does not say

  [[nodiscard]] friend bool operator<(const directory_entry& a, const directory_entry& b) noexcept {
    return a.name < b.name;
  }
};

/// Calls visit(std::string_view name, std::uint8_t type) for each entry but "." and "..", in no order. `name` is
/// followed by a NUL and valid during the call. Reads from where the descriptor stands.
template <class Visitor>
void visit_directory(int fd, Visitor&& visit) {
  // The kernel's struct linux_dirent64, which no header defines.
  constexpr std::size_t length_at = 16, type_at = 18, name_at = 19;
  alignas(std::uint64_t) char buffer[32 * 1024];
  for (;;) {
    const long got = ::syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "cannot list directory");
    if (got == 0) return;
    for (long at = 0; at < got;) {
      const char* record = buffer + at;
      std::uint16_t length = 0;
      std::memcpy(&length, record + length_at, sizeof length);
      const std::string_view name(record + name_at);
      if (name != "." && name != "..") visit(name, static_cast<std::uint8_t>(record[type_at]));
      at += length;
    }
  }
}

/// All entries but "." and "..", ascending by the raw bytes of their names, which is the order in a tree.
[[nodiscard]] inline std::vector<directory_entry> read_directory(int fd) {
  std::vector<directory_entry> entries;
  visit_directory(fd, [&entries](std::string_view name, std::uint8_t type) {
    entries.push_back({std::string(name), type});
  });
  std::sort(entries.begin(), entries.end());
  return entries;
}

[[nodiscard]] inline std::vector<std::string> list_directory(int fd) {
  std::vector<std::string> names;
  visit_directory(fd, [&names](std::string_view name, std::uint8_t) { names.emplace_back(name); });
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace recoup
