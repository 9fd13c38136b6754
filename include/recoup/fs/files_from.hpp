// Names of what to back up, from files: --files-from, --files-from-verbatim, --files-from-raw.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <istream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/fs/glob.hpp>
#include <recoup/fs/pattern_file.hpp>
#include <recoup/fs/warning.hpp>

namespace recoup {

enum class files_from {
  globs,     ///< one pattern a line, with comments and blank lines; white space around it goes
  verbatim,  ///< one name a line, as it stands; empty lines are passed over
  raw,       ///< each name ends with a NUL byte
};

/// The names that `text` lists; for globs, the existing paths they match. A glob that matches nothing is a warning.
/// Throws invalid_argument for malformed globs, an empty raw name, and a raw list whose last NUL is missing: it was cut
/// off.
[[nodiscard]] inline std::vector<std::string> parse_files_from(files_from kind, std::string_view text,
                                                               const warning_function& on_warning) {
  std::vector<std::string> names;
  if (kind == files_from::raw) {
    while (!text.empty()) {
      const auto end = text.find('\0');
      if (end == text.npos)
        throw error(error_code::invalid_argument, "--files-from-raw: trailing zero byte missing");
      // Cleaning an empty name would make it ".", the working directory.
      if (end == 0) throw error(error_code::invalid_argument, "--files-from-raw: empty filename in listing");
      names.emplace_back(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
    return names;
  }
  for (const auto& line : split_lines(text)) {
    if (kind == files_from::verbatim) {
      if (!line.empty()) names.push_back(line);
      continue;
    }
    const std::string pattern(trim_space(line));
    if (pattern.empty() || pattern.front() == '#') continue;
    auto matches = expand_glob(pattern);
    if (matches.empty()) warn(on_warning, pattern, "pattern \"" + pattern + "\" does not match any files, skipping");
    names.insert(names.end(), std::make_move_iterator(matches.begin()), std::make_move_iterator(matches.end()));
  }
  return names;
}

/// Reads the list in the file `name`; "" lists nothing, "-" is `standard_input`, which is taken as it is, while files
/// of lines may have a byte order mark.
[[nodiscard]] inline std::vector<std::string> read_files_from(files_from kind, const std::string& name,
                                                              std::istream& standard_input,
                                                              const warning_function& on_warning) {
  std::string text;
  if (name == "-") {
    text.assign(std::istreambuf_iterator<char>(standard_input), {});
    if (standard_input.bad()) throw error(error_code::io, "cannot read the list of files from standard input");
  } else if (kind == files_from::raw) {
    text = read_whole_file(name);
  } else if (!name.empty()) {
    text = decode_text(read_whole_file(name));
  }
  return parse_files_from(kind, text, on_warning);
}

struct present_and_missing {
  std::vector<std::string> present;
  bool any_missing = false;
};

/// Drops what does not exist or cannot be reached, with a warning each. Throws not_found if nothing is left.
[[nodiscard]] inline present_and_missing keep_present(const std::vector<std::string>& names,
                                                      const warning_function& on_warning) {
  present_and_missing kept;
  for (const auto& name : names) {
    struct stat status {};
    if (::lstat(name.c_str(), &status) == 0) {
      kept.present.push_back(name);
      continue;
    }
    kept.any_missing = true;
    warn(on_warning, name, name + (errno == ENOENT ? " does not exist, skipping" : " cannot be accessed, skipping"));
  }
  if (kept.present.empty()) throw error(error_code::not_found, "all source directories/files do not exist");
  return kept;
}

}  // namespace recoup
