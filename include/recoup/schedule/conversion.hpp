// From calendar expressions to cron's five fields, where cron can say the same.
//
// The other direction always works, in on_calendar_text.hpp; a cron expression that names days of the month or of the
// week needs two lines there.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include <recoup/schedule/calendar_expression.hpp>
#include <recoup/schedule/cron.hpp>
#include <recoup/schedule/on_calendar_text.hpp>

namespace recoup {

namespace cron_writing {

/// Ranges without end end with their last value, so that what is the same has one order. A `*` in a field is no range.
inline void close_ranges(calendar_ranges& ranges, const calendar_parts::part_limits& limits) {
  for (auto& range : ranges)
    if (range.step > 0 && range.last == calendar_range::no_end)
      range.last = limits.highest - (limits.highest - range.first) % range.step;
  calendar_parts::normalise(ranges);
}

/// Whether it is every step-th value from the lowest on: "*/15".
[[nodiscard]] inline bool is_star_with_step(const calendar_range& range,
                                            const calendar_parts::part_limits& limits) noexcept {
  return range.first == limits.lowest && range.step > 1 && range.last + range.step > limits.highest;
}

/// A field, `*` for any value. With `may_start_with_star` also "*/15", which in a field for days has a meaning of its
/// own. The ranges must be closed.
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
      if (range.last != calendar_range::no_end) text += '-' + std::to_string(range.last);
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

/// The days of the month in a field that begins with a star: "*/2", or "*/31" for the first.
[[nodiscard]] inline std::optional<std::string> days_behind_star(const calendar_ranges& days) {
  const auto& limits = calendar_parts::day;
  const auto star = std::ranges::find_if(days, [&](const calendar_range& range) {
    return range == calendar_range{1} || is_star_with_step(range, limits);
  });
  if (star == days.end()) return std::nullopt;
  auto text = star->step == 0 ? "*/31" : field({*star}, limits);
  for (const auto& range : days)
    if (range != *star) text += ',' + field({range}, limits, false);
  return text;
}

/// The days of the week in a field that begins with a star: "*/2", or "*/7" for Sunday.
[[nodiscard]] inline std::optional<std::string> weekdays_behind_star(unsigned bits) {
  for (int step = 2; step <= 7; ++step)
    if (bits == cron_parts::weekday_bits({{0, calendar_range::no_end, step}})) return "*/" + std::to_string(step);
  constexpr unsigned sunday = 1u << 6;
  if ((bits & sunday) == 0) return std::nullopt;
  return "*/7," + weekdays(bits & ~sunday);
}

/// The two day fields, and that of the month between them, for days that fit both; Vixie's rule can say it where one of
/// the fields begins with a star.
[[nodiscard]] inline std::optional<std::string> both_days(const calendar_event& event, const std::string& months) {
  if (const auto days = days_behind_star(event.days); days && *days != "*/31")
    return *days + ' ' + months + ' ' + weekdays(event.weekdays);
  if (const auto of_week = weekdays_behind_star(event.weekdays))
    return field(event.days, calendar_parts::day, false) + ' ' + months + ' ' + *of_week;
  if (const auto days = days_behind_star(event.days)) return *days + ' ' + months + ' ' + weekdays(event.weekdays);
  return std::nullopt;
}

/// Throws for what no field of cron can say.
inline void require_counterpart(const calendar_event& event) {
  const auto refuse = [&](const std::string& why) {
    throw error(error_code::invalid_argument,
                "calendar event \"" + to_on_calendar(event) + "\" cannot be written for cron: " + why);
  };
  if (!event.years.empty()) refuse("cron has no field for the year; use it as a systemd calendar event");
  if (event.microseconds != calendar_ranges{calendar_range{0}})
    refuse("cron has no field for seconds, it runs at second 0; leave the seconds out");
  if (event.counts_from_month_end)
    refuse("cron does not count days from the end of the month (~); name the days, as in 28-31");
}

}  // namespace cron_writing

/// The expression in cron's five fields, after "CRON_TZ=zone " if it has a time zone (cronie and Kubernetes know that;
/// Debian's cron does not). Its day fields follow the rule of Vixie cron and cronie, as `parse_cron` does; Kubernetes
/// takes either of them in "0 0 */2 * 1", too. Throws `invalid_argument`, which part has no counterpart.
[[nodiscard]] inline std::string to_cron(const calendar_expression& expression) {
  using namespace cron_writing;
  for (const auto& event : expression.events) require_counterpart(event);
  auto event = expression.events.front();
  close_ranges(event.minutes, calendar_parts::minute);
  close_ranges(event.hours, calendar_parts::hour);
  close_ranges(event.days, calendar_parts::day);
  close_ranges(event.months, calendar_parts::month);
  auto text = expression.time_zone.empty() ? "" : "CRON_TZ=" + expression.time_zone + ' ';
  text += field(event.minutes, calendar_parts::minute) + ' ' + field(event.hours, calendar_parts::hour) + ' ';
  const auto months = field(event.months, calendar_parts::month);
  if (expression.events.size() == 2)
    return text + field(event.days, calendar_parts::day, false) + ' ' + months + ' ' +
           weekdays(expression.events[1].weekdays);
  if (cron_parts::are_everything(event.days, calendar_parts::day) || event.weekdays == 0)
    return text + field(event.days, calendar_parts::day) + ' ' + months + ' ' + weekdays(event.weekdays);
  const auto days = both_days(event, months);
  if (!days)
    throw error(error_code::invalid_argument, "calendar event \"" + to_on_calendar(event) +
                                                  "\" cannot be written for cron: days of the month and of the week "
                                                  "together mean either of them to cron, not both; "
                                                  "leave one of them out");
  return text + *days;
}

}  // namespace recoup
