// JSON on many lines, to be read by people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace recoup {

enum class json_lists : std::uint8_t {
  on_many_lines,  ///< as Go's json.Indent
  on_one_line,    ///< with all that is in them, as people write lists of words
};

/// As Go's json.Indent with two blanks: one line for each value, empty objects and arrays closed up. `compact` is valid
/// JSON without blanks between its parts, as json_writer makes it.
inline void indent_json(std::string& to, std::string_view compact, json_lists lists = json_lists::on_many_lines) {
  std::size_t depth = 0, lists_on_this_line = 0;
  const auto new_line = [&] {
    if (lists_on_this_line == 0) to.append("\n").append(2 * depth, ' ');
  };
  for (std::size_t i = 0; i < compact.size(); ++i) {
    const char c = compact[i];
    if (c == '"') {
      std::size_t end = i + 1;
      while (end < compact.size() && compact[end] != '"') end += compact[end] == '\\' ? 2 : 1;
      to.append(compact.substr(i, end + 1 - i));
      i = end;
    } else if (c == '{' || c == '[') {
      to.push_back(c);
      if (i + 1 < compact.size() && (compact[i + 1] == '}' || compact[i + 1] == ']')) {
        to.push_back(compact[++i]);
      } else if (c == '[' && lists == json_lists::on_one_line) {
        ++lists_on_this_line;
      } else {
        ++depth;
        new_line();
      }
    } else if (c == ']' && lists_on_this_line > 0) {
      --lists_on_this_line;
      to.push_back(c);
    } else if (c == '}' || c == ']') {
      if (depth > 0) --depth;
      new_line();
      to.push_back(c);
    } else {
      to.push_back(c);
      if (c == ',') new_line();
      if (c == ':' || (c == ',' && lists_on_this_line > 0)) to.push_back(' ');
    }
  }
}

[[nodiscard]] inline std::string indented_json(std::string_view compact, json_lists lists = json_lists::on_many_lines) {
  std::string text;
  indent_json(text, compact, lists);
  return text;
}

}  // namespace recoup
