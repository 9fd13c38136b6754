// JSON on many lines, to be read by people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace recoup {

/// As Go's json.Indent with two blanks: one line for each value, empty objects and arrays closed up. `compact` is valid
/// JSON without blanks between its parts, as json_writer makes it.
inline void indent_json(std::string& to, std::string_view compact) {
  std::size_t depth = 0;
  const auto new_line = [&] { to.append("\n").append(2 * depth, ' '); };
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
      } else {
        ++depth;
        new_line();
      }
    } else if (c == '}' || c == ']') {
      if (depth > 0) --depth;
      new_line();
      to.push_back(c);
    } else {
      to.push_back(c);
      if (c == ',') new_line();
      if (c == ':') to.push_back(' ');
    }
  }
}

[[nodiscard]] inline std::string indented_json(std::string_view compact) {
  std::string text;
  indent_json(text, compact);
  return text;
}

}  // namespace recoup
