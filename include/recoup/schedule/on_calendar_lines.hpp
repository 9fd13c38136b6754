// The times of a schedule in systemd's words.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <recoup/schedule/definition.hpp>

namespace recoup {

/// Values of OnCalendar=. An expression without a time zone of its own gets the schedule's.
[[nodiscard]] inline std::vector<std::string> on_calendar_lines(const schedule_definition& definition) {
  std::vector<std::string> lines;
  for (const auto& text : definition.calendar)
    lines.push_back(text + (definition.time_zone.empty() ? "" : " " + definition.time_zone));
  return lines;
}

}  // namespace recoup
