// Tests about who may do what with files.
#pragma once

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <stdexcept>
#include <thread>

namespace recoup_test {

[[nodiscard]] inline mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) throw std::runtime_error("no " + path.string());
  return status.st_mode & 07777;
}

/// Runs `action` as a user who owns nothing. Only this thread changes: the C library's function would change all.
inline void as_nobody(const std::function<void()>& action) {
  std::thread([&] {
    ASSERT_EQ(::syscall(SYS_setresgid, -1, 65534, -1), 0);
    ASSERT_EQ(::syscall(SYS_setresuid, -1, 65534, -1), 0);
    action();
  }).join();
}

}  // namespace recoup_test
