// An open file that closes itself, and opening one for reading without leaving a trace on its access time.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include <recoup/core/error.hpp>

namespace recoup {

class file_descriptor {
public:
  file_descriptor() noexcept = default;
  explicit file_descriptor(int number) noexcept : number_(number) {}
  file_descriptor(file_descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  file_descriptor& operator=(file_descriptor&& other) noexcept {
    if (this != &other) reset(std::exchange(other.number_, -1));
    return *this;
  }
  ~file_descriptor() { reset(); }

  /// -1 if nothing is open.
  [[nodiscard]] int get() const noexcept { return number_; }
  [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }

  void reset(int number = -1) noexcept {
    if (number_ >= 0) ::close(number_);
    number_ = number;
  }

  /// 0, or the errno with which the system refused: for files that were written, that may be the first news of a full
  /// disk or quota (NFS). The number is free afterwards either way.
  [[nodiscard]] int close() noexcept {
    const int number = release();
    return number < 0 || ::close(number) == 0 || errno == EINTR ? 0 : errno;
  }

private:
  int number_ = -1;
};

/// Opens `name` below the directory `parent_fd` (AT_FDCWD: the working directory) for reading. Tries O_NOATIME, which
/// only the owner and root may use. O_NONBLOCK is set, so that a fifo that took a file's place cannot hang us; it means
/// nothing for files and directories. An empty descriptor and errno if it fails.
[[nodiscard]] inline file_descriptor open_for_reading(int parent_fd, const char* name, int more_flags = O_NOFOLLOW) noexcept {
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | more_flags;
  int number = -1;
  do {
    number = ::openat(parent_fd, name, flags | O_NOATIME);
    if (number < 0 && errno == EPERM) number = ::openat(parent_fd, name, flags);
  } while (number < 0 && errno == EINTR);
  return file_descriptor{number};
}

}  // namespace recoup
