// Owns a POSIX file descriptor.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace recoup {

class file_descriptor {
public:
  file_descriptor() = default;
  explicit file_descriptor(int number) noexcept : number_(number) {}
  file_descriptor(file_descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  file_descriptor& operator=(file_descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  file_descriptor(const file_descriptor&) = delete;
  file_descriptor& operator=(const file_descriptor&) = delete;

  /// Leaves errno alone, so that a failed call's reason survives the clean-up.
  ~file_descriptor() {
    if (number_ < 0) return;
    const int saved = errno;
    ::close(number_);
    errno = saved;
  }

  [[nodiscard]] int get() const noexcept { return number_; }
  [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }

  /// Gives up ownership.
  [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }

  /// Closes now. False, with errno set, if that reports an error: on network file systems a failed write may show only
  /// here. Linux has let go of the number even then.
  [[nodiscard]] bool close() noexcept {
    const int number = std::exchange(number_, -1);
    return number < 0 || ::close(number) == 0 || errno == EINTR;
  }

private:
  int number_ = -1;
};

}  // namespace recoup
