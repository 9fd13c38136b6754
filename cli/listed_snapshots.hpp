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
  std::vector<std::string> existing;
  for (const auto& name : names) {
    try {
      (void)find_snapshot(repo, name, filter);
      existing.push_back(name);
    } catch (const error& problem) {
      if (problem.code() != error_code::not_found) throw;
      out.error("Ignoring \"" + name + "\": " + problem.what());
    }
  }
  if (existing.empty() && !names.empty()) return {};
  return find_snapshots(repo, existing, filter);
}

}  // namespace recoup::cli
