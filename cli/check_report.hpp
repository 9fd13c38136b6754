// What a check says about snapshots and files that need what is damaged.
#pragma once

#include <recoup/ops/check/affected_items.hpp>

#include "command.hpp"

namespace recoup::cli {

/// As text on stderr: the first ten of each snapshot, with -v all of them and why. With --json a message for each on
/// stdout.
void report_affected(const context& call, const affected_items& affected);

}  // namespace recoup::cli
