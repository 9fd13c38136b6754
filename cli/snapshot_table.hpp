// Lists of snapshots as text, as `snapshots` and `forget` print them.
#pragma once

#include <string>
#include <vector>

#include <recoup/ops/retention.hpp>
#include <recoup/ops/snapshot_groups.hpp>

namespace recoup::cli {

/// Oldest first, with a summary below.
[[nodiscard]] std::string snapshot_table(const std::vector<found_snapshot>& list, bool compact);
/// The same with a column for why each is kept, unless it is compact.
[[nodiscard]] std::string snapshot_table(const std::vector<kept_snapshot>& list, bool compact);

/// "snapshots for (host [nas], paths [/etc, /srv]):"; empty if nothing is grouped by.
[[nodiscard]] std::string group_header(const snapshot_group_key& key);

/// restic shows paths sorted, and tags too where it groups by them.
void sort_paths_and_tags(std::vector<found_snapshot>& list, const snapshot_grouping& group_by);

}  // namespace recoup::cli
