#include "command_repair.hpp"

#include "command.hpp"

namespace recoup::cli {

void add_repair_command(command_tree& tree) {
  auto& group = *tree.add(tree.root, "repair", "[command]", "Repair the repository").app;
  add_repair_index_command(tree, group);
  add_repair_packs_command(tree, group);
  add_repair_snapshots_command(tree, group);
}

}  // namespace recoup::cli
