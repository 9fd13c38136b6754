// What changed from one tree to another.
//
//   recoup::diff_result result = recoup::diff(*repo, before.tree, after.tree, {}, observer);
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/ops/used_blobs.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree.hpp>

namespace recoup {

struct diff_options {
  bool metadata = false;  ///< also report items of which only the metadata differs
  unsigned threads = 0;   ///< 0: one per processor
  std::stop_token stop{};
};

/// Called from the calling thread.
class diff_observer {
public:
  diff_observer() = default;
  diff_observer(const diff_observer&) = delete;
  diff_observer& operator=(const diff_observer&) = delete;
  virtual ~diff_observer() = default;

  /// `modifier` is "+" added, "-" removed, or one or more of T type changed, M content modified, ? content modified but
  /// all metadata the same, which disks do and people do not, U metadata updated. A directory's path ends in "/".
  virtual void on_change(const std::string& /*path*/, std::string_view /*modifier*/) {}
  /// A tree cannot be read or a blob is in no index; the rest is compared.
  virtual void on_error(const error& /*problem*/) {}
};

struct diff_stats {
  std::uint64_t files = 0, dirs = 0, others = 0;
  std::uint64_t data_blobs = 0, tree_blobs = 0;
  std::uint64_t bytes = 0;  ///< of these blobs, before compression
};

struct diff_result {
  std::uint64_t changed_files = 0;  ///< files with other contents
  diff_stats added, removed;
};

/// All but the zone in which times are shown.
[[nodiscard]] inline bool is_same_node(const node& a, const node& b) {
  const auto without_times = [](node copy) {
    copy.mtime = copy.atime = copy.ctime = {};
    return copy;
  };
  return same_instant(a.mtime, b.mtime) && same_instant(a.atime, b.atime) && same_instant(a.ctime, b.ctime) &&
         without_times(a) == without_times(b);
}

class tree_diff {
public:
  tree_diff(repository& repo, const diff_options& options, diff_observer& observer)
      : repo_(repo), options_(options), observer_(observer) {}

  [[nodiscard]] diff_result run(const id& before, const id& after) {
    before_.insert({blob_type::tree, before});
    after_.insert({blob_type::tree, after});
    if (before != after) {
      push(before, after, "/", true);
      while (!levels_.empty()) {
        throw_if_stopped(options_.stop);
        step();
      }
    }
    count_blobs();
    return result_;
  }

private:
  /// Two directories that are compared, or one that exists on one side only.
  struct level {
    std::vector<node> before, after;
    std::size_t next_before = 0, next_after = 0;
    std::string path;
  };

  void push(const std::optional<id>& before, const std::optional<id>& after, std::string path, bool is_root = false) {
    level entered;
    entered.path = std::move(path);
    try {
      if (before) entered.before = load(*before);
      if (after) entered.after = load(*after);
    } catch (const error& problem) {
      const error named(problem.code(), entered.path + ": " + problem.what());
      if (is_root) throw named;
      observer_.on_error(named);
      return;
    }
    levels_.push_back(std::move(entered));
  }

  [[nodiscard]] std::vector<node> load(const id& tree) {
    auto nodes = decode_tree(repo_.load_blob(blob_type::tree, tree));
    if (!std::ranges::is_sorted(nodes, {}, &node::name)) std::ranges::sort(nodes, {}, &node::name);
    return nodes;
  }

  void step() {
    auto& at = levels_.back();
    const auto* first = at.next_before < at.before.size() ? &at.before[at.next_before] : nullptr;
    const auto* second = at.next_after < at.after.size() ? &at.after[at.next_after] : nullptr;
    if (first == nullptr && second == nullptr) {
      levels_.pop_back();
      return;
    }
    if (first != nullptr && second != nullptr && first->name != second->name)
      (first->name < second->name ? second : first) = nullptr;
    std::optional<node> removed, added;
    if (first != nullptr) removed = std::move(at.before[at.next_before++]);
    if (second != nullptr) added = std::move(at.after[at.next_after++]);
    const auto path = at.path + (removed ? removed->name : added->name);
    if (removed) remember(before_, *removed);
    if (added) remember(after_, *added);
    if (removed && added)
      compare(*removed, *added, path);
    else if (removed)
      one_sided(*removed, path, "-", result_.removed, true);
    else
      one_sided(*added, path, "+", result_.added, false);
  }

  void compare(const node& first, const node& second, std::string path) {
    std::string modifier;
    if (first.type != second.type) modifier += 'T';
    if (second.type == node_type::dir) path += '/';
    if (first.type == node_type::file && second.type == node_type::file && first.content != second.content) {
      modifier += 'M';
      ++result_.changed_files;
      auto other = second;
      other.content = first.content;
      if (is_same_node(first, other)) modifier += '?';
    } else if (options_.metadata && !is_same_node(first, second)) {
      modifier += 'U';
    }
    if (!modifier.empty()) observer_.on_change(path, modifier);
    if (first.type != node_type::dir || second.type != node_type::dir) return;
    if (first.subtree && first.subtree == second.subtree) {
      common_.insert(*first.subtree);
      return;
    }
    if (has_tree(first, path) && has_tree(second, path)) push(first.subtree, second.subtree, std::move(path));
  }

  void one_sided(const node& only, std::string path, std::string_view modifier, diff_stats& counted, bool is_before) {
    if (only.type == node_type::dir) path += '/';
    observer_.on_change(path, modifier);
    ++(only.type == node_type::file ? counted.files : only.type == node_type::dir ? counted.dirs : counted.others);
    if (only.type != node_type::dir || !has_tree(only, path)) return;
    if (is_before)
      push(only.subtree, std::nullopt, std::move(path));
    else
      push(std::nullopt, only.subtree, std::move(path));
  }

  [[nodiscard]] bool has_tree(const node& directory, const std::string& path) {
    if (directory.subtree) return true;
    observer_.on_error(error(error_code::damaged, "directory " + path + " has no tree"));
    return false;
  }

  static void remember(blob_set& blobs, const node& of) {
    if (of.type == node_type::file && of.content)
      for (const auto& blob : *of.content) blobs.insert({blob_type::data, blob});
    if (of.type == node_type::dir && of.subtree) blobs.insert({blob_type::tree, *of.subtree});
  }

  /// What both sides have is neither added nor removed, and that includes all that is in directories that did not
  /// change. Those are read only if it can matter.
  void count_blobs() {
    std::erase_if(before_, [this](const blob_handle& blob) { return after_.erase(blob) != 0; });
    if (!common_.empty() && !(before_.empty() && after_.empty())) {
      const std::vector<id> roots(common_.begin(), common_.end());
      const auto on_error = [this](const id&, const error& problem) { observer_.on_error(problem); };
      for (const auto& blob : find_used_blobs(repo_, roots, {options_.threads, on_error, options_.stop})) {
        before_.erase(blob);
        after_.erase(blob);
      }
    }
    count(before_, result_.removed);
    count(after_, result_.added);
  }

  void count(const blob_set& blobs, diff_stats& into) {
    for (const auto& blob : blobs) {
      ++(blob.type == blob_type::data ? into.data_blobs : into.tree_blobs);
      if (const auto length = repo_.index().plaintext_length(blob))
        into.bytes += *length;
      else
        observer_.on_error(error(error_code::not_found, std::string("unable to find blob size for ") +
                                                            name_of(blob.type) + " blob " + blob.id.hex() +
                                                            ": it is in no index"));
    }
  }

  repository& repo_;
  const diff_options& options_;
  diff_observer& observer_;
  std::vector<level> levels_;
  blob_set before_, after_;
  std::unordered_set<id> common_;  // trees that are the same on both sides, at the same path
  diff_result result_;
};

/// Compares two trees, folders or whole snapshots. The index must be loaded. Throws if one of the two cannot be read.
[[nodiscard]] inline diff_result diff(repository& repo, const id& before, const id& after, const diff_options& options,
                                      diff_observer& observer) {
  return tree_diff(repo, options, observer).run(before, after);
}

}  // namespace recoup
