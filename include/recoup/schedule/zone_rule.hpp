// The rule by which a time zone goes on after the transitions that its file lists: POSIX's TZ, as
// "CET-1CEST,M3.5.0,M10.5.0/3" (RFC 8536, section 3.3.1, which allows hours from -167 to 167).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include <recoup/core/time.hpp>

namespace recoup {

/// What is added to UTC at some instant.
struct zone_offset {
  std::int32_t seconds = 0;  ///< east of UTC
  bool is_summer_time = false;

  [[nodiscard]] friend bool operator==(const zone_offset&, const zone_offset&) noexcept = default;
};

/// From this instant on the zone has this offset.
struct zone_transition {
  std::int64_t at = 0;  ///< seconds since 1970
  zone_offset offset;
};

/// One of the two days in a year on which the offset changes, and when on it.
struct yearly_change {
  enum class kind { month_week_day, day_without_leap, day_with_leap };

  kind counted_as = kind::month_week_day;
  int month = 0, week = 0;  ///< of month_week_day: week 5 is the last
  int day = 0;              ///< of the week, Sunday 0; else of the year: from 1 without 29 February, from 0 with it
  std::int32_t time = 2 * 3600;  ///< seconds after local midnight

  /// Seconds from 1970 to the change, as if local time were UTC.
  [[nodiscard]] std::int64_t in(int year) const noexcept {
    using namespace std::chrono;
    const auto first_of_year = sys_days{std::chrono::year{year} / January / 1};
    auto date = first_of_year;
    if (counted_as == kind::month_week_day) {
      const auto of_month = std::chrono::year{year} / std::chrono::month(static_cast<unsigned>(month));
      const weekday wanted(static_cast<unsigned>(day));
      date = week == 5 ? sys_days{of_month / wanted[last]} : sys_days{of_month / wanted[static_cast<unsigned>(week)]};
    } else if (counted_as == kind::day_with_leap) {
      date += days(day);
    } else {
      const bool is_after_leap_day = std::chrono::year{year}.is_leap() && day >= 60;
      date += days(day - (is_after_leap_day ? 0 : 1));
    }
    return date.time_since_epoch().count() * civil_time::seconds_per_day + time;
  }
};

class zone_rule {
public:
  /// Nothing if it is not such a rule.
  [[nodiscard]] static std::optional<zone_rule> parse(std::string_view text) noexcept {
    zone_rule rule;
    if (!take_name(text) || !take_offset(text, rule.standard_.seconds)) return std::nullopt;
    if (text.empty()) return rule;
    rule.has_summer_time_ = true;
    rule.summer_ = {rule.standard_.seconds + 3600, true};
    if (!take_name(text)) return std::nullopt;
    if (!text.empty() && text.front() != ',' && !take_offset(text, rule.summer_.seconds)) return std::nullopt;
    if (!take_change(text, rule.begin_) || !take_change(text, rule.end_) || !text.empty()) return std::nullopt;
    return rule;
  }

  [[nodiscard]] bool has_summer_time() const noexcept { return has_summer_time_; }
  [[nodiscard]] zone_offset standard() const noexcept { return standard_; }

  /// The year's two changes, the earlier one first. Only for a rule that has summer time.
  [[nodiscard]] std::array<zone_transition, 2> transitions_in(int year) const noexcept {
    const zone_transition to_summer{begin_.in(year)-standard_.seconds, summer_};
    const zone_transition to_standard{end_.in(year)-summer_.seconds, standard_};
    if (to_standard.at < to_summer.at) return {to_standard, to_summer};
    return {to_summer, to_standard};
  }

private:
  [[nodiscard]] static bool take_number(std::string_view& text, int highest, int& value) noexcept {
    if (text.empty() || text.front() < '0' || text.front() > '9') return false;
    value = 0;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
      value = value * 10 + (text.front() - '0');
      if (value > highest) return false;
    }
    return true;
  }

  [[nodiscard]] static bool take_name(std::string_view& text) noexcept {
    const bool is_quoted = civil_time::take(text, '<');
    std::size_t length = 0;
    for (; length < text.size(); ++length) {
      const auto c = text[length];
      const bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
      if (!is_letter && !(is_quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-'))) break;
    }
    text.remove_prefix(length);
    return length >= 3 && (!is_quoted || civil_time::take(text, '>'));
  }

  /// [+-]hh[:mm[:ss]]
  [[nodiscard]] static bool take_time(std::string_view& text, std::int32_t& seconds) noexcept {
    const bool is_negative = civil_time::take(text, '-');
    if (!is_negative) (void)civil_time::take(text, '+');
    int hours = 0, minutes = 0, rest = 0;
    if (!take_number(text, 167, hours)) return false;
    if (civil_time::take(text, ':')) {
      if (!take_number(text, 59, minutes)) return false;
      if (civil_time::take(text, ':') && !take_number(text, 59, rest)) return false;
    }
    seconds = (hours * 3600 + minutes * 60 + rest) * (is_negative ? -1 : 1);
    return true;
  }

  /// POSIX counts west of UTC.
  [[nodiscard]] static bool take_offset(std::string_view& text, std::int32_t& seconds_east) noexcept {
    std::int32_t west = 0;
    if (!take_time(text, west)) return false;
    seconds_east = -west;
    return true;
  }

  [[nodiscard]] static bool take_change(std::string_view& text, yearly_change& change) noexcept {
    using namespace civil_time;
    if (!take(text, ',')) return false;
    if (take(text, 'M')) {
      change.counted_as = yearly_change::kind::month_week_day;
      if (!take_number(text, 12, change.month) || !take(text, '.') || !take_number(text, 5, change.week) ||
          !take(text, '.') || !take_number(text, 6, change.day) || change.month == 0 || change.week == 0)
        return false;
    } else if (take(text, 'J')) {
      change.counted_as = yearly_change::kind::day_without_leap;
      if (!take_number(text, 365, change.day) || change.day == 0) return false;
    } else {
      change.counted_as = yearly_change::kind::day_with_leap;
      if (!take_number(text, 365, change.day)) return false;
    }
    return !take(text, '/') || take_time(text, change.time);
  }

  zone_offset standard_, summer_;
  bool has_summer_time_ = false;
  yearly_change begin_, end_;
};

}  // namespace recoup
