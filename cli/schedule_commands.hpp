// The programs that a schedule runs before and after the backup.
#pragma once

#include <string>
#include <vector>

#include <recoup/schedule/definition.hpp>

#include "command.hpp"

namespace recoup::cli {

/// Runs a program to its end, with our output and nothing to read. Throws failure if it fails, interrupted if a stop is
/// requested meanwhile (the program is asked to end too) unless `to_the_end`.
void run_schedule_command(const context& call, const schedule_command& command,
                          const std::vector<std::string>& environment, bool to_the_end);

}  // namespace recoup::cli
