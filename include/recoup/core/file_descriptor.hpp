// An open file that closes itself.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

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

  /// Leaves errno alone, so that the reason of a failed call survives the clean-up.
  void reset(int number = -1) noexcept {
    const int saved = errno;
    if (number_ >= 0) ::close(number_);
    number_ = number;
    errno = saved;
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

}  // namespace recoup
