// Values of flags, options and environment variables, as restic (Go) takes them.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace recoup {

/// Empty if it is not set: nothing here tells the two apart.
[[nodiscard]] inline std::string environment_variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

/// Go's time.ParseDuration: "300ms", "1.5h", "2h45m", "0".
[[nodiscard]] inline std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const bool negative = text.front() == '-';
  if (negative || text.front() == '+') text.remove_prefix(1);
  if (text == "0") return std::chrono::nanoseconds{0};
  if (text.empty()) return std::nullopt;
  struct named_unit {
    std::string_view name;
    double nanoseconds;
  };
  constexpr std::array<named_unit, 8> units{{{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"μs", 1e3}, {"ms", 1e6},
                                             {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}}};
  double total = 0;
  while (!text.empty()) {
    const auto digits = std::min(text.find_first_not_of("0123456789."), text.size());
    double number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + digits, number, std::chars_format::fixed);
    if (digits == 0 || problem != std::errc{} || end != text.data() + digits) return std::nullopt;
    text.remove_prefix(digits);
    const auto name = text.substr(0, std::min(text.find_first_of("0123456789."), text.size()));
    const auto* unit = std::find_if(units.begin(), units.end(), [&](const auto& each) { return each.name == name; });
    if (unit == units.end()) return std::nullopt;
    text.remove_prefix(name.size());
    total += number * unit->nanoseconds;
  }
  if (total > 9.2e18) return std::nullopt;
  return std::chrono::nanoseconds{static_cast<std::int64_t>(negative ? -total : total)};
}

/// Go's strconv.ParseBool: 1, t, true, 0, f, false and capitals.
[[nodiscard]] inline std::optional<bool> parse_bool(std::string_view text) {
  constexpr std::array<std::string_view, 6> yes{"1", "t", "T", "true", "TRUE", "True"};
  constexpr std::array<std::string_view, 6> no{"0", "f", "F", "false", "FALSE", "False"};
  if (std::find(yes.begin(), yes.end(), text) != yes.end()) return true;
  if (std::find(no.begin(), no.end(), text) != no.end()) return false;
  return std::nullopt;
}

}  // namespace recoup
