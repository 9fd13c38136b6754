// UTF-8 as Go's unicode/utf8 decodes it: what is not valid counts as one bad byte at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace recoup {

struct decoded_rune {
  char32_t rune;
  unsigned width;  ///< bytes it took, 1 to 4
  bool valid;      ///< if not, `rune` is U+FFFD and `width` is 1
};

/// The first rune of `text`, which is not empty. Overlong forms, surrogates and runes above U+10FFFF are not valid.
[[nodiscard]] constexpr decoded_rune decode_rune(std::string_view text) noexcept {
  constexpr decoded_rune bad{0xfffd, 1, false};
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };

  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  if (lead < 0xc2 || lead > 0xf4 || !continues(1)) return bad;
  const std::uint32_t second = byte(1) & 0x3fu;
  if (lead < 0xe0) return {(lead & 0x1f) << 6 | second, 2, true};
  if (!continues(2)) return bad;
  const std::uint32_t third = byte(2) & 0x3fu;
  if (lead < 0xf0) {
    const std::uint32_t rune = (lead & 0x0f) << 12 | second << 6 | third;
    return rune < 0x800 || (rune >= 0xd800 && rune <= 0xdfff) ? bad : decoded_rune{rune, 3, true};
  }
  if (!continues(3)) return bad;
  const std::uint32_t rune = (lead & 0x07) << 18 | second << 12 | third << 6 | (byte(3) & 0x3fu);
  return rune < 0x10000 || rune > 0x10ffff ? bad : decoded_rune{rune, 4, true};
}

[[nodiscard]] constexpr bool is_valid_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto next = decode_rune(text);
    if (!next.valid) return false;
    text.remove_prefix(next.width);
  }
  return true;
}

/// `rune` must be valid: below 0x110000 and no surrogate.
inline void append_rune(std::string& to, char32_t rune) {
  const auto put = [&to](std::uint32_t byte) { to.push_back(static_cast<char>(byte)); };
  const auto value = static_cast<std::uint32_t>(rune);
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xc0 | value >> 6), put(0x80 | (value & 0x3f));
  } else if (value < 0x10000) {
    put(0xe0 | value >> 12), put(0x80 | (value >> 6 & 0x3f)), put(0x80 | (value & 0x3f));
  } else {
    put(0xf0 | value >> 18), put(0x80 | (value >> 12 & 0x3f)), put(0x80 | (value >> 6 & 0x3f));
    put(0x80 | (value & 0x3f));
  }
}

}  // namespace recoup
