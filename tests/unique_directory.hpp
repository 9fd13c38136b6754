// A new directory for one test, gone with all it holds when the test ends.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

/// Lies in TMPDIR or /var/tmp, because /tmp is often a tmpfs, which has no user.* attributes on older kernels.
class unique_directory {
public:
  unique_directory() {
    const char* chosen = std::getenv("TMPDIR");
    std::string pattern = std::string(chosen != nullptr ? chosen : "/var/tmp") + "/recoup-test-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a directory like " + pattern);
    path_ = pattern;
    fd_ = ::open(pattern.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  unique_directory(const unique_directory&) = delete;
  unique_directory& operator=(const unique_directory&) = delete;
  ~unique_directory() {
    ::close(fd_);
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const { return (path_ / name).string(); }
  [[nodiscard]] int fd() const noexcept { return fd_; }

  /// Makes the directories above `name` too. Returns the absolute path.
  std::string write(std::string_view name, std::string_view content = {}) const {
    const auto file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream stream(file, std::ios::binary);
    stream.write(content.data(), static_cast<std::streamsize>(content.size()));
    if (!stream.flush()) throw std::runtime_error("cannot write " + file.string());
    return file.string();
  }

private:
  std::filesystem::path path_;
  int fd_ = -1;
};
