// A time in the form that a sample shows: Go's time.Format, for --time-template.
//
//   format_like_go(time, "2006-01-02_15-04-05")      ->  "2024-02-29_23-59-58"
//
// Source: Go's time/format.go. The sample stands for Mon Jan 2 15:04:05 -0700 MST 2006; what is no part of that is text.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include <recoup/core/time.hpp>

namespace recoup {

namespace time_template {

/// A timestamp, taken apart in its own zone.
struct clock_reading {
  int year = 0;
  unsigned month = 1, day = 1, weekday = 0, day_of_year = 1, hour = 0, minute = 0, second = 0;
  std::int32_t nanoseconds = 0, zone_offset = 0;
  std::string zone;  ///< "UTC", "CET"; empty if all that is known is the offset
};

/// As Go reads a time: an offset that the local zone had at that instant means the local zone.
[[nodiscard]] inline std::string zone_name(const timestamp& stamp) {
  if (stamp.zone_offset == 0) return "UTC";
  if (local_zone_offset(stamp.seconds) != stamp.zone_offset) return {};
  const auto instant = static_cast<std::time_t>(stamp.seconds);
  std::tm local{};
  return ::localtime_r(&instant, &local) != nullptr && local.tm_zone != nullptr ? local.tm_zone : "";
}

[[nodiscard]] inline clock_reading read_clock(const timestamp& stamp) {
  using namespace std::chrono;
  const sys_seconds shown{seconds{stamp.seconds + stamp.zone_offset}};
  const auto date = floor<days>(shown);
  const year_month_day ymd{date};
  const auto of_day = static_cast<unsigned>((shown - date).count());
  const auto first = sys_days{ymd.year() / January / 1};
  return {static_cast<int>(ymd.year()),
          static_cast<unsigned>(ymd.month()),
          static_cast<unsigned>(ymd.day()),
          weekday{date}.c_encoding(),
          static_cast<unsigned>((date - first).count()) + 1,
          of_day / 3600,
          of_day / 60 % 60,
          of_day % 60,
          stamp.nanoseconds,
          stamp.zone_offset,
          zone_name(stamp)};
}

inline void append_number(std::string& to, std::uint64_t value, std::size_t width, char padding = '0') {
  const auto digits = std::to_string(value);
  if (digits.size() < width) to.append(width - digits.size(), padding);
  to += digits;
}

/// "-07:00" and its relatives, which begin with '-' or, if 0 is to be written as Z, with 'Z'.
inline void append_offset(std::string& to, std::int32_t offset, std::string_view form) {
  if (form.front() == 'Z' && offset == 0) {
    to += 'Z';
    return;
  }
  const bool west = offset / 60 < 0;
  const auto total = static_cast<std::uint64_t>(std::abs(offset));
  const bool colons = form.find(':') != form.npos;
  to += west ? '-' : '+';
  append_number(to, total / 3600, 2);
  const std::size_t numbers = (form.size() - 1 - (colons ? (form.size() - 1) / 3 : 0)) / 2;
  for (std::size_t i = 1; i < numbers; ++i) {
    if (colons) to += ':';
    append_number(to, i == 1 ? total / 60 % 60 : total % 60, 2);
  }
}

using append_part = void (*)(std::string& to, const clock_reading& at);

struct part {
  std::string_view sample;
  append_part append;
  bool no_lower_case_after = false;  ///< "Jan" in "January" is no month, nor in "Janus"
};

inline constexpr std::array<std::string_view, 12> months = {"January", "February", "March",     "April",   "May",      "June",
                                                            "July",    "August",   "September", "October", "November", "December"};
inline constexpr std::array<std::string_view, 7> weekdays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                             "Thursday", "Friday", "Saturday"};

inline constexpr auto hour_of_twelve = [](const clock_reading& at) { return at.hour % 12 == 0 ? 12 : at.hour % 12; };

/// Longer samples before those that they begin with.
inline constexpr part parts[] = {
    {"January", [](std::string& to, const clock_reading& at) { to += months[at.month - 1]; }},
    {"Jan", [](std::string& to, const clock_reading& at) { to += months[at.month - 1].substr(0, 3); }, true},
    {"Monday", [](std::string& to, const clock_reading& at) { to += weekdays[at.weekday]; }},
    {"Mon", [](std::string& to, const clock_reading& at) { to += weekdays[at.weekday].substr(0, 3); }, true},
    {"MST",
     [](std::string& to, const clock_reading& at) {
       at.zone.empty() ? append_offset(to, at.zone_offset, "-0700") : void(to += at.zone);
     }},
    {"002", [](std::string& to, const clock_reading& at) { append_number(to, at.day_of_year, 3); }},
    {"01", [](std::string& to, const clock_reading& at) { append_number(to, at.month, 2); }},
    {"02", [](std::string& to, const clock_reading& at) { append_number(to, at.day, 2); }},
    {"03", [](std::string& to, const clock_reading& at) { append_number(to, hour_of_twelve(at), 2); }},
    {"04", [](std::string& to, const clock_reading& at) { append_number(to, at.minute, 2); }},
    {"05", [](std::string& to, const clock_reading& at) { append_number(to, at.second, 2); }},
    {"06", [](std::string& to, const clock_reading& at) { append_number(to, static_cast<unsigned>(at.year) % 100, 2); }},
    {"15", [](std::string& to, const clock_reading& at) { append_number(to, at.hour, 2); }},
    {"1", [](std::string& to, const clock_reading& at) { append_number(to, at.month, 0); }},
    {"2006", [](std::string& to, const clock_reading& at) { append_number(to, static_cast<unsigned>(at.year), 4); }},
    {"2", [](std::string& to, const clock_reading& at) { append_number(to, at.day, 0); }},
    {"_2006",
     [](std::string& to, const clock_reading& at) {
       to += '_';
       append_number(to, static_cast<unsigned>(at.year), 4);
     }},
    {"_2", [](std::string& to, const clock_reading& at) { append_number(to, at.day, 2, ' '); }},
    {"__2", [](std::string& to, const clock_reading& at) { append_number(to, at.day_of_year, 3, ' '); }},
    {"3", [](std::string& to, const clock_reading& at) { append_number(to, hour_of_twelve(at), 0); }},
    {"4", [](std::string& to, const clock_reading& at) { append_number(to, at.minute, 0); }},
    {"5", [](std::string& to, const clock_reading& at) { append_number(to, at.second, 0); }},
    {"PM", [](std::string& to, const clock_reading& at) { to += at.hour >= 12 ? "PM" : "AM"; }},
    {"pm", [](std::string& to, const clock_reading& at) { to += at.hour >= 12 ? "pm" : "am"; }},
};

inline constexpr std::string_view offset_forms[] = {"-070000", "-07:00:00", "-0700", "-07:00", "-07",
                                                    "Z070000", "Z07:00:00", "Z0700", "Z07:00", "Z07"};

[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Fractions of a second, ".000" or ",999": how many characters of `rest` that is, or 0.
[[nodiscard]] inline std::size_t fraction_length(std::string_view rest) noexcept {
  if (rest.size() < 2 || (rest[0] != '.' && rest[0] != ',') || (rest[1] != '0' && rest[1] != '9')) return 0;
  auto end = rest.find_first_not_of(rest[1], 1);
  if (end == rest.npos) end = rest.size();
  return end < rest.size() && is_digit(rest[end]) ? 0 : end;
}

inline void append_fraction(std::string& to, std::int32_t nanoseconds, std::string_view form) {
  std::string digits;
  append_number(digits, static_cast<std::uint64_t>(nanoseconds), 9);
  digits.resize(form.size() - 1, '0');
  if (form[1] == '9') digits.erase(digits.find_last_not_of('0') + 1);
  if (form[1] == '9' && digits.empty()) return;
  to += form[0];
  to += digits;
}

/// Writes what `rest` begins with; returns how much of it that was.
inline std::size_t append_next(std::string& to, const clock_reading& at, std::string_view rest) {
  for (const auto& each : parts) {
    if (!rest.starts_with(each.sample)) continue;
    const auto after = rest.substr(each.sample.size());
    if (each.no_lower_case_after && !after.empty() && after[0] >= 'a' && after[0] <= 'z') continue;
    each.append(to, at);
    return each.sample.size();
  }
  for (const auto form : offset_forms) {
    if (!rest.starts_with(form)) continue;
    append_offset(to, at.zone_offset, form);
    return form.size();
  }
  if (const auto length = fraction_length(rest); length != 0) {
    append_fraction(to, at.nanoseconds, rest.substr(0, length));
    return length;
  }
  to += rest[0];
  return 1;
}

}  // namespace time_template

[[nodiscard]] inline std::string format_like_go(const timestamp& stamp, std::string_view sample) {
  const auto at = time_template::read_clock(stamp);
  std::string text;
  while (!sample.empty()) sample.remove_prefix(time_template::append_next(text, at, sample));
  return text;
}

}  // namespace recoup
