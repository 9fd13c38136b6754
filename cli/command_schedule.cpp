#include "command_schedule.hpp"

#include <CLI/CLI.hpp>

#include "command.hpp"

namespace recoup::cli {

void add_schedule_command(command_tree& tree) {
  auto& command =
      tree.add(tree.root, "schedule", "", "Back up by itself: systemd timers that back up, forget and check");
  auto& app = *command.app;
  add_schedule_install_command(tree, app);
  add_schedule_list_command(tree, app);
  add_schedule_remove_command(tree, app);
  add_schedule_render_command(tree, app);
  add_schedule_run_command(tree, app);
  add_schedule_show_command(tree, app);
}

}  // namespace recoup::cli
