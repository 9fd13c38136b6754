// Forgetting snapshots: by a policy, or by their names. What only they needed stays in the repository until it is pruned.
//
//   find the snapshots -> plan: for each group what is kept, why, and what is not -> execute: remove the files
//
// The plan changes nothing. Whoever executes one holds an exclusive lock since before the snapshots were read.
#pragma once

#include <algorithm>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/ops/remove_files.hpp>
#include <recoup/ops/retention.hpp>
#include <recoup/ops/snapshot_groups.hpp>

namespace recoup {

struct forget_options {
  std::vector<std::string> snapshots{};  ///< names as for find_snapshots(): exactly these, whatever the policy says
  snapshot_filter filter{};
  snapshot_grouping group_by{.host = true, .paths = true};
  retention_policy policy{};
  /// Without a policy, forget all that the filter matches.
  bool allow_remove_all = false;
};

struct forget_group {
  snapshot_group_key key;
  retention_decision decision;
};

struct forget_plan {
  std::vector<forget_group> groups;  ///< none if snapshots were named
  std::vector<id> remove;            ///< of all groups; sorted
};

/// Throws invalid_argument if no snapshot could be kept for any reason and that was not asked for.
inline void require_policy(const forget_options& options) {
  options.policy.require_valid();
  if (!options.snapshots.empty() || !options.policy.is_empty()) return;
  if (!options.allow_remove_all)
    throw error(error_code::invalid_argument, "no policy was specified, no snapshots will be removed");
  if (!options.filter.restricts())
    throw error(error_code::invalid_argument,
                "--unsafe-allow-remove-all is not allowed unless a snapshot filter option is specified");
}

namespace forgetting {

/// "host nas, path [/etc /srv], tags [a b]".
[[nodiscard]] inline std::string describe(const snapshot_group_key& key) {
  std::string text;
  const auto add_list = [&text](const char* what, const std::optional<std::vector<std::string>>& list) {
    if (list && !list->empty()) retention::append(text, ", ", what + (" " + retention::in_brackets(*list, " ")));
  };
  if (!key.hostname.empty()) text = "host " + key.hostname;
  add_list("path", key.paths);
  add_list("tags", key.tags);
  return text;
}

}  // namespace forgetting

/// Decides about snapshots that find_snapshots() gave. Throws as require_policy(), and failure if the policy keeps nothing of a
/// group: that is more likely a mistake than meant.
[[nodiscard]] inline forget_plan plan_forget(std::vector<found_snapshot> snapshots, const forget_options& options,
                                             const timestamp& now = current_time()) {
  require_policy(options);
  forget_plan plan;
  if (!options.snapshots.empty()) {
    for (const auto& each : snapshots) plan.remove.push_back(each.id);
  } else {
    for (auto& group : group_snapshots(std::move(snapshots), options.group_by)) {
      auto decision = apply_policy(std::move(group.snapshots), options.policy, now);
      if (decision.keep.empty() && !options.policy.is_empty())
        throw error(error_code::failure, "refusing to delete last snapshot of snapshot group \"" +
                                             forgetting::describe(group.key) + "\"");
      for (const auto& each : decision.remove) plan.remove.push_back(each.id);
      plan.groups.push_back({std::move(group.key), std::move(decision)});
    }
  }
  std::ranges::sort(plan.remove);
  return plan;
}

/// The same for what is in the repository now. Throws not_found if a snapshot that was named is not there; snapshots that cannot be
/// read are passed over with a warning, and kept, where none were named.
[[nodiscard]] inline forget_plan plan_forget(repository& repo, const forget_options& options,
                                             const timestamp& now = current_time()) {
  require_policy(options);
  return plan_forget(find_snapshots(repo, options.snapshots, options.filter), options, now);
}

/// Removes what the plan says. Returns the snapshots that could not be removed, and why is told to the observer; one that is gone
/// already counts as removed. Throws interrupted when a stop is requested.
[[nodiscard]] inline std::vector<id> execute_forget(repository& repo, const forget_plan& plan,
                                                    const removal_observer& observer = {}, std::stop_token stop = {}) {
  return remove_files(repo, file_type::snapshot, plan.remove, observer, std::move(stop));
}

}  // namespace recoup
