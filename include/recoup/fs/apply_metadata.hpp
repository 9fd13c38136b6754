// From a node back to a file: owner, extended attributes, times and mode, and the special files themselves.
//
// The order is restic's (internal/fs/node.go nodeRestoreMetadata), and each step has its place:
//   1. owner       chown clears setuid, setgid and file capabilities, so it goes before what sets them
//   2. attributes  capabilities and ACLs; attributes that the node lacks are removed, for instance ACLs inherited from
//                  the target directory
//   3. times
//   4. mode        last, because a file made read-only would refuse attributes; not for symlinks, which have none
// Every step is tried even if one before it failed; each failure is one warning. Without root, chown to others is
// forbidden and much else may be, so then "not permitted" is no warning.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/fs/extended_attributes.hpp>
#include <recoup/fs/open_for_reading.hpp>
#include <recoup/fs/user_names.hpp>
#include <recoup/fs/warning.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

struct apply_options {
  bool ownership_by_name = false;  ///< needs `names`
  user_names* names = nullptr;
  /// Which attributes to touch, by name; empty: all. Attributes that it refuses are neither set nor removed.
  std::function<bool(std::string_view)> restores_attribute;
  bool is_root = ::geteuid() == 0;
};

/// The mode bits that chmod takes.
[[nodiscard]] constexpr mode_t permissions_of(const node& from) noexcept {
  mode_t mode = from.mode & go_mode::permissions;
  if (from.mode & go_mode::setuid) mode |= S_ISUID;
  if (from.mode & go_mode::setgid) mode |= S_ISGID;
  if (from.mode & go_mode::sticky) mode |= S_ISVTX;
  return mode;
}

/// Applies one node to one file. Short-lived; apply_metadata is the way in.
class metadata_application {
public:
  metadata_application(int parent_fd, const char* name, int fd, const node& from, const std::string& path,
                       const apply_options& options, const warning_function& on_warning)
      : parent_fd_(parent_fd), name_(name), fd_(fd), from_(from), path_(path), options_(options),
        on_warning_(on_warning) {}

  void apply_all() {
    apply_owner();
    apply_attributes();
    apply_times();
    if (from_.type != node_type::symlink) apply_mode();
  }

private:
  void failed(std::string_view what, int error_number) const {
    const bool forbidden = error_number == EPERM || error_number == EACCES;
    if (forbidden && !options_.is_root) return;
    warn(on_warning_, path_, what, error_number);
  }

  void apply_owner() const {
    auto uid = from_.uid;
    auto gid = from_.gid;
    if (options_.ownership_by_name && options_.names != nullptr) {
      // restic turns names that this machine does not know into root. The stored number is the safer guess: nobody
      // becomes the owner of a setuid root program by it.
      uid = options_.names->uid(from_.user).value_or(uid);
      gid = options_.names->gid(from_.group).value_or(gid);
    }
    const int status = fd_ >= 0 ? ::fchown(fd_, uid, gid)
                                : ::fchownat(parent_fd_, name_, uid, gid, AT_SYMLINK_NOFOLLOW);
    if (status != 0) failed("cannot set the owner of", errno);
  }

  void apply_attributes() const {
    const auto file = fd_ >= 0 ? attribute_holder(fd_) : attribute_holder(parent_fd_, name_);
    const auto selected = [this](std::string_view name) {
      return !options_.restores_attribute || options_.restores_attribute(name);
    };
    for (const auto& attribute : from_.extended_attributes) {
      if (!selected(attribute.name)) continue;
      // A name from the repository that C would cut short must not set some other attribute.
      const bool valid = !attribute.name.empty() && attribute.name.find('\0') == std::string::npos;
      const auto value = attribute.value ? byte_view(*attribute.value) : byte_view();
      const int status = valid ? (file.set(attribute.name.c_str(), value) == 0 ? 0 : errno) : EINVAL;
      if (status != 0 && !means_no_attributes(status))
        failed("cannot set extended attribute " + attribute.name + " of", status);
    }
    remove_other_attributes(file, selected);
  }

  template <class Selected>
  void remove_other_attributes(const attribute_holder& file, const Selected& selected) const {
    std::vector<std::string> unexpected;
    const int status = visit_attribute_names(file, [&](std::string_view name) {
      const bool expected =
          std::any_of(from_.extended_attributes.begin(), from_.extended_attributes.end(),
                      [name](const extended_attribute& attribute) { return attribute.name == name; });
      if (!expected && selected(name)) unexpected.emplace_back(name);
    });
    if (status != 0) failed("cannot list extended attributes of", status);
    for (const auto& name : unexpected)
      if (file.remove(name.c_str()) != 0 && !means_no_attributes(errno))
        failed("cannot remove extended attribute " + name + " of", errno);
  }

  void apply_times() const {
    const auto time = [](const timestamp& stamp) {
      timespec converted{};
      converted.tv_sec = stamp.seconds;
      converted.tv_nsec = stamp.nanoseconds;
      return converted;
    };
    const timespec times[2] = {time(from_.atime), time(from_.mtime)};
    const int status = fd_ >= 0 ? ::futimens(fd_, times)
                                : ::utimensat(parent_fd_, name_, times, AT_SYMLINK_NOFOLLOW);
    if (status != 0) failed("cannot set the times of", errno);
  }

  void apply_mode() const {
    // The C library's AT_SYMLINK_NOFOLLOW opens the file with O_PATH and goes through /proc where the kernel lacks
    // fchmodat2.
    const int status = fd_ >= 0 ? ::fchmod(fd_, permissions_of(from_))
                                : ::fchmodat(parent_fd_, name_, permissions_of(from_), AT_SYMLINK_NOFOLLOW);
    // Some network file systems have no modes, for which restic does not fail either.
    if (status != 0 && errno != ENOTSUP) failed("cannot set the mode of", errno);
  }

  int parent_fd_;
  const char* name_;
  int fd_;
  const node& from_;
  const std::string& path_;
  const apply_options& options_;
  const warning_function& on_warning_;
};

/// Gives `name` in the directory `parent_fd` the metadata of `from`. `fd`, if not -1, is that same file or directory,
/// open (not O_PATH), and is used instead of the name. Never follows a symlink. `path` is for messages.
inline void apply_metadata(int parent_fd, const std::string& name, int fd, const node& from, const std::string& path,
                           const apply_options& options, const warning_function& on_warning) {
  file_descriptor opened;
  if (fd < 0 && (from.type == node_type::file || from.type == node_type::dir)) {
    opened = open_for_reading(parent_fd, name.c_str(), O_NOFOLLOW | (from.type == node_type::dir ? O_DIRECTORY : 0));
    fd = opened.get();
  }
  metadata_application(parent_fd, name.c_str(), fd, from, path, options, on_warning).apply_all();
}

/// Makes the symlink, fifo or device that `from` describes, without metadata; mode 0600 as restic does. Nothing may
/// have that name yet. Throws invalid_argument for other types, damaged for names and targets no file system can hold,
/// otherwise what the system says.
inline void create_special(int parent_fd, const std::string& name, const node& from, const std::string& path) {
  if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos)
    throw error(error_code::damaged, "cannot create " + path + ": its name in the repository is not a file name");
  int status = 0;
  switch (from.type) {
    case node_type::symlink:
      if (from.link_target.empty() || from.link_target.find('\0') != std::string::npos)
        throw error(error_code::damaged, "cannot create symlink " + path + ": its target is empty or holds a NUL");
      status = ::symlinkat(from.link_target.c_str(), parent_fd, name.c_str());
      break;
    case node_type::fifo: status = ::mknodat(parent_fd, name.c_str(), S_IFIFO | 0600, 0); break;
    case node_type::dev: status = ::mknodat(parent_fd, name.c_str(), S_IFBLK | 0600, from.device); break;
    case node_type::chardev: status = ::mknodat(parent_fd, name.c_str(), S_IFCHR | 0600, from.device); break;
    default:
      throw error(error_code::invalid_argument,
                  std::string("cannot create ") + path + ": a " + name_of(from.type) + " is not a special file");
  }
  if (status != 0) throw system_error(errno, std::string("cannot create ") + name_of(from.type) + " " + path);
}

}  // namespace recoup
