// Programs beside a two-phase prune, one step at a time, and what must hold whatever their order is.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <recoup/ops/prune.hpp>
#include <recoup/ops/used_blobs.hpp>
#include <recoup/repo/index_file.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/storage/memory.hpp>

#include "prune_fixture.hpp"

namespace recoup {

/// Three files to a pack.
[[nodiscard]] inline repository_options tiny_packs() {
  repository_options options;
  options.pack_size = 30'000;
  return options;
}

/// What `file` holds in every snapshot that has it.
[[nodiscard]] inline std::string content_of(int file) { return noise(static_cast<std::uint64_t>(file), 10'000); }

/// A lock of somebody else. Written and removed as restic does; a refreshed one has another name.
class foreign_lock {
public:
  foreign_lock(repository& repo, int number) : repo_(repo) {
    lock_.hostname = "host" + std::to_string(number);
    lock_.username = "somebody";
    lock_.pid = 1000 + number;
    refresh();
  }

  void refresh() {
    const auto old = std::exchange(name_, {});
    lock_.time = current_time();
    name_ = repo_.save_unpacked(file_type::lock, encode_lock_file(lock_));
    if (!old.is_zero()) repo_.remove(file_type::lock, old);
  }
  void remove() { repo_.remove(file_type::lock, name_); }
  [[nodiscard]] lock_holder holder() const { return holder_of(lock_); }

private:
  repository& repo_;
  lock_file lock_;
  id name_{};
};

/// A backup of some files, which relies on what the index said when it began.
class slow_backup {
public:
  slow_backup(const std::shared_ptr<backend>& storage, int number, std::vector<int> files)
      : repo_(repository::open(storage, test_password, tiny_packs())), lock_(*repo_, number), files_(std::move(files)) {
    repo_->load_index();
  }

  /// Stores a part, as restic does with an index that is full.
  void store_some() {
    for (std::size_t i = 0; i < files_.size() / 2; ++i) (void)save(files_[i]);
    repo_->flush();
  }

  /// Returns the snapshot's name.
  id finish() {
    std::vector<node> nodes;
    for (const int file : files_) nodes.push_back(save(file));
    const auto tree = save_tree(*repo_, std::move(nodes));
    const auto made = save_snapshot(*repo_, save_tree(*repo_, {directory(tree)}));
    lock_.remove();
    return made.id;
  }

  /// Killed; somebody has unlocked since.
  void die() { lock_.remove(); }

  [[nodiscard]] foreign_lock& lock() noexcept { return lock_; }
  [[nodiscard]] const std::vector<int>& files() const noexcept { return files_; }

private:
  node save(int file) { return make_file(*repo_, "f" + std::to_string(file), {content_of(file)}); }
  static node directory(const id& tree) {
    auto made = make_node("d", node_type::dir);
    made.subtree = tree;
    return made;
  }

  std::shared_ptr<repository> repo_;
  foreign_lock lock_;
  std::vector<int> files_;
};

[[nodiscard]] inline prune_options two_phases(std::chrono::seconds delete_after = std::chrono::seconds{0}) {
  prune_options options;
  options.max_unused = unused_limit::parse("0");
  options.threads = 1;
  options.two_phase.emplace();
  options.two_phase->delete_after = delete_after;
  options.two_phase->time_to_load = std::chrono::milliseconds{0};
  return options;
}

[[nodiscard]] inline prune_options alone() {
  prune_options options;
  options.max_unused = unused_limit::parse("0");
  options.threads = 1;
  return options;
}

[[nodiscard]] inline prune_stats prune_tiny(const std::shared_ptr<backend>& storage, const prune_options& options) {
  return prune(storage, options, tiny_packs());
}

/// What index files say, told without what reads them for the engine's own use.
struct raw_index {
  std::set<id> packs;
  std::set<std::pair<int, id>> blobs;
  std::map<id, pack_mark> marks;
};

[[nodiscard]] inline raw_index read_index(const std::shared_ptr<backend>& storage) {
  const auto repo = repository::open(storage, test_password);
  raw_index found;
  for (const auto& file : repo->list(file_type::index))
    decode_index(
        repo->load_unpacked(file_type::index, file.name),
        [&](const indexed_pack& pack) {
          found.packs.insert(pack.pack);
          for (const auto& blob : pack.blobs) found.blobs.emplace(static_cast<int>(blob.handle.type), blob.handle.id);
        },
        [&](const marked_pack& pack) { found.marks.insert_or_assign(pack.listing.pack, pack.mark); });
  return found;
}

/// Blobs that restic would miss, as it does not look into marked packs.
[[nodiscard]] inline std::size_t missing_for_restic(const std::shared_ptr<backend>& storage) {
  const auto repo = open_repository(storage);
  std::vector<id> roots;
  for (const auto& [name, value] : repo->load_snapshots()) roots.push_back(value.tree);
  const auto counted = read_index(storage).blobs;
  std::size_t missing = 0;
  for (const auto& blob : find_used_blobs(*repo, roots))
    missing += counted.contains({static_cast<int>(blob.type), blob.id}) ? 0 : 1;
  return missing;
}

[[nodiscard]] inline std::size_t count_of(const std::shared_ptr<backend>& storage, file_type type) {
  std::size_t count = 0;
  storage->list(type, [&](const listed_file&) { ++count; });
  return count;
}

}  // namespace recoup
