// All blobs that some trees need: their subtrees and the contents of their files.
#pragma once

#include <functional>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/work_stack.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree_reader.hpp>

namespace recoup {

using blob_set = std::unordered_set<blob_handle, blob_handle_hash>;

struct used_blobs_options {
  unsigned threads = 0;  ///< 0: one per processor
  /// Told of trees that cannot be read, from one thread at a time; what they need is then missing from the result.
  /// Nothing: errors are thrown.
  std::function<void(const id& tree, const error&)> on_error;
  std::stop_token stop{};
};

/// Reads each tree once, on all threads.
class used_blobs_finder {
public:
  used_blobs_finder(repository& repo, const used_blobs_options& options) : repo_(repo), options_(options) {}

  [[nodiscard]] blob_set run(std::span<const id> roots) {
    for (const auto& root : roots) visit(root);
    stack_.run_on_threads(options_.threads != 0 ? options_.threads : processor_count(), options_.stop);
    return std::move(found_);
  }

private:
  struct nothing {};

  void visit(const id& tree) {
    {
      const std::lock_guard lock(mutex_);
      if (!found_.insert({blob_type::tree, tree}).second) return;
    }
    stack_.push([this, tree](nothing&) { read(tree); });
  }

  void read(const id& tree) {
    std::vector<id> subtrees, blobs;
    try {
      for_each_node(repo_, tree, [&](const node& entry) {
        if (entry.type == node_type::file && entry.content)
          blobs.insert(blobs.end(), entry.content->begin(), entry.content->end());
        if (entry.type != node_type::dir) return;
        if (!entry.subtree) throw error(error_code::damaged, "directory \"" + entry.name + "\" has no tree");
        subtrees.push_back(*entry.subtree);
      });
    } catch (const error& problem) {
      const error named(problem.code(), "tree " + tree.hex() + " cannot be read: " + problem.what());
      if (!options_.on_error) throw named;
      const std::lock_guard lock(report_mutex_);
      options_.on_error(tree, named);
    }
    {
      const std::lock_guard lock(mutex_);
      for (const auto& blob : blobs) found_.insert({blob_type::data, blob});
    }
    for (const auto& subtree : subtrees) visit(subtree);
  }

  repository& repo_;
  const used_blobs_options& options_;
  work_stack<nothing> stack_;
  std::mutex mutex_;  // guards found_
  blob_set found_;
  std::mutex report_mutex_;
};

/// The trees themselves are in the result. The index must be loaded.
[[nodiscard]] inline blob_set find_used_blobs(repository& repo, std::span<const id> roots,
                                              const used_blobs_options& options = {}) {
  return used_blobs_finder(repo, options).run(roots);
}

}  // namespace recoup
