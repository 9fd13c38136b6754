// Points in time as Go's time.Time prints them: RFC 3339 with up to nine fractional digits and the local zone's offset.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <compare>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace recoup {

/// An instant and the zone it is shown in. Two stamps are equal only if both agree, because the zone is part of what a
/// tree's id is computed from; compare instants with `same_instant` or `earlier`.
struct timestamp {
  std::int64_t seconds = 0;       ///< since 1970-01-01T00:00:00Z, negative before
  std::int32_t nanoseconds = 0;   ///< 0 … 999,999,999, also before 1970
  std::int32_t zone_offset = 0;   ///< seconds east of UTC

  [[nodiscard]] friend bool operator==(const timestamp&, const timestamp&) noexcept = default;
};

[[nodiscard]] constexpr bool same_instant(const timestamp& a, const timestamp& b) noexcept {
  return a.seconds == b.seconds && a.nanoseconds == b.nanoseconds;
}

[[nodiscard]] constexpr bool earlier(const timestamp& a, const timestamp& b) noexcept {
  return a.seconds != b.seconds ? a.seconds < b.seconds : a.nanoseconds < b.nanoseconds;
}

/// True unless $TZ, the argument, names no zone file. Go, and so restic, takes UTC then; the C library goes on to read it
/// as a POSIX rule such as "CET-1CEST".
[[nodiscard]] inline bool names_zone_file(const char* zone) noexcept {
  std::string_view name(zone == nullptr ? "" : zone);
  if (name.starts_with(':')) name.remove_prefix(1);
  if (name.empty()) return true;  // not set: /etc/localtime. Empty: UTC, by both.
  std::string path(name);
  if (!name.starts_with('/')) path.insert(0, "/usr/share/zoneinfo/");
  return ::access(path.c_str(), R_OK) == 0;
}

/// Offset in seconds east of UTC that the process's local zone has at an instant. Tree ids depend on it (restic writes
/// local times), so tests set TZ.
[[nodiscard]] inline std::int32_t local_zone_offset(std::int64_t seconds) noexcept {
  static const bool is_known = names_zone_file(std::getenv("TZ"));
  if (!is_known) return 0;
  const auto instant = static_cast<std::time_t>(seconds);
  std::tm local{};
  return ::localtime_r(&instant, &local) != nullptr ? static_cast<std::int32_t>(local.tm_gmtoff) : 0;
}

namespace civil_time {

inline constexpr std::int64_t seconds_per_day = 86400;
/// restic's fixTime: JSON can hold the years 0 to 9999 only.
inline constexpr std::int64_t first_second_of_year_0 = -62167219200;
inline constexpr std::int64_t last_second_of_year_9999 = 253402300799;

[[nodiscard]] constexpr std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) noexcept {
  using namespace std::chrono;
  return sys_days{std::chrono::year{static_cast<int>(year)} / std::chrono::month{month} / std::chrono::day{day}}
      .time_since_epoch()
      .count();
}

/// The two digits at `at`; a large number if they are none. Hundreds of thousands of times are read with each backup.
[[nodiscard]] constexpr unsigned two_digits(std::string_view text, std::size_t at) noexcept {
  const auto tens = static_cast<unsigned>(text[at] - '0'), ones = static_cast<unsigned>(text[at + 1] - '0');
  return tens > 9 || ones > 9 ? 1'000'000 : tens * 10 + ones;
}

[[nodiscard]] constexpr bool take(std::string_view& text, char expected) noexcept {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace civil_time

namespace civil_time {

/// A time before year 0 or after 9999 becomes the same month, day and time of day in year 0 or 9999 (restic's fixTime;
/// from 29 February it goes on to 1 March). Years repeat with their weekdays, so with their summer times too, every 400
/// years: that brings any instant into the range that localtime_r and std::chrono can do.
[[nodiscard]] inline timestamp moved_into_range(std::int64_t seconds, std::int32_t nanoseconds) noexcept {
  constexpr std::int64_t cycle = 146097 * seconds_per_day;
  const bool early = seconds < 0;
  auto within = seconds % cycle + (early ? -4 : 20) * cycle;  // from year -30 or 9970 on
  if (within < first_second_of_year_0) within += cycle;

  const auto shown = within + local_zone_offset(within);
  const auto day = (shown >= 0 ? shown : shown - seconds_per_day + 1) / seconds_per_day;
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  const auto moved =
      days_from_civil(early ? 0 : 9999, static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day())) *
          seconds_per_day +
      (shown - day * seconds_per_day);
  // As Go's time.Date finds the zone of a local time.
  auto offset = local_zone_offset(moved);
  offset = local_zone_offset(moved - offset);
  return {moved - offset, nanoseconds, offset};
}

}  // namespace civil_time

/// A file's time in the local zone of that instant, moved into the years 0 to 9999 as restic does.
[[nodiscard]] inline timestamp local_timestamp(std::int64_t seconds, std::int32_t nanoseconds) noexcept {
  using namespace civil_time;
  // Zones are less than two days from UTC; the margin keeps the sum below from overflowing.
  constexpr std::int64_t margin = 2 * seconds_per_day;
  if (seconds < first_second_of_year_0 - margin || seconds > last_second_of_year_9999 + margin)
    return moved_into_range(seconds, nanoseconds);
  const auto offset = local_zone_offset(seconds);
  const auto shown = seconds + offset;
  if (shown < first_second_of_year_0 || shown > last_second_of_year_9999) return moved_into_range(seconds, nanoseconds);
  return {seconds, nanoseconds, offset};
}

[[nodiscard]] inline timestamp local_timestamp(const std::timespec& time) noexcept {
  return local_timestamp(time.tv_sec, static_cast<std::int32_t>(time.tv_nsec));
}

[[nodiscard]] inline timestamp current_time() noexcept {
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return local_timestamp(now);
}

/// "2024-01-02T03:04:05.6Z", "2024-01-02T04:04:05.6+01:00": Go's time.RFC3339Nano.
inline void append_rfc3339(std::string& to, const timestamp& stamp) {
  using namespace civil_time;
  const auto shown = stamp.seconds + stamp.zone_offset;
  auto day = shown / seconds_per_day;
  auto second = shown % seconds_per_day;
  if (second < 0) {
    second += seconds_per_day;
    --day;
  }
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  char text[64];
  char* end = text;
  const auto put = [&end](unsigned value, int digits) {
    for (int i = digits - 1; i >= 0; --i) {
      end[i] = static_cast<char>('0' + value % 10);
      value /= 10;
    }
    end += digits;
  };
  put(static_cast<unsigned>(static_cast<int>(date.year())), 4), *end++ = '-';
  put(static_cast<unsigned>(date.month()), 2), *end++ = '-';
  put(static_cast<unsigned>(date.day()), 2), *end++ = 'T';
  put(static_cast<unsigned>(second / 3600), 2), *end++ = ':';
  put(static_cast<unsigned>(second / 60 % 60), 2), *end++ = ':';
  put(static_cast<unsigned>(second % 60), 2);
  if (stamp.nanoseconds != 0) {
    *end++ = '.';
    put(static_cast<unsigned>(stamp.nanoseconds), 9);
    while (end[-1] == '0') --end;
  }
  // Go prints whole minutes of the offset, cut towards zero, and Z only for an offset of exactly 0 seconds.
  if (stamp.zone_offset == 0) {
    *end++ = 'Z';
  } else {
    const auto minutes = stamp.zone_offset / 60;
    *end++ = minutes < 0 ? '-' : '+';
    const auto magnitude = static_cast<unsigned>(minutes < 0 ? -minutes : minutes);
    put(magnitude / 60, 2), *end++ = ':';
    put(magnitude % 60, 2);
  }
  to.append(text, end);
}

[[nodiscard]] inline std::string to_rfc3339(const timestamp& stamp) {
  std::string text;
  append_rfc3339(text, stamp);
  return text;
}

/// Reads RFC 3339 with any number of fractional digits (those after the ninth are dropped). Nothing if it is not that.
[[nodiscard]] inline std::optional<timestamp> parse_rfc3339(std::string_view text) noexcept {
  using namespace civil_time;
  constexpr std::size_t seconds_end = 19;
  if (text.size() <= seconds_end || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':')
    return std::nullopt;
  const auto year = two_digits(text, 0) * 100 + two_digits(text, 2);
  const auto hour = two_digits(text, 11), minute = two_digits(text, 14), second = two_digits(text, 17);
  if (year > 9999 || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(year)} /
                                         std::chrono::month{std::min(two_digits(text, 5), 99u)} /
                                         std::chrono::day{std::min(two_digits(text, 8), 99u)}};
  if (!date.ok()) return std::nullopt;
  text.remove_prefix(seconds_end);

  timestamp stamp;
  if (take(text, '.')) {
    std::int32_t scale = 100'000'000;
    std::size_t digits = 0;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++digits) {
      stamp.nanoseconds += (text.front() - '0') * scale;
      scale /= 10;
    }
    if (digits == 0) return std::nullopt;
  }
  if (!take(text, 'Z')) {
    const bool west = !text.empty() && text.front() == '-';
    if (!take(text, west ? '-' : '+')) return std::nullopt;
    if (text.size() != 5 || text[2] != ':') return std::nullopt;
    const auto zone_hour = two_digits(text, 0), zone_minute = two_digits(text, 3);
    if (zone_hour > 24 || zone_minute > 59) return std::nullopt;
    stamp.zone_offset = static_cast<std::int32_t>((zone_hour * 60 + zone_minute) * 60) * (west ? -1 : 1);
    text = {};
  }
  if (!text.empty()) return std::nullopt;
  const std::int64_t day = std::chrono::sys_days{date}.time_since_epoch().count();
  stamp.seconds = day * seconds_per_day + hour * 3600 + minute * 60 + second - stamp.zone_offset;
  return stamp;
}

}  // namespace recoup
