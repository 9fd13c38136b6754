// What the kernel knows of a mount, by the handles that it was given.
//
// An inode takes some 100 bytes and is gone when the kernel has forgotten it, so the kernel's own limits bound this table: its
// inodes take ten times as much. Contents are not kept here but by directory caches, from which they can go at any time.
#pragma once

#include <sodium.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/ops/mount/mounted_directory.hpp>
#include <recoup/ops/mount/snapshot_directory.hpp>

namespace recoup {

/// What the kernel calls an inode by. The root has always the same.
using inode_handle = std::uint64_t;
inline constexpr inode_handle root_inode = 1;

/// What is above the snapshots: a directory, a link, or the root of a snapshot.
struct virtual_inode {
  std::string path;
  std::string link_target;
  std::shared_ptr<const listed_snapshot> snapshot;
};

/// Does not change while the kernel knows it.
struct inode {
  const inode* parent = nullptr;
  std::uint64_t position = 0;  ///< in the parent's tree
  std::uint64_t number = 0;    ///< st_ino: the same whenever this is mounted; the same for all names of a file
  std::unique_ptr<const id> tree;  ///< directories of snapshots: what is in them
  std::unique_ptr<const virtual_inode> above;  ///< not in a snapshot
};

/// Members may be called from any thread.
class inode_table {
public:
  inode_table() {
    auto& root = *virtual_.emplace("", std::make_unique<inode>()).first->second;
    root.number = root_inode;
    root.above = std::make_unique<virtual_inode>();
    root_ = &root;
  }
  inode_table(const inode_table&) = delete;
  inode_table& operator=(const inode_table&) = delete;

  /// Handles that were forgotten must not be used.
  [[nodiscard]] const inode& at(inode_handle handle) const noexcept {
    return handle == root_inode ? *root_ : *reinterpret_cast<const inode*>(static_cast<std::uintptr_t>(handle));
  }
  [[nodiscard]] inode_handle handle(const inode& of) const noexcept {
    return &of == root_ ? root_inode : static_cast<inode_handle>(reinterpret_cast<std::uintptr_t>(&of));
  }

  /// For what is above the snapshots. These are never forgotten: there are as many as there are snapshots and directories.
  [[nodiscard]] const inode& look_up(const snapshot_directory_entry& entry) {
    auto identity = entry.path;
    if (entry.snapshot) identity.append(1, '\0').append(entry.link_target).append(1, '\0').append(entry.snapshot->id.hex());
    const std::lock_guard lock(mutex_);
    auto& place = virtual_[identity];
    if (!place) {
      place = std::make_unique<inode>();
      place->number = number_of(root_inode, entry.path);
      place->above = std::make_unique<virtual_inode>(virtual_inode{entry.path, entry.link_target, entry.snapshot});
      if (entry.snapshot && !entry.is_link()) place->tree = std::make_unique<id>(entry.snapshot->snapshot.tree);
    }
    return *place;
  }

  /// For an entry of a snapshot's directory. Each call has to be forgotten once.
  [[nodiscard]] const inode& look_up(const inode& parent, std::uint64_t position, const mounted_entry& entry) {
    const std::lock_guard lock(mutex_);
    const auto [found, is_new] = inodes_.try_emplace(key{&parent, position});
    auto& mine = found->second;
    if (is_new) {
      mine.parent = &parent;
      mine.position = position;
      mine.number = number_of(parent, entry);
      if (entry.subtree) mine.tree = std::make_unique<id>(*entry.subtree);
      if (parent.above == nullptr) ++counted(parent).references;
    }
    ++mine.references;
    return mine;
  }

  /// The kernel takes back `count` lookups.
  void forget(inode_handle handle, std::uint64_t count) {
    const auto& which = at(handle);
    if (which.above) return;
    const std::lock_guard lock(mutex_);
    release(which, count);
  }

  /// How many there are in snapshots.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return inodes_.size();
  }

  /// st_ino of an entry, whether or not the kernel has looked it up.
  [[nodiscard]] static std::uint64_t number_of(const inode& parent, const mounted_entry& entry) noexcept {
    if (!entry.linked) return number_of(parent.number, entry.name);
    return hash(std::string_view(reinterpret_cast<const char*>(&*entry.linked), sizeof(hard_link_key)), 0);
  }
  [[nodiscard]] static std::uint64_t number_of(std::uint64_t parent, std::string_view name) noexcept {
    return hash(name, parent);
  }

private:
  struct key {
    const inode* parent;
    std::uint64_t position;
    [[nodiscard]] friend bool operator==(const key&, const key&) = default;
  };
  struct key_hash {
    [[nodiscard]] std::size_t operator()(const key& of) const noexcept {
      constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
      return static_cast<std::size_t>((reinterpret_cast<std::uintptr_t>(of.parent) + of.position * odd) * odd >> 7);
    }
  };
  struct counted_inode : inode {
    std::uint64_t references = 0;  // of the kernel, and of the inodes in it
  };

  /// Everything without `above` was made here.
  [[nodiscard]] static counted_inode& counted(const inode& of) noexcept {
    return static_cast<counted_inode&>(const_cast<inode&>(of));
  }

  void release(const inode& first, std::uint64_t count) {
    const auto* at = &first;
    while (at->above == nullptr) {
      auto& mine = counted(*at);
      mine.references -= std::min(mine.references, count);
      if (mine.references != 0) return;
      const auto* parent = mine.parent;
      inodes_.erase(key{parent, mine.position});
      at = parent;
      count = 1;
    }
  }

  /// 0 is no number and 1 is the root.
  [[nodiscard]] static std::uint64_t hash(std::string_view text, std::uint64_t seed) noexcept {
    unsigned char key[crypto_shorthash_KEYBYTES] = {};
    std::memcpy(key, &seed, sizeof seed);
    std::uint64_t result = 0;
    crypto_shorthash(reinterpret_cast<unsigned char*>(&result), reinterpret_cast<const unsigned char*>(text.data()),
                     text.size(), key);
    return result > root_inode ? result : result + 2;
  }

  mutable std::mutex mutex_;  // guards the maps, and the counters in what they hold
  std::unordered_map<std::string, std::unique_ptr<inode>> virtual_;
  std::unordered_map<key, counted_inode, key_hash> inodes_;
  const inode* root_;
};

}  // namespace recoup
