// Which paths a list of include or exclude patterns means, by restic's rules (internal/filter):
//
//   a pattern is cleaned as a path (a trailing slash goes) and cut at the slashes; each component is a glob
//   /a/b     is anchored: it matches the path /a/b and, since the first components match, all below it
//   a/b      matches if two neighbouring components anywhere in the path match: again also all below
//   a/**/b   ** as a whole component stands for any number of components
//   !a       takes back what earlier patterns of the list matched
//
// Two oddities are kept because snapshots depend on them: "/" is "/**", and each further "**" of a pattern wants room
// for one component when the "**" before it is expanded, so "/a/**/b/**/c" does not match "/a/b/c".
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/fs/glob.hpp>
#include <recoup/fs/lower_case.hpp>
#include <recoup/fs/path.hpp>

namespace recoup {

/// The components of a path as patterns see them: "/" first if it is absolute, then what lies between slashes, empty
/// strings included.
inline void split_for_matching(std::string_view path, std::vector<std::string_view>& components) {
  components.clear();
  for (;;) {
    const auto slash = path.find('/');
    components.push_back(path.substr(0, slash));
    if (slash == path.npos) break;
    path.remove_prefix(slash + 1);
  }
  if (components.front().empty()) components.front() = "/";
}

/// One component of a pattern, sorted by how it can be compared fastest.
class pattern_component {
public:
  explicit pattern_component(std::string_view text) : text_(text) {
    const auto is_plain = [](std::string_view part) { return part.find_first_of("\\[]*?") == part.npos; };
    if (text == "**" || text.empty()) {
      kind_ = kind::any_number;
    } else if (is_plain(text)) {
      kind_ = kind::literal;
    } else if (text == "*") {
      kind_ = kind::anything;
    } else if (text.starts_with('*') && is_plain(text.substr(1))) {
      kind_ = kind::ending;
      text_.erase(0, 1);
    } else if (text.ends_with('*') && is_plain(text.substr(0, text.size() - 1))) {
      kind_ = kind::beginning;
      text_.pop_back();
    } else {
      kind_ = kind::glob;
    }
  }

  [[nodiscard]] bool is_root() const noexcept { return text_ == "/"; }
  [[nodiscard]] bool is_any_number() const noexcept { return kind_ == kind::any_number; }

  /// A component of a path holds no slash, except the root, which only the literal "/" is ever compared with.
  [[nodiscard]] glob_result match(std::string_view name) const noexcept {
    const auto answer = [](bool matched) { return matched ? glob_result::yes : glob_result::no; };
    switch (kind_) {
      case kind::literal: return answer(name == text_);
      case kind::beginning: return answer(name.starts_with(text_));
      case kind::ending: return answer(name.ends_with(text_));
      case kind::glob: return glob_match(text_, name);
      default: return answer(true);
    }
  }

  /// restic's test: a malformed glob shows when it is matched with itself.
  [[nodiscard]] bool is_malformed() const noexcept {
    return kind_ == kind::glob && glob_match(text_, text_) == glob_result::malformed;
  }

private:
  enum class kind : std::uint8_t { literal, anything, beginning, ending, glob, any_number };

  std::string text_;
  kind kind_;
};

struct match_result {
  bool matched = false;
  bool child_may_match = false;
  /// A pattern turned out to be malformed, and the rest is false. Cannot happen if `malformed_patterns` found none, but
  /// for errors that restic's own test overlooks.
  bool malformed = false;
};

/// One pattern, ready to be matched with paths in components.
class path_pattern {
public:
  /// `text` is not empty.
  explicit path_pattern(std::string_view text) : original_(text), negated_(text.front() == '!') {
    if (negated_) text.remove_prefix(1);
    std::vector<std::string_view> parts;
    const auto cleaned = clean_path(text);
    split_for_matching(cleaned, parts);
    for (const auto part : parts) components_.emplace_back(part);
    first_any_ = static_cast<std::size_t>(
        std::find_if(components_.begin(), components_.end(), [](const auto& c) { return c.is_any_number(); }) -
        components_.begin());
  }

  [[nodiscard]] const std::string& original() const noexcept { return original_; }
  [[nodiscard]] bool is_negated() const noexcept { return negated_; }
  [[nodiscard]] bool is_malformed() const noexcept {
    return std::any_of(components_.begin(), components_.end(), [](const auto& c) { return c.is_malformed(); });
  }

  using path_components = std::vector<std::string_view>;

  /// Whether the path or a directory above it matches.
  [[nodiscard]] glob_result match(const path_components& path) const noexcept {
    if (components_.front().is_root()) return match_at(0, path);
    for (std::size_t start = path.front() == "/" ? 1 : 0; start < path.size(); ++start) {
      const auto result = match_at(start, path);
      if (result != glob_result::no) return result;
    }
    return glob_result::no;
  }

  /// Whether something below the path could match.
  [[nodiscard]] glob_result match_child(const path_components& path) const noexcept {
    if (!components_.front().is_root()) return glob_result::yes;
    const auto compared = std::min(path.size(), first_any_);  // first_any_ is the length if there is no "**"
    for (std::size_t i = 0; i < compared; ++i) {
      const auto result = components_[i].match(path[i]);
      if (result != glob_result::yes) return result;
    }
    return glob_result::yes;
  }

private:
  /// Where matching stands: the next component of the pattern and of the path; how many "**" were passed, and how many
  /// components of the path they took.
  struct position {
    std::size_t component, place, passed, taken;
  };

  [[nodiscard]] glob_result match_at(std::size_t start, const path_components& path) const noexcept {
    return match_from({0, start, 0, 0}, start, path);
  }

  /// Recursion is as deep as the pattern has "**".
  [[nodiscard]] glob_result match_from(position at, std::size_t start, const path_components& path) const noexcept {
    for (; at.component < components_.size() && !components_[at.component].is_any_number(); ++at.component) {
      if (at.place >= path.size()) return glob_result::no;
      const auto result = components_[at.component].match(path[at.place++]);
      if (result != glob_result::yes) return result;
    }
    // Nothing but "**" that took nothing does not match.
    if (at.component == components_.size())
      return at.place > start && at.place <= path.size() ? glob_result::yes : glob_result::no;

    // All components of the pattern but this "**" and those before it need room, later "**" too.
    ++at.passed;
    for (++at.component; at.taken + components_.size() <= path.size() + at.passed; ++at.taken, ++at.place) {
      const auto result = match_from(at, start, path);
      if (result != glob_result::no) return result;
    }
    return glob_result::no;
  }

  std::string original_;
  std::vector<pattern_component> components_;
  std::size_t first_any_ = 0;
  bool negated_;
};

enum class letter_case { sensitive, insensitive };

/// Patterns in their order. Any thread may match.
class pattern_list {
public:
  pattern_list() = default;
  /// Empty patterns are passed over.
  explicit pattern_list(const std::vector<std::string>& patterns, letter_case letters = letter_case::sensitive)
      : insensitive_(letters == letter_case::insensitive) {
    for (const auto& text : patterns) {
      if (text.empty()) continue;
      patterns_.emplace_back(insensitive_ ? to_lower(text) : text);
      has_negated_ = has_negated_ || patterns_.back().is_negated();
    }
  }

  [[nodiscard]] bool empty() const noexcept { return patterns_.empty(); }

  /// Throws invalid_argument for an empty path.
  [[nodiscard]] match_result match(std::string_view path) const { return match(path, true); }

  /// Only whether it matched: what excludes need.
  [[nodiscard]] bool matches(std::string_view path) const { return match(path, false).matched; }

private:
  [[nodiscard]] match_result match(std::string_view path, bool with_children) const {
    match_result result;
    if (patterns_.empty()) return result;
    if (path.empty()) throw error(error_code::invalid_argument, "cannot match an empty path with patterns");

    // Kept between calls: a walk asks for every entry, and the memory would be most of the work.
    static thread_local std::vector<std::string_view> components;
    static thread_local std::string lowered;
    if (insensitive_) {
      lowered.clear();
      append_lower(lowered, path);
      path = lowered;
    }
    split_for_matching(path, components);

    for (const auto& pattern : patterns_) {
      const auto matched = pattern.match(components);
      const auto child = with_children ? pattern.match_child(components) : glob_result::yes;
      if (matched == glob_result::malformed || child == glob_result::malformed) return {false, false, true};
      if (pattern.is_negated()) {
        const bool keeps = matched == glob_result::no;
        result.matched = result.matched && keeps;
        result.child_may_match = result.child_may_match && keeps;
      } else {
        result.matched = result.matched || matched == glob_result::yes;
        result.child_may_match = result.child_may_match || child == glob_result::yes;
        if (result.matched && result.child_may_match && !has_negated_) break;
      }
    }
    return result;
  }

  std::vector<path_pattern> patterns_;
  bool insensitive_ = false;
  bool has_negated_ = false;
};

/// Those that no list should be made of, as they were written.
[[nodiscard]] inline std::vector<std::string> malformed_patterns(const std::vector<std::string>& patterns) {
  std::vector<std::string> malformed;
  for (const auto& text : patterns)
    if (!text.empty() && path_pattern(text).is_malformed()) malformed.push_back(text);
  return malformed;
}

/// Throws invalid_argument with all malformed patterns, one a line; `option` is where they came from ("--exclude").
inline void validate_patterns(std::string_view option, const std::vector<std::string>& patterns) {
  const auto malformed = malformed_patterns(patterns);
  if (malformed.empty()) return;
  std::string message = std::string(option) + ": invalid pattern(s) provided:";
  for (const auto& text : malformed) message.append("\n").append(text);
  throw error(error_code::invalid_argument, message);
}

}  // namespace recoup
