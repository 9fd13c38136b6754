// Opening what is to be backed up, without a trace on its access time.
#pragma once

#include <fcntl.h>

#include <cerrno>

#include <recoup/core/file_descriptor.hpp>

namespace recoup {

/// Opens `name` below the directory `parent_fd` (AT_FDCWD: the working directory) for reading. Tries O_NOATIME, which
/// only the owner and root may use. O_NONBLOCK is set, so that a fifo that took a file's place cannot hang us; it means
/// nothing for files and directories. An empty descriptor and errno if it fails.
[[nodiscard]] inline file_descriptor open_for_reading(int parent_fd, const char* name,
                                                      int more_flags = O_NOFOLLOW) noexcept {
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | more_flags;
  int number = -1;
  do {
    number = ::openat(parent_fd, name, flags | O_NOATIME);
    if (number < 0 && errno == EPERM) number = ::openat(parent_fd, name, flags);
  } while (number < 0 && errno == EINTR);
  return file_descriptor{number};
}

}  // namespace recoup
