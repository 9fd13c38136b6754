// What `prune` and `forget --prune` share: flags, and the work with what is printed meanwhile.
#pragma once

#include <chrono>
#include <string>

#include <recoup/ops/prune.hpp>

#include "command.hpp"
#include "flags.hpp"
#include "session.hpp"

namespace recoup::cli {

struct prune_flags {
  std::string max_unused = "5%", max_repack_size, repack_smaller_than;
  bool repack_cacheable_only = false, repack_uncompressed = false, repack_small = false;
  bool two_phase = false;
  std::chrono::nanoseconds delete_after = std::chrono::hours{23};
};

/// The lock that a prune needs.
[[nodiscard]] lock_request prune_lock(const prune_flags& flags);

/// The flags that both commands have.
void add_prune_flags(CLI::App& app, prune_flags& flags);

/// What the flags say. Throws invalid_argument, in restic's words.
[[nodiscard]] prune_options prune_options_of(const prune_flags& flags);

/// Plans, prints what is to be done, and does it unless it is a dry run. The session holds prune_lock(), or an exclusive
/// one. Returns what was, or would have been, done.
prune_stats run_prune(context& call, session& open, prune_options options, bool dry_run);

}  // namespace recoup::cli
