// A text that is read from left to right, and what both ways to write calendar expressions have in common: numbers,
// names of weekdays and months, time zones. What is wrong is reported with its place.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <recoup/schedule/calendar_expression.hpp>
#include <recoup/schedule/time_zone.hpp>

namespace recoup {

class calendar_reader {
public:
  /// Reads `expression` from `begin` to `end`; the rest is known for messages only.
  calendar_reader(std::string_view expression, std::size_t begin, std::size_t end) noexcept
      : expression_(expression), at_(begin), end_(end) {}

  [[nodiscard]] std::size_t position() const noexcept { return at_; }
  void go_to(std::size_t position) noexcept { at_ = position; }
  [[nodiscard]] bool at_end() const noexcept { return at_ == end_; }
  [[nodiscard]] std::string_view rest() const noexcept { return expression_.substr(at_, end_ - at_); }

  /// The next character, or 0 at the end.
  [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
    return ahead < end_ - at_ ? expression_[at_ + ahead] : '\0';
  }

  [[nodiscard]] bool take(std::string_view expected) noexcept {
    if (!rest().starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }

  void skip_blanks() noexcept {
    while (peek() == ' ') ++at_;
  }

  [[nodiscard]] bool sees_digit() const noexcept { return peek() >= '0' && peek() <= '9'; }

  /// Digits. By default what does not fit a component of systemd's, which is an int, is refused.
  [[nodiscard]] std::int64_t take_number(std::string_view of_what, std::int64_t highest = INT_MAX) {
    const auto begin = at_;
    if (!sees_digit()) refuse(begin, "here a number is missing (" + std::string(of_what) + ")" + found_instead());
    std::int64_t value = 0;
    for (; sees_digit(); ++at_) {
      value = value * 10 + (peek() - '0');
      if (value > highest) refuse(begin, std::string(of_what) + ": this number is too large");
    }
    return value;
  }

  /// The letters that come next, in lower case.
  [[nodiscard]] std::string peek_word() const {
    std::string word;
    for (const char c : rest()) {
      const bool is_upper = c >= 'A' && c <= 'Z';
      if (!is_upper && !(c >= 'a' && c <= 'z')) break;
      word += is_upper ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return word;
  }

  [[nodiscard]] std::string found_instead() const {
    if (at_end()) return "; the expression ends";
    return "; there is \"" + go_quoted(rest().substr(0, 20)) + '"';
  }

  [[noreturn]] void refuse(std::size_t at, const std::string& why) const { refuse_calendar(expression_, at, why); }

private:
  std::string_view expression_;
  std::size_t at_, end_;
};

namespace calendar_words {

inline constexpr std::array<std::string_view, 7> weekdays{"monday", "tuesday",  "wednesday", "thursday",
                                                          "friday", "saturday", "sunday"};
inline constexpr std::array<std::string_view, 12> months{"jan", "feb", "mar", "apr", "may", "jun",
                                                         "jul", "aug", "sep", "oct", "nov", "dec"};

/// In lower case, "mon" or "monday": 0 for Monday.
[[nodiscard]] constexpr std::optional<int> weekday(std::string_view word) noexcept {
  for (std::size_t i = 0; i < weekdays.size(); ++i)
    if (word == weekdays[i] || word == weekdays[i].substr(0, 3)) return static_cast<int>(i);
  return std::nullopt;
}

/// Whether two texts are the same but for capital letters of ASCII; `lower` has none.
[[nodiscard]] constexpr bool same_but_case(std::string_view text, std::string_view lower) noexcept {
  return std::ranges::equal(text, lower,
                            [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

}  // namespace calendar_words

/// The name as it is kept. A zone that this machine does not have is refused; a machine without any zone files takes
/// every name, so that expressions can be converted there.
[[nodiscard]] inline std::string checked_time_zone(std::string_view expression, std::size_t at, std::string_view name) {
  if (calendar_words::same_but_case(name, "utc")) return "UTC";
  if (zone_files::is_name(name) && !zone_files::are_installed()) return std::string(name);
  try {
    (void)time_zone::named(name);
  } catch (const error& problem) {
    refuse_calendar(expression, at, problem.what());
  }
  return std::string(name);
}

}  // namespace recoup
