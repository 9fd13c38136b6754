// The times of a schedule: in systemd's words, and the next of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/time.hpp>
#include <recoup/schedule/calendar.hpp>
#include <recoup/schedule/definition.hpp>

namespace recoup {

/// What the schedule's calendar says, each text with its own time zone or else the schedule's. Throws schedule_error.
[[nodiscard]] inline std::vector<calendar_expression> calendar_of(const schedule_definition& definition) {
  std::vector<calendar_expression> expressions;
  for (std::size_t i = 0; i < definition.calendar.size(); ++i) {
    try {
      expressions.push_back(parse_calendar(definition.calendar[i]));
    } catch (const error& problem) {
      throw schedule_error("calendar[" + std::to_string(i) + "]", problem.what());
    }
    if (expressions.back().time_zone.empty()) expressions.back().time_zone = definition.time_zone;
  }
  return expressions;
}

/// Values of OnCalendar=. Throws schedule_error.
[[nodiscard]] inline std::vector<std::string> on_calendar_lines(const schedule_definition& definition) {
  std::vector<std::string> lines;
  const auto expressions = calendar_of(definition);
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    try {
      for (auto& line : to_on_calendar(expressions[i])) lines.push_back(std::move(line));
    } catch (const error& problem) {
      throw schedule_error("calendar[" + std::to_string(i) + "]", problem.what());
    }
  }
  return lines;
}

/// The next `count` times after `after`. Throws schedule_error if the time zone is not known here.
[[nodiscard]] inline std::vector<timestamp> next_runs(const schedule_definition& definition, timestamp after,
                                                      std::size_t count) {
  std::vector<timestamp> all;
  for (const auto& expression : calendar_of(definition)) {
    try {
      const auto next = next_runs(expression, after, count, time_zone::local());
      all.insert(all.end(), next.begin(), next.end());
    } catch (const error& problem) {
      throw schedule_error("time_zone", problem.what());
    }
  }
  std::ranges::sort(all, [](const timestamp& a, const timestamp& b) { return earlier(a, b); });
  const auto same = [](const timestamp& a, const timestamp& b) {
    return a.seconds == b.seconds && a.nanoseconds == b.nanoseconds;
  };
  all.erase(std::unique(all.begin(), all.end(), same), all.end());  // clang 14 cannot read libstdc++'s ranges::unique
  if (all.size() > count) all.resize(count);
  return all;
}

}  // namespace recoup
