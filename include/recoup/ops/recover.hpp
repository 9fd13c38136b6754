// One snapshot of all directories that no snapshot leads to: what is left of snapshots that were removed, or whose backup
// never ended.
//
//   each tree that the index lists, on all threads: note which trees it names
//   each snapshot: its root is named
//   what nobody names -> a directory each, named by the beginning of the tree's id -> one tree -> one snapshot
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/core/time.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/ops/save_and_flush.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/snapshot.hpp>
#include <recoup/repo/tree_reader.hpp>
#include <recoup/storage/working_threads.hpp>

namespace recoup {

struct recover_options {
  std::string hostname;  ///< of the snapshot; "": this machine's
  timestamp time = current_time();
  std::stop_token stop{};
};

/// Called from any thread, but only from one at a time.
class recover_observer {
public:
  recover_observer() = default;
  recover_observer(const recover_observer&) = delete;
  recover_observer& operator=(const recover_observer&) = delete;
  virtual ~recover_observer() = default;

  virtual void on_trees(std::size_t /*total*/) {}
  virtual void on_progress(std::size_t /*done*/, std::size_t /*total*/) {}
  /// The tree is left out; what it names counts as named by nobody.
  virtual void on_unreadable(const id& /*tree*/, const error& /*problem*/) {}
  virtual void on_trees_done() {}
  virtual void on_root(const id& /*tree*/) {}
};

struct recover_result {
  std::vector<id> roots;       ///< ascending
  std::optional<id> snapshot;  ///< nothing if there are no roots
};

class recovery {
public:
  recovery(repository& repo, const recover_options& options, recover_observer& observer)
      : repo_(repo), options_(options), observer_(observer) {}

  [[nodiscard]] recover_result run() {
    list_trees();
    observer_.on_trees(trees_.size());
    read_trees();
    observer_.on_trees_done();
    for (const auto& [name, value] : repo_.load_snapshots([this](const id& name, const error& problem) {
           repo_.warn("snapshot " + name.hex() + " is passed over: " + problem.what());
         }))
      mark(value.tree);
    recover_result result;
    for (std::size_t i = 0; i < trees_.size(); ++i)
      if (!is_named_[i]) result.roots.push_back(trees_[i]);
    for (const auto& root : result.roots) observer_.on_root(root);
    if (result.roots.empty()) return result;
    throw_if_stopped(options_.stop);
    const auto tree = save_and_flush(repo_, [&] { return save_tree(result.roots); });
    result.snapshot = save(tree);
    return result;
  }

private:
  void list_trees() {
    repo_.index().for_each([this](const blob_location& place) {
      if (place.blob.handle.type == blob_type::tree) trees_.push_back(place.blob.handle.id);
    });
    std::ranges::sort(trees_);
    trees_.erase(std::unique(trees_.begin(), trees_.end()), trees_.end());
    is_named_.assign(trees_.size(), false);
  }

  void read_trees() {
    std::size_t done = 0;
    parallel_for_each(working_threads(repo_.storage(), 16), trees_, [&](const id& tree) {
      std::vector<id> named;
      std::optional<error> problem;
      try {
        for_each_node(repo_, tree, [&](const node& entry) {
          if (entry.type == node_type::dir && entry.subtree) named.push_back(*entry.subtree);
        });
      } catch (const error& thrown) {
        // A tree that is only out of reach may name others, which would then pass for roots.
        if (thrown.code() != error_code::damaged && thrown.code() != error_code::not_found) throw;
        problem.emplace(thrown);
      }
      const std::lock_guard lock(mutex_);
      for (const auto& each : named) mark(each);
      if (problem) {
        mark(tree);
        observer_.on_unreadable(tree, *problem);
      }
      observer_.on_progress(++done, trees_.size());
    }, options_.stop);
  }

  void mark(const id& tree) {
    const auto at = std::ranges::lower_bound(trees_, tree);
    if (at != trees_.end() && *at == tree) is_named_[static_cast<std::size_t>(at - trees_.begin())] = true;
  }

  /// `roots` ascend, so their names do too.
  [[nodiscard]] id save_tree(const std::vector<id>& roots) {
    tree_writer writer;
    for (std::size_t i = 0; i < roots.size(); ++i) {
      node entry;
      entry.name = name_of_root(roots, i);
      entry.type = node_type::dir;
      entry.mode = 0755;  // without go_mode::dir, as restic writes it here
      entry.mtime = entry.atime = entry.ctime = options_.time;
      entry.subtree = roots[i];
      writer.add(entry);
    }
    return repo_.save_blob(blob_type::tree, writer.finish_view()).id;
  }

  /// Eight digits of the id, or all of them where others begin in the same way.
  [[nodiscard]] static std::string name_of_root(const std::vector<id>& roots, std::size_t at) {
    const auto name = roots[at].short_hex();
    const bool is_one_of_several = (at > 0 && roots[at - 1].short_hex() == name) ||
                                   (at + 1 < roots.size() && roots[at + 1].short_hex() == name);
    return is_one_of_several ? roots[at].hex() : name;
  }

  [[nodiscard]] id save(const id& tree) {
    snapshot made;
    made.time = options_.time;
    made.tree = tree;
    made.paths = {"/recover"};
    made.hostname = options_.hostname.empty() ? local_hostname() : options_.hostname;
    made.username = local_username();
    made.uid = ::geteuid();
    made.gid = ::getegid();
    made.tags = {"recovered"};
    return repo_.save_snapshot(made);
  }

  repository& repo_;
  const recover_options& options_;
  recover_observer& observer_;
  std::vector<id> trees_;  // all, ascending
  std::mutex mutex_;
  std::vector<bool> is_named_;  // of each; guarded by mutex_ while trees are read
};

/// The index must be loaded, and list all packs that there are: repair it first. Trees that cannot be read are reported
/// and left out. Callers hold an exclusive lock, as what a running backup has stored so far would pass for lost.
[[nodiscard]] inline recover_result recover(repository& repo, const recover_options& options,
                                            recover_observer& observer) {
  return recovery(repo, options, observer).run();
}

}  // namespace recoup
