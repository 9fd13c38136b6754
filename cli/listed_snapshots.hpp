// Snapshots that a command which only looks was asked for by name.
#pragma once

#include <string>
#include <vector>

#include <recoup/ops/snapshot_groups.hpp>

#include "printer.hpp"

namespace recoup::cli {

/// As find_snapshots, but a name that no snapshot has is passed over with restic's message, not an error: scripts ask for
/// snapshots that another host may have forgotten meanwhile. Throws for what is wrong with the repository, as ever.
[[nodiscard]] inline std::vector<found_snapshot> find_listed_snapshots(repository& repo,
                                                                       const std::vector<std::string>& names,
                                                                       const snapshot_filter& filter,
                                                                       const printer& out) {
  return find_snapshots(repo, names, filter, [&out](const std::string& name, const error& problem) {
    out.error("Ignoring \"" + name + "\": " + problem.what());
  });
}

}  // namespace recoup::cli
