// Methods of the machine interface about schedules: schedule.render and retention.preview (docs/engine.md). Nothing
// here looks at this machine: the schedule may be another's.
#include <algorithm>
#include <string>
#include <vector>

#include <recoup/json/json_writer.hpp>
#include <recoup/ops/retention.hpp>

#include "engine.hpp"
#include "engine_parameters.hpp"
#include "schedule_json.hpp"
#include "schedule_retention.hpp"

namespace recoup::cli {

namespace {

/// What `parse` and what follows say is wrong is the fault of a member of that parameter.
template <class Work>
auto blaming_member(const std::string& parameter, Work&& work) {
  try {
    return work();
  } catch (const schedule_error& problem) {
    const auto& path = problem.path();
    const auto attribute = parameter + (path.empty() || path.starts_with('[') ? "" : ".") + path;
    throw engine_parameter_error(attribute, attribute + ": " + problem.reason());
  }
}

simdjson::dom::object required_object(const engine_parameters& parameters, std::string_view name) {
  if (const auto found = parameters.object(name)) return *found;
  throw parameters.problem(name, "is missing");
}

std::vector<environment_setting> secrets_of(const simdjson::dom::object& from) {
  std::vector<environment_setting> settings;
  for (const auto& [key, value] : from) {
    const std::string name(key), attribute = "secret_environment." + name;
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS)
      throw engine_parameter_error(attribute, attribute + ": must be a string");
    if (!is_schedule_variable(name))
      throw engine_parameter_error(attribute,
                                   attribute +
                                       ": is not a variable of a backup: those are RESTIC_*, AWS_*, proxies, "
                                       "SSL_CERT_FILE, SSL_CERT_DIR, TMPDIR and TZ");
    if (!is_environment_value(text))
      throw engine_parameter_error(attribute,
                                   attribute + ": is not UTF-8, or has control characters in it, which systemd drops");
    settings.push_back({name, std::string(text)});
  }
  return settings;
}

std::string render(engine_call& call) {
  const engine_parameters parameters(call.params, "", {"schedule", "secret_environment"});
  const auto schedule = required_object(parameters, "schedule");
  std::vector<environment_setting> secrets;
  const auto given = parameters.object("secret_environment");
  if (given) secrets = secrets_of(*given);
  return blaming_member("schedule", [&] {
    const auto definition = parse_schedule(simdjson::minify(schedule));
    const auto files = render_schedule_files(definition, given ? &secrets : nullptr);
    require_runnable(definition);
    return render_json(definition, files);
  });
}

timestamp time_of(std::string_view text, const std::string& attribute) {
  if (const auto time = parse_rfc3339(text)) return *time;
  throw engine_parameter_error(attribute, attribute + ": must be a time such as 2006-01-02T15:04:05Z");
}

std::string preview(engine_call& call) {
  const engine_parameters parameters(call.params, "", {"policy", "times", "now"});
  const auto given = required_object(parameters, "policy");
  const auto policy = blaming_member("policy", [&] {
    const auto retention = parse_schedule_retention(simdjson::minify(given));
    schedule_check_rules::checker::check_retention(retention);
    return policy_of(retention);
  });
  std::vector<found_snapshot> snapshots;
  const auto times = parameters.texts("times");
  for (std::size_t i = 0; i < times.size(); ++i) {
    snapshots.emplace_back();
    snapshots.back().snapshot.time = time_of(times[i], "times[" + std::to_string(i) + "]");
  }
  const auto now = parameters.text("now");
  const auto decision = apply_policy(std::move(snapshots), policy, now ? time_of(*now, "now") : current_time());
  json_writer json;
  json.begin_object().key("keep").begin_array();
  for (const auto& each : decision.keep)
    json.begin_object().field("time", each.found.snapshot.time).strings("reasons", each.reasons).end_object();
  json.end_array().key("remove").begin_array();
  for (const auto& each : decision.remove) json.value(each.snapshot.time);
  return json.end_array().end_object().take();
}

}  // namespace

void add_schedule_methods(engine_methods& to) {
  to["schedule.render"] = render;
  to["retention.preview"] = preview;
}

}  // namespace recoup::cli
