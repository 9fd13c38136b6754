// Percent-escaping as AWS wants it in signed requests ("UriEncode" of the Signature Version 4 documentation, which is
// RFC 3986 with every byte escaped that is not unreserved). The same text goes into the URL and into the signature, so
// nothing between the two can disagree.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace recoup {

/// Names and values as they are meant, not escaped. A name may stand more than once.
using uri_query = std::vector<std::pair<std::string, std::string>>;

namespace uri {

inline constexpr std::string_view upper_digits = "0123456789ABCDEF";

[[nodiscard]] constexpr bool is_unreserved(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

/// The value of a hexadecimal digit of either case, -1 if it is none.
[[nodiscard]] constexpr int digit_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

inline void append_escaped(std::string& to, std::string_view text, bool keep_slashes) {
  for (const char c : text) {
    if (is_unreserved(c) || (keep_slashes && c == '/')) {
      to += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      to += '%';
      to += upper_digits[byte >> 4];
      to += upper_digits[byte & 0xf];
    }
  }
}

}  // namespace uri

/// For a name or value in a query, or one segment of a path: slashes are escaped too.
[[nodiscard]] inline std::string uri_escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size() + 16);
  uri::append_escaped(escaped, text, false);
  return escaped;
}

/// For a whole path: slashes stay, also several in a row, and so do segments `.` and `..`.
[[nodiscard]] inline std::string uri_escape_path(std::string_view path) {
  std::string escaped;
  escaped.reserve(path.size() + 16);
  uri::append_escaped(escaped, path, true);
  return escaped;
}

/// The bytes behind the escapes; nothing where a `%` lacks its two digits. `plus_is_space` is for what is escaped as
/// HTML forms are: that is how keys come in listings asked for with encoding-type=url.
[[nodiscard]] inline std::optional<std::string> uri_unescape(std::string_view text, bool plus_is_space = false) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '+' && plus_is_space) {
      plain += ' ';
    } else if (text[at] != '%') {
      plain += text[at];
    } else {
      if (text.size() - at < 3) return std::nullopt;
      const auto high = uri::digit_value(text[at + 1]), low = uri::digit_value(text[at + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      plain += static_cast<char>(high << 4 | low);
      at += 2;
    }
  }
  return plain;
}

/// `name=value&…` without a question mark, sorted by escaped name and then escaped value: the order in which it is
/// signed. A name without value keeps its `=`.
[[nodiscard]] inline std::string uri_query_string(const uri_query& query) {
  uri_query escaped;
  escaped.reserve(query.size());
  for (const auto& [name, value] : query) escaped.emplace_back(uri_escape(name), uri_escape(value));
  std::sort(escaped.begin(), escaped.end());
  std::string text;
  for (const auto& [name, value] : escaped) {
    if (!text.empty()) text += '&';
    text += name;
    text += '=';
    text += value;
  }
  return text;
}

/// A body of the type application/x-www-form-urlencoded, in the order given.
[[nodiscard]] inline std::string uri_form(const uri_query& fields) {
  std::string text;
  for (const auto& [name, value] : fields) {
    if (!text.empty()) text += '&';
    uri::append_escaped(text, name, false);
    text += '=';
    uri::append_escaped(text, value, false);
  }
  return text;
}

}  // namespace recoup
