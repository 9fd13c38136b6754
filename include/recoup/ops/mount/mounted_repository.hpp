// What a mounted repository answers: which entries a directory has, what stat() says, what is in a file. Nothing here knows of
// FUSE; `fuse_session` passes the kernel's questions on.
//
//   recoup::mounted_repository shown(repo, {});
//   const auto found = shown.look_up(recoup::root_inode, "ids");
//
// The index must be loaded. Any thread may call any member, several at once.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/ops/mount/attribute_demand.hpp>
#include <recoup/ops/mount/blob_loader.hpp>
#include <recoup/ops/mount/inode_table.hpp>
#include <recoup/ops/mount/mounted_directory.hpp>
#include <recoup/ops/mount/mounted_file.hpp>
#include <recoup/ops/mount/options.hpp>
#include <recoup/ops/mount/shared_cache.hpp>
#include <recoup/ops/mount/snapshot_catalog.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// A question that has an errno for an answer.
class mount_refusal : public std::runtime_error {
public:
  explicit mount_refusal(int number) : std::runtime_error("refused"), number_(number) {}
  [[nodiscard]] int number() const noexcept { return number_; }

private:
  int number_;
};

struct mounted_stat {
  mounted_attributes attributes;
  std::uint64_t number = 0;  ///< st_ino
  /// What is in a snapshot never changes; of what is above them the kernel has to ask again.
  bool lasts = false;
};

/// A directory that somebody reads: what was in it when it was opened.
struct opened_directory {
  inode_handle handle = 0;
  std::uint64_t number = 0, parent_number = 0;
  std::shared_ptr<const mounted_directory> content;     ///< in a snapshot
  std::shared_ptr<const snapshot_directory> structure;  ///< keeps what `above` points to
  std::vector<const snapshot_directory_entry*> above;   ///< else

  [[nodiscard]] std::size_t size() const noexcept { return content ? content->entries.size() : above.size(); }
};

/// One of the entries of a directory.
struct named_entry {
  std::string_view name;
  mode_t type = 0;  ///< S_IFMT bits
  std::uint64_t number = 0;
};

class mounted_repository {
public:
  /// Reads the list of snapshots. Throws if that is not possible.
  mounted_repository(std::shared_ptr<repository> repo, mount_options options)
      : repo_(std::move(repo)), options_(std::move(options)), began_(current_time()), catalog_(*repo_, options_),
        blobs_(*repo_, options_.blob_memory),
        directories_(options_.directory_memory, [this](const id& tree) { return load_directory(tree); }) {
    if (!options_.owner_root) {
      uid_ = ::getuid();
      gid_ = ::getgid();
    }
    (void)catalog_.current();
  }
  mounted_repository(const mounted_repository&) = delete;
  mounted_repository& operator=(const mounted_repository&) = delete;

  struct looked_up {
    inode_handle handle = 0;
    mounted_stat stat;
  };

  /// Throws mount_refusal(ENOENT) if there is no such entry. Each success has to be forgotten once.
  [[nodiscard]] looked_up look_up(inode_handle directory, std::string_view name) {
    const auto& parent = inodes_.at(directory);
    if (parent.tree) {
      const auto content = directory_of(parent);
      const auto* entry = content->find(name);
      if (entry == nullptr) throw mount_refusal(ENOENT);
      if (!entry->subtree) attribute_demand_.was_asked_for_one();
      return look_up(parent, *content, content->position(*entry));
    }
    const auto structure = catalog_.current();
    const auto& names = entry_of(*structure, parent).names;
    const auto found = names.find(std::string(name));
    if (found == names.end()) throw mount_refusal(ENOENT);
    return look_up(*found->second);
  }

  void forget(inode_handle which, std::uint64_t count) { inodes_.forget(which, count); }
  [[nodiscard]] std::size_t inodes_known() const { return inodes_.size(); }

  [[nodiscard]] mounted_stat stat(inode_handle which) {
    const auto& at = inodes_.at(which);
    if (at.above) return stat_above(at);
    const auto content = directory_of(*at.parent);
    return stat_of(content->entries.at(at.position), at.number);
  }

  [[nodiscard]] std::string read_link(inode_handle which) {
    const auto& at = inodes_.at(which);
    if (at.above) {
      if (at.above->link_target.empty()) throw mount_refusal(EINVAL);
      return at.above->link_target;
    }
    return directory_of(*at.parent)->entries.at(at.position).link_target;
  }

  /// Throws mount_refusal(ENODATA) if there is no such attribute.
  [[nodiscard]] bytes extended_attribute(inode_handle which, std::string_view name) {
    const auto& at = inodes_.at(which);
    if (at.above) throw mount_refusal(ENODATA);
    const auto content = directory_of(*at.parent);
    for (const auto& each : content->entries.at(at.position).extended_attributes)
      if (each.name == name && each.value) return *each.value;
    throw mount_refusal(ENODATA);
  }

  /// Names with a zero byte behind each.
  [[nodiscard]] std::string extended_attribute_names(inode_handle which) {
    std::string names;
    const auto& at = inodes_.at(which);
    if (at.above) return names;
    const auto content = directory_of(*at.parent);
    for (const auto& each : content->entries.at(at.position).extended_attributes)
      if (!each.name.empty() && each.name.find('\0') == each.name.npos) names.append(each.name).append(1, '\0');
    return names;
  }

  [[nodiscard]] std::unique_ptr<opened_directory> open_directory(inode_handle which) {
    const auto& at = inodes_.at(which);
    auto opened = std::make_unique<opened_directory>();
    opened->handle = which;
    opened->number = at.number;
    opened->parent_number = at.parent ? at.parent->number : root_inode;
    if (at.tree) {
      opened->content = directory_of(at);
      return opened;
    }
    opened->structure = catalog_.current();
    for (const auto& [name, entry] : entry_of(*opened->structure, at).names) opened->above.push_back(entry);
    return opened;
  }

  [[nodiscard]] named_entry entry(const opened_directory& in, std::size_t position) const {
    if (in.content) {
      const auto& one = in.content->entries[position];
      return {one.name, one.attributes.mode & S_IFMT, inode_table::number_of(inodes_.at(in.handle), one)};
    }
    const auto& one = *in.above[position];
    return {std::string_view(one.path).substr(one.path.rfind('/') + 1), static_cast<mode_t>(one.is_link() ? S_IFLNK : S_IFDIR),
            inode_table::number_of(root_inode, one.path)};
  }

  /// Whether to list the next directory's entries with what stat() says of them, or by name alone.
  [[nodiscard]] bool next_listing_has_attributes() noexcept { return attribute_demand_.next(); }

  /// The entry that `entry()` describes, as look_up gives it.
  [[nodiscard]] looked_up look_up(const opened_directory& in, std::size_t position) {
    return in.content ? look_up(inodes_.at(in.handle), *in.content, position) : look_up(*in.above[position]);
  }

  /// Throws not_found if a blob of the file is in no index.
  [[nodiscard]] std::unique_ptr<mounted_file> open_file(inode_handle which) {
    const auto& at = inodes_.at(which);
    if (at.above) throw mount_refusal(EISDIR);
    const auto content = directory_of(*at.parent);
    const auto& entry = content->entries.at(at.position);
    if (!S_ISREG(entry.attributes.mode)) throw mount_refusal(EINVAL);
    return std::make_unique<mounted_file>(repo_, blobs_, entry.name, entry.content);
  }

  /// Tells of something that cannot be read, once for each text and not for ever.
  void report(const std::string& what) {
    constexpr std::size_t most_reports = 1000;
    {
      const std::lock_guard lock(report_mutex_);
      if (reported_.size() >= most_reports || !reported_.insert(what).second) return;
    }
    repo_->warn(what);
  }

private:
  [[nodiscard]] shared_cache<mounted_directory>::loaded load_directory(const id& tree) {
    mounted_directory loaded;
    try {
      loaded = load_mounted_directory(*repo_, tree);
    } catch (const error& problem) {
      throw error(problem.code(), "tree " + tree.hex() + " cannot be read: " + problem.what());
    }
    if (loaded.hidden != 0)
      report("tree " + tree.hex() + ": not shown are entries whose names no directory can have: " +
             std::to_string(loaded.hidden));
    auto kept = std::make_shared<const mounted_directory>(std::move(loaded));
    const auto weight = kept->weight();
    return {std::move(kept), weight};
  }

  [[nodiscard]] std::shared_ptr<const mounted_directory> directory_of(const inode& of) {
    if (!of.tree) throw mount_refusal(of.above ? ENOTDIR : EIO);
    return directories_.get(*of.tree);
  }

  /// The directory above the snapshots that an inode is. It may be gone, together with the last snapshot in it.
  [[nodiscard]] static const snapshot_directory_entry& entry_of(const snapshot_directory& in, const inode& of) {
    if (of.above == nullptr || !of.above->link_target.empty()) throw mount_refusal(ENOTDIR);
    const auto* entry = in.find(of.above->path);
    if (entry == nullptr) throw mount_refusal(ENOENT);
    return *entry;
  }

  [[nodiscard]] looked_up look_up(const inode& parent, const mounted_directory& content, std::size_t position) {
    const auto& entry = content.entries[position];
    const auto& at = inodes_.look_up(parent, position, entry);
    return {inodes_.handle(at), stat_of(entry, at.number)};
  }
  [[nodiscard]] looked_up look_up(const snapshot_directory_entry& entry) {
    const auto& at = inodes_.look_up(entry);
    return {inodes_.handle(at), stat_above(at)};
  }

  [[nodiscard]] mounted_stat stat_of(const mounted_entry& entry, std::uint64_t number) const {
    mounted_stat result{entry.attributes, number, true};
    if (options_.owner_root) result.attributes.uid = result.attributes.gid = 0;
    return result;
  }

  [[nodiscard]] mounted_stat stat_above(const inode& at) const {
    mounted_stat result{{}, at.number, false};
    auto& shown = result.attributes;
    const auto& above = *at.above;
    const auto time = mounted_tree::as_timespec(above.snapshot ? above.snapshot->snapshot.time : began_);
    shown.atime = shown.mtime = shown.ctime = time;
    shown.mode = above.link_target.empty() ? S_IFDIR | 0555 : S_IFLNK | 0777;
    shown.size = above.link_target.size();
    if (at.tree) {
      shown.links = 2;  // and it belongs to root
    } else {
      shown.uid = uid_;
      shown.gid = gid_;
    }
    return result;
  }

  const std::shared_ptr<repository> repo_;
  const mount_options options_;
  const timestamp began_;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  std::mutex report_mutex_;  // guards reported_
  std::unordered_set<std::string> reported_;
  snapshot_catalog catalog_;
  inode_table inodes_;
  attribute_demand attribute_demand_;
  blob_loader blobs_;
  shared_cache<mounted_directory> directories_;
};

}  // namespace recoup
