// The kernel's questions, in libfuse's terms, put to a mounted_repository. Part of fuse_session.hpp, which see.
#pragma once

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 34
#endif
#include <fuse3/fuse_lowlevel.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/ops/mount/mounted_repository.hpp>

namespace recoup::fuse_answers {

/// Seconds for which the kernel need not ask again. What is above the snapshots changes when there are new ones.
inline constexpr double lasting = 86400, passing = 1;

[[nodiscard]] inline mounted_repository& shown(fuse_req_t request) {
  return *static_cast<mounted_repository*>(::fuse_req_userdata(request));
}

/// Runs `work`, which replies as the last thing it does; replies with an errno if it throws.
template <class Work>
void answer(fuse_req_t request, Work&& work) noexcept {
  int number = EIO;
  try {
    work();
    return;
  } catch (const mount_refusal& refusal) {
    number = refusal.number();
  } catch (const std::bad_alloc&) {
    number = ENOMEM;
  } catch (const error& problem) {
    if (problem.code() != error_code::interrupted) shown(request).report(problem.what());
  } catch (const std::exception& problem) {
    shown(request).report(problem.what());
  }
  ::fuse_reply_err(request, number);
}

[[nodiscard]] inline struct stat as_stat(const mounted_stat& from) {
  constexpr std::uint64_t block = 512;
  const auto& shown = from.attributes;
  struct stat result {};
  result.st_ino = from.number;
  result.st_mode = shown.mode;
  result.st_nlink = shown.links;
  result.st_uid = shown.uid;
  result.st_gid = shown.gid;
  result.st_rdev = shown.device;
  result.st_size = static_cast<off_t>(std::min(shown.size, static_cast<std::uint64_t>(INT64_MAX)));
  if (S_ISREG(shown.mode)) result.st_blksize = block;  // for others the kernel has a value of its own
  result.st_blocks = static_cast<blkcnt_t>(shown.size / block + (shown.size % block != 0));
  result.st_atim = shown.atime;
  result.st_mtim = shown.mtime;
  result.st_ctim = shown.ctime;
  return result;
}

[[nodiscard]] inline double lifetime(bool lasts) { return lasts ? lasting : passing; }

[[nodiscard]] inline fuse_entry_param as_entry(const mounted_repository::looked_up& from) {
  fuse_entry_param entry{};
  entry.ino = from.handle;
  entry.attr = as_stat(from.stat);
  entry.attr_timeout = entry.entry_timeout = lifetime(from.stat.lasts);
  return entry;
}

inline void initialise(void*, fuse_conn_info* connection) {
  constexpr unsigned most_read_ahead = 1 << 20;
  connection->max_readahead = most_read_ahead;  // the kernel takes the lesser of this and its own limit
  connection->want |= connection->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS |
                                             FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_CACHE_SYMLINKS);
  // Nothing changes behind the kernel's back: pages that it has stay good.
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_AUTO_INVAL_DATA);
}

inline void look_up(fuse_req_t request, fuse_ino_t parent, const char* name) {
  answer(request, [&] {
    const auto found = shown(request).look_up(parent, name);
    const auto entry = as_entry(found);
    if (::fuse_reply_entry(request, &entry) == -ENOENT) shown(request).forget(found.handle, 1);
  });
}

inline void forget(fuse_req_t request, fuse_ino_t which, std::uint64_t count) {
  shown(request).forget(which, count);
  ::fuse_reply_none(request);
}

inline void forget_many(fuse_req_t request, std::size_t count, fuse_forget_data* all) {
  for (const auto& each : std::span(all, count)) shown(request).forget(each.ino, each.nlookup);
  ::fuse_reply_none(request);
}

inline void get_attributes(fuse_req_t request, fuse_ino_t which, fuse_file_info*) {
  answer(request, [&] {
    const auto found = shown(request).stat(which);
    const auto result = as_stat(found);
    ::fuse_reply_attr(request, &result, lifetime(found.lasts));
  });
}

inline void read_link(fuse_req_t request, fuse_ino_t which) {
  answer(request, [&] { ::fuse_reply_readlink(request, shown(request).read_link(which).c_str()); });
}

/// For both questions about attributes: with a size of 0 only the length is wanted.
inline void reply_sized(fuse_req_t request, byte_view content, std::size_t size) {
  if (size == 0)
    ::fuse_reply_xattr(request, content.size());
  else if (content.size() > size)
    ::fuse_reply_err(request, ERANGE);
  else
    ::fuse_reply_buf(request, reinterpret_cast<const char*>(content.data()), content.size());
}

inline void get_attribute(fuse_req_t request, fuse_ino_t which, const char* name, std::size_t size) {
  answer(request, [&] { reply_sized(request, shown(request).extended_attribute(which, name), size); });
}

inline void list_attributes(fuse_req_t request, fuse_ino_t which, std::size_t size) {
  answer(request, [&] { reply_sized(request, as_bytes(shown(request).extended_attribute_names(which)), size); });
}

/// Replies that the kernel keeps `opened` until it releases it. The kernel may have given up meanwhile.
template <class Opened>
void reply_opened(fuse_req_t request, std::unique_ptr<Opened> opened, fuse_file_info* info) {
  info->fh = reinterpret_cast<std::uintptr_t>(opened.get());
  if (::fuse_reply_open(request, info) == 0) (void)opened.release();
}

template <class Opened>
[[nodiscard]] Opened& opened(const fuse_file_info* info) {
  return *reinterpret_cast<Opened*>(static_cast<std::uintptr_t>(info->fh));
}

template <class Opened>
void release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  delete &opened<Opened>(info);
  ::fuse_reply_err(request, 0);
}

inline void open_directory(fuse_req_t request, fuse_ino_t which, fuse_file_info* info) {
  answer(request, [&] {
    auto directory = shown(request).open_directory(which);
    info->cache_readdir = info->keep_cache = directory->content != nullptr;
    reply_opened(request, std::move(directory), info);
  });
}

/// What an entry takes of the buffer, as far as a listing is to go.
inline constexpr auto no_more = std::numeric_limits<std::size_t>::max();

/// Adds the entries from `offset` on, as many as `size` bytes hold. "." is at 0, ".." at 1.
template <class Add>
void list_directory(fuse_req_t request, std::size_t size, off_t offset, const fuse_file_info* info, Add&& add) {
  answer(request, [&] {
    const auto& directory = opened<opened_directory>(info);
    std::vector<char> buffer(size);
    std::size_t used = 0;
    constexpr std::size_t dots = 2;
    for (auto at = static_cast<std::size_t>(offset); at < directory.size() + dots; ++at) {
      const auto more = add(directory, std::span(buffer).subspan(used), at);
      if (more > size - used) break;
      used += more;
    }
    ::fuse_reply_buf(request, buffer.data(), used);
  });
}

[[nodiscard]] inline struct stat dot_stat(const opened_directory& directory, std::size_t at) {
  struct stat status {};
  status.st_ino = at == 0 ? directory.number : directory.parent_number;
  status.st_mode = S_IFDIR;
  return status;
}

inline void read_directory(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  list_directory(request, size, offset, info,
                 [&](const opened_directory& directory, std::span<char> into, std::size_t at) {
                   const auto next = static_cast<off_t>(at + 1);
                   if (at < 2) {
                     const auto status = dot_stat(directory, at);
                     return ::fuse_add_direntry(request, into.data(), into.size(), at == 0 ? "." : "..", &status, next);
                   }
                   const auto entry = shown(request).entry(directory, at - 2);
                   struct stat status {};
                   status.st_ino = entry.number;
                   status.st_mode = entry.type;
                   return ::fuse_add_direntry(request, into.data(), into.size(), std::string(entry.name).c_str(), &status,
                                              next);
                 });
}

/// With the attributes of each entry, so that nobody has to ask for them one by one. What is returned counts as looked up.
/// Each listing begins with this question (FUSE_CAP_READDIRPLUS_AUTO). Where names are enough the answer is "." and ".."
/// alone: for the rest the kernel asks read_directory.
inline void read_directory_plus(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  const bool names_are_enough = offset == 0 && !shown(request).next_listing_has_attributes();
  list_directory(
      request, size, offset, info, [&](const opened_directory& directory, std::span<char> into, std::size_t at) {
        const auto next = static_cast<off_t>(at + 1);
        fuse_entry_param entry{};
        if (at < 2) {
          entry.attr = dot_stat(directory, at);
          return ::fuse_add_direntry_plus(request, into.data(), into.size(), at == 0 ? "." : "..", &entry, next);
        }
        if (names_are_enough) return no_more;
        const std::string name(shown(request).entry(directory, at - 2).name);
        const auto needed = ::fuse_add_direntry_plus(request, nullptr, 0, name.c_str(), nullptr, 0);
        if (needed > into.size()) return needed;
        entry = as_entry(shown(request).look_up(directory, at - 2));
        return ::fuse_add_direntry_plus(request, into.data(), into.size(), name.c_str(), &entry, next);
      });
}

inline void open_file(fuse_req_t request, fuse_ino_t which, fuse_file_info* info) {
  answer(request, [&] {
    if ((info->flags & O_ACCMODE) != O_RDONLY) throw mount_refusal(EROFS);
    auto file = shown(request).open_file(which);
    info->keep_cache = 1;
    reply_opened(request, std::move(file), info);
  });
}

/// Replies with the bytes where they are, in the blobs, unless there are more pieces than one writev() takes.
inline void read_file(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  answer(request, [&] {
    constexpr std::size_t most_pieces = 256;
    std::vector<std::shared_ptr<const bytes>> blobs;
    std::vector<iovec> pieces;
    bytes joined;
    const auto join = [&] {
      for (const auto& each : pieces) append(joined, {static_cast<const std::uint8_t*>(each.iov_base), each.iov_len});
      pieces.clear();
      blobs.clear();
    };
    opened<mounted_file>(info).visit(static_cast<std::uint64_t>(offset), size, [&](const auto& blob, byte_view part) {
      blobs.push_back(blob);
      pieces.push_back({const_cast<std::uint8_t*>(part.data()), part.size()});
      if (pieces.size() == most_pieces) join();
    });
    if (joined.empty() && !pieces.empty()) {
      ::fuse_reply_iov(request, pieces.data(), static_cast<int>(pieces.size()));
      return;
    }
    join();
    ::fuse_reply_buf(request, reinterpret_cast<const char*>(joined.data()), joined.size());
  });
}

/// For whatever would change something; the kernel does not even ask while the mount is read-only.
template <class... Arguments>
void refuse_to_write(fuse_req_t request, Arguments...) {
  ::fuse_reply_err(request, EROFS);
}

}  // namespace recoup::fuse_answers

namespace recoup {

[[nodiscard]] inline const fuse_lowlevel_ops& fuse_operations() {
  using namespace fuse_answers;
  static const fuse_lowlevel_ops all = [] {
    fuse_lowlevel_ops ops{};
    ops.init = initialise;
    ops.lookup = look_up;
    ops.forget = forget;
    ops.forget_multi = forget_many;
    ops.getattr = get_attributes;
    ops.readlink = read_link;
    ops.getxattr = get_attribute;
    ops.listxattr = list_attributes;
    ops.opendir = open_directory;
    ops.readdir = read_directory;
    ops.readdirplus = read_directory_plus;
    ops.releasedir = release<opened_directory>;
    ops.open = open_file;
    ops.read = read_file;
    ops.release = release<mounted_file>;
    ops.setattr = refuse_to_write;
    ops.mknod = refuse_to_write;
    ops.mkdir = refuse_to_write;
    ops.unlink = refuse_to_write;
    ops.rmdir = refuse_to_write;
    ops.symlink = refuse_to_write;
    ops.rename = refuse_to_write;
    ops.link = refuse_to_write;
    ops.write = refuse_to_write;
    ops.setxattr = refuse_to_write;
    ops.removexattr = refuse_to_write;
    ops.create = refuse_to_write;
    return ops;
  }();
  return all;
}

}  // namespace recoup
