// Lower case by Go's unicode.ToLower, rune by rune and in no locale: --iexclude must mean the same on every machine,
// and towlower in the C locale knows ASCII only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include <recoup/fs/lower_case_table.hpp>
#include <recoup/json/utf8.hpp>

namespace recoup {

[[nodiscard]] constexpr char32_t to_lower(char32_t rune) noexcept {
  if (rune < 0x80) return rune >= 'A' && rune <= 'Z' ? rune + ('a' - 'A') : rune;
  const auto after = std::upper_bound(
      std::begin(lower_case_table::runs), std::end(lower_case_table::runs), rune,
      [](char32_t wanted, const lower_case_table::run& run) { return wanted < run.first; });
  if (after == std::begin(lower_case_table::runs)) return rune;
  const auto& run = *std::prev(after);
  const bool listed = rune <= run.last && (rune - run.first) % static_cast<std::uint32_t>(run.stride) == 0;
  return listed ? static_cast<char32_t>(static_cast<std::int64_t>(rune) + run.delta) : rune;
}

/// Go's strings.ToLower: each byte that is not UTF-8 becomes U+FFFD.
inline void append_lower(std::string& to, std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (static_cast<unsigned char>(c) < 0x80) {
      to += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
      ++at;
      continue;
    }
    const auto next = decode_rune(text.substr(at));
    append_rune(to, to_lower(next.rune));
    at += next.width;
  }
}

[[nodiscard]] inline std::string to_lower(std::string_view text) {
  std::string lowered;
  lowered.reserve(text.size());
  append_lower(lowered, text);
  return lowered;
}

}  // namespace recoup
