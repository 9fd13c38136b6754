// Spans of the calendar, "1y5m7d2h", and the instant that lies such a span before another: restic's Duration and what Go's
// time.AddDate makes of it.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/fs/pattern_file.hpp>
#include <recoup/json/go_quote.hpp>

namespace recoup {

struct calendar_duration {
  std::int64_t years = 0, months = 0, days = 0, hours = 0;

  [[nodiscard]] friend bool operator==(const calendar_duration&, const calendar_duration&) noexcept = default;

  [[nodiscard]] bool is_zero() const noexcept { return *this == calendar_duration{}; }
  [[nodiscard]] bool has_negative_part() const noexcept { return years < 0 || months < 0 || days < 0 || hours < 0; }

  /// "1y5m7d2h" without what is zero; empty if all is.
  [[nodiscard]] std::string text() const {
    std::string result;
    const auto add = [&result](std::int64_t number, char unit) {
      if (number != 0) result += std::to_string(number) + unit;
    };
    add(years, 'y'), add(months, 'm'), add(days, 'd'), add(hours, 'h');
    return result;
  }

  /// Takes numbers with units in any order; the last of a unit counts, an empty text is zero. A number may be negative.
  /// Throws invalid_argument in restic's words.
  [[nodiscard]] static calendar_duration parse(std::string_view text);
};

namespace calendar {

/// Go's %q of a byte: 'z', '\x01', 'Ã'.
[[nodiscard]] inline std::string quoted_byte(char byte) {
  if (byte == '\'') return "'\\''";
  if (byte == '"') return "'\"'";
  const auto code = static_cast<unsigned char>(byte);
  std::string utf8;
  if (code < 0x80)
    utf8 = byte;
  else
    utf8 = {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
  std::string result = "'";
  append_go_quoted(result, utf8);
  return result + "'";
}

/// Takes the number that `text` begins with.
[[nodiscard]] inline std::int64_t take_number(std::string_view& text) {
  const auto sign = text.starts_with('-') ? 1u : 0u;
  const auto end = std::min(text.find_first_not_of("0123456789", sign), text.size());
  if (end == sign) throw error(error_code::invalid_argument, "no number found");
  std::int64_t number = 0;
  const auto [stopped, problem] = std::from_chars(text.data(), text.data() + end, number);
  if (problem != std::errc() || stopped != text.data() + end)
    throw error(error_code::invalid_argument, "the number " + std::string(text.substr(0, end)) + " is too large");
  text.remove_prefix(end);
  return number;
}

}  // namespace calendar

inline calendar_duration calendar_duration::parse(std::string_view text) {
  calendar_duration result;
  text = trim_space(text);
  while (!text.empty()) {
    const auto number = calendar::take_number(text);
    const auto after = " found after number " + std::to_string(number);
    if (text.empty())
      throw error(error_code::invalid_argument, "no unit" + after);
    switch (text.front()) {
      case 'y': result.years = number; break;
      case 'm': result.months = number; break;
      case 'd': result.days = number; break;
      case 'h': result.hours = number; break;
      default:
        throw error(error_code::invalid_argument, "invalid unit " + calendar::quoted_byte(text.front()) + after);
    }
    text.remove_prefix(1);
  }
  return result;
}

namespace calendar {

/// A date and time of day without a zone.
struct wall_clock {
  std::chrono::year_month_day date;
  std::int64_t day;             ///< days since 1970-01-01
  std::int64_t second_of_day;
};

/// What the clock showed where the stamp was made.
[[nodiscard]] inline wall_clock wall_clock_of(const timestamp& stamp) {
  using namespace std::chrono;
  const auto shown = stamp.seconds + stamp.zone_offset;
  const auto day = floor<days>(seconds{shown}).count();
  return {year_month_day{sys_days{days{day}}}, day, shown - day * civil_time::seconds_per_day};
}

/// True if Go takes the stamp to be in the process's own zone, whose summer time then counts: it compares offsets. "Z" is UTC.
[[nodiscard]] inline bool is_in_local_zone(const timestamp& stamp) {
  return stamp.zone_offset != 0 && stamp.zone_offset == local_zone_offset(stamp.seconds);
}

}  // namespace calendar

/// As Go's AddDate and Add do it: years and months on the calendar first, where the 31st of a month of 30 days is the next 1st,
/// then days, all at the same time of day; then hours that pass. In the zone of `from`, which is the process's zone with its summer
/// time where the offsets agree, and a fixed offset otherwise.
[[nodiscard]] inline timestamp earlier_by(const timestamp& from, const calendar_duration& span) {
  // More than there are years that a stamp can have: the result is before all of them, and nothing overflows. (Go's hours wrap
  // around after 292 years.)
  constexpr std::int64_t most_years = 10'000;
  const auto limited = [](std::int64_t number, std::int64_t in_a_year) {
    return std::clamp(number, -most_years * in_a_year, most_years * in_a_year);
  };
  const auto clock = calendar::wall_clock_of(from);
  const auto months = static_cast<std::int64_t>(static_cast<int>(clock.date.year())) * 12 +
                      static_cast<unsigned>(clock.date.month()) - 1 - limited(span.years, 1) * 12 - limited(span.months, 12);
  const auto year = months >= 0 ? months / 12 : -((11 - months) / 12);
  const auto day = civil_time::days_from_civil(year, static_cast<unsigned>(months - year * 12 + 1), 1) +
                   static_cast<unsigned>(clock.date.day()) - 1 - limited(span.days, 366);
  const auto shown = day * civil_time::seconds_per_day + clock.second_of_day;

  const auto passed = limited(span.hours, 366 * 24) * 3600;
  if (!calendar::is_in_local_zone(from)) return {shown - from.zone_offset - passed, from.nanoseconds, from.zone_offset};
  // As Go's time.Date finds the zone of a local time.
  const auto offset = local_zone_offset(shown - local_zone_offset(shown));
  const auto seconds = shown - offset - passed;
  return {seconds, from.nanoseconds, local_zone_offset(seconds)};
}

}  // namespace recoup
