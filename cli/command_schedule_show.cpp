#include <memory>

#include <recoup/json/json_writer.hpp>

#include "command_schedule.hpp"
#include "schedule_flags.hpp"
#include "schedule_state.hpp"

namespace recoup::cli {

namespace {

void run(context& call, const schedule_flags& flags) {
  constexpr std::size_t shown_runs = 5;
  const auto store = flags.store();
  const auto definition = store.load(name_argument(call, "show"));
  const auto found = state_of_schedule(store, definition.name);
  const auto times = next_runs(definition, current_time(), shown_runs);
  if (call.options.json) {
    json_writer json;
    json.begin_object().key("definition").raw(schedule_json_text(definition));
    write_state(json, found);
    json.strings("on_calendar", on_calendar_lines(definition)).key("next_runs").begin_array();
    for (const auto& time : times) json.value(time);
    return call.out.result(json.end_array().end_object().take());
  }
  call.out.result(render_schedule(definition));
  call.out.result("state:  " + found.state);
  if (!found.last.empty()) call.out.result("last:   " + found.last + " " + found.result);
  for (const auto& line : on_calendar_lines(definition)) call.out.result("timer:  OnCalendar=" + line);
  for (const auto& time : times) call.out.result("next:   " + to_rfc3339(time));
}

}  // namespace

void add_schedule_show_command(command_tree& tree, CLI::App& schedule) {
  auto& command = tree.add(schedule, "show", "NAME [flags]", "Show a schedule");
  command.details = "Shows the definition, the state of the timer, and the next runs.\n";
  const auto flags = std::make_shared<schedule_flags>();
  add_root_flag(*command.app, *flags);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
