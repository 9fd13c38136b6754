// A calendar event as systemd writes it: what `systemd-analyze calendar` prints as "Normalized form".
#pragma once

#include <string>
#include <string_view>

#include <recoup/schedule/calendar_expression.hpp>

namespace recoup {

namespace calendar_writing {

inline void append_number(std::string& to, int value, std::size_t digits) {
  const auto text = std::to_string(value);
  if (text.size() < digits) to.append(digits - text.size(), '0');
  to += text;
}

/// `unit` is a million for seconds, whose fraction has always six digits.
inline void append_value(std::string& to, int value, std::size_t digits, int unit) {
  append_number(to, value / unit, digits);
  if (value % unit == 0) return;
  to += '.';
  append_number(to, value % unit, 6);
}

inline void append_ranges(std::string& to, const calendar_ranges& ranges, std::size_t digits, int unit = 1) {
  const bool is_every_second =
      unit != 1 && ranges == calendar_ranges{{0, calendar_range::no_end, calendar_parts::microseconds_per_second}};
  if (ranges.empty() || is_every_second) {
    to += '*';
    return;
  }
  for (const auto& range : ranges) {
    if (&range != &ranges.front()) to += ',';
    append_value(to, range.first, digits, unit);
    const bool has_end = range.last != calendar_range::no_end;
    if (has_end) append_value(to += "..", range.last, digits, unit);
    if (range.step > 0 && !(has_end && range.step == unit)) append_value(to += '/', range.step, 1, unit);
  }
}

inline constexpr std::string_view weekday_names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/// "Mon..Wed,Sat,Sun": a range from three days on.
inline void append_weekdays(std::string& to, unsigned weekdays) {
  const auto has = [weekdays](int day) { return day < 7 && (weekdays >> day & 1) != 0; };
  bool is_first = true;
  for (int day = 0; day < 7; ++day) {
    if (!has(day)) continue;
    int last = day;
    while (has(last + 1)) ++last;
    if (!is_first) to += ',';
    is_first = false;
    to += weekday_names[day];
    if (last > day) {
      to += last > day + 1 ? ".." : ",";
      to += weekday_names[last];
    }
    day = last;
  }
}

}  // namespace calendar_writing

/// Without a time zone.
[[nodiscard]] inline std::string to_on_calendar(const calendar_event& event) {
  using namespace calendar_writing;
  std::string text;
  if (event.weekdays != 0) {
    append_weekdays(text, event.weekdays);
    text += ' ';
  }
  append_ranges(text, event.years, 4);
  text += '-';
  append_ranges(text, event.months, 2);
  text += event.counts_from_month_end ? '~' : '-';
  append_ranges(text, event.days, 2);
  text += ' ';
  append_ranges(text, event.hours, 2);
  text += ':';
  append_ranges(text, event.minutes, 2);
  text += ':';
  append_ranges(text, event.microseconds, 2, calendar_parts::microseconds_per_second);
  return text;
}

/// The texts for OnCalendar= lines, of which a timer may have several: normalised, each with the time zone if there is
/// one.
[[nodiscard]] inline std::vector<std::string> to_on_calendar(const calendar_expression& expression) {
  std::vector<std::string> texts;
  for (const auto& event : expression.events) {
    texts.push_back(to_on_calendar(event));
    if (!expression.time_zone.empty()) texts.back() += ' ' + expression.time_zone;
  }
  return texts;
}

}  // namespace recoup
