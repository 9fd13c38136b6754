// Changing the tags of snapshots.
//
//   recoup::tag_options options;
//   options.add = {"yearly"};
//   recoup::tag_observer nobody;
//   auto result = recoup::change_tags(*repo, options, nobody);
//
// A snapshot's file is named by its hash, so changed tags make another snapshot. It is stored before the old one is
// removed: killed in between there are two, never none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/ops/rewrite/replace_snapshot.hpp>
#include <recoup/ops/snapshot_groups.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/snapshot.hpp>

namespace recoup {

struct tag_options {
  /// Ids, unique prefixes or "latest", in this order; none: all snapshots that match the filter, oldest first.
  std::vector<std::string> snapshots;
  snapshot_filter filter;
  /// These instead of those that there are; an empty list changes nothing, as with restic. Not together with the others.
  std::optional<std::vector<std::string>> set;
  std::vector<std::string> add, remove;
  std::stop_token stop{};
};

class tag_observer {
public:
  tag_observer() = default;
  tag_observer(const tag_observer&) = delete;
  tag_observer& operator=(const tag_observer&) = delete;
  virtual ~tag_observer() = default;

  virtual void on_changed(const found_snapshot& /*old*/, const id& /*now*/) {}
  /// This snapshot is still there; the others are changed.
  virtual void on_error(const found_snapshot& /*old*/, const error& /*problem*/) {}
};

struct tag_result {
  std::uint64_t changed = 0, errors = 0;
};

/// Changes the tags of one snapshot as restic does: what is added comes last, and the last tag takes the place of one
/// that is removed. Returns whether there is a change; setting counts as one.
inline bool apply_tags(snapshot& to, const tag_options& options) {
  if (options.set && !options.set->empty()) {
    to.tags = *options.set;
    return true;
  }
  bool changed = false;
  for (const auto& tag : options.add) changed = add_tag(to, tag) || changed;
  for (const auto& tag : options.remove) {
    const auto at = std::ranges::find(to.tags, tag);
    if (at == to.tags.end()) continue;
    std::iter_swap(at, to.tags.end() - 1);
    to.tags.pop_back();
    changed = true;
  }
  return changed;
}

/// A snapshot that cannot be changed is reported and counted, and the others go on. Throws
/// invalid_argument for `set` together with the others, not_found if a snapshot that was asked for does not exist, before
/// anything is changed; or if interrupted. Callers hold an exclusive lock.
[[nodiscard]] inline tag_result change_tags(repository& repo, const tag_options& options, tag_observer& observer) {
  if (options.set && (!options.add.empty() || !options.remove.empty()))
    throw error(error_code::invalid_argument, "tags cannot be set, and added or removed, at the same time");
  tag_result result;
  for (const auto& old : find_snapshots(repo, options.snapshots, options.filter)) {
    throw_if_stopped(options.stop);
    auto changed = old.snapshot;
    if (!apply_tags(changed, options)) continue;
    if (!changed.original) changed.original = old.id;
    try {
      const auto now = repo.save_snapshot(changed);
      remove_replaced(repo, old.id, now);
      ++result.changed;
      observer.on_changed(old, now);
    } catch (const error& problem) {
      if (problem.code() == error_code::interrupted) throw;
      ++result.errors;
      observer.on_error(old, problem);
    }
  }
  return result;
}

}  // namespace recoup
