#include <memory>

#include "command_schedule.hpp"
#include "schedule_flags.hpp"
#include "schedule_run.hpp"

namespace recoup::cli {

void add_schedule_run_command(command_tree& tree, CLI::App& schedule) {
  auto& command = tree.add(schedule, "run", "NAME [flags]", "Back up as a schedule says, now");
  command.details =
      "What the schedule's service does: commands before, backup, forget, two-phase prune, check, commands after. Only "
      "one\n"
      "run of a schedule at a time goes on on a machine. Where the repository is and how it is opened says the\n"
      "environment file, which systemd hands over as a credential when it starts the service.\n\n"
      "Exit status is 0 if all was done, 3 if there is a snapshot that lacks files which could not be read, 1 if the\n"
      "backup or what comes after it failed, 130 if it was stopped; and where no snapshot was made, 10 if there is no\n"
      "repository, 11 if it is locked, or the schedule runs already, 12 if the password is wrong.\n";
  struct run_flags {
    std::string file;
    bool no_commands = false;
  };
  const auto flags = std::make_shared<run_flags>();
  add_text(*command.app, "--file", flags->file, "run the definition in this file, whatever is installed", "file");
  add_switch(*command.app, "--no-commands", flags->no_commands,
             "leave out the commands before and after the backup, as units do, which run them themselves");
  command.run = [flags](context& call) {
    const auto definition =
        flags->file.empty() ? schedule_store().load(name_argument(call, "run")) : read_definition_file(flags->file);
    run_schedule(call, definition, !flags->no_commands);
  };
}

}  // namespace recoup::cli
