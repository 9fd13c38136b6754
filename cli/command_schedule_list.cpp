#include <memory>
#include <optional>

#include <recoup/json/json_writer.hpp>

#include "command_schedule.hpp"
#include "format.hpp"
#include "schedule_flags.hpp"
#include "schedule_state.hpp"

namespace recoup::cli {

namespace {

void run(context& call, const schedule_flags& flags) {
  if (!call.arguments.empty()) throw usage_error("`schedule list` takes no arguments");
  const auto store = flags.store();
  json_writer json;
  json.begin_array();
  table rows({"Name", "State", "Next", "Last", "Result"});
  const auto names = store.names();
  for (const auto& name : names) {
    const auto found = state_of_schedule(store, name);
    write_state(json.begin_object().field("name", name), found);
    json.end_object();
    rows.add_row({name, found.state, found.next, found.last, found.problem.empty() ? found.result : found.problem});
  }
  if (call.options.json) return call.out.result(json.end_array().take());
  if (names.empty()) return call.out.result("no schedules; `" + call.commands.program + " schedule install` makes one");
  call.out.result(rows.text());
}

}  // namespace

void add_schedule_list_command(command_tree& tree, CLI::App& schedule) {
  auto& command = tree.add(schedule, "list", "[flags]", "List the schedules of this machine");
  command.details = "Lists schedules with what systemd knows of their timers, and when they run next.\n";
  const auto flags = std::make_shared<schedule_flags>();
  add_root_flag(*command.app, *flags);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
