// A directory of a snapshot as a mount shows it: a decoded tree, without what stat() does not ask for.
#pragma once

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/ops/mount/snapshot_directory.hpp>
#include <recoup/repo/node.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree.hpp>

namespace recoup {

/// What stat() says of something, but for its number.
struct mounted_attributes {
  mode_t mode = 0;
  std::uint32_t links = 1;
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t device = 0;        ///< st_rdev
  std::uint64_t size = 0;  ///< bytes; st_blocks is this, rounded up to units of 512
  timespec atime{}, mtime{}, ctime{};
};

/// Device and number that a file with several names had where it was backed up.
struct hard_link_key {
  std::uint64_t device = 0, number = 0;
};

struct mounted_entry {
  std::string name;
  mounted_attributes attributes;
  std::optional<hard_link_key> linked;
  std::optional<id> subtree;  ///< directories have one
  std::string link_target;
  std::vector<id> content;
  std::vector<extended_attribute> extended_attributes;

  /// How much memory it takes, about.
  [[nodiscard]] std::size_t weight() const noexcept {
    constexpr std::size_t of_one_attribute = 96;
    std::size_t total = sizeof *this + content.size() * sizeof(id) + link_target.size() + name.size();
    for (const auto& each : extended_attributes)
      total += of_one_attribute + each.name.size() + (each.value ? each.value->size() : 0);
    return total;
  }
};

namespace mounted_tree {

[[nodiscard]] inline timespec as_timespec(const timestamp& stamp) noexcept {
  return {static_cast<std::time_t>(stamp.seconds), stamp.nanoseconds};
}

[[nodiscard]] constexpr mode_t type_bits(node_type type) noexcept {
  switch (type) {
    case node_type::dir: return S_IFDIR;
    case node_type::symlink: return S_IFLNK;
    case node_type::dev: return S_IFBLK;
    case node_type::chardev: return S_IFCHR;
    case node_type::fifo: return S_IFIFO;
    case node_type::socket: return S_IFSOCK;
    default: return S_IFREG;
  }
}

[[nodiscard]] constexpr mode_t mode_of(const node& from) noexcept {
  mode_t mode = type_bits(from.type) | (from.mode & go_mode::permissions);
  if (from.mode & go_mode::setuid) mode |= S_ISUID;
  if (from.mode & go_mode::setgid) mode |= S_ISGID;
  if (from.mode & go_mode::sticky) mode |= S_ISVTX;
  return mode;
}

/// A directory has 2 links: to count those of the directories in it, each would have to be read.
[[nodiscard]] inline std::uint32_t links_of(const node& from) noexcept {
  if (from.type == node_type::dir) return 2;
  const auto links = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(from.links, std::numeric_limits<std::uint32_t>::max()));
  return from.type == node_type::file ? std::max(1u, links) : links;
}

[[nodiscard]] inline mounted_entry entry_from(node&& from) {
  mounted_entry entry;
  auto& shown = entry.attributes;
  shown.mode = mode_of(from);
  shown.links = links_of(from);
  shown.uid = from.uid;
  shown.gid = from.gid;
  if (from.type == node_type::dev || from.type == node_type::chardev) shown.device = from.device;
  if (from.type == node_type::file) shown.size = from.size;
  if (from.type == node_type::symlink) shown.size = from.link_target.size();
  shown.atime = as_timespec(from.atime);
  shown.mtime = as_timespec(from.mtime);
  shown.ctime = as_timespec(from.ctime);
  if (from.links > 1 && from.type != node_type::dir) entry.linked = hard_link_key{from.device_id, from.inode};
  if (from.type == node_type::dir) entry.subtree = from.subtree;
  if (from.type == node_type::symlink) entry.link_target = std::move(from.link_target);
  if (from.type == node_type::file && from.content) entry.content = std::move(*from.content);
  entry.extended_attributes = std::move(from.extended_attributes);
  entry.name = std::move(from.name);
  return entry;
}

[[nodiscard]] constexpr bool has_known_type(const node& one) noexcept {
  return one.type != node_type::irregular && one.type != node_type::unknown;
}

}  // namespace mounted_tree

/// Never changes once it is made, so an entry's position stays the same however often the tree is loaded.
struct mounted_directory {
  std::vector<mounted_entry> entries;  ///< by name, ascending, each name once
  std::size_t hidden = 0;              ///< entries whose names no directory can have

  [[nodiscard]] const mounted_entry* find(std::string_view name) const noexcept {
    const auto at = std::ranges::lower_bound(entries, name, {}, &mounted_entry::name);
    return at != entries.end() && at->name == name ? &*at : nullptr;
  }
  [[nodiscard]] std::size_t position(const mounted_entry& entry) const noexcept {
    return static_cast<std::size_t>(&entry - entries.data());
  }
  [[nodiscard]] std::size_t weight() const noexcept {
    std::size_t total = sizeof *this;
    for (const auto& each : entries) total += each.weight();
    return total;
  }
};

/// Throws damaged or not_found. A directory with the name "/" or ".", which old backups have, is replaced by what is in it.
/// Other names that no directory can have are left out. Of entries with the same name the last one counts.
[[nodiscard]] inline mounted_directory load_mounted_directory(repository& repo, const id& tree) {
  mounted_directory directory;
  const auto add = [&directory](node& each) {
    if (!mounted_tree::has_known_type(each)) return;
    if (snapshot_directory::is_shown(each.name))
      directory.entries.push_back(mounted_tree::entry_from(std::move(each)));
    else
      ++directory.hidden;
  };
  decode_tree(repo.load_blob(blob_type::tree, tree), [&](node& each) {
    if (each.type == node_type::dir && each.subtree && (each.name == "/" || each.name == "."))
      decode_tree(repo.load_blob(blob_type::tree, *each.subtree), add);
    else
      add(each);
  });
  auto& entries = directory.entries;
  // Last ones first among equals, for unique() keeps the first.
  const auto before = [](const mounted_entry& a, const mounted_entry& b) { return a.name < b.name; };
  if (std::ranges::adjacent_find(entries, [](const auto& a, const auto& b) { return a.name >= b.name; }) != entries.end()) {
    std::ranges::reverse(entries);
    std::ranges::stable_sort(entries, before);
    const auto repeated = std::ranges::unique(entries, {}, &mounted_entry::name);
    entries.erase(repeated.begin(), repeated.end());
  }
  entries.shrink_to_fit();
  return directory;
}

}  // namespace recoup
