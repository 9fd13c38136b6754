// A file that appears under its name only when it is whole.
#pragma once

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include <recoup/core/bytes.hpp>
#include <recoup/core/file_descriptor.hpp>

namespace recoup {

/// fsync. False, with errno set, if it fails.
[[nodiscard]] inline bool sync_to_disk(int number) noexcept {
  int result;
  do result = ::fsync(number);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

/// Some network and FUSE file systems have no fsync; then there is no durability to be had, and that is no failure.
[[nodiscard]] constexpr bool sync_is_unsupported(int number) noexcept {
  return number == ENOTSUP || number == EINVAL || number == ENOSYS;
}

/// "<name>-tmp-<random>", as restic names them too.
inline constexpr std::string_view temporary_mark = "-tmp-";

/// The final name a temporary one is for; empty if it is no temporary name.
[[nodiscard]] constexpr std::string_view name_behind_temporary(std::string_view name) noexcept {
  const auto mark = name.find(temporary_mark);
  return mark == std::string_view::npos ? std::string_view{} : name.substr(0, mark);
}

/// Mode 0600 less the umask. Unlinked unless it was renamed. What fails leaves errno set.
class temporary_file {
public:
  /// `directory` is an open directory, which must outlive this.
  temporary_file(int directory, std::string_view final_name) : directory_(directory) {
    do {
      name_ = std::string(final_name).append(temporary_mark) + std::to_string(random_number());
      file_ = file_descriptor(::openat(directory, name_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    } while (!file_ && (errno == EEXIST || errno == EINTR));
    if (!file_) name_.clear();
  }

  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;

  ~temporary_file() {
    if (name_.empty()) return;
    const int saved = errno;
    ::unlinkat(directory_, name_.c_str(), 0);
    errno = saved;
  }

  [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(file_); }

  /// One extent instead of many, for a file that will have so many bytes. It is a hint: if there is no room, write() says
  /// so, and some file systems which cannot do it still have room. Small files would only pay for the call.
  void expect(std::uint64_t size) noexcept {
    if (size >= 256 * 1024) (void)::fallocate(file_.get(), 0, 0, static_cast<off_t>(size));
  }

  [[nodiscard]] bool write(byte_view content) noexcept {
    while (!content.empty()) {
      const auto written = ::write(file_.get(), content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        if (written == 0) errno = EIO;
        return false;
      }
      content = content.subspan(static_cast<std::size_t>(written));
    }
    return true;
  }

  /// For what is not written in one piece; open for reading too.
  [[nodiscard]] int descriptor() const noexcept { return file_.get(); }

  [[nodiscard]] bool sync() const noexcept { return sync_to_disk(file_.get()); }

  /// Closes it and moves it over whatever has that name in the same directory.
  [[nodiscard]] bool rename_to(const std::string& name) noexcept { return rename_to(directory_, name); }

  /// The same for another open directory of the same file system.
  [[nodiscard]] bool rename_to(int directory, const std::string& name) noexcept {
    if (file_.close() != 0 || ::renameat(directory_, name_.c_str(), directory, name.c_str()) != 0) return false;
    name_.clear();
    return true;
  }

private:
  static std::uint64_t random_number() noexcept {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number))
      number = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    return number;
  }

  int directory_;
  std::string name_;
  file_descriptor file_;
};

}  // namespace recoup
