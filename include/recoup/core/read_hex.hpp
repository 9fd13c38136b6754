// Hexadecimal digits to bytes, eight digits at a time. Ids are nine tenths of an index file, and no secret: sodium_hex2bin,
// in constant time, takes four times as long.
#pragma once

#include <cstddef>
#include <cstdint>

#include <recoup/core/bytes.hpp>

namespace recoup {

namespace hex_words {

inline constexpr std::uint64_t each_byte = 0x0101'0101'0101'0101;

/// The highest bit of each byte that is at least `low`. Bytes are below 0x80.
[[nodiscard]] constexpr std::uint64_t at_least(std::uint64_t bytes, std::uint64_t low) noexcept {
  return (bytes | 0x80 * each_byte) - low * each_byte;
}

/// Eight characters, all digits of either case?
[[nodiscard]] constexpr bool are_digits(std::uint64_t text) noexcept {
  const auto lower = text | 0x20 * each_byte;
  const auto good = (at_least(text, '0') & ~at_least(text, '9' + 1)) |
                    (at_least(lower, 'a') & ~at_least(lower, 'f' + 1));
  return ((good & ~text) & 0x80 * each_byte) == 0x80 * each_byte;
}

/// The four bytes that eight digits stand for, in the lower half.
[[nodiscard]] constexpr std::uint32_t value_of(std::uint64_t text) noexcept {
  auto digits = (text & 0x0f * each_byte) + 9 * (text >> 6 & each_byte);
  digits = (digits << 4 | digits >> 8) & 0x00ff'00ff'00ff'00ff;
  digits = (digits | digits >> 8) & 0x0000'ffff'0000'ffff;
  return static_cast<std::uint32_t>(digits | digits >> 16);
}

}  // namespace hex_words

/// Fills `into`, whose size is a multiple of 4, from twice as many digits of either case. False, with `into` filled with
/// anything, if these are not digits.
[[nodiscard]] inline bool read_hex(const char* digits, byte_span into) noexcept {
  bool good = true;
  for (std::size_t i = 0; i < into.size(); i += 4) {
    const auto text = load_u64_le(reinterpret_cast<const std::uint8_t*>(digits) + 2 * i);
    good &= hex_words::are_digits(text);
    store_u32_le(into.data() + i, hex_words::value_of(text));
  }
  return good;
}

}  // namespace recoup
