// JSON to the byte as Go's encoding/json writes it (Go 1.22 and later): no blanks, HTML escaped. Tree ids are hashes of
// these bytes.
#pragma once

#include <sodium.h>

#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/json/utf8.hpp>

namespace recoup {

namespace json_escaping {

/// True for the bytes that stand for themselves in a JSON string as Go writes it. In names, which are quoted twice,
/// DEL is escaped too.
[[nodiscard]] constexpr std::array<bool, 256> plain_bytes(bool in_name) noexcept {
  std::array<bool, 256> plain{};
  for (unsigned byte = 0x20; byte < 0x80; ++byte)
    plain[byte] = byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&';
  plain[0x7f] = !in_name;
  return plain;
}

inline constexpr auto plain_in_string = plain_bytes(false);
inline constexpr auto plain_in_name = plain_bytes(true);

[[nodiscard]] constexpr std::size_t plain_prefix(std::string_view text, const std::array<bool, 256>& plain) noexcept {
  std::size_t length = 0;
  while (length < text.size() && plain[static_cast<unsigned char>(text[length])]) ++length;
  return length;
}

inline void append_ascii_escape(std::string& to, unsigned char byte) {
  switch (byte) {
    case '"': to.append("\\\""); return;
    case '\\': to.append("\\\\"); return;
    case '\b': to.append("\\b"); return;
    case '\f': to.append("\\f"); return;
    case '\n': to.append("\\n"); return;
    case '\r': to.append("\\r"); return;
    case '\t': to.append("\\t"); return;
    default: to.append("\\u00"); return go_quoting::append_hex_digits(to, byte, 2);
  }
}

}  // namespace json_escaping

/// A string, with its quotation marks. Bytes that are not UTF-8 become the six characters \ufffd: they are lost.
inline void append_json_string(std::string& to, std::string_view text) {
  using namespace json_escaping;
  to.push_back('"');
  for (;;) {
    const auto plain = plain_prefix(text, plain_in_string);
    to.append(text.data(), plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto next = decode_rune(text);
    if (next.width == 1 && next.valid)
      append_ascii_escape(to, static_cast<unsigned char>(text.front()));
    else if (!next.valid)
      to.append("\\ufffd");
    else if (next.rune == 0x2028 || next.rune == 0x2029)
      to.append(next.rune == 0x2028 ? "\\u2028" : "\\u2029");
    else
      to.append(text.data(), next.width);
    text.remove_prefix(next.width);
  }
  to.push_back('"');
}

/// The name of a node: strconv.Quote, then a JSON string, in one pass. Every byte string comes back as it was.
inline void append_json_name(std::string& to, std::string_view name) {
  using namespace json_escaping;
  to.push_back('"');
  for (;;) {
    const auto plain = plain_prefix(name, plain_in_name);
    to.append(name.data(), plain);
    name.remove_prefix(plain);
    if (name.empty()) break;
    const auto next = decode_rune(name);
    const auto byte = static_cast<unsigned char>(name.front());
    if (byte == '"')
      to.append("\\\\\\\"");
    else if (byte == '\\')
      to.append("\\\\\\\\");
    else if (!next.valid || !is_go_printable(next.rune))  // U+2028 and U+2029 are not printable
      go_quoting::append_escape(to, next, byte, "\\\\");
    else if (next.width == 1)
      append_ascii_escape(to, byte);
    else
      to.append(name.data(), next.width);
    name.remove_prefix(next.width);
  }
  to.push_back('"');
}

inline void append_json_number(std::string& to, std::integral auto value) {
  char digits[24];
  to.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

/// As Go writes a float64: the shortest digits that read back as the same number, exponents only below 1e-6 and from
/// 1e21 on. JSON has no infinities and no NaN: null stands for them.
inline void append_json_number(std::string& to, double value) {
  if (!std::isfinite(value)) {
    to.append("null");
    return;
  }
  const double magnitude = std::fabs(value);
  const bool exponent = magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21);
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof digits, value,
                                 exponent ? std::chars_format::scientific : std::chars_format::fixed)
                       .ptr;
  std::string_view text(digits, static_cast<std::size_t>(end - digits));
  // Go cuts e-09 to e-9 (and, never having fewer than two digits, leaves e+21).
  if (exponent && text.size() >= 4 && text[text.size() - 4] == 'e' && text[text.size() - 3] == '-' &&
      text[text.size() - 2] == '0')
    to.append(text.substr(0, text.size() - 2)), to.push_back(text.back());
  else
    to.append(text);
}

/// Hexadecimal, in quotation marks.
inline void append_json_id(std::string& to, const id& value) {
  char text[id::hex_size + 2];
  text[0] = text[id::hex_size + 1] = '"';
  for (std::size_t i = 0; i < id::size; ++i) {
    text[1 + 2 * i] = "0123456789abcdef"[value.value[i] >> 4];
    text[2 + 2 * i] = "0123456789abcdef"[value.value[i] & 0xf];
  }
  to.append(text, sizeof text);
}

/// RFC 3339 with the fraction that is needed, in quotation marks.
inline void append_json_time(std::string& to, const timestamp& stamp) {
  to.push_back('"');
  append_rfc3339(to, stamp);
  to.push_back('"');
}

/// Padded base64, in quotation marks: how Go writes byte slices.
inline void append_json_base64(std::string& to, byte_view value) {
  to.push_back('"');
  const auto start = to.size();
  const auto room = sodium_base64_encoded_len(value.size(), sodium_base64_VARIANT_ORIGINAL);  // counts a final NUL
  to.resize(start + room);
  sodium_bin2base64(to.data() + start, room, value.data(), value.size(), sodium_base64_VARIANT_ORIGINAL);
  to.back() = '"';
}

/// Puts objects and arrays together: `json_writer{}.begin_object().field("version", 2u).end_object().take()`. It sets
/// the commas; that every begin has its end, and every value in an object its key, is up to the caller.
class json_writer {
public:
  json_writer& begin_object() { return open('{'); }
  json_writer& end_object() { return close('}'); }
  json_writer& begin_array() { return open('['); }
  json_writer& end_array() { return close(']'); }

  json_writer& key(std::string_view name) {
    separate();
    append_json_string(text_, name);
    text_.push_back(':');
    return *this;
  }

  json_writer& value(std::string_view text) { return separate(), append_json_string(text_, text), *this; }
  json_writer& value(const char* text) { return value(std::string_view(text)); }
  json_writer& value(std::same_as<bool> auto truth) { return raw(truth ? "true" : "false"); }
  template <std::integral Number>
    requires(!std::same_as<Number, bool>)
  json_writer& value(Number number) {
    return separate(), append_json_number(text_, number), *this;
  }
  json_writer& value(double number) { return separate(), append_json_number(text_, number), *this; }
  json_writer& value(const id& name) { return separate(), append_json_id(text_, name), *this; }
  json_writer& value(const timestamp& time) { return separate(), append_json_time(text_, time), *this; }
  json_writer& value(byte_view data) { return separate(), append_json_base64(text_, data), *this; }
  json_writer& null() { return raw("null"); }
  /// A value that is JSON already.
  json_writer& raw(std::string_view json) { return separate(), text_.append(json), *this; }

  template <class Value>
  json_writer& field(std::string_view name, const Value& of) {
    return key(name).value(of);
  }
  template <class Strings>
  json_writer& strings(std::string_view name, const Strings& list) {
    key(name).begin_array();
    for (const auto& item : list) value(std::string_view(item));
    return end_array();
  }

  /// Ends a line of JSON lines.
  json_writer& line() { return text_.push_back('\n'), *this; }

  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] std::string take() noexcept { return std::exchange(text_, {}); }

private:
  // A value needs a comma before it unless it is the first of its object, array or line, or follows its key. The last
  // byte tells: those that a string ends with are always its quotation mark.
  void separate() {
    if (text_.empty()) return;
    const char last = text_.back();
    if (last != '{' && last != '[' && last != ':' && last != '\n') text_.push_back(',');
  }
  json_writer& open(char bracket) { return separate(), text_.push_back(bracket), *this; }
  json_writer& close(char bracket) { return text_.push_back(bracket), *this; }

  std::string text_;
};

}  // namespace recoup
