// --host, --tag and --path, which many commands have.
#pragma once

#include <string>
#include <vector>

#include <recoup/ops/snapshots.hpp>

#include "flags.hpp"

namespace recoup::cli {

struct snapshot_flags {
  std::vector<std::string> hosts, tags, paths;
  bool host_given = false;

  /// What the flags say; $RESTIC_HOST counts only if --host was not given, and an empty host lifts the restriction.
  [[nodiscard]] snapshot_filter filter() const;
};

enum class snapshot_choice {
  one,  ///< the filter is for "latest"
  many,
};

/// `host_names`: "--host" for a command whose -H is another flag.
void add_snapshot_flags(CLI::App& app, snapshot_flags& flags, snapshot_choice choice,
                        const std::string& host_names = "-H,--host");

/// Tags of "a, b,c", without white space around them.
[[nodiscard]] std::vector<std::string> split_tags(const std::string& text);

}  // namespace recoup::cli
