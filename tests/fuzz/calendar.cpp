// Calendar expressions, in both syntaxes, and files and rules of time zones.
#include <algorithm>
#include <string>

#include <recoup/schedule/calendar.hpp>

#include "fuzz.hpp"

namespace {

using namespace recoup;

bool fits(const calendar_ranges& ranges, std::int64_t value) {
  return ranges.empty() || std::ranges::any_of(ranges, [value](const calendar_range& range) {
           if (value < range.first || (range.last != calendar_range::no_end && value > range.last)) return false;
           return range.step == 0 ? value == range.first : (value - range.first) % range.step == 0;
         });
}

/// Whether the local time is one that the event names, worked out anew from its date.
bool fits(const calendar_event& event, const timestamp& time) {
  using namespace std::chrono;
  const sys_seconds local{seconds(time.seconds + time.zone_offset)};
  const auto day = floor<days>(local);
  const year_month_day date(day);
  const auto of_month = static_cast<int>(static_cast<unsigned>(date.day()));
  const auto last =
      static_cast<int>(static_cast<unsigned>(year_month_day_last(date.year(), month_day_last(date.month())).day()));
  const auto of_day = (local - day).count();
  // Counted from the end an open range goes on to the end.
  auto days_from_end = event.days;
  for (auto& range : days_from_end)
    if (range.step > 0 && range.last == calendar_range::no_end) {
      const int lowest = (range.first - 1) % range.step + 1;
      range = {lowest, range.first, range.step};
    } else if (range.step > 0) {
      // From the earlier day on, which is the larger number.
      const int length = (range.last - range.first) / range.step * range.step;
      range = {range.last - length, range.last, range.step};
    }
  const auto weekday_fits = event.weekdays == 0 || (event.weekdays >> (weekday(day).iso_encoding() - 1) & 1) != 0;
  const auto day_fits =
      event.counts_from_month_end ? fits(days_from_end, last - of_month + 1) : fits(event.days, of_month);
  return weekday_fits && day_fits && fits(event.years, static_cast<int>(date.year())) &&
         fits(event.months, static_cast<int>(static_cast<unsigned>(date.month()))) &&
         fits(event.hours, of_day / 3600) && fits(event.minutes, of_day / 60 % 60) &&
         fits(event.microseconds, of_day % 60 * 1'000'000 + time.nanoseconds / 1000);
}

void try_runs(const calendar_expression& expression, const time_zone& zone) {
  const timestamp after{1774650000, 0, 0};
  std::vector<timestamp> runs;
  if (!accepts([&] { runs = next_runs(expression, after, 4, zone); })) return;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    require(earlier(i == 0 ? after : runs[i - 1], runs[i]), "times come in order");
    require(std::ranges::any_of(expression.events, [&](const auto& event) { return fits(event, runs[i]); }),
            "a time that is due fits the expression");
  }
}

void try_expression(std::string_view text) {
  for (const auto syntax : {calendar_syntax::automatic, calendar_syntax::cron, calendar_syntax::on_calendar}) {
    calendar_expression found;
    if (!accepts([&] { found = parse_calendar(text, syntax); })) continue;
    require(parse_calendar(normalised_calendar(found), found.syntax) == found,
            "the normal form is the same expression");
    const auto lines = to_on_calendar(found);
    for (std::size_t i = 0; i < lines.size(); ++i)
      require(parse_calendar(lines[i], calendar_syntax::on_calendar).events == std::vector{found.events[i]},
              "a line for systemd is the same event");
    std::string cron;
    if (accepts([&] { cron = to_cron(found); }))
      require(to_cron(parse_calendar(cron, calendar_syntax::cron)) == cron, "cron's form comes back");
    static const auto zone = [] {
      auto found_zone = time_zone::utc();
      (void)accepts([&] { found_zone = time_zone::named("America/Santiago"); });
      return found_zone;
    }();
    try_runs(found, zone);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = as_text({data, size});
  if (text.size() > 300) return 0;  // long lists only take longer
  try_expression(text);
  if (const auto rule = zone_rule::parse(text); rule && rule->has_summer_time())
    for (const int year : {1970, 2024, 2199})
      require(rule->transitions_in(year)[0].at <= rule->transitions_in(year)[1].at, "in order");
  return 0;
}
