// Restoring a part of a snapshot, chosen by patterns (restic's --include and --exclude families).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/fs/patterns.hpp>
#include <recoup/ops/restore/options.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

struct selection_patterns {
  std::vector<std::string> include, insensitive_include, exclude, insensitive_exclude;

  [[nodiscard]] bool includes() const noexcept { return !include.empty() || !insensitive_include.empty(); }
  [[nodiscard]] bool excludes() const noexcept { return !exclude.empty() || !insensitive_exclude.empty(); }
};

/// What restore_options::select should be; empty if there are no patterns. An excluded directory takes all below it
/// with it; a directory that may hold something included is looked into, but not restored itself unless it is included
/// too. Throws invalid_argument for malformed patterns, and if both kinds are given: it would be anybody's guess which
/// wins.
[[nodiscard]] inline std::function<selection(std::string_view path, const node&)> select_by_patterns(
    const selection_patterns& patterns) {
  if (patterns.includes() && patterns.excludes())
    throw error(error_code::invalid_argument, "exclude and include patterns are mutually exclusive");
  validate_patterns("--include", patterns.include);
  validate_patterns("--iinclude", patterns.insensitive_include);
  validate_patterns("--exclude", patterns.exclude);
  validate_patterns("--iexclude", patterns.insensitive_exclude);
  if (patterns.includes()) {
    const auto exact = std::make_shared<const pattern_list>(patterns.include);
    const auto insensitive =
        std::make_shared<const pattern_list>(patterns.insensitive_include, letter_case::insensitive);
    return [exact, insensitive](std::string_view path, const node& entry) {
      const auto first = exact->match(path), second = insensitive->match(path);
      const bool may_hold_some = first.child_may_match || second.child_may_match;
      return selection{first.matched || second.matched, may_hold_some && entry.type == node_type::dir};
    };
  }
  if (patterns.excludes()) {
    const auto exact = std::make_shared<const pattern_list>(patterns.exclude);
    const auto insensitive =
        std::make_shared<const pattern_list>(patterns.insensitive_exclude, letter_case::insensitive);
    return [exact, insensitive](std::string_view path, const node& entry) {
      const bool selected = !exact->matches(path) && !insensitive->matches(path);
      return selection{selected, selected && entry.type == node_type::dir};
    };
  }
  return {};
}

/// The same for the names of extended attributes.
[[nodiscard]] inline std::function<bool(std::string_view)> select_attributes(const std::vector<std::string>& include,
                                                                            const std::vector<std::string>& exclude) {
  if (!include.empty() && !exclude.empty())
    throw error(error_code::invalid_argument, "exclude and include xattr patterns are mutually exclusive");
  validate_patterns("--include-xattr", include);
  validate_patterns("--exclude-xattr", exclude);
  if (include.empty() && exclude.empty()) return {};
  const bool wanted = !include.empty();
  const auto list = std::make_shared<const pattern_list>(wanted ? include : exclude);
  return [list, wanted](std::string_view name) { return list->matches(name) == wanted; };
}

}  // namespace recoup
