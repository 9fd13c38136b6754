// Calendar expressions of schedules: cron's and systemd's, either converted to the other, and when they are due. This
// is the header to include.
//
//   const auto nightly = parse_calendar("0 2 * * mon-fri");
//   to_on_calendar(nightly);                                    // {"Mon..Fri *-*-* 02:00:00"}
//   next_runs(nightly, current_time(), 5, time_zone::local());
#pragma once

#include <string>
#include <string_view>

#include <recoup/schedule/calendar_expression.hpp>
#include <recoup/schedule/conversion.hpp>
#include <recoup/schedule/cron.hpp>
#include <recoup/schedule/next_run.hpp>
#include <recoup/schedule/on_calendar.hpp>
#include <recoup/schedule/on_calendar_text.hpp>
#include <recoup/schedule/time_zone.hpp>

namespace recoup {

/// cron, if it has its five fields or what only cron has: a zone in front, a name with @. systemd's events have at most
/// four words.
[[nodiscard]] inline calendar_syntax guess_calendar_syntax(std::string_view text) noexcept {
  if (text.starts_with("CRON_TZ=") || text.starts_with("TZ=")) return calendar_syntax::cron;
  if (text.size() > 1 && text[0] == '@' && !(text[1] >= '0' && text[1] <= '9')) return calendar_syntax::cron;
  int words = 0;
  bool is_within = false;
  for (const char c : text) {
    const bool is_blank = c == ' ' || c == '\t';
    if (!is_blank && !is_within) ++words;
    is_within = !is_blank;
  }
  return words >= 5 ? calendar_syntax::cron : calendar_syntax::on_calendar;
}

/// Throws `invalid_argument`: where in the text, what is wrong with it, what to write instead. Blanks around it do not
/// count.
[[nodiscard]] inline calendar_expression parse_calendar(std::string_view text,
                                                        calendar_syntax syntax = calendar_syntax::automatic) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto begin = std::min(text.find_first_not_of(blanks), text.size());
  text = text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
  if (syntax == calendar_syntax::automatic) syntax = guess_calendar_syntax(text);
  return syntax == calendar_syntax::cron ? parse_cron(text) : parse_on_calendar(text);
}

/// The expression in its own syntax and one form for all that mean the same: cron's five fields, or what
/// `systemd-analyze calendar` prints as "Normalized form".
[[nodiscard]] inline std::string normalised_calendar(const calendar_expression& expression) {
  return expression.syntax == calendar_syntax::cron ? to_cron(expression) : to_on_calendar(expression).front();
}

}  // namespace recoup
