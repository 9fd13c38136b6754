// From a file to its node: everything a tree stores about it but the content.
//
// restic's rules (internal/fs/node.go, node_xattr.go), which decide what bytes a tree has:
//   size           files only
//   links          not for directories and fifos
//   device         st_rdev, of devices only
//   access time    the modification time, unless asked for: otherwise every backup would change every tree
//   attributes     in the kernel's order, POSIX ACLs among them as system.posix_acl_access and …_default
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/fs/extended_attributes.hpp>
#include <recoup/fs/user_names.hpp>
#include <recoup/fs/warning.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

struct metadata_options {
  bool with_atime = false;
  /// What cannot be another name of the same file gets no device: the number of a btrfs subvolume or a snapshot's mount changes
  /// from time to time, and with it each tree (restic's feature device-id-for-hardlinks).
  bool device_for_hard_links_only = false;
  user_names* names = nullptr;  ///< none: user and group stay empty
  /// Directories above a backup's targets often forbid listing their attributes; nobody asked for them, so restic keeps
  /// silent about that.
  bool ignore_attribute_permission = false;
  warning_function on_warning;  ///< symlink targets and attributes that cannot be read
};

[[nodiscard]] inline node_type type_of(mode_t mode) noexcept {
  switch (mode & S_IFMT) {
    case S_IFREG: return node_type::file;
    case S_IFDIR: return node_type::dir;
    case S_IFLNK: return node_type::symlink;
    case S_IFBLK: return node_type::dev;
    case S_IFCHR: return node_type::chardev;
    case S_IFIFO: return node_type::fifo;
    case S_IFSOCK: return node_type::socket;
    default: return node_type::unknown;
  }
}

/// The bits of st_mode as Go's os.FileMode has them.
[[nodiscard]] inline std::uint32_t go_mode_of(mode_t mode) noexcept {
  std::uint32_t bits = mode & go_mode::permissions;
  if (mode & S_ISUID) bits |= go_mode::setuid;
  if (mode & S_ISGID) bits |= go_mode::setgid;
  if (mode & S_ISVTX) bits |= go_mode::sticky;
  switch (type_of(mode)) {
    case node_type::dir: return bits | go_mode::dir;
    case node_type::symlink: return bits | go_mode::symlink;
    case node_type::dev: return bits | go_mode::device;
    case node_type::chardev: return bits | go_mode::device | go_mode::char_device;
    case node_type::fifo: return bits | go_mode::named_pipe;
    case node_type::socket: return bits | go_mode::socket;
    default: return bits;
  }
}

/// What fstatat alone tells: no symlink target, no extended attributes, no content.
[[nodiscard]] inline node node_from_status(const char* name, const struct stat& status,
                                           const metadata_options& options) {
  node made;
  made.name = name;
  made.type = type_of(status.st_mode);
  made.mode = go_mode_of(status.st_mode);
  made.mtime = local_timestamp(status.st_mtim);
  made.atime = options.with_atime ? local_timestamp(status.st_atim) : made.mtime;
  made.ctime = status.st_ctim.tv_sec == status.st_mtim.tv_sec && status.st_ctim.tv_nsec == status.st_mtim.tv_nsec
                   ? made.mtime
                   : local_timestamp(status.st_ctim);
  made.uid = status.st_uid;
  made.gid = status.st_gid;
  if (options.names != nullptr) {
    made.user = options.names->user(status.st_uid);
    made.group = options.names->group(status.st_gid);
  }
  made.inode = status.st_ino;
  made.device_id = status.st_dev;
  switch (made.type) {
    case node_type::file:
      made.size = static_cast<std::uint64_t>(status.st_size);
      made.links = status.st_nlink;
      break;
    case node_type::symlink: made.links = status.st_nlink; break;
    case node_type::dev:
    case node_type::chardev:
      made.links = status.st_nlink;
      made.device = status.st_rdev;
      break;
    default: break;
  }
  if (options.device_for_hard_links_only && (made.links == 1 || made.type == node_type::dir)) made.device_id = 0;
  return made;
}

/// Raw bytes of what the symlink holds; nothing, and errno, if it cannot be read.
[[nodiscard]] inline std::optional<std::string> read_link(int directory_fd, const char* name,
                                                          std::size_t expected_length = 0) {
  // Some file systems (/proc) say 0. A longer answer than expected shows as a full buffer.
  std::string target(std::max<std::size_t>(expected_length + 1, 128), '\0');
  for (;;) {
    const ssize_t length = ::readlinkat(directory_fd, name, target.data(), target.size());
    if (length < 0) return std::nullopt;
    if (static_cast<std::size_t>(length) < target.size()) {
      target.resize(static_cast<std::size_t>(length));
      return target;
    }
    target.resize(target.size() * 2);
  }
}

/// All that can be read; for what cannot, a warning.
[[nodiscard]] inline std::vector<extended_attribute> read_extended_attributes(const attribute_holder& file,
                                                                              const std::string& path,
                                                                              const metadata_options& options) {
  std::vector<extended_attribute> attributes;
  const int status = visit_attribute_names(file, [&](const char* name) {
    std::optional<bytes> value;
    const int refused = read_attribute(file, name, value);
    if (refused == 0)
      attributes.push_back({name, std::move(value)});
    else
      warn(options.on_warning, path, std::string("cannot read extended attribute ") + name + " of", refused);
  });
  const bool forbidden = status == EACCES || status == EPERM;
  if (status != 0 && !(forbidden && options.ignore_attribute_permission))
    warn(options.on_warning, path, "incomplete metadata: cannot list extended attributes of", status);
  return attributes;
}

/// The node of `name` in `directory_fd` (or AT_FDCWD), whose fstatat without following symlinks was `status`. `path` is
/// for messages. `fd`, if the file or directory is open already, saves looking it up again. What cannot be read becomes
/// a warning, and the node is made from the rest, as restic does: better a file without its ACL than no file. Throws
/// unsupported for a type that no tree can hold.
[[nodiscard]] inline node read_node(int directory_fd, const char* name, const std::string& path,
                                    const struct stat& status, const metadata_options& options, int fd = -1) {
  node made = node_from_status(name, status, options);
  if (made.type == node_type::unknown)
    throw error(error_code::unsupported, "cannot back up " + path + ": it is of an unknown type");
  if (made.type == node_type::symlink) {
    auto target = read_link(directory_fd, name, static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)));
    if (target)
      made.link_target = std::move(*target);
    else
      warn(options.on_warning, path, "incomplete metadata: cannot read symlink", errno);
  }
  const auto file = fd >= 0 ? attribute_holder(fd) : attribute_holder(directory_fd, name);
  made.extended_attributes = read_extended_attributes(file, path, options);
  return made;
}

}  // namespace recoup
