// The commands of the group `repair`, each in command_repair_<name>.cpp.
#pragma once

#include "command.hpp"

namespace recoup::cli {

void add_repair_snapshots_command(command_tree& tree, CLI::App& repair);

}  // namespace recoup::cli
