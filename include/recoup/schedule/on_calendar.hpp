// systemd's calendar events, as OnCalendar= takes them and systemd.time(7) describes them: "Mon..Fri *-*-* 02:30",
// "*-*~1 Europe/Berlin", "weekly". What systemd 252 takes is taken and means the same; what it refuses is refused.
//
// Not taken are abbreviations of the local time zone ("CEST"): the same text means something else on every other
// machine.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/schedule/calendar_expression.hpp>
#include <recoup/schedule/calendar_reader.hpp>

namespace recoup {

class on_calendar_parser {
public:
  explicit on_calendar_parser(std::string_view text) noexcept : text_(text), reader_(text, 0, text.size()) {}

  [[nodiscard]] calendar_expression parse() {
    calendar_expression found;
    const auto end = take_time_zone(found.time_zone);
    reader_ = calendar_reader(text_, 0, end);
    if (reader_.at_end()) reader_.refuse(0, "it is empty; write for example \"daily\" or \"*-*-* 02:00\"");
    if (!take_shorthand()) {
      take_weekdays();
      if (reader_.take("@")) {
        take_unix_time();
        found.time_zone = "UTC";
      } else {
        take_date();
        take_time();
      }
      if (!reader_.at_end()) reader_.refuse(reader_.position(), "nothing can follow here" + reader_.found_instead());
    }
    calendar_parts::normalise(event_);
    found.events.push_back(std::move(event_));
    return found;
  }

private:
  using ranges = calendar_ranges;

  /// Ranges before they are checked: which part of the time they are is known after a date's end only.
  struct placed_ranges {
    ranges values;
    std::vector<std::size_t> positions;
  };

  static constexpr std::size_t most_ranges = 241;  // systemd's limit
  static constexpr auto second = calendar_parts::microseconds_per_second;

  /// Reads the zone at the end of the text; returns where the rest ends.
  [[nodiscard]] std::size_t take_time_zone(std::string& zone) const {
    const auto blank = text_.rfind(' ');
    if (blank == std::string_view::npos) return text_.size();
    const auto name = text_.substr(blank + 1);
    const bool has_letter =
        std::ranges::any_of(name, [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); });
    if (!has_letter) return text_.size();
    calendar_reader word(text_, blank + 1, text_.size());
    if (calendar_words::weekday(word.peek_word()))
      word.refuse(blank + 1,
                  "weekdays come first, before the date and the time, with no blanks between them: Mon,Wed 02:30");
    zone = checked_time_zone(text_, blank + 1, name);
    return blank;
  }

  [[nodiscard]] bool take_shorthand() {
    const auto is = [this](auto... words) { return (calendar_words::same_but_case(reader_.rest(), words) || ...); };
    const ranges zero{{0}}, one{{1}};
    calendar_event event;
    event.microseconds = zero;
    if (!is("minutely")) {
      event.minutes = zero;
      if (!is("hourly")) event.hours = zero;
    }
    if (is("weekly")) {
      event.weekdays = 1;
    } else if (is("monthly")) {
      event.days = one;
    } else if (is("quarterly")) {
      event.months = {{1}, {4}, {7}, {10}};
      event.days = one;
    } else if (is("semiannually", "semi-annually", "biannually", "bi-annually")) {
      event.months = {{1}, {7}};
      event.days = one;
    } else if (is("yearly", "annually", "anually")) {  // the last is a slip that systemd keeps
      event.months = one;
      event.days = one;
    } else if (!is("minutely", "hourly", "daily")) {
      return false;
    }
    event_ = std::move(event);
    return true;
  }

  [[nodiscard]] int take_weekday() {
    const auto begin = reader_.position();
    const auto word = reader_.peek_word();
    const auto day = calendar_words::weekday(word);
    if (!day)
      reader_.refuse(begin, "this is no weekday; write Mon, Tue, Wed, Thu, Fri, Sat or Sun" + reader_.found_instead());
    reader_.go_to(begin + word.size());
    return *day;
  }

  void take_weekdays() {
    if (reader_.peek_word().empty()) return;
    for (;;) {
      const auto begin = reader_.position();
      const int first = take_weekday();
      int last = first;
      // A single "-" was the range's sign once; systemd still takes it.
      if (reader_.take("..") || reader_.take("-")) last = take_weekday();
      if (last < first) {
        const std::string names[] = {written(first), written(last)};
        reader_.refuse(begin, "weekdays count from Mon to Sun, so " + names[0] + ".." + names[1] +
                                  " goes backwards; write " + names[0] + "..Sun,Mon.." + names[1]);
      }
      for (int day = first; day <= last; ++day) event_.weekdays |= 1u << day;
      const bool goes_on = reader_.take(",");
      if (reader_.at_end() || reader_.peek() == ' ') return reader_.skip_blanks();
      if (!goes_on)
        reader_.refuse(reader_.position(), "after a weekday comes \",\", \"..\" or a blank" + reader_.found_instead());
    }
  }

  [[nodiscard]] static std::string written(int weekday) {
    auto name = std::string(calendar_words::weekdays[static_cast<std::size_t>(weekday)].substr(0, 3));
    name[0] = static_cast<char>(name[0] - 'a' + 'A');
    return name;
  }

  void take_unix_time() {
    constexpr std::int64_t last_second_of_2199 = 7258118399;
    const std::chrono::sys_seconds instant{
        std::chrono::seconds(reader_.take_number("seconds since 1970", last_second_of_2199))};
    if (!reader_.at_end()) reader_.refuse(reader_.position(), "nothing but a time zone can follow a time since 1970");
    const auto day = std::chrono::floor<std::chrono::days>(instant);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(instant - day);
    event_.years = {{static_cast<int>(date.year())}};
    event_.months = {{static_cast<int>(static_cast<unsigned>(date.month()))}};
    event_.days = {{static_cast<int>(static_cast<unsigned>(date.day()))}};
    event_.hours = {{static_cast<int>(time.hours().count())}};
    event_.minutes = {{static_cast<int>(time.minutes().count())}};
    event_.microseconds = {{static_cast<int>(time.seconds().count()) * second}};
  }

  /// year-month-day, month-day, or nothing where a time comes at once.
  void take_date() {
    using namespace calendar_parts;
    if (reader_.at_end()) return;
    const auto begin = reader_.position();
    auto first = take_ranges("year, month or hour", false);
    if (reader_.at_end() || reader_.peek() == ':') return reader_.go_to(begin);
    bool from_end = take_date_separator();
    auto middle = take_ranges(from_end ? "day" : "month or day", false);
    if (!reader_.at_end() && reader_.peek() != ' ') {
      if (from_end)
        reader_.refuse(reader_.position(), "after \"~\" comes the day, counted from the end of the month, and no more");
      from_end = take_date_separator();
      for (auto& range : first.values)
        for (auto* bound : {&range.first, &range.last}) *bound = full_year(*bound);
      event_.years = checked(first, year);
      first = std::move(middle);
      middle = take_ranges("day", false);
      if (!reader_.at_end() && reader_.peek() != ' ')
        reader_.refuse(reader_.position(), "after the date comes a blank and then the time" + reader_.found_instead());
    }
    event_.months = checked(first, month);
    event_.days = checked(middle, from_end ? day_from_end : day);
    event_.counts_from_month_end = from_end;
    if (from_end && !middle.positions.empty()) check_list_from_end(middle.positions.front());
    reader_.skip_blanks();
  }

  [[nodiscard]] static constexpr int full_year(int year) noexcept {
    return year < 0 || year > 99 ? year : year + (year < 70 ? 2000 : 1900);
  }

  /// True for "~".
  [[nodiscard]] bool take_date_separator() {
    if (reader_.take("~")) return true;
    if (!reader_.take("-"))
      reader_.refuse(reader_.position(),
                     "a date is written year-month-day or month-day, a time hour:minute" + reader_.found_instead() +
                         (text_.find(':') == std::string_view::npos ? " (a cron expression has five fields)" : ""));
    return false;
  }

  void take_time() {
    using namespace calendar_parts;
    event_.microseconds = {{0}};
    if (reader_.at_end()) {
      event_.hours = event_.minutes = {{0}};
      return;
    }
    event_.hours = checked(take_ranges("hour", false), hour);
    if (!reader_.take(":"))
      reader_.refuse(reader_.position(), "after the hour comes \":\" and the minute" + reader_.found_instead());
    event_.minutes = checked(take_ranges("minute", false), minute);
    if (reader_.take(":")) event_.microseconds = checked(take_ranges("second", true), microsecond);
  }

  [[nodiscard]] placed_ranges take_ranges(std::string_view of_what, bool are_seconds) {
    placed_ranges found;
    if (reader_.take("*")) {
      if (are_seconds) found = {{{0, calendar_range::no_end, second}}, {reader_.position()}};
      return found;
    }
    do {
      if (found.values.size() == most_ranges)
        reader_.refuse(reader_.position(), "a list has at most " + std::to_string(most_ranges) + " entries");
      found.positions.push_back(reader_.position());
      found.values.push_back(take_range(of_what, are_seconds));
    } while (reader_.take(","));
    return found;
  }

  [[nodiscard]] calendar_range take_range(std::string_view of_what, bool are_seconds) {
    const auto begin = reader_.position();
    calendar_range range;
    range.first = take_value(of_what, are_seconds);
    if (reader_.take("..")) {
      range.last = take_value(of_what, are_seconds);
      range.step = are_seconds ? second : 1;
    }
    if (reader_.take("/")) {
      const auto at = reader_.position();
      range.step = take_value("step", are_seconds);
      if (range.step == 0) reader_.refuse(at, "a step of 0 would never get on; write 1 or more, or leave it out");
    } else if (are_seconds && range.last >= 0 && range.last - range.first < range.step) {
      reader_.refuse(begin,
                     "this range of seconds ends before its next second; write a step, as in 0..0.5/0.1, or one value");
    }
    if (!reader_.at_end() && std::string_view(" ,-~:").find(reader_.peek()) == std::string_view::npos)
      reader_.refuse(reader_.position(), std::string(of_what) + ": this can't stand here" + reader_.found_instead());
    return range;
  }

  [[nodiscard]] int take_value(std::string_view of_what, bool are_seconds) {
    const auto begin = reader_.position();
    const std::int64_t whole = reader_.take_number(of_what);
    if (!are_seconds) return static_cast<int>(whole);
    std::int64_t value = whole * second;
    if (reader_.peek() == '.' && reader_.peek(1) != '.') {
      (void)reader_.take(".");
      value += take_fraction();
    }
    if (value > INT_MAX) reader_.refuse(begin, "second: this number is too large");
    return static_cast<int>(value);
  }

  /// Microseconds; what is smaller is rounded.
  [[nodiscard]] int take_fraction() {
    if (!reader_.sees_digit()) reader_.refuse(reader_.position(), "after the decimal point digits are missing");
    int value = 0;
    for (int scale = second / 10; scale > 0; scale /= 10)
      if (reader_.sees_digit()) {
        value += (reader_.peek() - '0') * scale;
        reader_.go_to(reader_.position() + 1);
      }
    if (reader_.sees_digit() && reader_.peek() >= '5') ++value;
    while (reader_.sees_digit()) reader_.go_to(reader_.position() + 1);
    return value;
  }

  [[nodiscard]] ranges checked(const placed_ranges& placed, const calendar_parts::part_limits& limits) const {
    auto found = placed.values;
    for (std::size_t i = 0; i < found.size(); ++i) {
      calendar_parts::normalise(found[i]);
      check(found[i], placed.positions[i], limits);
    }
    return found;
  }

  void check(const calendar_range& range, std::size_t at, const calendar_parts::part_limits& limits) const {
    const auto refuse = [&](int value, const std::string& why) {
      reader_.refuse(at, std::string(limits.name) + ' ' + shown(value, limits) + why);
    };
    const bool has_end = range.last != calendar_range::no_end;
    for (const int bound : {range.first, has_end ? range.last : range.first})
      if (bound < limits.lowest || bound > limits.highest)
        refuse(bound, " is not within " + shown(limits.lowest, limits) + " to " + shown(limits.highest, limits));
    if (has_end && range.last < range.first)
      refuse(range.first, ".." + shown(range.last, limits) + " goes backwards; write it as two ranges");
    // As systemd has it: a step that leads nowhere is a mistake.
    const bool goes_down = limits.name == calendar_parts::day_from_end.name;
    const auto room = goes_down ? range.first - limits.lowest : limits.highest - range.first;
    if (!has_end && range.step > room)
      refuse(range.first, '/' + shown(range.step, limits) + " is never repeated; leave the step out");
  }

  /// systemd 252 lowers the limit by three for each further entry of such a list.
  void check_list_from_end(std::size_t at) const {
    auto sorted = event_.days;
    calendar_parts::normalise(sorted);
    int highest = calendar_parts::day_from_end.highest;
    for (const auto& range : sorted) {
      if (const auto last = std::max(range.first, range.last); last > highest)
        reader_.refuse(
            at,
            "in a list of days counted from the end of the month systemd takes only days up to " +
                std::to_string(highest) +
                " here (28 for the smallest entry, 25 for the next, then 22); write a second calendar event for day " +
                std::to_string(last));
      highest -= 3;
    }
  }

  [[nodiscard]] static std::string shown(int value, const calendar_parts::part_limits& limits) {
    if (limits.name != calendar_parts::microsecond.name) return std::to_string(value);
    auto text = std::to_string(value / second);
    if (value % second != 0) text += '.' + std::to_string(second + value % second).substr(1);
    return text;
  }

  std::string_view text_;
  calendar_reader reader_;
  calendar_event event_;
};

/// Throws `invalid_argument`. Blanks around the text are for the caller to take off.
[[nodiscard]] inline calendar_expression parse_on_calendar(std::string_view text) {
  return on_calendar_parser(text).parse();
}

}  // namespace recoup
