// Making, opening and writing one file in the target.
#pragma once

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/ops/restore/remove_tree.hpp>

namespace recoup {

/// Opens what must be a regular file with no other names, without following a symlink or waiting for the other end of a
/// fifo. An empty descriptor and an errno otherwise; EMLINK stands for "has other names", EINVAL for "not a file".
[[nodiscard]] inline file_descriptor open_regular_file(int directory, const char* name, int access) noexcept {
  struct stat status {};
  // Looked at first: opening a device may do something by itself.
  if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
  if (!S_ISREG(status.st_mode)) return errno = EINVAL, file_descriptor();
  file_descriptor file(::openat(directory, name, access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file || ::fstat(file.get(), &status) != 0) return {};
  if (!S_ISREG(status.st_mode)) return errno = EINVAL, file_descriptor();
  if (access != O_RDONLY && status.st_nlink > 1) return errno = EMLINK, file_descriptor();
  return file;
}

/// Lets the owner write to a regular file; its final mode is applied later.
inline void make_writable(int directory, const char* name) noexcept {
  const file_descriptor file(::openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  // fchmod does not take O_PATH descriptors.
  (void)::chmod(("/proc/self/fd/" + std::to_string(file.get())).c_str(), 0600);
}

struct target_file_request {
  std::uint64_t size = 0;
  bool parent_is_fresh = false;   ///< nothing of that name is expected
  bool must_exist = false;        ///< parts of what is there will be kept
  bool replaces_links = false;    ///< what is there has other names, which keep the old content
  bool sparse = false;            ///< gets its size now; zeros are not written
  bool preallocate = false;
  bool removes_directories = false;  ///< a directory in the way may go with everything in it
};

namespace target_files {

[[nodiscard]] inline file_descriptor create_new(int directory, const char* name) noexcept {
  return file_descriptor(
      ::openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
}

inline void remove_what_is_there(int directory, const char* name, bool with_content, const std::string& path) {
  if (::unlinkat(directory, name, 0) == 0 || errno == ENOENT) return;
  if (errno == EISDIR) {
    if (::unlinkat(directory, name, AT_REMOVEDIR) == 0) return;
    if (with_content && (errno == ENOTEMPTY || errno == EEXIST)) return remove_tree(directory, name, path);
  }
  throw system_error(errno, "cannot replace " + path);
}

[[nodiscard]] inline file_descriptor open_or_replace(int directory, const char* name,
                                                     const target_file_request& request, const std::string& path) {
  if (!request.replaces_links) {
    auto file = open_regular_file(directory, name, O_WRONLY);
    if (!file && errno == EACCES) {
      make_writable(directory, name);
      file = open_regular_file(directory, name, O_WRONLY);
    }
    if (file) return file;
    if (errno != ENOENT && errno != EINVAL && errno != EMLINK && errno != ELOOP)
      throw system_error(errno, "cannot write to " + path);
    if (request.must_exist)
      throw error(error_code::failure,
                  path + " was changed by another program while it was being restored; restore again");
    if (errno != ENOENT) remove_what_is_there(directory, name, request.removes_directories, path);
  } else {
    remove_what_is_there(directory, name, request.removes_directories, path);
  }
  auto file = create_new(directory, name);
  if (!file) throw system_error(errno, "cannot create " + path);
  return file;
}

/// Keeps a file that several threads write in one piece on the disk. File systems may not know how; no matter. In
/// memory nothing is gained: all pages would be taken at once, by one thread while the others wait.
inline void preallocate(int file, off_t size) noexcept {
  struct statfs system {};
  if (::fstatfs(file, &system) == 0 && system.f_type != TMPFS_MAGIC)
    (void)::fallocate(file, FALLOC_FL_KEEP_SIZE, 0, size);
}

}  // namespace target_files

/// Opens a file for writing; it is made, or takes the place of what is there, if need be. A file that is too long is
/// cut.
[[nodiscard]] inline file_descriptor open_target_file(int directory, const char* name,
                                                      const target_file_request& request, const std::string& path) {
  file_descriptor file;
  if (request.parent_is_fresh) file = target_files::create_new(directory, name);
  const bool is_new = static_cast<bool>(file);
  if (!is_new && request.parent_is_fresh && errno != EEXIST) throw system_error(errno, "cannot create " + path);
  if (!is_new) file = target_files::open_or_replace(directory, name, request, path);

  const auto size = static_cast<off_t>(request.size);
  if (request.sparse) {
    // Emptied first if it is one that came into being after we looked: what is not written must read as zero.
    if ((!is_new && ::ftruncate(file.get(), 0) != 0) || ::ftruncate(file.get(), size) != 0)
      throw system_error(errno, "cannot set the size of " + path);
    return file;
  }
  struct stat status {};
  if (!is_new && (::fstat(file.get(), &status) != 0 || (status.st_size > size && ::ftruncate(file.get(), size) != 0)))
    throw system_error(errno, "cannot set the size of " + path);
  if (request.preallocate) target_files::preallocate(file.get(), size);
  return file;
}

/// Throws system_error naming `path`.
inline void write_at(int file, byte_view content, std::uint64_t position, const std::string& path) {
  while (!content.empty()) {
    const auto written = ::pwrite(file, content.data(), content.size(), static_cast<off_t>(position));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw system_error(errno, "cannot write to " + path);
    content = content.subspan(static_cast<std::size_t>(written));
    position += static_cast<std::uint64_t>(written);
  }
}

/// Leaves out the 4 KiB blocks of the file that would be all zero. The file must have its final size and no content at
/// this position.
inline void write_sparse_at(int file, byte_view content, std::uint64_t position, const std::string& path) {
  constexpr std::size_t block = 4096;
  std::size_t begin = 0;  // of what is not written yet and not zero
  for (std::size_t at = 0; at < content.size();) {
    const auto end = std::min(content.size(), at + block - static_cast<std::size_t>((position + at) % block));
    if (is_all_zero(content.subspan(at, end - at))) {
      write_at(file, content.subspan(begin, at - begin), position + begin, path);
      begin = end;
    }
    at = end;
  }
  write_at(file, content.subspan(begin), position + begin, path);
}

}  // namespace recoup
