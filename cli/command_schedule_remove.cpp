#include <memory>

#include "command_schedule.hpp"
#include "schedule_flags.hpp"
#include "systemctl.hpp"

namespace recoup::cli {

namespace {

struct remove_flags : schedule_flags {
  bool force = false;
};

/// The environment file in question; also where the definition cannot be read any more.
std::string environment_file_of(const schedule_store& store, const std::string& name) {
  try {
    return store.load(name).environment_file;
  } catch (const error&) {
    return schedule_definition{}.environment_file;
  }
}

void run(context& call, const remove_flags& flags) {
  const auto& name = name_argument(call, "remove");
  const auto store = flags.store();
  if (name.find('/') != std::string::npos || !store.read(schedule_path(name)))
    (void)store.load(name);  // says what there is
  const auto environment_file = environment_file_of(store, name);
  for (const auto& path : {timer_path(name), service_path(name)}) {
    const auto content = store.read(path);
    if (content && !content->starts_with(unit_mark) && !flags.force)
      throw error(
          error_code::failure,
          store.place(path) + " was not made by `recoup schedule`, so nothing was removed; --force removes it, too");
  }
  const bool asks_systemd = store.is_this_machine() && systemd_is_running();
  if (asks_systemd && store.read(timer_path(name))) systemctl({"disable", "--now", name + ".timer"});
  if (asks_systemd && store.read(service_path(name))) systemctl({"stop", name + ".service"});
  store.remove(std::string(unit_directory) + "/timers.target.wants/" + name + ".timer");
  for (const auto& path : {timer_path(name), service_path(name), schedule_path(name)})
    if (store.remove(path)) call.out.info("removed " + store.place(path));
  if (asks_systemd) systemctl({"daemon-reload"});
  call.out.info("The repository with all its snapshots stays, and so does " + store.place(environment_file) + ".");
}

}  // namespace

void add_schedule_remove_command(command_tree& tree, CLI::App& schedule) {
  auto& command = tree.add(schedule, "remove", "NAME [flags]", "Stop a schedule and remove its files");
  command.details =
      "Stops and disables the timer, ends a run that is under way, and removes the units and the definition. The "
      "repository,\n"
      "its snapshots and the environment file stay.\n";
  const auto flags = std::make_shared<remove_flags>();
  add_root_flag(*command.app, *flags);
  add_switch(*command.app, "--force", flags->force, "remove units that were not made by `schedule install`, too");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
