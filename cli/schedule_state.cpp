#include "schedule_state.hpp"

#include "systemctl.hpp"

namespace recoup::cli {

namespace {

std::string state_word(const timer_state& timer) {
  if (timer.service == "activating") return "running";
  if (timer.timer != "active" && timer.enabled != "enabled") return timer.enabled.empty() ? "missing" : "disabled";
  return timer.timer;
}

std::string result_word(const timer_state& timer) {
  if (timer.exit_status == "3") return "partial";
  if (timer.result.empty() || timer.result == "success") return timer.result;
  return "failed (" + timer.result + (timer.result == "exit-code" ? " " + timer.exit_status : "") + ")";
}

}  // namespace

schedule_state state_of_schedule(const schedule_store& store, const std::string& name) {
  schedule_state found;
  found.state = "unknown";
  if (store.is_this_machine())
    if (const auto timer = state_of_timer(name)) {
      found.state = state_word(*timer);
      found.next = timer->next, found.last = timer->last;
      found.result = result_word(*timer);
    }
  try {
    const auto definition = store.load(name);
    if (found.next.empty() && found.state != "disabled" && found.state != "missing" && found.state != "inactive")
      if (const auto times = next_runs(definition, current_time(), 1); !times.empty())
        found.next = to_rfc3339(times.front());
  } catch (const error& problem) {
    found.problem = problem.what();
  }
  return found;
}

void write_state(json_writer& json, const schedule_state& state) {
  const auto field = [&](const char* name, const std::string& text) {
    json.key(name);
    text.empty() ? json.null() : json.value(text);
  };
  field("state", state.state), field("next", state.next), field("last", state.last), field("result", state.result);
  field("problem", state.problem);
}

}  // namespace recoup::cli
