// From lost blobs to the files that need them.
//
//   each tree of the snapshots once, on all threads: does anything in it need what is lost?
//     what is kept of a tree is a number, and a pair of numbers for each directory in it
//   upwards from these trees: which trees hold an affected one?
//   each of those once more: the names of what is affected and what leads there             affected_items
//
// So memory is some 60 bytes for each tree, and beyond that only what is affected: 200 snapshots that share their trees
// cost as much as one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/work_stack.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/ops/check/affected_items.hpp>
#include <recoup/ops/check/lost_blobs.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree_reader.hpp>

namespace recoup {

class affected_search {
public:
  /// `on_tree` is called from one thread at a time, with how many trees were read so far.
  affected_search(repository& repo, const lost_blobs& lost, unsigned threads,
                  std::function<void(std::uint64_t)> on_tree)
      : repo_(repo), lost_(lost), threads_(threads), on_tree_(std::move(on_tree)) {}

  [[nodiscard]] affected_items run(const std::vector<found_snapshot>& snapshots, const std::stop_token& stop) {
    std::vector<std::uint32_t> roots;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& each : snapshots) roots.push_back(number_of(each.snapshot.tree));
    }
    stack_.run_on_threads(threads_, stop);
    mark_upwards();
    collect(stop);
    found_.searched_ = snapshots.size();
    for (std::size_t i = 0; i < snapshots.size(); ++i)
      if (states_[roots[i]] != state::sound) found_.snapshots_.push_back({snapshots[i], count(roots[i]), roots[i]});
    return std::move(found_);
  }

private:
  struct nothing {};
  enum class state : std::uint8_t { sound, affected, unreadable };
  using kept_tree = affected_items::kept_tree;
  static constexpr auto none = affected_items::none;

  // --- which trees ---

  /// With mutex_ held.
  [[nodiscard]] std::uint32_t number_of(const id& tree) {
    const auto [known, is_new] = numbers_.try_emplace(tree, static_cast<std::uint32_t>(trees_.size()));
    if (is_new) {
      trees_.push_back(&known->first);
      states_.push_back(state::sound);
      stack_.push([this, number = known->second, tree](nothing&) { read(number, tree); });
    }
    return known->second;
  }

  void read(std::uint32_t number, const id& tree) {
    std::vector<id> subtrees;
    bool affected = false;
    std::uint32_t unreadable = none;
    try {
      refuse_lost(tree);
      for_each_node(repo_, tree, [&](const node& entry) {
        if (const auto* subtree = subtree_of(entry)) subtrees.push_back(*subtree);
        affected = affected || is_affected(entry);
      });
    } catch (const error& problem) {
      unreadable = note(cause_of(tree, problem));
    }
    const std::lock_guard lock(mutex_);
    if (unreadable != none) {
      states_[number] = state::unreadable;
      found_.trees_[number].unreadable = unreadable;
    } else {
      if (affected) states_[number] = state::affected;
      for (const auto& subtree : subtrees) edges_.push_back({number_of(subtree), number});
    }
    on_tree_(++read_);
  }

  void refuse_lost(const id& tree) const {
    if (lost_.find({blob_type::tree, tree}) != nullptr) throw error(error_code::damaged, "is lost");
  }

  [[nodiscard]] damage_cause cause_of(const id& tree, const error& problem) const {
    const blob_handle handle{blob_type::tree, tree};
    if (const auto* place = lost_.find(handle)) return lost_.cause(handle, *place);
    const auto place = repo_.index().find(handle);
    if (!place) return {handle, {}, "is in no index"};
    return {handle, place->pack, std::string("cannot be read: ") + problem.what()};
  }

  [[nodiscard]] static const id* subtree_of(const node& entry) noexcept {
    return entry.type == node_type::dir && entry.subtree && !entry.subtree->is_zero() ? &*entry.subtree : nullptr;
  }

  // --- what is affected in a tree, apart from directories with a tree of their own ---

  /// What is wrong with the node itself; null if nothing is.
  [[nodiscard]] static const char* fault_of(const node& entry) {
    if (!is_safe_name(entry.name)) return "no file can have this name";
    switch (entry.type) {
      case node_type::file: return entry.content ? nullptr : "the file has no list of blobs";
      case node_type::dir: return subtree_of(entry) != nullptr ? nullptr : "the directory has no tree";
      case node_type::irregular:
      case node_type::unknown: return "it is neither a file nor a directory, symlink, device or fifo";
      default: return nullptr;
    }
  }

  [[nodiscard]] bool is_missing(const id& blob) const {
    const blob_handle handle{blob_type::data, blob};
    return lost_.find(handle) != nullptr || !repo_.index().contains(handle);
  }

  [[nodiscard]] bool is_affected(const node& entry) const {
    return fault_of(entry) != nullptr ||
           (entry.type == node_type::file && std::ranges::any_of(*entry.content, [this](const id& blob) {
              return is_missing(blob);
            }));
  }

  // --- which trees hold one of these ---

  void mark_upwards() {
    std::ranges::sort(edges_);
    std::vector<std::uint32_t> waiting;
    for (std::uint32_t number = 0; number < states_.size(); ++number)
      if (states_[number] != state::sound) waiting.push_back(number);
    while (!waiting.empty()) {
      const auto below = waiting.back();
      waiting.pop_back();
      for (auto up = std::ranges::lower_bound(edges_, below, {}, &edge::below);
           up != edges_.end() && up->below == below; ++up) {
        if (states_[up->above] != state::sound) continue;
        states_[up->above] = state::affected;
        waiting.push_back(up->above);
      }
    }
    edges_ = {};
  }

  // --- what to keep of them ---

  void collect(const std::stop_token& stop) {
    std::vector<std::uint32_t> affected;
    for (std::uint32_t number = 0; number < states_.size(); ++number) {
      if (states_[number] != state::affected) continue;
      affected.push_back(number);
      found_.trees_[number];  // so that threads need no lock
    }
    parallel_for_each(threads_, affected, [this](std::uint32_t number) { collect(number); }, stop);
  }

  void collect(std::uint32_t number) {
    auto& kept = found_.trees_.at(number);
    try {
      refuse_lost(*trees_[number]);
      for_each_node(repo_, *trees_[number], [&](node& entry) { keep(kept, entry); });
    } catch (const error& problem) {  // it could be read before
      kept.entries.clear();
      kept.unreadable = note(cause_of(*trees_[number], problem));
    }
  }

  void keep(kept_tree& in, node& entry) {
    affected_items::kept_entry made;
    if (const auto* fault = fault_of(entry)) {
      made.causes.push_back(note({{}, {}, fault}));
    } else if (const auto* subtree = subtree_of(entry)) {
      const auto number = numbers_.at(*subtree);
      if (states_[number] == state::sound) return;
      made.below = number;
    } else if (entry.type == node_type::file) {
      made.causes = causes_of(*entry.content);
      if (made.causes.empty()) return;
    } else {
      return;
    }
    made.name = std::move(entry.name);
    made.type = entry.type;
    in.entries.push_back(std::move(made));
  }

  /// Each once, in the order in which the file needs them.
  [[nodiscard]] std::vector<std::uint32_t> causes_of(const std::vector<id>& content) {
    std::vector<std::uint32_t> causes;
    std::unordered_set<std::uint32_t> seen;
    for (const auto& blob : content) {
      if (!is_missing(blob)) continue;
      const blob_handle handle{blob_type::data, blob};
      const auto* place = lost_.find(handle);
      const auto cause = note(place != nullptr ? lost_.cause(handle, *place)
                                               : damage_cause{handle, {}, "is in no index"});
      if (seen.insert(cause).second) causes.push_back(cause);
    }
    return causes;
  }

  /// The cause's number; one for each blob.
  [[nodiscard]] std::uint32_t note(damage_cause cause) {
    const std::lock_guard lock(noting_);
    const auto next = static_cast<std::uint32_t>(found_.causes_.size());
    if (cause.blob) {
      const auto [known, is_new] = noted_.try_emplace(*cause.blob, next);
      if (!is_new) return known->second;
    }
    found_.causes_.push_back(std::move(cause));
    return next;
  }

  /// Items of a tree and all below it. Trees name each other by hash, so there is no way round in a circle; how often
  /// they do can still make more than fits into the number.
  [[nodiscard]] std::uint64_t count(std::uint32_t root) {
    std::vector<std::uint32_t> waiting{root};
    while (!waiting.empty()) {
      auto& at = found_.trees_.at(waiting.back());
      if (at.items != 0) {
        waiting.pop_back();
        continue;
      }
      const auto before = waiting.size();
      std::uint64_t items = at.unreadable != none ? 1 : 0;
      for (const auto& entry : at.entries) {
        const auto more = entry.below == none ? 1 : found_.trees_.at(entry.below).items;
        if (more == 0) waiting.push_back(entry.below);
        items = more > std::numeric_limits<std::uint64_t>::max() - items ? std::numeric_limits<std::uint64_t>::max()
                                                                         : items + more;
      }
      if (waiting.size() != before) continue;
      at.items = items;
      waiting.pop_back();
    }
    return found_.trees_.at(root).items;
  }

  struct edge {
    std::uint32_t below, above;
    [[nodiscard]] friend auto operator<=>(const edge&, const edge&) = default;
  };

  repository& repo_;
  const lost_blobs& lost_;
  const unsigned threads_;
  const std::function<void(std::uint64_t)> on_tree_;
  work_stack<nothing> stack_;
  std::mutex mutex_;  // guards what follows while trees are walked
  std::unordered_map<id, std::uint32_t> numbers_;
  std::vector<const id*> trees_;  // by number
  std::vector<state> states_;
  std::vector<edge> edges_;
  std::uint64_t read_ = 0;
  affected_items found_;
  std::mutex noting_;  // guards found_.causes_ and the next
  std::unordered_map<blob_handle, std::uint32_t, blob_handle_hash> noted_;
};

}  // namespace recoup
