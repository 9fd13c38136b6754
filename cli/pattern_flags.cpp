#include "pattern_flags.hpp"

#include <recoup/fs/pattern_file.hpp>

namespace recoup::cli {

namespace {

std::vector<std::string> collect(std::vector<std::string> all, const std::vector<std::string>& files,
                                 const std::string& option) {
  validate_patterns(option, all);
  for (const auto& file : files) {
    const auto more = read_pattern_file(file);
    validate_patterns(option + "-file", more);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace

pattern_pair::pattern_pair(const pattern_flags& flags, const std::string& kind)
    : sensitive_(collect(flags.patterns, flags.files, "--" + kind)),
      insensitive_(collect(flags.insensitive, flags.insensitive_files, "--i" + kind), letter_case::insensitive) {}

match_result pattern_pair::match(std::string_view path) const {
  auto result = sensitive_.match(path);
  const auto other = insensitive_.match(path);
  result.matched = result.matched || other.matched;
  result.child_may_match = result.child_may_match || other.child_may_match;
  return result;
}

void add_pattern_flags(CLI::App& app, pattern_flags& flags, const std::string& kind, const std::string& short_name) {
  add_list(app, short_name + ",--" + kind, flags.patterns, kind + " a pattern (can be specified multiple times)",
           "pattern");
  add_list(app, "--i" + kind, flags.insensitive, "same as --" + kind + " but ignores the casing of filenames",
           "pattern");
  add_list(app, "--" + kind + "-file", flags.files,
           "read " + kind + " patterns from a file (can be specified multiple times)", "file");
  add_list(app, "--i" + kind + "-file", flags.insensitive_files,
           "same as --" + kind + "-file but ignores casing of filenames in patterns", "file");
}

}  // namespace recoup::cli
