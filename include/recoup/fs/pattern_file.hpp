// Files that people write and that list patterns or names, one a line.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/json/utf8.hpp>

namespace recoup {

/// Everything up to the end, so also fit for pipes and /dev/stdin.
[[nodiscard]] inline std::string read_whole_file(const std::string& path) {
  const file_descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file) throw system_error(errno, "cannot open " + path);
  std::string content;
  constexpr std::size_t step = 64 * 1024;
  for (;;) {
    const auto length = content.size();
    content.resize(length + step);
    const ssize_t got = ::read(file.get(), content.data() + length, step);
    if (got < 0 && errno != EINTR) throw system_error(errno, "cannot read " + path);
    content.resize(length + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got == 0) return content;
  }
}

/// UTF-8 without a byte order mark, from UTF-8 with or without one, or from UTF-16 with one (Windows editors). Halves
/// of surrogate pairs and a last odd byte become U+FFFD.
[[nodiscard]] inline std::string decode_text(std::string text) {
  if (text.starts_with("\xef\xbb\xbf")) return text.substr(3);
  const bool big = text.starts_with("\xfe\xff");
  if (!big && !text.starts_with("\xff\xfe")) return text;

  constexpr char32_t replacement = 0xfffd;
  std::string decoded;
  const auto unit = [&](std::size_t at) -> char32_t {
    if (at + 1 >= text.size()) return replacement;
    const auto first = static_cast<unsigned char>(text[at]), second = static_cast<unsigned char>(text[at + 1]);
    return static_cast<char32_t>(big ? first << 8 | second : second << 8 | first);
  };
  for (std::size_t at = 2; at < text.size(); at += 2) {
    char32_t rune = unit(at);
    if (rune >= 0xd800 && rune < 0xdc00 && at + 2 < text.size()) {
      const char32_t low = unit(at + 2);
      if (low >= 0xdc00 && low < 0xe000) {
        rune = 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
        at += 2;
      }
    }
    append_rune(decoded, rune >= 0xd800 && rune < 0xe000 ? replacement : rune);
  }
  return decoded;
}

/// Lines without their ends, "\n" or "\r\n"; the last need not have one.
[[nodiscard]] inline std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return lines;
}

/// Unicode's White_Space, as Go's strings.TrimSpace.
[[nodiscard]] constexpr bool is_space(char32_t rune) noexcept {
  return (rune >= '\t' && rune <= '\r') || rune == ' ' || rune == 0x85 || rune == 0xa0 || rune == 0x1680 ||
         (rune >= 0x2000 && rune <= 0x200a) || rune == 0x2028 || rune == 0x2029 || rune == 0x202f || rune == 0x205f ||
         rune == 0x3000;
}

[[nodiscard]] inline std::string_view trim_space(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto first = decode_rune(text);
    if (!is_space(first.rune)) break;
    text.remove_prefix(first.width);
  }
  while (!text.empty()) {
    // The last rune begins at the last byte that does not continue one, at most four from the end.
    std::size_t width = 1;
    while (width < 4 && width < text.size() && (static_cast<unsigned char>(text[text.size() - width]) & 0xc0) == 0x80)
      ++width;
    const auto last = decode_rune(text.substr(text.size() - width));
    if (last.width != width || !is_space(last.rune)) break;
    text.remove_suffix(width);
  }
  return text;
}

namespace variable_expansion {

struct reference {
  std::string_view name;  ///< empty: none
  std::size_t length;     ///< of what it takes after the dollar sign
};

[[nodiscard]] constexpr bool is_special(char c) noexcept {
  return std::string_view("*#$@!?-0123456789").find(c) != std::string_view::npos;
}

[[nodiscard]] constexpr bool is_name_character(char c) noexcept {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// What follows a dollar sign, as Go's os.Expand reads it. `text` is not empty.
[[nodiscard]] constexpr reference read(std::string_view text) noexcept {
  if (text.front() == '{') {
    if (text.size() > 2 && is_special(text[1]) && text[2] == '}') return {text.substr(1, 1), 3};
    const auto end = text.find('}', 1);
    if (end == text.npos) return {{}, 1};  // "${" alone goes
    return {text.substr(1, end - 1), end + 1};
  }
  if (is_special(text.front())) return {text.substr(0, 1), 1};
  std::size_t length = 0;
  while (length < text.size() && is_name_character(text[length])) ++length;
  return {text.substr(0, length), length};
}

}  // namespace variable_expansion

/// Replaces $NAME, ${NAME} and the shell's one-character names by `value_of(std::string name)`. A dollar sign that no
/// name follows stays; "${}" and "${" go.
template <class ValueOf>
[[nodiscard]] std::string expand_variables(std::string_view text, ValueOf&& value_of) {
  std::string expanded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '$' || at + 1 == text.size()) {
      expanded += text[at];
      continue;
    }
    const auto found = variable_expansion::read(text.substr(at + 1));
    if (!found.name.empty())
      expanded += value_of(std::string(found.name));
    else if (found.length == 0)
      expanded += '$';
    at += found.length;
  }
  return expanded;
}

/// The environment's value or "", and "$" for "$", so that $$ is a dollar sign.
[[nodiscard]] inline std::string environment_or_dollar(const std::string& name) {
  if (name == "$") return name;
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? value : "";
}

/// Patterns one a line: white space around them goes, so do empty lines and those that begin with '#'; variables are
/// replaced.
[[nodiscard]] inline std::vector<std::string> parse_patterns(std::string_view text) {
  std::vector<std::string> patterns;
  for (const auto& line : split_lines(text)) {
    const auto trimmed = trim_space(line);
    if (!trimmed.empty() && trimmed.front() != '#')
      patterns.push_back(expand_variables(trimmed, environment_or_dollar));
  }
  return patterns;
}

/// Throws not_found or io with the file's name.
[[nodiscard]] inline std::vector<std::string> read_pattern_file(const std::string& path) {
  return parse_patterns(decode_text(read_whole_file(path)));
}

}  // namespace recoup
