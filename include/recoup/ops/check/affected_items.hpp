// What damage means for the snapshots: which of them, and which files and directories in them, cannot be restored
// whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/id.hpp>
#include <recoup/ops/check/lost_blobs.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

struct affected_snapshot {
  found_snapshot snapshot;
  std::uint64_t items = 0;  ///< files and directories that affected_items::for_each visits
  std::uint32_t tree = 0;   ///< snapshots with the same number are affected in the same way
};

struct affected_item {
  std::string path;  ///< in the snapshot; names come as stored
  node_type type = node_type::file;  ///< dir: nothing below it can be had
  std::vector<const damage_cause*> causes;
};

/// Only what is affected is kept, and of a directory that many snapshots share one copy.
class affected_items {
public:
  /// In the order in which snapshots were checked.
  [[nodiscard]] const std::vector<affected_snapshot>& snapshots() const noexcept { return snapshots_; }
  /// How many snapshots were looked through.
  [[nodiscard]] std::size_t snapshots_searched() const noexcept { return searched_; }

  /// Calls visit(const affected_item&) for each, in the order of paths, until it returns false.
  template <class Visit>
  void for_each(const affected_snapshot& in, Visit&& visit) const {
    struct level {
      const kept_tree* at;
      std::size_t next, path_length;
    };
    affected_item item;
    std::vector<level> levels;
    std::string path;
    const auto enter = [&](const kept_tree& into) {
      if (into.unreadable == none) {
        levels.push_back({&into, 0, path.size()});
        return true;
      }
      item = {path.empty() ? "/" : path, node_type::dir, {&causes_[into.unreadable]}};
      return static_cast<bool>(visit(std::as_const(item)));
    };
    if (!enter(trees_.at(in.tree))) return;
    while (!levels.empty()) {
      auto& top = levels.back();
      if (top.next == top.at->entries.size()) {
        levels.pop_back();
        continue;
      }
      const auto& entry = top.at->entries[top.next++];
      path.resize(top.path_length);
      path.append("/").append(entry.name);
      if (entry.below != none) {
        if (!enter(trees_.at(entry.below))) return;
        continue;
      }
      item = {path, entry.type, {}};
      for (const auto cause : entry.causes) item.causes.push_back(&causes_[cause]);
      if (!visit(std::as_const(item))) return;
    }
  }

private:
  friend class affected_search;

  static constexpr std::uint32_t none = UINT32_MAX;

  struct kept_entry {
    std::string name;
    node_type type = node_type::file;
    std::uint32_t below = none;  ///< the tree of a directory in which something is affected
    std::vector<std::uint32_t> causes;
  };
  struct kept_tree {
    std::uint32_t unreadable = none;  ///< the cause, if it cannot be read
    std::uint64_t items = 0;          ///< 0: not counted yet
    std::vector<kept_entry> entries;
  };

  std::vector<affected_snapshot> snapshots_;
  std::size_t searched_ = 0;
  std::unordered_map<std::uint32_t, kept_tree> trees_;
  std::vector<damage_cause> causes_;
};

}  // namespace recoup
