// Reads calendar expressions that come as JSON, one request a line, for comparison with systemd and other crons
// (tests/interop/test_calendar.py).
//
//   in   {"expression", "syntax": "auto", "cron" or "oncalendar", "after": seconds since 1970, "count", "zone"}
//   out  {"normalised", "on_calendar": [text…], "cron": text or null, "times": [microseconds since 1970…]}
//        or {"error"}
#include <iostream>

#include <recoup/json/json_reader.hpp>
#include <recoup/json/json_writer.hpp>
#include <recoup/schedule/calendar.hpp>

namespace {

using namespace recoup;

std::string answer(const std::string& line) {
  std::string expression, syntax = "auto", zone = "UTC";
  std::int64_t after = 0;
  std::uint32_t count = 0;
  read_json(as_bytes(line), "the request", [&](json_object root) {
    for_each_field(root, [&](std::string_view key, json_value& value) {
      if (key == "expression") read(value, expression);
      if (key == "syntax") read(value, syntax);
      if (key == "after") read(value, after);
      if (key == "count") read(value, count);
      if (key == "zone") read(value, zone);
    });
  });
  json_writer out;
  out.begin_object();
  try {
    const auto calendar = parse_calendar(expression, syntax == "cron"         ? calendar_syntax::cron
                                                     : syntax == "oncalendar" ? calendar_syntax::on_calendar
                                                                              : calendar_syntax::automatic);
    const auto times = next_runs(calendar, {after, 0, 0}, count, time_zone::named(zone));
    out.field("normalised", normalised_calendar(calendar)).key("on_calendar").begin_array();
    for (const auto& text : to_on_calendar(calendar)) out.value(text);
    out.end_array().key("times").begin_array();
    for (const auto& time : times) out.value(time.seconds * 1'000'000 + time.nanoseconds / 1000);
    out.end_array();
    try {
      out.field("cron", to_cron(calendar));
    } catch (const error&) {
      out.key("cron").null();
    }
  } catch (const error& problem) {
    return json_writer{}.begin_object().field("error", problem.what()).end_object().take();
  }
  return out.end_object().take();
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) std::cout << answer(line) << '\n';
}
