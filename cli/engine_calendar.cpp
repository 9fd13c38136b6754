// The methods calendar.… of the machine interface: what a calendar expression means, in both syntaxes, and when it is
// due.
#include <recoup/json/json_writer.hpp>
#include <recoup/schedule/calendar.hpp>

#include "engine.hpp"
#include "engine_parameters.hpp"

namespace recoup::cli {

namespace {

calendar_syntax syntax_of(const engine_parameters& parameters) {
  const auto name = parameters.text("syntax").value_or("auto");
  if (name == "auto") return calendar_syntax::automatic;
  if (name == "cron") return calendar_syntax::cron;
  if (name == "oncalendar") return calendar_syntax::on_calendar;
  throw parameters.problem("syntax", "\"" + go_quoted(name) + "\" is not known; write auto, cron or oncalendar");
}

calendar_expression expression_of(const engine_parameters& parameters) {
  const auto syntax = syntax_of(parameters);
  const auto text = parameters.required_text("expression");
  return blaming(parameters.path_of("expression"), [&] { return parse_calendar(text, syntax); });
}

std::string parse(engine_call& call) {
  const auto expression = expression_of({call.params, "", {"expression", "syntax"}});
  json_writer result;
  result.begin_object();
  result.key("on_calendar").begin_array();
  for (const auto& text : to_on_calendar(expression)) result.value(text);
  result.end_array();
  try {
    result.field("cron", to_cron(expression));
    result.key("why_no_cron").null();
  } catch (const error& why) {
    result.key("cron").null();
    result.field("why_no_cron", why.what());
  }
  // Each expression that is understood can be written for systemd: cron says less.
  result.key("why_no_on_calendar").null();
  result.key("time_zone");
  if (expression.time_zone.empty())
    result.null();
  else
    result.value(expression.time_zone);
  return result.field("normalized", normalised_calendar(expression)).end_object().take();
}

timestamp start_of(const engine_parameters& parameters) {
  const auto text = parameters.text("after");
  if (!text) return current_time();
  const auto time = parse_rfc3339(*text);
  if (!time)
    throw parameters.problem(
        "after", "\"" + go_quoted(*text) + "\" is no time of RFC 3339; write it as in 2026-01-31T02:00:00Z");
  return *time;
}

std::string next(engine_call& call) {
  const engine_parameters parameters(call.params, "", {"expression", "syntax", "count", "after", "time_zone"});
  constexpr std::uint64_t most = 1000;
  const auto expression = expression_of(parameters);
  const auto count = parameters.number("count", 1, most).value_or(1);
  const auto after = start_of(parameters);
  const auto zone_name = parameters.text("time_zone");
  const auto zone = zone_name ? blaming(parameters.path_of("time_zone"), [&] { return time_zone::named(*zone_name); })
                              : time_zone::local();
  const auto times =
      blaming(parameters.path_of("expression"), [&] { return next_runs(expression, after, count, zone); });
  json_writer result;
  result.begin_object().key("times").begin_array();
  for (const auto& time : times) result.value(time);
  return result.end_array().end_object().take();
}

}  // namespace

void add_calendar_methods(engine_methods& to) {
  to.emplace("calendar.parse", parse);
  to.emplace("calendar.next", next);
}

}  // namespace recoup::cli
