// Shell patterns by the rules of Go's filepath.Match and filepath.Glob, which decide what restic's excludes mean:
//   *       any bytes but '/'          ?       one rune but '/'
//   [a-z]   one rune of the class      [^a-z]  one rune not of the class; no '!' for '^', and '/' is as any other rune
//   \c      c itself, also in a class
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/fs/directory.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/json/utf8.hpp>

namespace recoup {

enum class glob_result { no, yes, malformed };

namespace glob_chunk {

/// Takes one possibly escaped rune of a class off `chunk`; false if the class is malformed there. Something must
/// follow: at least the closing bracket.
[[nodiscard]] inline bool take_class_rune(std::string_view& chunk, char32_t& rune) noexcept {
  if (chunk.empty() || chunk.front() == '-' || chunk.front() == ']') return false;
  if (chunk.front() == '\\') {
    chunk.remove_prefix(1);
    if (chunk.empty()) return false;
  }
  const auto next = decode_rune(chunk);
  rune = next.rune;
  chunk.remove_prefix(next.width);
  return next.valid && !chunk.empty();
}

/// Takes a class, whose '[' is gone already, off `chunk` and says whether `rune` belongs to it.
[[nodiscard]] inline glob_result take_class(std::string_view& chunk, char32_t rune) noexcept {
  const bool negated = chunk.starts_with('^');
  if (negated) chunk.remove_prefix(1);
  bool inside = false;
  for (bool first = true; first || !chunk.starts_with(']'); first = false) {
    char32_t low = 0;
    if (!take_class_rune(chunk, low)) return glob_result::malformed;
    char32_t high = low;
    if (chunk.front() == '-') {
      chunk.remove_prefix(1);
      if (!take_class_rune(chunk, high)) return glob_result::malformed;
    }
    inside = inside || (low <= rune && rune <= high);
  }
  chunk.remove_prefix(1);
  return inside != negated ? glob_result::yes : glob_result::no;
}

/// The part of `pattern` before the next star that stands for itself.
[[nodiscard]] inline std::string_view take(std::string_view& pattern) noexcept {
  bool in_class = false;
  std::size_t end = 0;
  for (; end < pattern.size(); ++end) {
    const char c = pattern[end];
    if (c == '\\') {
      if (end + 1 < pattern.size()) ++end;
    } else if (c == '[') {
      in_class = true;
    } else if (c == ']') {
      in_class = false;
    } else if (c == '*' && !in_class) {
      break;
    }
  }
  const auto chunk = pattern.substr(0, end);
  pattern.remove_prefix(end);
  return chunk;
}

/// Matches a chunk, in which no star is special, with the beginning of `text` and takes that off. With `checks_all`,
/// reads the chunk to its end even when it is clear that it does not match: malformed is malformed for every text.
[[nodiscard]] inline glob_result match(std::string_view chunk, std::string_view& text, bool checks_all) noexcept {
  auto rest = text;
  bool failed = false;
  while (!chunk.empty()) {
    failed = failed || rest.empty();
    if (failed && !checks_all) return glob_result::no;
    char c = chunk.front();
    chunk.remove_prefix(1);
    if (c == '[') {
      decoded_rune next{0, 0, true};
      if (!failed) next = decode_rune(rest);
      rest.remove_prefix(next.width);
      const auto belongs = take_class(chunk, next.rune);
      if (belongs == glob_result::malformed) return belongs;
      failed = failed || belongs == glob_result::no;
    } else if (c == '?') {
      if (failed) continue;
      failed = rest.front() == '/';
      rest.remove_prefix(decode_rune(rest).width);
    } else {
      if (c == '\\') {
        if (chunk.empty()) return glob_result::malformed;
        c = chunk.front();
        chunk.remove_prefix(1);
      }
      if (failed) continue;
      failed = rest.front() != c;
      rest.remove_prefix(1);
    }
  }
  if (failed) return glob_result::no;
  text = rest;
  return glob_result::yes;
}

}  // namespace glob_chunk

/// Whether the whole `name` matches. As in Go, a pattern may be malformed in a place that a name that fails earlier
/// never gets to.
[[nodiscard]] inline glob_result glob_match(std::string_view pattern, std::string_view name) noexcept {
  while (!pattern.empty()) {
    const auto stars = std::min(pattern.find_first_not_of('*'), pattern.size());
    pattern.remove_prefix(stars);
    const auto chunk = glob_chunk::take(pattern);
    if (stars > 0 && chunk.empty()) return name.find('/') == name.npos ? glob_result::yes : glob_result::no;

    // The first place that fits is as good as any later one, but the last chunk must end where the name ends.
    const bool is_last = pattern.empty();
    for (std::size_t skipped = 0;; ++skipped) {
      auto rest = name.substr(skipped);
      const auto result = glob_chunk::match(chunk, rest, skipped == 0);
      if (result == glob_result::malformed) return result;
      if (result == glob_result::yes && (!is_last || rest.empty())) {
        name = rest;
        break;
      }
      if (stars == 0 || skipped == name.size() || name[skipped] == '/') return glob_result::no;
    }
  }
  return name.empty() ? glob_result::yes : glob_result::no;
}

[[nodiscard]] inline bool has_glob_characters(std::string_view path) noexcept {
  return path.find_first_of("*?[\\") != path.npos;
}

namespace glob_expansion {

[[noreturn]] inline void malformed(const std::string& pattern) {
  throw error(error_code::invalid_argument, "pattern " + pattern + ": syntax error in pattern");
}

/// Adds the entries of `directory` that match, in order; a directory that cannot be read has none.
inline void add_matches(const std::string& directory, std::string_view pattern, std::vector<std::string>& matches) {
  const auto opened = open_for_reading(AT_FDCWD, directory.c_str(), O_DIRECTORY);
  if (!opened) return;
  std::vector<std::string> names;
  try {
    names = list_directory(opened.get());
  } catch (const error&) {
    return;
  }
  for (const auto& name : names) {
    const auto result = glob_match(pattern, name);
    if (result == glob_result::malformed) malformed(std::string(pattern));
    if (result == glob_result::yes) matches.push_back(join_path(directory, name));
  }
}

}  // namespace glob_expansion

/// The existing paths that match, in lexical order per directory; a pattern without special characters stands for
/// itself if it exists. Unreadable directories are passed over. Throws invalid_argument for a malformed pattern.
[[nodiscard]] inline std::vector<std::string> expand_glob(const std::string& pattern) {
  struct level {
    std::string directory;  // with special characters, unless it is the first
    std::string name;
  };
  // From "/a*/b?/c": the levels are ("/", "a*"), ("/a*", "b?"), ("/a*/b?", "c"), built from the back.
  std::vector<level> levels;
  std::string rest = pattern;
  for (;;) {
    if (glob_match(rest, "") == glob_result::malformed) glob_expansion::malformed(pattern);
    if (!has_glob_characters(rest)) break;
    const auto slash = rest.rfind('/');
    level next;
    next.name = slash == rest.npos ? rest : rest.substr(slash + 1);
    next.directory = slash == rest.npos ? "." : slash == 0 ? "/" : rest.substr(0, slash);
    rest = next.directory;
    levels.push_back(std::move(next));
  }
  struct stat status {};
  if (levels.empty())
    return ::lstat(pattern.c_str(), &status) == 0 ? std::vector<std::string>{pattern} : std::vector<std::string>{};

  std::vector<std::string> matches;
  glob_expansion::add_matches(levels.back().directory, levels.back().name, matches);
  levels.pop_back();
  for (; !levels.empty(); levels.pop_back()) {
    std::vector<std::string> deeper;
    for (const auto& directory : matches) glob_expansion::add_matches(directory, levels.back().name, deeper);
    matches = std::move(deeper);
  }
  return matches;
}

}  // namespace recoup
