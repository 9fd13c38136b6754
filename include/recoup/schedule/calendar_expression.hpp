// When something happens again and again: the values that each part of a local date and time may have. What is read
// from a cron expression and from a systemd calendar event is the same model.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/json/go_quote.hpp>

namespace recoup {

/// How a calendar expression is written. `automatic`: whichever of the two it looks like.
enum class calendar_syntax { automatic, cron, on_calendar };

/// `first`, or `first..last`, each of them with `/step`: every `step` from `first` to `last`, or without end.
struct calendar_range {
  static constexpr int no_end = -1;

  int first = 0;
  int last = no_end;
  int step = 0;  ///< 0: there is only `first`

  [[nodiscard]] friend auto operator<=>(const calendar_range&, const calendar_range&) noexcept = default;
};

/// Sorted and without repetition; empty: any value.
using calendar_ranges = std::vector<calendar_range>;

/// Local times that fit all parts at once.
struct calendar_event {
  unsigned weekdays = 0;               ///< bit 0: Monday … bit 6: Sunday; 0: any day of the week
  bool counts_from_month_end = false;  ///< `days` are 1 for the last day of the month, 2 for the one before, …
  calendar_ranges years;               ///< 1970 to 2199
  calendar_ranges months;              ///< 1 to 12
  calendar_ranges days;                ///< 1 to 31
  calendar_ranges hours;               ///< 0 to 23
  calendar_ranges minutes;             ///< 0 to 59
  calendar_ranges microseconds;        ///< of the minute; never empty: every second is 0/1000000

  [[nodiscard]] friend bool operator==(const calendar_event&, const calendar_event&) noexcept = default;
};

/// A time is due if it fits any of the events. There are two where a cron expression names days of the month or of the
/// week, which no single systemd calendar event can say; else there is one.
struct calendar_expression {
  calendar_syntax syntax = calendar_syntax::on_calendar;  ///< how it was written, never `automatic`
  std::vector<calendar_event> events;
  std::string time_zone;  ///< "UTC", a name such as "Europe/Berlin", or empty: that of the machine where it is used

  [[nodiscard]] friend bool operator==(const calendar_expression&, const calendar_expression&) noexcept = default;
};

namespace calendar_parts {

inline constexpr int microseconds_per_second = 1'000'000;
inline constexpr int microseconds_per_minute = 60 * microseconds_per_second;
inline constexpr int first_year = 1970, last_year = 2199;  // systemd's
inline constexpr unsigned all_weekdays = 0x7f;

/// What a part of a time may be.
struct part_limits {
  std::string_view name;
  int lowest, highest;
};

inline constexpr part_limits year{"year", first_year, last_year};
inline constexpr part_limits month{"month", 1, 12};
inline constexpr part_limits day{"day of the month", 1, 31};
inline constexpr part_limits day_from_end{"day counted from the end of the month", 1, 28};
inline constexpr part_limits hour{"hour", 0, 23};
inline constexpr part_limits minute{"minute", 0, 59};
inline constexpr part_limits microsecond{"second", 0, microseconds_per_minute - 1};

/// Brings ranges that mean the same into the same form, the one that systemd prints: the end is a value that is
/// reached, a range of one value is that value.
inline void normalise(calendar_range& range) {
  if (range.last > range.first && range.step > 0) range.last -= (range.last - range.first) % range.step;
  if (range.last == range.first) range = {range.first};
}

inline void normalise(calendar_ranges& ranges) {
  for (auto& range : ranges) normalise(range);
  std::ranges::sort(ranges);
  ranges.erase(std::unique(ranges.begin(), ranges.end()), ranges.end());
}

/// Every second, and whole seconds beside it that are among them: systemd writes `*`.
inline void leave_out_repeated_seconds(calendar_ranges& microseconds) {
  const calendar_range every_second{0, calendar_range::no_end, microseconds_per_second};
  const auto is_among_them = [](const calendar_range& range) {
    return range.first % microseconds_per_second == 0 && range.step % microseconds_per_second == 0;
  };
  if (std::ranges::find(microseconds, every_second) == microseconds.end()) return;
  std::erase_if(microseconds,
                [&](const calendar_range& range) { return range != every_second && is_among_them(range); });
}

inline void normalise(calendar_event& event) {
  if ((event.weekdays & all_weekdays) == all_weekdays) event.weekdays = 0;
  if (event.days.empty()) event.counts_from_month_end = false;
  for (auto* ranges : {&event.years, &event.months, &event.days, &event.hours, &event.minutes, &event.microseconds})
    normalise(*ranges);
  leave_out_repeated_seconds(event.microseconds);
}

}  // namespace calendar_parts

/// Throws `invalid_argument`: which expression, where in it (characters count from 1), what is wrong, what to write
/// instead.
[[noreturn]] inline void refuse_calendar(std::string_view expression, std::size_t at, const std::string& why) {
  std::string message = "calendar expression \"";
  constexpr std::size_t enough = 200;
  append_go_quoted(message, expression.substr(0, enough));
  message += expression.size() > enough ? "…\"" : "\"";
  message += ", character " + std::to_string(at + 1) + ": " + why;
  throw error(error_code::invalid_argument, message);
}

}  // namespace recoup
