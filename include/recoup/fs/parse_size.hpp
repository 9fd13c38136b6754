// Sizes as people type them.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <recoup/core/error.hpp>

namespace recoup {

/// Bytes: a whole number, and B, K, M, G or T of either case for powers of 1024 (restic's ui.ParseBytes). Throws
/// invalid_argument for anything else, also for what does not fit into 63 bits.
[[nodiscard]] inline std::uint64_t parse_size(std::string_view text) {
  const auto invalid = [text](const char* why) {
    return error(error_code::invalid_argument, "invalid size \"" + std::string(text) + "\": " + why +
                                                   "; give a whole number, if need be with K, M, G or T, as in 500M");
  };
  if (text.empty()) throw invalid("it is empty");
  unsigned shift = 0;
  auto digits = text.substr(0, text.size() - 1);
  switch (text.back()) {
    case 'b': case 'B': break;
    case 'k': case 'K': shift = 10; break;
    case 'm': case 'M': shift = 20; break;
    case 'g': case 'G': shift = 30; break;
    case 't': case 'T': shift = 40; break;
    default: digits = text;
  }
  if (digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty()) throw invalid("there is no number");

  constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();
  std::uint64_t value = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') throw invalid("it is no whole number");
    const auto added = static_cast<std::uint64_t>(digit - '0');
    if (value > (largest - added) / 10) throw invalid("it is too large");
    value = value * 10 + added;
  }
  if (value > largest >> shift) throw invalid("it is too large");
  return value << shift;
}

}  // namespace recoup
