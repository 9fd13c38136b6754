// The commands below `schedule`. Each of these is in command_schedule_<name>.cpp.
#pragma once

namespace CLI {
class App;
}  // namespace CLI

namespace recoup::cli {

struct command_tree;

void add_schedule_command(command_tree& tree);

void add_schedule_install_command(command_tree& tree, CLI::App& schedule);
void add_schedule_list_command(command_tree& tree, CLI::App& schedule);
void add_schedule_remove_command(command_tree& tree, CLI::App& schedule);
void add_schedule_render_command(command_tree& tree, CLI::App& schedule);
void add_schedule_run_command(command_tree& tree, CLI::App& schedule);
void add_schedule_show_command(command_tree& tree, CLI::App& schedule);

}  // namespace recoup::cli
