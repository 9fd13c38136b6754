// Reading, setting and removing extended attributes (xattr(7)) of one file, never of what a symlink points to.
#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

/// "/proc/self/fd/7/name": the calls for attributes take no directory descriptor (setxattrat is Linux 6.13), but this
/// path means the same. Of a symlink, it is the symlink itself that the l… calls work on.
[[nodiscard]] inline std::string path_through_descriptor(int directory_fd, std::string_view name) {
  if (directory_fd == AT_FDCWD || (!name.empty() && name.front() == '/')) return std::string(name);
  std::string path = "/proc/self/fd/" + std::to_string(directory_fd);
  path.append("/").append(name);
  return path;
}

/// The file whose attributes are meant: an open descriptor (not O_PATH) or a path. Results are those of the system
/// calls: -1 and errno.
class attribute_holder {
public:
  explicit attribute_holder(int fd) noexcept : fd_(fd) {}
  explicit attribute_holder(std::string path) noexcept : path_(std::move(path)) {}
  attribute_holder(int directory_fd, std::string_view name) : path_(path_through_descriptor(directory_fd, name)) {}

  [[nodiscard]] ssize_t list(char* into, std::size_t size) const noexcept {
    return fd_ >= 0 ? ::flistxattr(fd_, into, size) : ::llistxattr(path_.c_str(), into, size);
  }
  [[nodiscard]] ssize_t get(const char* name, void* into, std::size_t size) const noexcept {
    return fd_ >= 0 ? ::fgetxattr(fd_, name, into, size) : ::lgetxattr(path_.c_str(), name, into, size);
  }
  [[nodiscard]] int set(const char* name, byte_view value) const noexcept {
    return fd_ >= 0 ? ::fsetxattr(fd_, name, value.data(), value.size(), 0)
                    : ::lsetxattr(path_.c_str(), name, value.data(), value.size(), 0);
  }
  [[nodiscard]] int remove(const char* name) const noexcept {
    return fd_ >= 0 ? ::fremovexattr(fd_, name) : ::lremovexattr(path_.c_str(), name);
  }

private:
  int fd_ = -1;
  std::string path_;
};

/// The file system has no such thing as this attribute, or as attributes: no reason to complain. SMB mounts say ENODATA
/// where they mean ENOTSUP.
[[nodiscard]] constexpr bool means_no_attributes(int error_number) noexcept {
  return error_number == ENOTSUP || error_number == EOPNOTSUPP || error_number == ENODATA;
}

/// Calls visit(const char* name) in the kernel's order. 0 or an errno, never one that means_no_attributes.
template <class Visitor>
[[nodiscard]] int visit_attribute_names(const attribute_holder& file, Visitor&& visit) {
  char small[1024];
  bytes large;
  const char* names = small;
  ssize_t length = file.list(small, sizeof small);
  // Another process may add attributes between asking for the size and reading, hence a loop.
  while (length < 0 && errno == ERANGE) {
    const ssize_t needed = file.list(nullptr, 0);
    if (needed < 0) {
      length = needed;
      break;
    }
    large.resize(static_cast<std::size_t>(needed) + sizeof small);
    names = reinterpret_cast<const char*>(large.data());
    length = file.list(reinterpret_cast<char*>(large.data()), large.size());
  }
  if (length < 0) return means_no_attributes(errno) ? 0 : errno;
  for (const char *name = names, *end = names + length; name < end; name += std::string_view(name).size() + 1)
    visit(name);
  return 0;
}

/// 0 and the value, or an errno. No value if the attribute was listed but cannot be had, as on some SMB mounts; restic
/// stores these with a null value.
[[nodiscard]] inline int read_attribute(const attribute_holder& file, const char* name, std::optional<bytes>& value) {
  std::uint8_t small[1024];
  ssize_t length = file.get(name, small, sizeof small);
  if (length >= 0) {
    value.emplace(small, small + length);
    return 0;
  }
  bytes large;
  while (length < 0 && errno == ERANGE) {
    const ssize_t needed = file.get(name, nullptr, 0);
    if (needed < 0) break;
    large.resize(static_cast<std::size_t>(needed) + 1);
    length = file.get(name, large.data(), large.size());
  }
  value.reset();
  if (length < 0) return means_no_attributes(errno) ? 0 : errno;
  large.resize(static_cast<std::size_t>(length));
  value = std::move(large);
  return 0;
}

}  // namespace recoup
