// What rewriting and repairing snapshots have in common: snapshots one by one, each planned and then, unless it is a dry
// run, carried out.
//
//   each snapshot: new trees -> they are durable and indexed -> the new snapshot -> with `forget`, the old one goes
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/core/time.hpp>
#include <recoup/ops/rewrite/replace_snapshot.hpp>
#include <recoup/ops/save_and_flush.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/snapshot.hpp>

namespace recoup {

struct snapshot_change_options {
  bool forget = false;   ///< the new snapshot takes the old one's place
  bool dry_run = false;  ///< plan and tell, store and remove nothing
  std::string added_tag; ///< of new snapshots beside which the old one stays
  std::optional<std::string> new_host;
  std::optional<timestamp> new_time;
  std::stop_token stop{};
};

enum class snapshot_change : std::uint8_t { none, replaced, removed };

class snapshot_change_observer {
public:
  snapshot_change_observer() = default;
  snapshot_change_observer(const snapshot_change_observer&) = delete;
  snapshot_change_observer& operator=(const snapshot_change_observer&) = delete;
  virtual ~snapshot_change_observer() = default;

  virtual void on_index_progress(std::size_t /*done*/, std::size_t /*total*/) {}
  virtual void on_snapshot(const found_snapshot& /*old*/) {}
  /// What is going to happen, or would in a dry run. Not called if nothing changes.
  virtual void on_planned(const found_snapshot& /*old*/, snapshot_change /*change*/) {}
  virtual void on_saved(const found_snapshot& /*old*/, const id& /*now*/) {}
  /// `change` is `removed` if nothing took its place.
  virtual void on_removed(const found_snapshot& /*old*/, snapshot_change /*change*/) {}
};

struct changed_snapshot {
  id old;
  std::optional<id> now;  ///< nothing in a dry run, or if the snapshot was removed
};

/// What is left of a snapshot.
struct changed_content {
  std::optional<id> tree;                   ///< nothing: there is nothing left
  std::optional<snapshot_summary> summary;  ///< nothing: it stays as it is
  bool stays = false;                       ///< the snapshot is not touched, whatever else is to change
};

class snapshot_changer {
public:
  snapshot_changer(repository& repo, const snapshot_change_options& options, snapshot_change_observer& observer)
      : repo_(repo), options_(options), observer_(observer) {}

  /// `content_of` makes the new trees of a snapshot. Throws with the first that fails; those before are done.
  [[nodiscard]] std::vector<changed_snapshot> run(const std::vector<found_snapshot>& snapshots,
                                                  const std::function<changed_content(const found_snapshot&)>& content_of) {
    std::vector<changed_snapshot> changed;
    for (const auto& each : snapshots) {
      throw_if_stopped(options_.stop);
      observer_.on_snapshot(each);
      try {
        const auto content = save_and_flush(repo_, [&] { return content_of(each); });
        if (auto done = change(each, content)) changed.push_back(*done);
      } catch (const error& problem) {
        if (problem.code() == error_code::interrupted || problem.code() == error_code::locked) throw;
        throw error(problem.code(), "unable to rewrite snapshot ID \"" + each.id.short_hex() + "\": " + problem.what());
      }
    }
    return changed;
  }

private:
  [[nodiscard]] std::optional<changed_snapshot> change(const found_snapshot& old, const changed_content& content) {
    const auto kind = kind_of_change(old.snapshot, content);
    if (kind == snapshot_change::none) return std::nullopt;
    observer_.on_planned(old, kind);
    if (options_.dry_run) return changed_snapshot{old.id, {}};
    throw_if_stopped(options_.stop);
    std::optional<id> now;
    if (kind == snapshot_change::replaced) {
      now = repo_.save_snapshot(successor(old, content));
      observer_.on_saved(old, *now);
      if (options_.forget) remove_replaced(repo_, old.id, *now);
    } else {
      remove_snapshot(repo_, old.id);
    }
    if (options_.forget || !now) observer_.on_removed(old, kind);
    return changed_snapshot{old.id, now};
  }

  [[nodiscard]] snapshot_change kind_of_change(const snapshot& old, const changed_content& content) const {
    if (content.stays) return snapshot_change::none;
    if (!content.tree) return snapshot_change::removed;
    const bool same = *content.tree == old.tree && !options_.new_host && !options_.new_time &&
                      (!content.summary || content.summary == old.summary);
    return same ? snapshot_change::none : snapshot_change::replaced;
  }

  [[nodiscard]] snapshot successor(const found_snapshot& old, const changed_content& content) const {
    auto now = old.snapshot;
    now.original = old.id;  // restic's: not the first ancestor, as with tags, because the content is another
    now.tree = *content.tree;
    if (content.summary) now.summary = content.summary;
    if (!options_.forget) (void)add_tag(now, options_.added_tag);
    if (options_.new_time) now.time = *options_.new_time;
    if (options_.new_host) now.hostname = *options_.new_host;
    return now;
  }

  repository& repo_;
  const snapshot_change_options& options_;
  snapshot_change_observer& observer_;
};

}  // namespace recoup
