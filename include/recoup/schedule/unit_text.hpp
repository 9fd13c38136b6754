// Texts in systemd's unit files (systemd.unit(5), systemd.service(5), systemd.syntax(7)), so that each arrives as it
// was.
//
// A line of ExecStart= is cut into words at blanks; quotes hold words together, backslashes are C's escapes. Then "%x"
// is replaced in each word, and then "$NAME": "%%" and "$$" stand for the signs. The program itself knows no variables.
// Lists of paths know quotes, and backslashes that only take the next byte as it is; so does nothing else.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <recoup/core/error.hpp>

namespace recoup {

/// "%%" for "%": for any text in a unit that is to stay as it is.
[[nodiscard]] inline std::string without_specifiers(std::string_view text) {
  std::string result;
  for (const char c : text) result += c == '%' ? std::string("%%") : std::string(1, c);
  return result;
}

namespace unit_texts {

/// Everything else is put in quotation marks, although much of it need not be.
[[nodiscard]] inline bool is_plain(std::string_view text) noexcept {
  static constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+,=$-";
  return !text.empty() && text.find_first_not_of(plain) == std::string_view::npos;
}

[[nodiscard]] inline std::string quoted(std::string_view text, bool doubles_dollars) {
  std::string body;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\0') throw error(error_code::invalid_argument, "no word of a command can hold a zero byte");
    if (c == '"' || c == '\\')
      (body += '\\') += c;
    else if (c == '%')
      body += "%%";
    else if (c == '$' && doubles_dollars)
      body += "$$";
    else if (byte < 0x20 || byte == 0x7f)
      ((body += "\\x") += "0123456789abcdef"[byte >> 4]) += "0123456789abcdef"[byte & 0xf];
    else
      body += c;
  }
  return is_plain(text) ? body : "\"" + body + "\"";
}

}  // namespace unit_texts

/// An argument of a command in ExecStart= and the like. Throws invalid_argument if it holds a zero byte.
[[nodiscard]] inline std::string unit_argument(std::string_view word) { return unit_texts::quoted(word, true); }

/// The program of such a command: an absolute path, which cannot be taken for one of the prefixes "@-:+!".
[[nodiscard]] inline std::string unit_program(std::string_view path) {
  if (!path.starts_with('/'))
    throw error(error_code::invalid_argument, "\"" + std::string(path) + "\" is no absolute path, which a unit needs");
  return unit_texts::quoted(path, false);
}

/// A path in a list such as ReadWritePaths=, where there are no escapes for control characters.
[[nodiscard]] inline std::string unit_path(std::string_view path) {
  if (std::ranges::any_of(path, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    throw error(error_code::invalid_argument, "a path with control characters in its name cannot stand in a unit");
  return unit_texts::quoted(path, false);
}

}  // namespace recoup
