// Files of environment variables such as /etc/restic.env, read as systemd reads EnvironmentFile= (its
// src/basic/env-file.c in version 252), so that a file means the same to a unit that names it and to us.
//
//   NAME=value            blanks around the name, before the value and behind it do not count
//   # or ; to the end     a comment, at the beginning of a line only; it goes on in the next line after a backslash
//   'as it is'  "\" \\ \$ \` are escapes, a backslash before a line break joins the lines"   both may span lines
//   a\ b                  outside of quotes a backslash takes the next byte as it is, a line break is dropped
//   'a'"b" c              pieces that begin with a quote are joined: abc. Inside a value that began without, quotes
//                         are bytes
//
// A line without "=" is passed over, an open quote ends with the file: systemd takes both. What it drops with a warning
// in the journal, names and values that no environment may have, is an error here: somebody meant something by it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/json/utf8.hpp>

namespace recoup {

struct environment_setting {
  std::string name, value;

  [[nodiscard]] friend bool operator==(const environment_setting&, const environment_setting&) = default;
};

/// Letters, digits and underscores, and no digit first.
[[nodiscard]] inline bool is_environment_name(std::string_view name) noexcept {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && is_letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

/// UTF-8 without control characters other than tabs and line breaks: what systemd lets into an environment.
[[nodiscard]] inline bool is_environment_value(std::string_view value) noexcept {
  return is_valid_utf8(value) && std::ranges::none_of(value, [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return (byte < 0x20 && c != '\t' && c != '\n') || byte == 0x7f;
         });
}

namespace environment_files {

[[nodiscard]] constexpr bool is_line_end(char c) noexcept { return c == '\n' || c == '\r'; }
[[nodiscard]] constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || is_line_end(c); }

/// A text whose blanks at the end can be taken off, but not those that were quoted.
class trimmed_text {
public:
  void add(char c) {
    text_ += c;
    if (!is_blank(c)) kept_ = text_.size();
  }
  void add_kept(char c) {
    text_ += c;
    kept_ = text_.size();
  }
  /// What came so far stays, blanks too.
  void keep() noexcept { kept_ = text_.size(); }
  [[nodiscard]] std::string take() {
    text_.resize(kept_);
    kept_ = 0;
    return std::exchange(text_, {});
  }
  [[nodiscard]] std::string take_all() { return kept_ = text_.size(), take(); }

private:
  std::string text_;
  std::size_t kept_ = 0;
};

class reader {
public:
  explicit reader(std::string_view what) : what_(what) {}

  [[nodiscard]] std::vector<environment_setting> read(std::string_view text) {
    for (const char c : text) {
      if (c == '\0') throw problem("there is a zero byte in it");
      take(c);
      if (c == '\n') ++line_;
    }
    finish();
    return std::move(found_);
  }

private:
  enum class state {
    before_name,
    name,
    before_value,
    value,
    value_escape,
    single_quoted,
    double_quoted,
    double_quoted_escape,
    comment,
    comment_escape,
  };

  void take(char c) {
    switch (state_) {
      case state::before_name:
        if (c == '#' || c == ';') return go(state::comment);
        if (!is_blank(c)) line_of_name_ = line_, name_.add(c), go(state::name);
        return;
      case state::name:
        if (is_line_end(c)) return (void)name_.take(), go(state::before_name);
        return c == '=' ? go(state::before_value) : name_.add(c);
      case state::before_value: return take_before_value(c);
      case state::value:
        if (is_line_end(c)) return end(value_.take());
        if (c == '\\') return go(state::value_escape);
        return value_.add(c);
      case state::value_escape:
        if (is_line_end(c))
          value_.keep();
        else
          value_.add_kept(c);
        return go(state::value);
      case state::single_quoted: return c == '\'' ? go(state::before_value) : value_.add_kept(c);
      case state::double_quoted:
        if (c == '"') return go(state::before_value);
        return c == '\\' ? go(state::double_quoted_escape) : value_.add_kept(c);
      case state::double_quoted_escape:
        if (c != '\n' && std::string_view("\"\\`$").find(c) == std::string_view::npos) value_.add_kept('\\');
        if (c != '\n') value_.add_kept(c);
        return go(state::double_quoted);
      case state::comment:
        if (c == '\\') return go(state::comment_escape);
        return is_line_end(c) ? go(state::before_name) : void();
      case state::comment_escape: return go(state::comment);
    }
  }

  void take_before_value(char c) {
    if (is_line_end(c)) return end(value_.take_all());
    if (c == '\'') return go(state::single_quoted);
    if (c == '"') return go(state::double_quoted);
    if (c == '\\') return go(state::value_escape);
    if (is_blank(c)) return;
    value_.add(c);
    go(state::value);
  }

  void finish() {
    switch (state_) {
      case state::value: return end(value_.take());
      case state::before_value:
      case state::value_escape:
      case state::single_quoted:
      case state::double_quoted:
      case state::double_quoted_escape: return end(value_.take_all());
      default: return;
    }
  }

  void end(std::string value) {
    auto name = name_.take();
    go(state::before_name);
    if (!is_environment_name(name))
      throw problem(
          "what stands before \"=\" is no name of a variable: letters, digits and underscores, no digit first",
          line_of_name_);
    if (!is_environment_value(value))
      throw problem("the value of " + name + " is not UTF-8, or has control characters in it", line_of_name_);
    const auto same = std::ranges::find(found_, name, &environment_setting::name);
    if (same != found_.end()) found_.erase(same);  // the last one counts
    found_.push_back({std::move(name), std::move(value)});
  }

  void go(state next) noexcept { state_ = next; }

  /// Never shows what stands in the line: it may be a secret.
  [[nodiscard]] error problem(const std::string& why, std::optional<std::size_t> line = {}) const {
    return {error_code::invalid_argument,
            std::string(what_) + ", line " + std::to_string(line.value_or(line_)) + ": " + why};
  }

  const std::string_view what_;
  state state_ = state::before_name;
  std::size_t line_ = 1, line_of_name_ = 1;
  trimmed_text name_, value_;
  std::vector<environment_setting> found_;
};

}  // namespace environment_files

/// The variables of a file, each once, in the order in which the values that count stand there. `what` names the file
/// in messages. Throws invalid_argument, and never shows a value.
[[nodiscard]] inline std::vector<environment_setting> parse_environment_file(std::string_view text,
                                                                             std::string_view what) {
  return environment_files::reader(what).read(text);
}

/// True if a schedule may set the variable: the names that restic, S3 and proxies have. Others, such as PATH or
/// LD_PRELOAD, would change what the program does in ways that nobody expects of a backup's settings.
[[nodiscard]] inline bool is_schedule_variable(std::string_view name) {
  static constexpr std::string_view others[] = {"HTTP_PROXY",    "HTTPS_PROXY",  "NO_PROXY", "ALL_PROXY",
                                                "http_proxy",    "https_proxy",  "no_proxy", "all_proxy",
                                                "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR",   "TZ"};
  return is_environment_name(name) && (name.starts_with("RESTIC_") || name.starts_with("AWS_") ||
                                       std::ranges::find(others, name) != std::end(others));
}

/// One line, or several where there are line breaks in the value. POSIX shells read it the same way.
[[nodiscard]] inline std::string render_environment_setting(const environment_setting& variable) {
  if (!is_environment_name(variable.name))
    throw error(error_code::invalid_argument, "\"" + variable.name + "\" is no name of an environment variable");
  if (!is_environment_value(variable.value))
    throw error(
        error_code::invalid_argument,
        "the value of " + variable.name + " is not UTF-8, or has control characters in it, which systemd drops");
  static constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+,=-";
  auto line = variable.name + "=";
  if (variable.value.find_first_not_of(plain) == std::string::npos) return line + variable.value + "\n";
  line += '"';
  for (const char c : variable.value) {
    if (std::string_view("\"\\`$").find(c) != std::string_view::npos) line += '\\';
    line += c;
  }
  return line + "\"\n";
}

/// Throws invalid_argument, naming the variable, never its value.
[[nodiscard]] inline std::string render_environment_file(const std::vector<environment_setting>& variables) {
  std::string text =
      "# Settings and secrets of backups: read by systemd (EnvironmentFile=, LoadCredential=) and shells.\n";
  for (const auto& each : variables) text += render_environment_setting(each);
  return text;
}

}  // namespace recoup
