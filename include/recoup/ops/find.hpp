// Finding files by their names, and the files and snapshots that blobs, trees or packs belong to.
#pragma once

#include <algorithm>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/fs/lower_case.hpp>
#include <recoup/fs/patterns.hpp>
#include <recoup/ops/walk.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

struct find_options {
  /// As in excludes, so "*.cpp" matches at any depth and "/etc" also all that is in it. One must match; "!" means
  /// nothing.
  std::vector<std::string> patterns;
  bool ignore_case = false;
  std::optional<timestamp> oldest, newest;  ///< bounds of the mtime, both inclusive
  tree_error_handler on_error;              ///< nothing: errors are thrown
  std::stop_token stop{};
};

/// Looks for files in one snapshot after another.
class file_search {
public:
  /// Throws invalid_argument for malformed patterns, or none, and for bounds that leave nothing.
  explicit file_search(find_options options) : options_(std::move(options)) {
    if (options_.patterns.empty()) throw error(error_code::invalid_argument, "no pattern to look for");
    validate_patterns("find", options_.patterns);
    for (const auto& text : options_.patterns) {
      matches_all_ = matches_all_ || text.empty();
      if (!text.empty()) patterns_.emplace_back(options_.ignore_case ? to_lower(text) : text);
    }
    if (options_.oldest && options_.newest && earlier(*options_.newest, *options_.oldest))
      throw error(error_code::invalid_argument, "--oldest must specify a time before --newest");
  }

  /// Calls `visit(walked_node&)` for each match, in the order of the paths. The index must be loaded.
  template <class Visit>
  void run(repository& repo, const id& tree, Visit&& visit) {
    tree_walk walk(repo, tree, {"", options_.on_error, options_.stop});
    while (auto* at = walk.next()) {
      split(at->path);
      const bool matched = any([this](const path_pattern& pattern) { return pattern.match(components_); });
      if (at->node.type == node_type::dir &&
          !any([this](const path_pattern& pattern) { return pattern.match_child(components_); }) &&
          !(matched && is_in_time(at->node)))
        walk.skip();
      if (matched && is_in_time(at->node)) visit(*at);
    }
  }

private:
  void split(const std::string& path) {
    lowered_ = options_.ignore_case ? to_lower(path) : path;
    split_for_matching(lowered_, components_);
  }

  template <class Test>
  [[nodiscard]] bool any(Test&& test) const {
    return matches_all_ ||
           std::ranges::any_of(patterns_, [&](const path_pattern& each) { return test(each) == glob_result::yes; });
  }

  [[nodiscard]] bool is_in_time(const node& of) const {
    return !(options_.oldest && earlier(of.mtime, *options_.oldest)) &&
           !(options_.newest && earlier(*options_.newest, of.mtime));
  }

  find_options options_;
  std::vector<path_pattern> patterns_;
  bool matches_all_ = false;
  std::string lowered_;
  std::vector<std::string_view> components_;
};

}  // namespace recoup
