// Walks all trees of the snapshots and looks for what is missing.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/work_stack.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree_reader.hpp>

namespace recoup {

/// Each tree is read once, however many snapshots hold it.
class tree_check {
public:
  /// `on_error` is called from one thread at a time. With `collect_blobs`, blobs() tells afterwards what is referenced.
  tree_check(repository& repo, unsigned threads, bool collect_blobs, std::function<void(const std::string&)> on_error,
             std::function<void()> on_snapshot_done)
      : repo_(repo), threads_(threads), collect_blobs_(collect_blobs), on_error_(std::move(on_error)),
        on_snapshot_done_(std::move(on_snapshot_done)) {}

  void run(const std::vector<found_snapshot>& snapshots, const std::stop_token& stop) {
    for (const auto& each : snapshots) {
      // The trees below one snapshot belong together: when the last of them lets go, the snapshot is done.
      const std::shared_ptr<void> snapshot(nullptr, [this](void*) { on_snapshot_done_(); });
      visit(each.snapshot.tree, "snapshot " + each.id.short_hex(), snapshot);
    }
    stack_.run_on_threads(threads_, stop);
  }

  [[nodiscard]] const std::unordered_set<blob_handle, blob_handle_hash>& blobs() const noexcept { return referenced_; }

private:
  struct nothing {};

  void visit(const id& tree, const std::string& from, const std::shared_ptr<void>& snapshot) {
    {
      const std::lock_guard lock(mutex_);
      if (!seen_.insert(tree).second) return;
      if (collect_blobs_) referenced_.insert({blob_type::tree, tree});
    }
    stack_.push([this, tree, from, snapshot](nothing&) { check(tree, from, snapshot); });
  }

  void check(const id& tree, const std::string& from, const std::shared_ptr<void>& snapshot) {
    const auto complain = [&](const std::string& what) {
      const std::lock_guard lock(report_mutex_);
      on_error_("error for tree " + tree.short_hex() + " (" + from + "): " + what);
    };
    try {
      for_each_node(repo_, tree, [&](const node& entry) { check_node(entry, from, snapshot, complain); });
    } catch (const error& problem) {
      complain(problem.what());
    }
  }

  template <class Complain>
  void check_node(const node& entry, const std::string& from, const std::shared_ptr<void>& snapshot,
                  const Complain& complain) {
    if (!is_safe_name(entry.name)) complain("node with the impossible name \"" + entry.name + "\"");
    switch (entry.type) {
      case node_type::file: check_file(entry, complain); break;
      case node_type::dir:
        if (!entry.subtree || entry.subtree->is_zero())
          complain("directory \"" + entry.name + "\" has no subtree");
        else
          visit(*entry.subtree, from, snapshot);
        break;
      case node_type::irregular:
      case node_type::unknown: complain("node \"" + entry.name + "\" is of an invalid type"); break;
      default: break;
    }
  }

  template <class Complain>
  void check_file(const node& entry, const Complain& complain) {
    if (!entry.content) {
      complain("file \"" + entry.name + "\" has no list of blobs");
      return;
    }
    for (const auto& blob : *entry.content)
      if (!repo_.index().find({blob_type::data, blob}))
        complain("file \"" + entry.name + "\": blob " + blob.hex() + " is in no index");
    if (!collect_blobs_) return;
    const std::lock_guard lock(mutex_);
    for (const auto& blob : *entry.content) referenced_.insert({blob_type::data, blob});
  }

  repository& repo_;
  const unsigned threads_;
  const bool collect_blobs_;
  const std::function<void(const std::string&)> on_error_;
  const std::function<void()> on_snapshot_done_;
  work_stack<nothing> stack_;
  std::mutex mutex_;  // guards the two below
  std::unordered_set<id> seen_;
  std::unordered_set<blob_handle, blob_handle_hash> referenced_;
  std::mutex report_mutex_;
};

}  // namespace recoup
