// Cron expressions of five fields, as Vixie cron (that of Debian, and as cronie) reads them, and its names such as
// @daily: "0 2 * * *", "*/15 8-18 * * mon-fri", "CRON_TZ=Europe/Berlin @weekly".
//
// What several crons read differently is refused, so that a schedule means what its author had in mind:
//   5/15   once at 5 for Debian's cron, 5, 20, 35 and 50 for others
//   H, ~   a random value: that of Jenkins, of OpenBSD and cronie
//   L W #  Quartz; so are expressions of six and seven fields
// `?` for a day is `*`, as in Kubernetes. A step may be as large as its field, "*/60" for each full hour, but no
// larger:
// "*/90" would mean each full hour too.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/schedule/calendar_expression.hpp>
#include <recoup/schedule/calendar_reader.hpp>

namespace recoup {

namespace cron_parts {

/// Sunday first, and last again.
inline constexpr calendar_parts::part_limits weekday{"day of the week", 0, 7};

inline constexpr std::array<std::pair<std::string_view, std::string_view>, 7> names{{{"@hourly", "0 * * * *"},
                                                                                     {"@daily", "0 0 * * *"},
                                                                                     {"@midnight", "0 0 * * *"},
                                                                                     {"@weekly", "0 0 * * 0"},
                                                                                     {"@monthly", "0 0 1 * *"},
                                                                                     {"@yearly", "0 0 1 1 *"},
                                                                                     {"@annually", "0 0 1 1 *"}}};

/// A field as it is read.
struct field {
  calendar_ranges ranges;  ///< empty: any value
  bool starts_with_star = false;
};

/// Cron's days of the week, 0 or 7 for Sunday, as bits from Monday on; 0 for any.
[[nodiscard]] constexpr unsigned weekday_bits(const calendar_ranges& ranges) noexcept {
  unsigned bits = 0;
  for (const auto& range : ranges) {
    const int last = range.last != calendar_range::no_end ? range.last : range.step > 0 ? 6 : range.first;
    for (int day = range.first; day <= last; day += range.step > 0 ? range.step : 1) bits |= 1u << (day + 6) % 7;
  }
  return bits;
}

/// Whether the ranges leave out no value; no ranges at all stand for any value.
[[nodiscard]] inline bool are_everything(const calendar_ranges& ranges, const calendar_parts::part_limits& limits) {
  if (ranges.empty()) return true;
  std::uint64_t seen = 0;
  for (const auto& range : ranges) {
    const int last = range.last != calendar_range::no_end ? range.last : range.step > 0 ? limits.highest : range.first;
    for (int value = range.first; value <= last; value += range.step > 0 ? range.step : 1)
      seen |= std::uint64_t{1} << value;
  }
  for (int value = limits.lowest; value <= limits.highest; ++value)
    if ((seen >> value & 1) == 0) return false;
  return true;
}

}  // namespace cron_parts

class cron_parser {
public:
  explicit cron_parser(std::string_view text) noexcept : text_(text), reader_(text, 0, text.size()) {}

  [[nodiscard]] calendar_expression parse() {
    calendar_expression found;
    found.syntax = calendar_syntax::cron;
    take_time_zone(found.time_zone);
    if (reader_.peek() == '@') {
      found.events = fields_of_name();
      return found;
    }
    find_fields();
    found.events = take_fields();
    return found;
  }

private:
  using part_limits = calendar_parts::part_limits;
  using field = cron_parts::field;

  void take_time_zone(std::string& zone) {
    if (!reader_.take("CRON_TZ=") && !reader_.take("TZ=")) return;
    const auto begin = reader_.position();
    const auto name = reader_.rest().substr(0, reader_.rest().find_first_of(" \t"));
    reader_.go_to(begin + name.size());
    skip_blanks();
    zone = checked_time_zone(text_, begin, name);
  }

  void skip_blanks() noexcept {
    while (reader_.peek() == ' ' || reader_.peek() == '\t') reader_.go_to(reader_.position() + 1);
  }

  [[nodiscard]] std::vector<calendar_event> fields_of_name() {
    const auto begin = reader_.position();
    const auto given = reader_.rest();
    for (const auto& [name, meaning] : cron_parts::names)
      if (calendar_words::same_but_case(given, name)) return cron_parser(meaning).parse().events;
    const auto first_word = given.substr(0, given.find_first_of(" \t"));
    if (calendar_words::same_but_case(first_word, "@reboot"))
      reader_.refuse(begin,
                     "@reboot is no time but an occasion; leave it out and set \"on_boot\" of the schedule, as in "
                     "\"on_boot\": \"5min\"");
    if (calendar_words::same_but_case(first_word, "@every"))
      reader_.refuse(begin,
                     "@every counts from the start of a program that runs on; write times of the day, as in \"*/30 * * "
                     "* *\" or \"0 */6 * * *\"");
    reader_.refuse(begin, "there is no \"" + go_quoted(first_word) +
                              "\" to stand alone; write @hourly, @daily, @midnight, @weekly, @monthly, @yearly or "
                              "@annually, or five fields");
  }

  /// Notes where the five fields are.
  void find_fields() {
    std::vector<std::pair<std::size_t, std::size_t>> found;
    for (skip_blanks(); !reader_.at_end(); skip_blanks()) {
      const auto begin = reader_.position();
      while (!reader_.at_end() && reader_.peek() != ' ' && reader_.peek() != '\t')
        reader_.go_to(reader_.position() + 1);
      found.emplace_back(begin, reader_.position());
    }
    constexpr std::string_view order = "minute, hour, day of the month, month and day of the week";
    if (found.size() < fields_.size())
      reader_.refuse(text_.size(), "a cron expression has five fields, " + std::string(order) + "; here are " +
                                       std::to_string(found.size()));
    if (found.size() > fields_.size())
      reader_.refuse(found[5].first, "a cron expression ends after five fields, " + std::string(order) + "; here are " +
                                         std::to_string(found.size()) +
                                         ". A field for seconds or years (Quartz) has no counterpart in cron: write a "
                                         "systemd calendar event, as in "
                                         "\"*-*-* 02:00:30\". A crontab's user and command do not belong here");
    std::ranges::copy(found, fields_.begin());
  }

  [[nodiscard]] std::vector<calendar_event> take_fields() {
    using namespace calendar_parts;
    calendar_event event;
    event.microseconds = {{0}};
    event.minutes = take_field(0, minute).ranges;
    event.hours = take_field(1, hour).ranges;
    const auto days = take_field(2, day);
    event.months = take_field(3, month).ranges;
    const auto weekdays = take_field(4, cron_parts::weekday);

    auto of_month = event, of_week = event;
    of_month.days = days.ranges;
    of_week.weekdays = cron_parts::weekday_bits(weekdays.ranges);
    if (of_week.weekdays == all_weekdays) of_week.weekdays = 0;

    // Vixie's rule: both day fields have to fit if either begins with a star; else one of them is enough.
    std::vector<calendar_event> events;
    if (days.starts_with_star || weekdays.starts_with_star) {
      of_month.weekdays = of_week.weekdays;
      events = {std::move(of_month)};
    } else if (of_month.days.empty() || of_week.weekdays == 0) {
      events = {std::move(event)};
    } else {
      events = {std::move(of_month), std::move(of_week)};
    }
    for (auto& each : events) normalise(each);
    return events;
  }

  [[nodiscard]] field take_field(std::size_t number, const part_limits& limits) {
    const auto [begin, end] = fields_[number];
    reader_ = calendar_reader(text_, begin, end);
    field found;
    found.starts_with_star = reader_.peek() == '*' || reader_.peek() == '?';
    bool is_any = false;
    do {
      const auto range = take_range(limits);
      if (range)
        found.ranges.push_back(*range);
      else
        is_any = true;
    } while (reader_.take(","));
    if (!reader_.at_end()) refuse_foreign(limits);
    if (is_any || cron_parts::are_everything(found.ranges, limits)) found.ranges.clear();  // any value
    return found;
  }

  /// Nothing for `*`.
  [[nodiscard]] std::optional<calendar_range> take_range(const part_limits& limits) {
    const auto begin = reader_.position();
    calendar_range range;
    const bool is_day = limits.name == calendar_parts::day.name || limits.name == cron_parts::weekday.name;
    const bool is_any = reader_.take("*") || (is_day && reader_.take("?"));
    if (is_any) {
      range = {limits.lowest};
      if (reader_.peek() != '/') return std::nullopt;
    } else {
      range.first = take_value(limits, 0);
      if (reader_.take("-")) {
        range.last = take_value(limits, range.first);
        range.step = 1;
        if (range.last < range.first) refuse_backwards(begin, range, limits);
      }
    }
    if (!reader_.take("/")) return range;
    if (!is_any && range.step == 0)
      reader_.refuse(begin, "some crons begin to count at " + std::to_string(range.first) +
                                " and some ignore the step; write " + std::to_string(range.first) + '-' +
                                std::to_string(limits.highest) + '/' + step_text());
    range.step = take_step(limits);
    if (!is_any) return range;
    if (range.step == 1) return std::nullopt;
    // With an end. systemd goes beyond an open range and then misses some beginnings of days and years, and gets stuck
    // where clocks are put forward at midnight (next_run.hpp, check_bounds).
    range.last = limits.highest;
    return range;
  }

  [[nodiscard]] std::string step_text() const {
    const auto rest = reader_.rest();
    return std::string(rest.substr(0, rest.find_first_not_of("0123456789")));
  }

  [[nodiscard]] int take_step(const part_limits& limits) {
    const auto begin = reader_.position();
    const auto step = reader_.take_number("step");
    // 7 as Sunday is no eighth day.
    const int values = limits.name == cron_parts::weekday.name ? 7 : limits.highest - limits.lowest + 1;
    if (step == 0) reader_.refuse(begin, "a step of 0 would never get on; write 1 or more");
    if (step > values)
      reader_.refuse(begin, "a step of " + std::to_string(step) + " goes beyond the " + std::to_string(values) +
                                " values of the " + std::string(limits.name) +
                                " and would start anew each time; what is longer is said by the next field, as in \"0 "
                                "*/2 * * *\" for every two hours");
    return static_cast<int>(step);
  }

  /// A number or, for months and weekdays, a name; `after` is where a range begins that it ends.
  [[nodiscard]] int take_value(const part_limits& limits, int after) {
    const auto begin = reader_.position();
    if (const auto word = reader_.peek_word(); !word.empty()) {
      if (const auto named = value_of(word, limits, after)) {
        reader_.go_to(begin + word.size());
        return *named;
      }
      refuse_foreign(limits);
    }
    if (!reader_.sees_digit()) refuse_foreign(limits);
    const auto value = reader_.take_number(limits.name);
    if (value < limits.lowest || value > limits.highest)
      reader_.refuse(begin, std::string(limits.name) + ' ' + std::to_string(value) + " is not within " +
                                std::to_string(limits.lowest) + " to " + std::to_string(limits.highest));
    return static_cast<int>(value);
  }

  [[nodiscard]] static std::optional<int> value_of(std::string_view word, const part_limits& limits,
                                                   int after) noexcept {
    using namespace calendar_words;
    if (word.size() != 3) return std::nullopt;  // cron has no longer names
    if (limits.name == calendar_parts::month.name) {
      const auto* const found = std::ranges::find(months, word);
      if (found == months.end()) return std::nullopt;
      return static_cast<int>(found - months.begin()) + 1;
    }
    if (limits.name != cron_parts::weekday.name) return std::nullopt;
    const auto day = calendar_words::weekday(word);
    if (!day) return std::nullopt;
    // "sat-sun" ends with the week.
    return after > 0 && *day == 6 ? 7 : (*day + 1) % 7;
  }

  [[noreturn]] void refuse_backwards(std::size_t at, const calendar_range& range, const part_limits& limits) const {
    const auto from = std::to_string(range.first), to = std::to_string(range.last);
    const auto highest = limits.name == cron_parts::weekday.name ? 6 : limits.highest;
    const auto written = [](int a, int b) {
      return a == b ? std::to_string(a) : std::to_string(a) + '-' + std::to_string(b);
    };
    reader_.refuse(at, std::string(limits.name) + ' ' + from + '-' + to + " goes backwards; write " +
                           written(range.first, highest) + ',' + written(limits.lowest, range.last));
  }

  /// What is at the reader's place is no part of this field. Says whose it is, where that is known.
  [[noreturn]] void refuse_foreign(const part_limits& limits) const {
    const auto at = reader_.position();
    const char next = reader_.peek();
    const auto word = reader_.peek_word();
    std::string why(limits.name);
    if (next == '?')
      why += ": \"?\" is Quartz's, which has it for days only; write *";
    else if (next == '#' || next == 'W' || next == 'L' || word == "l" || word == "w" || word == "lw")
      why +=
          ": \"L\", \"W\" and \"#\" are Quartz's, no cron has them; write a systemd calendar event, as in \"*-*~1 "
          "02:00\" for the last day "
          "of the month, or \"Mon *-*-1..7 02:00\" for its first Monday";
    else if (next == '~' || word == "h")
      why +=
          ": cron has no random values that all its kinds know; name the time, and set \"randomized_delay\" of the "
          "schedule";
    else if (calendar_words::weekday(word) && limits.name == cron_parts::weekday.name)
      why += ": cron's names have three letters; write " + word.substr(0, 3);
    else
      why += ": a number" +
             std::string(limits.name == calendar_parts::month.name ? " or a name from jan to dec"
                         : limits.name == cron_parts::weekday.name ? " or a name from sun to sat"
                                                                   : "") +
             " is missing, or what follows it is none of \",\", \"-\" and \"/\"" + reader_.found_instead();
    reader_.refuse(at, why);
  }

  std::string_view text_;
  calendar_reader reader_;
  std::array<std::pair<std::size_t, std::size_t>, 5> fields_{};
};

/// Throws `invalid_argument`. Blanks around the text are for the caller to take off.
[[nodiscard]] inline calendar_expression parse_cron(std::string_view text) { return cron_parser(text).parse(); }

}  // namespace recoup
