// Patterns must mean exactly what they mean to restic. Its own answers are in data/patterns.tsv (random patterns and
// paths, asked of internal/filter of restic 0.19.1); the rules are told again here by a matcher that is slow and
// obvious.
#include <recoup/fs/patterns.hpp>

#include <random>

#include "test_data.hpp"

namespace recoup {
namespace {

bool matches(const std::string& pattern, const std::string& path) { return pattern_list({pattern}).matches(path); }
bool child_may_match(const std::string& pattern, const std::string& path) {
  return pattern_list({pattern}).match(path).child_may_match;
}
glob_result glob(std::string_view pattern, std::string_view name) { return glob_match(pattern, name); }

TEST(glob, stars_and_question_marks) {
  EXPECT_EQ(glob("*", ""), glob_result::yes);
  EXPECT_EQ(glob("*", "a/b"), glob_result::no);
  EXPECT_EQ(glob("a*c", "abbbc"), glob_result::yes);
  EXPECT_EQ(glob("a*c", "ac"), glob_result::yes);
  EXPECT_EQ(glob("a*c*e", "abcdcde"), glob_result::yes);
  EXPECT_EQ(glob("*b*", "aaabaaa"), glob_result::yes);
  EXPECT_EQ(glob("*ab", "aab"), glob_result::yes);
  EXPECT_EQ(glob("a*", "ab/c"), glob_result::no);
  EXPECT_EQ(glob("?", ""), glob_result::no);
  EXPECT_EQ(glob("?", "/"), glob_result::no);
  EXPECT_EQ(glob("?", "ä"), glob_result::yes);
  EXPECT_EQ(glob("?", "\xff"), glob_result::yes);
  EXPECT_EQ(glob("??", "ä"), glob_result::no);
  EXPECT_EQ(glob("", ""), glob_result::yes);
  EXPECT_EQ(glob("", "a"), glob_result::no);
}

TEST(glob, classes) {
  EXPECT_EQ(glob("[a-c]", "b"), glob_result::yes);
  EXPECT_EQ(glob("[a-c]", "d"), glob_result::no);
  EXPECT_EQ(glob("[^a-c]", "d"), glob_result::yes);
  EXPECT_EQ(glob("[!a]", "!"), glob_result::yes) << "only ^ negates";
  EXPECT_EQ(glob("[!a]", "b"), glob_result::no);
  EXPECT_EQ(glob("[^a]", "/"), glob_result::yes) << "a class may match a slash";
  EXPECT_EQ(glob("[ä-ü]", "ö"), glob_result::yes);
  EXPECT_EQ(glob("[\\]]", "]"), glob_result::yes);
  EXPECT_EQ(glob("[\\-x]", "-"), glob_result::yes);
  EXPECT_EQ(glob("[a*]b", "*b"), glob_result::yes) << "a star in a class is a star";
  EXPECT_EQ(glob("a\\*b", "a*b"), glob_result::yes);
  EXPECT_EQ(glob("a\\*b", "axb"), glob_result::no);
  EXPECT_EQ(glob("]", "]"), glob_result::yes);
}

TEST(glob, malformed) {
  for (const char* pattern : {"[", "[a", "[]", "[]a]", "[-x]", "[a-]", "[x-", "a[", "\\", "*[", "[^]", "[\xff]",
                              "[a\\"})
    EXPECT_EQ(glob(pattern, "a"), glob_result::malformed) << pattern;
}

TEST(to_lower, is_gos) {
  EXPECT_EQ(to_lower("ÄÖÜ straSSE"), "äöü strasse");
  EXPECT_EQ(to_lower(U'Ā'), U'ā');
  EXPECT_EQ(to_lower(U'ā'), U'ā');
  EXPECT_EQ(to_lower(U'\u212a'), U'k');         // the Kelvin sign
  EXPECT_EQ(to_lower(U'\u0130'), U'i');         // I with a dot
  EXPECT_EQ(to_lower(U'\U00010400'), U'\U00010428');  // Deseret
  EXPECT_EQ(to_lower(U'ẞ'), U'ß');
  EXPECT_EQ(to_lower("\xff"), "\xef\xbf\xbd");
}

TEST(patterns, without_a_slash_match_at_any_depth) {
  EXPECT_TRUE(matches("*.go", "/foo/bar/test.go"));
  EXPECT_FALSE(matches("*.c", "/foo/bar/test.go"));
  EXPECT_TRUE(matches("sdk", "/foo/bar/sdk"));
  EXPECT_TRUE(matches("test.go", "bar/baz/test.go"));
  EXPECT_FALSE(matches("tesT.*", "/foo/bar/test.go"));
  EXPECT_FALSE(matches("foo", "/foobar"));
}

TEST(patterns, match_what_is_below_too) {
  EXPECT_TRUE(matches("bar", "/foo/bar/baz"));
  EXPECT_TRUE(matches("/foo", "/foo/baz/deep"));
  EXPECT_TRUE(matches("sdk", "/foo/bar/sdk/test/sdk_foo.go"));
  EXPECT_TRUE(matches("bar/*", "/foo/bar/baz/deep"));
  EXPECT_FALSE(matches("/foo/*", "/foo"));
}

TEST(patterns, with_slashes_match_neighbours) {
  EXPECT_TRUE(matches("bar/*.go", "/foo/bar/test.go"));
  EXPECT_FALSE(matches("baz/*", "/foo/bar/test.go"));
  EXPECT_FALSE(matches("foo/test.go", "/foo/bar/test.go"));
  EXPECT_FALSE(matches("sdk/*/cpp/*/*vars*.html", "/usr/share/doc/libreoffice/sdk/docs/cpp/ref/a00517.html"));
}

TEST(patterns, with_a_slash_in_front_are_anchored) {
  EXPECT_TRUE(matches("/foo/bar", "/foo/bar"));
  EXPECT_FALSE(matches("/bar*", "/foo/bar/test.go"));
  EXPECT_TRUE(matches("/foo/*/test.*", "/foo/bar/test.go"));
  EXPECT_FALSE(matches("/foo/bar", "foo/bar")) << "a relative path has no root";
  EXPECT_FALSE(matches("/*/*/bar/test.*", "/foo/bar/baz/test.go"));
}

TEST(patterns, are_cleaned) {
  EXPECT_TRUE(matches("/foo/bar/", "/foo/bar"));
  EXPECT_TRUE(matches("/foo///bar", "/foo/bar"));
  EXPECT_TRUE(matches("/foo/../bar", "/bar"));
  EXPECT_FALSE(matches("/foo/../bar", "/foo/bar"));
  EXPECT_TRUE(matches("./foo", "/x/foo"));
  EXPECT_FALSE(matches("/foo/bar", "/foo/baz/"));
}

TEST(patterns, two_stars_stand_for_any_number_of_components) {
  EXPECT_TRUE(matches("**", "/foo/bar"));
  EXPECT_TRUE(matches("foo/**/bar/*.go", "/home/user/foo/work/special/project/bar/test.go"));
  EXPECT_TRUE(matches("foo/**/bar/*.go", "/home/user/foo/bar/test.go"));
  EXPECT_TRUE(matches("foo/**/bar/*.go", "foo/bar/baz/bar/test.go"));
  EXPECT_FALSE(matches("foo/**/bar/*.go", "bar/foo/main.go"));
  EXPECT_TRUE(matches("foo/**/bar/**/x", "/home/user/foo/bar/x"));
  EXPECT_TRUE(matches("user/**/hidden*/**/c", "/home/user/work/x/y/hidden/z/a/b/c"));
  EXPECT_FALSE(matches("user/**/important*", "/home/user/work/x/y/hidden/x"));
  EXPECT_TRUE(matches("/foo/**", "/foo"));
  EXPECT_FALSE(matches("a**b", "/a/x/b")) << "not a whole component";
  EXPECT_TRUE(matches("a**b", "/axb"));
}

TEST(patterns, oddities_that_restic_has) {
  EXPECT_TRUE(matches("/", "/anything"));
  EXPECT_FALSE(matches("/", "anything"));
  EXPECT_TRUE(matches("/a/**/c", "/a/c"));
  EXPECT_FALSE(matches("/a/**/b/**/c", "/a/b/c"));
  EXPECT_TRUE(matches("/a/**/b/**/c", "/a/b/x/c"));
  EXPECT_FALSE(matches("/a/**/b/**/c", "/a/x/b/c"));
  EXPECT_TRUE(matches("/a/**/b/**/c", "/a/x/b/y/c"));
}

TEST(patterns, say_whether_something_below_may_match) {
  EXPECT_TRUE(child_may_match("foo/bar", "/other")) << "unanchored: anywhere";
  EXPECT_TRUE(child_may_match("/foo/bar/baz", "/foo/bar"));
  EXPECT_FALSE(child_may_match("/foo/bar/baz", "/foo/baz"));
  EXPECT_TRUE(child_may_match("/foo/**/qux", "/foo/bar/baz"));
  EXPECT_FALSE(child_may_match("/foo/**/qux", "/bar"));
  EXPECT_TRUE(child_may_match("/foo/*/qux", "/foo/bar"));
  EXPECT_FALSE(child_may_match("/foo/*/qux", "/foo/bar/boo"));
  EXPECT_TRUE(child_may_match("/foo", "/foo/bar/baz"));
}

TEST(patterns, later_ones_take_back) {
  const pattern_list list({"/foo/*/*", "!test.*", "*.c"});
  EXPECT_FALSE(list.matches("/foo/bar/test.go"));
  EXPECT_TRUE(list.matches("/foo/bar/test.c"));
  EXPECT_TRUE(list.matches("/foo/bar/file.go"));
  const pattern_list nested({"/**/*", "!/foo", "/foo/*", "!/foo/bar"});
  EXPECT_FALSE(nested.matches("/foo/bar/test.go/child"));
  EXPECT_TRUE(nested.matches("/foo/other/test.go"));
  EXPECT_FALSE(pattern_list({"!*.go"}).matches("/a.go"));
  EXPECT_TRUE(pattern_list({"*.go", "!"}).matches("/a.go"));
}

TEST(patterns, empty_ones_and_empty_paths) {
  EXPECT_FALSE(pattern_list().matches("/x"));
  EXPECT_FALSE(pattern_list({""}).matches("/x"));
  EXPECT_TRUE(pattern_list({"", "x"}).matches("/x"));
  EXPECT_TRUE(pattern_list({""}).empty());
  EXPECT_FALSE(pattern_list().matches(""));
  EXPECT_THROW((void)pattern_list({"x"}).matches(""), error);
}

TEST(patterns, insensitive) {
  const pattern_list list({"*.GO", "README.md", "/home/User/foobar/*", "Ärger"}, letter_case::insensitive);
  EXPECT_TRUE(list.matches("/home/user/foo.go"));
  EXPECT_TRUE(list.matches("/home/user/FOO.Go"));
  EXPECT_TRUE(list.matches("/home/user/readme.MD"));
  EXPECT_TRUE(list.matches("/HOME/USER/FOObar/x"));
  EXPECT_TRUE(list.matches("/x/ÄRGER"));
  EXPECT_FALSE(list.matches("/home/user/foo.c"));
}

TEST(patterns, malformed_ones_are_listed) {
  const std::vector<std::string> given{"*.foo", "*[._]log[.-][0-9]", "!*[._]log[.-][0-9]", "", "a/[/b"};
  EXPECT_EQ(malformed_patterns(given),
            (std::vector<std::string>{"*[._]log[.-][0-9]", "!*[._]log[.-][0-9]", "a/[/b"}));
  expect_error(error_code::invalid_argument,
               "--exclude: invalid pattern(s) provided:\n*[._]log[.-][0-9]\n!*[._]log[.-][0-9]\na/[/b",
               [&] { validate_patterns("--exclude", given); });
  EXPECT_NO_THROW(validate_patterns("--exclude", {"*", "", "/x/**"}));
}

TEST(patterns, malformed_ones_match_nothing_and_say_so) {
  for (const char* pattern : {"test/[", "test/**/["}) {
    const auto result = pattern_list({"*", pattern}).match("/x/test/example");
    EXPECT_FALSE(result.malformed) << "never reached: the first pattern matches all";
    const auto alone = pattern_list({pattern}).match("test/example");
    EXPECT_TRUE(alone.malformed) << pattern;
    EXPECT_FALSE(alone.matched);
  }
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

TEST(patterns, answer_as_restic_does) {
  std::istringstream lines(read_file(test_data("patterns.tsv")));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    auto columns = split(line, '\t');
    ASSERT_GE(columns.size(), 3u);
    const auto path = columns[0], answer = columns[1];
    columns.erase(columns.begin(), columns.begin() + 2);
    const pattern_list list(columns);
    const auto result = list.match(path);
    EXPECT_EQ(std::string{result.matched ? '1' : '0'} + (result.child_may_match ? '1' : '0'), answer) << line;
    EXPECT_EQ(list.matches(path), result.matched) << line;
  }
  EXPECT_EQ(count, 1500);
}

// --- the slow and obvious matcher: write every "**" out as 0, 1, 2, … stars, then try every place ---

using components = std::vector<std::string>;

components cut(const std::string& path) {
  auto parts = split(path, '/');
  if (parts.front().empty()) parts.front() = "/";
  return parts;
}

bool slow_match(const components& pattern, const components& path) {
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] != "**") continue;
    for (std::size_t stars = 0; stars + pattern.size() <= path.size() + 1; ++stars) {
      components written(pattern.begin(), pattern.begin() + static_cast<std::ptrdiff_t>(at));
      written.insert(written.end(), stars, "*");
      written.insert(written.end(), pattern.begin() + static_cast<std::ptrdiff_t>(at) + 1, pattern.end());
      if (slow_match(written, path)) return true;
    }
    return false;
  }
  if (pattern.empty()) return false;
  for (std::size_t start = 0; start + pattern.size() <= path.size(); ++start) {
    if ((pattern.front() == "/") != (start == 0) && (pattern.front() == "/" || path.front() == "/")) continue;
    bool all = true;
    for (std::size_t i = 0; all && i < pattern.size(); ++i)
      all = pattern[i] == path[start + i] || glob_match(pattern[i], path[start + i]) == glob_result::yes;
    if (all) return true;
  }
  return false;
}

TEST(patterns, fast_and_slow_agree) {
  std::mt19937 random(20261123);
  const std::vector<std::string> in_patterns{"a", "b", "ab", "*", "**", "**", "?", "a*", "*b", "[ab]", "[^a]*"};
  const std::vector<std::string> in_paths{"a", "b", "ab", "ba", "c"};
  const auto pick = [&random](const auto& from) { return from[random() % from.size()]; };
  int matched = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string pattern = random() % 2 ? "/" : "", path = random() % 4 ? "/" : "";
    for (auto n = random() % 5 + 1; n > 0; --n) pattern += pick(in_patterns) + (n > 1 ? "/" : "");
    for (auto n = random() % 7 + 1; n > 0; --n) path += pick(in_paths) + (n > 1 ? "/" : "");
    const bool expected = slow_match(cut(pattern), cut(path));
    ASSERT_EQ(matches(pattern, path), expected) << pattern << " " << path;
    matched += expected;
  }
  EXPECT_GT(matched, 20'000);
  EXPECT_LT(matched, 80'000);
}

}  // namespace
}  // namespace recoup
