// Go's strconv.Quote and strconv.Unquote. restic stores the names in trees quoted like this, inside a JSON string: that
// is how names that are not UTF-8 survive JSON.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include <recoup/json/go_print_table.hpp>
#include <recoup/json/utf8.hpp>

namespace recoup {

/// Go's strconv.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space.
[[nodiscard]] constexpr bool is_go_printable(char32_t rune) noexcept {
  if (rune < 0x7f) return rune >= 0x20;
  const auto within = [rune](const auto& ranges) {
    const auto* after = std::upper_bound(std::begin(ranges), std::end(ranges), rune,
                                         [](char32_t value, const auto& range) { return value < range.first; });
    return after != std::begin(ranges) && rune <= std::prev(after)->last;
  };
  return rune < 0x10000 ? within(go_print_table::below_0x10000) : within(go_print_table::from_0x10000);
}

namespace go_quoting {

inline void append_hex_digits(std::string& to, std::uint32_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) to.push_back("0123456789abcdef"[value >> shift & 0xf]);
}

/// Appends the escape for one rune or bad byte that strconv.Quote does not print as it is. `backslash` is `\`, or `\\`
/// where the result stands in a JSON string.
inline void append_escape(std::string& to, const decoded_rune& next, unsigned char byte, std::string_view backslash) {
  to.append(backslash);
  if (!next.valid) {
    to.push_back('x');
    return append_hex_digits(to, byte, 2);
  }
  switch (next.rune) {
    case '\a': return to.push_back('a');
    case '\b': return to.push_back('b');
    case '\f': return to.push_back('f');
    case '\n': return to.push_back('n');
    case '\r': return to.push_back('r');
    case '\t': return to.push_back('t');
    case '\v': return to.push_back('v');
    default: break;
  }
  if (next.rune < 0x80) {
    to.push_back('x');
    append_hex_digits(to, byte, 2);
  } else if (next.rune < 0x10000) {
    to.push_back('u');
    append_hex_digits(to, next.rune, 4);
  } else {
    to.push_back('U');
    append_hex_digits(to, next.rune, 8);
  }
}

/// Takes `digits` hexadecimal digits off the front.
[[nodiscard]] constexpr std::optional<std::uint32_t> take_hex(std::string_view& text, std::size_t digits) noexcept {
  if (text.size() < digits) return std::nullopt;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint32_t>(digit);
  }
  text.remove_prefix(digits);
  return value;
}

/// `\123`: three octal digits, of which the first is `first` and gone already. At most 0377.
[[nodiscard]] constexpr std::optional<std::uint32_t> take_octal(char first, std::string_view& text) noexcept {
  if (text.size() < 2) return std::nullopt;
  std::uint32_t value = static_cast<std::uint32_t>(first - '0');
  for (std::size_t i = 0; i < 2; ++i) {
    if (text[i] < '0' || text[i] > '7') return std::nullopt;
    value = value << 3 | static_cast<std::uint32_t>(text[i] - '0');
  }
  text.remove_prefix(2);
  return value <= 0xff ? std::optional(value) : std::nullopt;
}

/// Appends what the escape at the front of `text` (after its backslash) stands for. False if there is no such escape.
[[nodiscard]] inline bool append_unescaped(std::string& to, std::string_view& text) {
  if (text.empty()) return false;
  const char kind = text.front();
  text.remove_prefix(1);
  switch (kind) {
    case 'a': return to.push_back('\a'), true;
    case 'b': return to.push_back('\b'), true;
    case 'f': return to.push_back('\f'), true;
    case 'n': return to.push_back('\n'), true;
    case 'r': return to.push_back('\r'), true;
    case 't': return to.push_back('\t'), true;
    case 'v': return to.push_back('\v'), true;
    case '\\':
    case '"': return to.push_back(kind), true;
    case 'x': {
      const auto value = take_hex(text, 2);
      if (value) to.push_back(static_cast<char>(*value));
      return value.has_value();
    }
    case 'u':
    case 'U': {
      const auto value = take_hex(text, kind == 'u' ? 4 : 8);
      if (!value || *value > 0x10ffff || (*value >= 0xd800 && *value <= 0xdfff)) return false;
      return append_rune(to, *value), true;
    }
    default: break;
  }
  if (kind < '0' || kind > '7') return false;
  const auto value = take_octal(kind, text);
  if (value) to.push_back(static_cast<char>(*value));
  return value.has_value();
}

}  // namespace go_quoting

/// strconv.Quote(text) without the quotation marks around it.
inline void append_go_quoted(std::string& to, std::string_view text) {
  while (!text.empty()) {
    const auto next = decode_rune(text);
    const auto byte = static_cast<unsigned char>(text.front());
    if (byte == '"' || byte == '\\')
      to.push_back('\\'), to.push_back(static_cast<char>(byte));
    else if (next.valid && is_go_printable(next.rune))
      to.append(text.substr(0, next.width));
    else
      go_quoting::append_escape(to, next, byte, "\\");
    text.remove_prefix(next.width);
  }
}

[[nodiscard]] inline std::string go_quoted(std::string_view text) {
  std::string quoted;
  append_go_quoted(quoted, text);
  return quoted;
}

/// strconv.Unquote of `quoted` with quotation marks around it; nothing where that is a syntax error. Bytes that are not
/// UTF-8 become U+FFFD in a text that has escapes, as in Go; JSON that is valid holds none.
[[nodiscard]] inline std::optional<std::string> go_unquote(std::string_view quoted) {
  std::string raw;
  raw.reserve(quoted.size());
  while (!quoted.empty()) {
    const char c = quoted.front();
    if (c == '"' || c == '\n') return std::nullopt;
    if (c == '\\') {
      quoted.remove_prefix(1);
      if (!go_quoting::append_unescaped(raw, quoted)) return std::nullopt;
      continue;
    }
    const auto next = decode_rune(quoted);
    append_rune(raw, next.rune);
    quoted.remove_prefix(next.width);
  }
  return raw;
}

}  // namespace recoup
