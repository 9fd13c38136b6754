// Keys of objects as names of files.
//
// A key is any text of 1 to 1024 bytes; a path is not. Plainly, "a/b" becomes the file b in the directory a, and a key
// that cannot be a path of that kind is refused. Escaped, every key has a path and every such path is of one key:
//
//     "%"                    %25
//     a zero byte            %00
//     the segments . and ..  %2E and %2E%2E
//     an empty segment       %_      ("a//b", a slash in front or at the end)
//     above 240 bytes        the first 240 as a directory whose name ends in %+, and the rest in it
//     "a" beside "a/b"       a%=
//
// No escape but the first three is of hexadecimal digits, so none can be mistaken for another.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/json/go_quote.hpp>
#include <recoup/s3/uri.hpp>

namespace recoup {

/// How a file is called while it is written: no key may mean such a one.
inline constexpr std::string_view sync_temporary_name = ".recoup-sync";

namespace file_naming {

inline constexpr std::size_t longest_name = 255;  // NAME_MAX of every file system in use
inline constexpr std::size_t longest_piece = 240;

[[nodiscard]] inline std::vector<std::string_view> segments_of(std::string_view key) {
  std::vector<std::string_view> found;
  for (std::size_t start = 0;;) {
    const auto slash = key.find('/', start);
    found.push_back(key.substr(start, slash - start));
    if (slash == std::string_view::npos) return found;
    start = slash + 1;
  }
}

inline void append_escaped(std::string& to, std::string_view segment) {
  if (segment.empty()) to += "%_";
  for (const char c : segment) {
    if (c == '%')
      to += "%25";
    else if (c == '\0')
      to += "%00";
    else
      to += c;
  }
}

/// Names that mean something else than a file. What is left of a long segment can be one too.
[[nodiscard]] inline std::string protected_name(std::string_view name) {
  if (name == ".") return "%2E";
  if (name == "..") return "%2E%2E";
  if (name.starts_with(sync_temporary_name)) return "%2E" + std::string(name.substr(1));
  return std::string(name);
}

}  // namespace file_naming

/// Why a key cannot be the path of a file as it is; empty if it can. Nothing that passes leaves the directory it is
/// looked up in.
[[nodiscard]] inline std::string problem_of_file_name(std::string_view key) {
  for (const auto segment : file_naming::segments_of(key)) {
    if (segment.empty())
      return key.ends_with('/') ? "it ends in a slash" : "it begins with a slash, or has two in a row";
    if (segment == "." || segment == "..") return "a part of it is \"" + std::string(segment) + '"';
    if (segment.find('\0') != std::string_view::npos) return "it has a zero byte in it";
    if (segment.size() > file_naming::longest_name) return "a part of it is longer than 255 bytes";
    if (segment.starts_with(sync_temporary_name)) return "files that begin so are temporary ones";
  }
  return {};
}

/// The path of a key, names one by one. `is_directory_too`: other keys begin with this one and a slash.
[[nodiscard]] inline std::vector<std::string> escaped_path(std::string_view key, bool is_directory_too) {
  std::vector<std::string> names;
  for (const auto segment : file_naming::segments_of(key)) {
    std::string name;
    file_naming::append_escaped(name, segment);
    while (name.size() > file_naming::longest_piece) {
      auto end = file_naming::longest_piece;
      // Not in the middle of an escape: they have up to three bytes.
      if (const auto percent = name.rfind('%', end - 1); percent != std::string::npos && percent + 3 > end)
        end = percent;
      names.push_back(file_naming::protected_name(name.substr(0, end)) + "%+");
      name.erase(0, end);
    }
    names.push_back(file_naming::protected_name(name));
  }
  if (is_directory_too) names.back() += "%=";
  return names;
}

/// The key of an escaped path. Nothing if no key has this path.
[[nodiscard]] inline std::optional<std::string> key_of_escaped_path(const std::vector<std::string>& names) {
  std::string key;
  bool is_directory_too = false;
  for (std::size_t at = 0; at < names.size(); ++at) {
    std::string_view name = names[at];
    const bool is_last = at + 1 == names.size();
    const bool goes_on = name.ends_with("%+");
    if (goes_on && is_last) return std::nullopt;
    if (is_last && name.ends_with("%=")) is_directory_too = true;
    if (goes_on || (is_last && is_directory_too)) name.remove_suffix(2);
    if (name != "%_") {
      const auto plain = uri_unescape(name);
      if (!plain) return std::nullopt;
      key += *plain;
    }
    if (!goes_on && !is_last) key += '/';
  }
  // What can be written in several ways is a key's in one of them only.
  if (escaped_path(key, is_directory_too) != names) return std::nullopt;
  return key;
}

}  // namespace recoup
