// From calendar expressions to cron's five fields, where cron can say the same.
//
// The other direction always works, in on_calendar_text.hpp; a cron expression that names days of the month or of the week
// needs two lines there.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <recoup/schedule/calendar_expression.hpp>
#include <recoup/schedule/cron.hpp>
#include <recoup/schedule/on_calendar_text.hpp>

namespace recoup {

namespace cron_writing {

/// Whether it is every step-th value from the lowest on: "*/15".
[[nodiscard]] inline bool is_star_with_step(const calendar_range& range, const calendar_parts::part_limits& limits) noexcept {
  return range.first == limits.lowest && range.step > 1 &&
         (range.last == calendar_range::no_end || range.last + range.step > limits.highest);
}

/// A field, `*` for any value. With `may_start_with_star` also "*/15", which in a field for days has a meaning of its own.
[[nodiscard]] inline std::string field(const calendar_ranges& ranges, const calendar_parts::part_limits& limits,
                                       bool may_start_with_star = true) {
  if (cron_parts::are_everything(ranges, limits)) return "*";
  std::string text;
  for (const auto& range : ranges) {
    if (!text.empty()) text += ',';
    if (may_start_with_star && is_star_with_step(range, limits)) {
      text += '*';
    } else {
      text += std::to_string(range.first);
      if (range.last != calendar_range::no_end)
        text += '-' + std::to_string(range.last);
      else if (range.step > 0)
        text += '-' + std::to_string(limits.highest);
    }
    if (range.step > 1) text += '/' + std::to_string(range.step);
  }
  return text;
}

/// Days of the week from bits, Sunday as 0: "1-5", "0,6".
[[nodiscard]] inline std::string weekdays(unsigned bits) {
  if (bits == 0) return "*";
  const auto has = [bits](int day) { return day < 7 && (bits >> (day + 6) % 7 & 1) != 0; };
  std::string text;
  for (int day = 0; day < 7; ++day) {
    if (!has(day)) continue;
    int last = day;
    while (has(last + 1)) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(day);
    if (last > day) text += (last > day + 1 ? '-' : ',') + std::to_string(last);
    day = last;
  }
  return text;
}

/// The two day fields, and that of the month between them, for days that fit both; Vixie's rule can say it where one of the
/// fields begins with a star.
[[nodiscard]] inline std::optional<std::string> both_days(const calendar_event& event, const std::string& months) {
  const auto& days = event.days;
  const auto& start = days.front();
  if (start == calendar_range{1} || is_star_with_step(start, calendar_parts::day)) {
    auto text = field(days, calendar_parts::day);
    // Only the first: "*/31".
    if (start.step == 0) text.replace(0, 1, "*/31");
    return text + ' ' + months + ' ' + weekdays(event.weekdays);
  }
  for (int step = 2; step <= 7; ++step)
    if (event.weekdays == cron_parts::weekday_bits({{0, calendar_range::no_end, step}}))
      return field(days, calendar_parts::day) + ' ' + months + " */" + std::to_string(step);
  return std::nullopt;
}

/// Throws for what no field of cron can say.
inline void require_counterpart(const calendar_event& event) {
  const auto refuse = [&](const std::string& why) {
    throw error(error_code::invalid_argument, "calendar event \"" + to_on_calendar(event) + "\" cannot be written for cron: " + why);
  };
  if (!event.years.empty()) refuse("cron has no field for the year; use it as a systemd calendar event");
  if (event.microseconds != calendar_ranges{calendar_range{0}})
    refuse("cron has no field for seconds, it runs at second 0; leave the seconds out");
  if (event.counts_from_month_end) refuse("cron does not count days from the end of the month (~); name the days, as in 28-31");
}

}  // namespace cron_writing

/// The expression in cron's five fields, after "CRON_TZ=zone " if it has a time zone (cronie and Kubernetes know that;
/// Debian's cron does not). Its day fields follow Vixie cron's rule, as `parse_cron` does. Throws `invalid_argument`, which
/// part has no counterpart.
[[nodiscard]] inline std::string to_cron(const calendar_expression& expression) {
  using namespace cron_writing;
  for (const auto& event : expression.events) require_counterpart(event);
  const auto& event = expression.events.front();
  auto text = expression.time_zone.empty() ? "" : "CRON_TZ=" + expression.time_zone + ' ';
  text += field(event.minutes, calendar_parts::minute) + ' ' + field(event.hours, calendar_parts::hour) + ' ';
  const auto months = field(event.months, calendar_parts::month);
  if (expression.events.size() == 2)
    return text + field(event.days, calendar_parts::day, false) + ' ' + months + ' ' + weekdays(expression.events[1].weekdays);
  if (cron_parts::are_everything(event.days, calendar_parts::day) || event.weekdays == 0)
    return text + field(event.days, calendar_parts::day) + ' ' + months + ' ' + weekdays(event.weekdays);
  const auto days = both_days(event, months);
  if (!days)
    throw error(error_code::invalid_argument,
                "calendar event \"" + to_on_calendar(event) +
                    "\" cannot be written for cron: days of the month and of the week together mean either of them to cron, not both; "
                    "leave one of them out");
  return text + *days;
}

}  // namespace recoup
