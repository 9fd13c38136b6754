// Whether something may be mounted at a place. Messages are restic's: scripts look for them.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

#include <recoup/core/error.hpp>
#include <recoup/fs/path.hpp>

namespace recoup {

/// Throws invalid_argument unless it is a directory that this user may write to.
inline void require_mount_point(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) throw error(error_code::invalid_argument, "mountpoint " + path + " does not exist");
    throw system_error(errno, "mountpoint " + path + " is inaccessible");
  }
  if (!S_ISDIR(status.st_mode)) throw error(error_code::invalid_argument, "mountpoint " + path + " is not a directory");
  if (::access(path.c_str(), W_OK | X_OK) != 0)
    throw error(error_code::invalid_argument, "mountpoint " + path + " is not writeable or not executable");
}

/// Absolute and without symlinks; as far as possible if it does not exist.
[[nodiscard]] inline std::string resolved_path(const std::string& path) {
  std::error_code problem;
  const auto resolved = std::filesystem::canonical(path, problem);
  return problem ? absolute_path(path) : resolved.string();
}

/// Throws if a mount there and a repository in this directory would cover each other: the program would wait for itself.
inline void require_apart(const std::string& mount_point, const std::string& repository_directory) {
  const auto at = resolved_path(mount_point), repository = resolved_path(repository_directory);
  const auto refuse = [](const std::string& what) {
    return error(error_code::invalid_argument, what + "; refusing to mount to avoid deadlocking the FUSE server");
  };
  if (at == repository) throw refuse("mountpoint " + at + " is the local repository directory");
  if (is_at_or_below(at, repository))
    throw refuse("mountpoint " + at + " is inside the local repository directory " + repository);
  if (is_at_or_below(repository, at))
    throw refuse("local repository directory " + repository + " is inside the mountpoint " + at);
}

}  // namespace recoup
