// When an expression is due next, as systemd finds it: local times are tried from the year down to the microsecond, and
// each is looked up in the zone as the C library's mktime() does.
//
// What follows from that when clocks change:
//   - a time that is skipped (02:30 when 02:00 becomes 03:00) does not happen on that day;
//   - of a time that happens twice only one is due: the first, unless the search starts within the second;
//   - what repeats ("*:0/15") goes on after the repeated hour: an hour passes without a run.
// systemd 252 does so; tests/interop/test_calendar.py compares.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <recoup/core/time.hpp>
#include <recoup/schedule/calendar_expression.hpp>
#include <recoup/schedule/on_calendar_text.hpp>
#include <recoup/schedule/time_zone.hpp>

namespace recoup {

namespace next_run {

/// A local date and time, whose parts may be out of range while it is searched for: 31 February.
struct local_time {
  // In the order of calendar_event; month 1 to 12; the microseconds are those of the minute.
  enum part : std::size_t { year, month, day, hour, minute, microsecond };
  std::array<std::int64_t, 6> parts{};

  [[nodiscard]] std::int64_t& operator[](part which) noexcept { return parts[which]; }
  [[nodiscard]] std::int64_t operator[](part which) const noexcept { return parts[which]; }

  /// Sets a part to its lowest value; of the last one the fraction of a second stays.
  void begin(std::size_t which) noexcept {
    parts[which] = which == microsecond             ? parts[which] % calendar_parts::microseconds_per_second
                   : which == month || which == day ? 1
                                                    : 0;
  }

  /// Sets what is smaller than `which` to its lowest value.
  void begin_after(std::size_t which) noexcept {
    for (auto smaller = which + 1; smaller < parts.size(); ++smaller) begin(smaller);
    if (which != microsecond) parts[microsecond] = 0;
  }

  /// Goes on to the next value of a part.
  void step(std::size_t which) noexcept {
    ++parts[which];
    begin_after(which);
  }

  [[nodiscard]] std::int64_t second() const noexcept {
    return parts[microsecond] / calendar_parts::microseconds_per_second;
  }

  /// Seconds from 1970 to the minute, as if it were UTC; parts that are out of range carry over.
  [[nodiscard]] std::int64_t seconds_to_minute() const noexcept {
    const auto months = parts[month] - 1;
    const auto carried = months >= 0 ? months / 12 : -((11 - months) / 12);
    const auto days =
        civil_time::days_from_civil(parts[year] + carried, static_cast<unsigned>(months - carried * 12 + 1), 1) +
        parts[day] - 1;
    return days * civil_time::seconds_per_day + parts[hour] * 3600 + parts[minute] * 60;
  }

  [[nodiscard]] static local_time from(std::int64_t seconds, std::int64_t microseconds) noexcept {
    const auto day = std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(std::chrono::seconds(seconds)));
    const std::chrono::year_month_day date(day);
    const auto of_day = seconds - day.time_since_epoch().count() * civil_time::seconds_per_day;
    local_time found;
    found.parts = {static_cast<int>(date.year()),
                   static_cast<unsigned>(date.month()),
                   static_cast<unsigned>(date.day()),
                   of_day / 3600,
                   of_day / 60 % 60,
                   of_day % 60 * calendar_parts::microseconds_per_second + microseconds};
    return found;
  }
};

/// What a clock on the wall shows, and whether it has been put forward.
struct shown_time {
  local_time time;
  bool is_summer_time;
};

/// Finds instants of local times, as glibc's mktime() does. Of a time that happens twice it is the one with the offset
/// that was last found.
class local_clock {
public:
  local_clock(const time_zone& zone, std::int32_t offset) noexcept : zone_(zone), offset_(offset) {}

  /// `summer_time`: what tm_isdst would ask for; nothing for -1. If that time of the year does not have it, the time is
  /// read with the offset of the nearest summer, or winter.
  [[nodiscard]] std::int64_t instant(const local_time& time, std::optional<bool> summer_time = std::nullopt) noexcept {
    // Seconds that are out of range are added to the instant afterwards.
    const auto second = std::min<std::int64_t>(time.second(), 59);
    const auto local_seconds = time.seconds_to_minute() + second;
    auto found = converge(local_seconds, summer_time);
    if (summer_time && zone_.at(found).is_summer_time != *summer_time)
      found = local_seconds - nearest_offset(found, *summer_time);
    offset_ = static_cast<std::int32_t>(local_seconds - found);
    return found + time.second() - second;
  }

  /// The time that a clock shows at `instant(time)`: another one if `time` is skipped or has parts out of range.
  [[nodiscard]] shown_time shown(const local_time& time, std::optional<bool> summer_time = std::nullopt) noexcept {
    const auto at = instant(time, summer_time);
    const auto offset = zone_.at(at);
    const auto fraction = time[local_time::microsecond] % calendar_parts::microseconds_per_second;
    return {local_time::from(at + offset.seconds, fraction), offset.is_summer_time};
  }

private:
  [[nodiscard]] std::int64_t converge(std::int64_t local_seconds, std::optional<bool> summer_time) const noexcept {
    auto guess = local_seconds - offset_;
    auto before = guess, before_that = guess;
    bool was_summer_time = false;
    constexpr int most_guesses = 6;
    for (int tries = 0; tries < most_guesses; ++tries) {
      const auto found = zone_.at(guess);
      const auto better = local_seconds - found.seconds;
      if (better == guess) break;
      // The time is skipped: the guesses alternate between the offsets before and after. Summer time's is preferred, or
      // the one that is not asked for.
      const bool is_preferred =
          summer_time ? *summer_time != found.is_summer_time : !was_summer_time || found.is_summer_time;
      if (guess == before_that && guess != before && is_preferred) break;
      before_that = before;
      before = guess;
      guess = better;
      was_summer_time = found.is_summer_time;
    }
    return guess;
  }

  [[nodiscard]] std::int64_t nearest_offset(std::int64_t around, bool summer_time) const noexcept {
    constexpr std::int64_t stride = 601200, farthest = 268227000;  // about a week, eight years: glibc's
    for (std::int64_t distance = stride; distance <= farthest; distance += stride)
      for (const auto at : {around - distance, around + distance})
        if (const auto offset = zone_.at(at); offset.is_summer_time == summer_time) return offset.seconds;
    return zone_.at(around).seconds;
  }

  const time_zone& zone_;
  std::int32_t offset_;
};

class search {
public:
  search(const calendar_event& event, const time_zone& zone, std::int64_t seconds, std::int64_t microseconds) noexcept
      : event_(event),
        clock_(zone, zone.at(seconds).seconds),
        start_(local_time::from(seconds + zone.at(seconds).seconds, microseconds)),
        time_(start_) {}

  /// Nothing if it is never due again.
  [[nodiscard]] std::optional<timestamp> find() noexcept {
    constexpr int most_attempts = 1000;  // systemd's; impossible dates end earlier, with the year 2199
    for (int attempt = 0; attempt < most_attempts; ++attempt) {
      if (attempt != 0) {
        const auto shown = clock_.shown(time_, summer_time_);
        time_ = shown.time;
        summer_time_ = keeps_summer_time_ ? std::optional(shown.is_summer_time) : std::nullopt;
      }
      const auto found = try_parts();
      if (found == outcome::never) return std::nullopt;
      if (found == outcome::again) continue;
      if (time_.parts < start_.parts) {
        // The clock was put back, or has come before the start in a circle: past it, by the offset that is found there.
        keeps_summer_time_ = true;
        ++time_[local_time::hour];
        continue;
      }
      const auto at = clock_.instant(time_, summer_time_);
      const auto fraction = time_[local_time::microsecond] % calendar_parts::microseconds_per_second;
      return timestamp{at, static_cast<std::int32_t>(fraction * 1000), 0};
    }
    is_stuck_ = true;
    return std::nullopt;
  }

  /// Nothing was found because the search went round in a circle.
  [[nodiscard]] bool is_stuck() const noexcept { return is_stuck_; }

private:
  enum class outcome { found, again, never };
  enum class bounds { within, moved_on, beyond };

  [[nodiscard]] const calendar_ranges& ranges(std::size_t part) const noexcept {
    const calendar_ranges* const all[] = {&event_.years, &event_.months,  &event_.days,
                                          &event_.hours, &event_.minutes, &event_.microseconds};
    return *all[part];
  }

  /// Moves the time on to values that fit, from the year down, until one of them asks for another attempt.
  [[nodiscard]] outcome try_parts() noexcept {
    for (std::size_t part = local_time::year; part <= local_time::microsecond; ++part) {
      const auto value = next_value(part);
      const bool has_changed = value && *value != time_.parts[part];
      if (value) time_.parts[part] = *value;
      if (has_changed) time_.begin_after(part);
      const auto is = value ? check_bounds() : bounds::beyond;
      if (part == local_time::year) {
        if (is != bounds::within) return outcome::never;
        continue;
      }
      if (is == bounds::beyond) time_.step(part - 1);
      if (is != bounds::within) return outcome::again;
      if (part == local_time::day && !fits_weekday()) {
        time_.step(local_time::day);
        return outcome::again;
      }
    }
    return outcome::found;
  }

  /// The earliest value of the part that fits and is not before the present one.
  [[nodiscard]] std::optional<std::int64_t> next_value(std::size_t part) noexcept {
    const auto present = time_.parts[part];
    if (ranges(part).empty()) return present;
    std::optional<std::int64_t> best;
    for (const auto& range : ranges(part)) {
      std::int64_t first = range.first, last = range.last;
      if (part == local_time::day && event_.counts_from_month_end) {
        first = day_from_end(first);
        // A missing end is looked up as well, since the clock remembers the offset that it finds.
        const auto end = day_from_end(last);
        if (last != calendar_range::no_end) last = std::exchange(first, end);
      }
      auto value = first;
      if (first < present) {
        if (range.step == 0) continue;
        value = first + (present - first + range.step - 1) / range.step * range.step;
        if (last >= 0 && value > last) continue;
      }
      if (!best || value < *best) best = value;
    }
    return best;
  }

  [[nodiscard]] std::int64_t day_from_end(std::int64_t day) noexcept {
    auto time = time_;
    ++time[local_time::month];
    time[local_time::day] = 1 - day;
    return clock_.shown(time, summer_time_).time[local_time::day];
  }

  /// Whether there is such a local time. If there is none, but a later one takes its place, goes there, to the
  /// beginning of the first part that differs.
  [[nodiscard]] bounds check_bounds() noexcept {
    if (time_[local_time::year] > calendar_parts::last_year) return bounds::beyond;
    auto [shown, is_summer_time] = clock_.shown(time_, summer_time_);
    for (std::size_t part = 0; part < shown.parts.size(); ++part) {
      if (shown.parts[part] == time_.parts[part]) continue;
      if (shown.parts[part] < time_.parts[part]) return bounds::beyond;
      // Only the next smaller part starts anew. That is a fault of systemd 252: the one after it keeps what carried
      // over, and
      // "*:0/7", coming from 23:63, passes over 00:00 to 00:07.
      if (part + 1 < shown.parts.size()) shown.begin(part + 1);
      // Another fault: whether it was summer time is remembered, though it may not be at the new time. Where clocks are
      // put forward at midnight the search then goes round in a circle.
      summer_time_ = is_summer_time;
      time_ = shown;
      return bounds::moved_on;
    }
    return bounds::within;
  }

  [[nodiscard]] bool fits_weekday() noexcept {
    if (event_.weekdays == 0) return true;
    const auto shown = clock_.shown(time_, summer_time_).time;
    const auto day =
        civil_time::days_from_civil(shown[local_time::year], static_cast<unsigned>(shown[local_time::month]),
                                    static_cast<unsigned>(shown[local_time::day]));
    const std::chrono::weekday weekday{std::chrono::sys_days{std::chrono::days{day}}};
    return (event_.weekdays >> (weekday.iso_encoding() - 1) & 1) != 0;
  }

  const calendar_event& event_;
  local_clock clock_;
  const local_time start_;
  local_time time_;
  std::optional<bool> summer_time_;  ///< tm_isdst; nothing for -1
  bool keeps_summer_time_ = false;
  bool is_stuck_ = false;
};

}  // namespace next_run

namespace next_run {

/// As systemd finds it from just after `after` on.
[[nodiscard]] inline std::optional<timestamp> systemd_answer(const calendar_event& event, const timestamp& after,
                                                             const time_zone& zone) {
  const auto microsecond = after.nanoseconds / 1000 + 1;
  const auto carry = microsecond / calendar_parts::microseconds_per_second;
  search search(event, zone, after.seconds + carry, microsecond % calendar_parts::microseconds_per_second);
  const auto found = search.find();
  if (search.is_stuck())
    throw error(
        error_code::unsupported,
        "calendar event \"" + to_on_calendar(event) + "\": systemd finds no next time after " + to_rfc3339(after) +
            " in the time zone " + zone.name() +
            ", its search goes round in a circle (where clocks change at midnight); give each repetition an end, as in "
            "04..17/13 for 04/13, or use another time zone, for example UTC");
  return found;
}

}  // namespace next_run

/// The first time after `after` at which the event is due in the zone, to the microsecond; with the zone's offset.
/// Nothing if there is none until the end of 2199, as for 30 February. Times before 1970 count as the beginning of
/// 1970. Throws `unsupported` where systemd fails to find it.
[[nodiscard]] inline std::optional<timestamp> next_run_of(const calendar_event& event, timestamp after,
                                                          const time_zone& zone) {
  if (after.seconds < 0) after = {};
  // In a repeated hour systemd now and then answers with a time that has passed. The next one after it is found from
  // later.
  for (auto from = after; from.seconds < after.seconds + civil_time::seconds_per_day; from.seconds += 3600) {
    if (from.seconds > civil_time::last_second_of_year_9999) return std::nullopt;
    auto found = next_run::systemd_answer(event, from, zone);
    if (found && !earlier(after, *found)) continue;
    if (found) found->zone_offset = zone.at(found->seconds).seconds;
    return found;
  }
  return std::nullopt;
}

/// The next `count` times after `after`, in order; fewer if it is not due that often. `zone` is for expressions that
/// name no zone of their own. Throws as `time_zone::named` does.
[[nodiscard]] inline std::vector<timestamp> next_runs(const calendar_expression& expression, timestamp after,
                                                      std::size_t count, const time_zone& zone) {
  const auto own_zone =
      expression.time_zone.empty() ? std::nullopt : std::optional(time_zone::named(expression.time_zone));
  const auto& shown_in = own_zone ? *own_zone : zone;
  std::vector<timestamp> found;
  while (found.size() < count) {
    std::optional<timestamp> next;
    for (const auto& event : expression.events) {
      const auto due = next_run_of(event, after, shown_in);
      if (due && (!next || earlier(*due, *next))) next = due;
    }
    if (!next) break;
    found.push_back(*next);
    after = *next;
  }
  return found;
}

}  // namespace recoup
