// Which snapshots are copies of each other, and whether two repositories are one.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/snapshot.hpp>

namespace recoup {

/// The id by which a snapshot is known in whatever repository it was copied to.
[[nodiscard]] inline id original_of(const id& name, const snapshot& of) { return of.original.value_or(name); }

/// Equal in all that makes a snapshot what it is; tags and paths may be in another order. The rule is restic's
/// (cmd_copy.go, similarSnapshots), so that each takes the other's copies for what they are.
[[nodiscard]] inline bool is_copy_of(const snapshot& copy, const snapshot& of) {
  const auto holds = [](const std::vector<std::string>& all, const std::vector<std::string>& some) {
    return all.size() == some.size() && std::ranges::all_of(some, [&](const std::string& each) {
             return std::ranges::find(all, each) != all.end();
           });
  };
  return same_instant(copy.time, of.time) && copy.tree == of.tree && copy.hostname == of.hostname &&
         copy.username == of.username && copy.uid == of.uid && copy.gid == of.gid && copy.excludes == of.excludes &&
         holds(copy.paths, of.paths) && holds(copy.tags, of.tags);
}

/// What will be written to the destination: the same snapshot, which remembers where it came from. A parent would name
/// a snapshot of the other repository.
[[nodiscard]] inline snapshot make_copy(const id& name, const snapshot& of) {
  auto copy = of;
  copy.parent.reset();
  copy.original = original_of(name, of);
  return copy;
}

/// The snapshots of a repository by what they may be copies of.
class snapshot_copies {
public:
  explicit snapshot_copies(std::vector<std::pair<id, snapshot>> snapshots) : snapshots_(std::move(snapshots)) {
    for (const auto& each : snapshots_) {
      by_origin_.emplace(each.first, &each);
      if (each.second.original && *each.second.original != each.first)
        by_origin_.emplace(*each.second.original, &each);
    }
  }

  snapshot_copies(const snapshot_copies&) = delete;
  snapshot_copies& operator=(const snapshot_copies&) = delete;

  /// The name of a copy, or of the very snapshot; nothing if there is none.
  [[nodiscard]] std::optional<id> find(const id& name, const snapshot& of) const {
    const auto [begin, end] = by_origin_.equal_range(original_of(name, of));
    for (auto at = begin; at != end; ++at)
      if (is_copy_of(at->second->second, of)) return at->second->first;
    return std::nullopt;
  }

private:
  std::vector<std::pair<id, snapshot>> snapshots_;
  std::unordered_multimap<id, const std::pair<id, snapshot>*> by_origin_;
};

/// True if both objects stand for the same files. The id does not tell: a repository that was copied file by file keeps
/// it. But the lock that the caller holds on one of them is then not in the other.
[[nodiscard]] inline bool is_same_repository(const repository& a, const repository& b) {
  if (&a == &b || &a.storage() == &b.storage()) return true;
  if (a.config().id != b.config().id) return false;
  const auto locks = a.list(file_type::lock);
  return !locks.empty() && std::ranges::equal(locks, b.list(file_type::lock), {}, &listed_file::name,
                                              &listed_file::name);
}

}  // namespace recoup
