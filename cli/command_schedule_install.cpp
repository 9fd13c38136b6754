#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "command_schedule.hpp"
#include "format.hpp"
#include "schedule_environment.hpp"
#include "schedule_flags.hpp"
#include "schedule_json.hpp"
#include "systemctl.hpp"

namespace recoup::cli {

namespace {

struct install_flags : schedule_flags {
  bool force = false, write_environment = false, no_enable = false;
};

/// What the process's environment says about repositories; the schedule's own settings are in its definition.
std::vector<environment_setting> settings_of_process() {
  std::vector<environment_setting> settings;
  for (const auto& entry : current_environment()) {
    const auto equals = entry.find('=');
    const auto name = entry.substr(0, equals);
    if (equals != std::string::npos && (name.starts_with("RESTIC_") || name.starts_with("AWS_")))
      settings.push_back({name, entry.substr(equals + 1)});
  }
  if (settings.empty())
    throw error(error_code::invalid_argument,
                "--write-environment: no variable RESTIC_* or AWS_* is set, so there is nothing to write");
  return settings;
}

void refuse_others_units(const schedule_store& store, const std::vector<schedule_file>& files) {
  for (const auto& file : files) {
    if (!file.path.starts_with(unit_directory)) continue;
    const auto present = store.read(file.path);
    if (!present || present->starts_with(unit_mark)) continue;
    throw error(error_code::failure, store.place(file.path) +
                                         " is there already, and was not made by `recoup schedule`: choose "
                                         "another name, or overwrite it with --force");
  }
}

/// What `systemctl enable` does, for a system that does not run.
void enable_below(const schedule_store& store, const std::string& name) {
  const auto link = store.place(std::string(unit_directory) + "/timers.target.wants/" + name + ".timer");
  std::error_code problem;
  std::filesystem::create_directories(std::filesystem::path(link).parent_path(), problem);
  if (::symlink(timer_path(name).c_str(), link.c_str()) != 0 && errno != EEXIST)
    throw system_error(errno, "cannot make " + link);
}

void start(const context& call, const schedule_definition& definition, bool service_changed) {
  systemctl({"daemon-reload"});
  systemctl({"enable", definition.name + ".timer"});
  // "start" leaves a running timer alone, which then would go on with the times that it had.
  systemctl({service_changed ? "restart" : "start", definition.name + ".timer"});
  call.out.info(definition.name + ".timer is enabled and started");
}

void print_next(const context& call, const schedule_definition& definition) {
  constexpr std::size_t shown_runs = 3;
  call.out.info("next runs:");
  for (const auto& time : next_runs(definition, current_time(), shown_runs)) call.out.info("  " + to_rfc3339(time));
  if (!definition.randomized_delay.empty()) call.out.info("  each up to " + definition.randomized_delay + " later");
}

void warn_of_missing_environment(const context& call, const schedule_store& store,
                                 const schedule_definition& definition) {
  if (store.read(definition.environment_file)) return;
  call.out.error(
      "Warning: " + store.place(definition.environment_file) +
      " does not exist, without which no run can succeed: write RESTIC_REPOSITORY, RESTIC_PASSWORD and what else opens "
      "the repository into it, a line each, mode 0600; or set them and install with --write-environment");
}

void run(context& call, const install_flags& flags) {
  const auto definition = definition_of(call, flags);
  const auto store = flags.store();
  std::vector<environment_setting> settings;
  if (flags.write_environment)
    settings = settings_of_process();
  else
    settings = store.environment(definition).value_or(settings);
  const auto files = render_schedule_files(definition, flags.write_environment ? &settings : nullptr, settings);
  if (!flags.force) refuse_others_units(store, files);
  bool changed = false;
  for (const auto& file : files) {
    const bool is_new = store.write(file);
    changed = changed || is_new;
    call.out.info((is_new ? "wrote " : "unchanged: ") + store.place(file.path));
  }
  warn_of_missing_environment(call, store, definition);
  if (call.options.json) call.out.result(render_json(definition, render_schedule_files(definition, nullptr, settings)));
  if (flags.no_enable) return;
  if (!store.is_this_machine()) return enable_below(store, definition.name);
  if (!systemd_is_running()) {
    enable_below(store, definition.name);
    call.out.error("Warning: systemd does not run here, so nothing was started; the timer begins when it does");
    return;
  }
  start(call, definition, changed);
  print_next(call, definition);
}

}  // namespace

void add_schedule_install_command(command_tree& tree, CLI::App& schedule) {
  auto& command = tree.add(schedule, "install", "NAME [flags]", "Write a schedule's files, and start its timer");
  command.details =
      "Writes /etc/recoup/schedules/NAME.json and the units NAME.service and NAME.timer, enables and starts the timer "
      "and\n"
      "prints the next runs. A schedule that is installed already is changed by the flags; the rest stays as it is.\n\n"
      "How the repository is opened stands in /etc/restic.env, which is left alone but for --write-environment.\n";
  const auto flags = std::make_shared<install_flags>();
  auto& app = *command.app;
  add_definition_flags(app, *flags);
  add_switch(app, "--force", flags->force, "overwrite units that were not made by this command");
  add_switch(app, "--write-environment", flags->write_environment,
             "write the variables RESTIC_* and AWS_* that are set now into the environment file, for its owner only");
  add_switch(app, "--no-enable", flags->no_enable, "write the files only");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
