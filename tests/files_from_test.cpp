// Lists that people and programs write: pattern files and the three kinds of --files-from.
#include <recoup/fs/files_from.hpp>
#include <recoup/fs/parse_size.hpp>

#include <sstream>

#include "test_data.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

using names = std::vector<std::string>;

TEST(pattern_file, comments_blank_lines_and_white_space_go) {
  EXPECT_EQ(parse_patterns("*.o\n\n  # comment\n#x\r\n \t/tmp \u00a0\r\n\v\na b"), (names{"*.o", "/tmp", "a b"}));
  EXPECT_EQ(parse_patterns(""), names{});
}

TEST(pattern_file, trims_what_go_calls_white_space) {
  EXPECT_EQ(trim_space(" \t\n\v\f\r\u0085\u00a0\u1680\u2003\u2028\u3000x y\u3000\u205f "), "x y");
  EXPECT_EQ(trim_space("\u200bx\ufeff"), "\u200bx\ufeff") << "zero width is not white space";
  EXPECT_EQ(trim_space("\x85"), "\x85") << "not UTF-8";
  EXPECT_EQ(trim_space(" \xa0\xa0"), "\xa0\xa0");
  EXPECT_EQ(trim_space("  "), "");
}

TEST(pattern_file, variables) {
  ::setenv("RECOUP_TEST_HOME", "/h", 1);
  ::unsetenv("RECOUP_TEST_NONE");
  const auto expand = [](std::string_view text) { return expand_variables(text, environment_or_dollar); };
  EXPECT_EQ(expand("$RECOUP_TEST_HOME/x"), "/h/x");
  EXPECT_EQ(expand("${RECOUP_TEST_HOME}x"), "/hx");
  EXPECT_EQ(expand("a$RECOUP_TEST_NONE/b"), "a/b");
  EXPECT_EQ(expand("price$$"), "price$");
  EXPECT_EQ(expand("$$HOME"), "$HOME");
  EXPECT_EQ(expand("$"), "$");
  EXPECT_EQ(expand("$/x"), "$/x") << "no name follows";
  EXPECT_EQ(expand("a${}b"), "ab");
  EXPECT_EQ(expand("a${b"), "ab");
  EXPECT_EQ(expand("$1x"), "x") << "one character, and not set";
  EXPECT_EQ(expand("${*}x"), "x");
  EXPECT_EQ(expand("ä$RECOUP_TEST_HOMEä"), "ä/hä");
  EXPECT_EQ(parse_patterns("$RECOUP_TEST_HOME/*\n#$X\n"), (names{"/h/*"}));
}

TEST(pattern_file, decodes_what_windows_editors_write) {
  EXPECT_EQ(decode_text("\xef\xbb\xbfx"), "x");
  EXPECT_EQ(decode_text("x\xef\xbb\xbf"), "x\xef\xbb\xbf") << "only at the beginning";
  EXPECT_EQ(decode_text(std::string("\xff\xfe\x41\x00\xe4\x00", 6)), "Aä");
  EXPECT_EQ(decode_text(std::string("\xfe\xff\x00\x41\x00\xe4", 6)), "Aä");
  EXPECT_EQ(decode_text(std::string("\xff\xfe\x3d\xd8\x00\xde", 6)), "\U0001f600");
  EXPECT_EQ(decode_text(std::string("\xfe\xff\xd8\x3d", 4)), "\xef\xbf\xbd") << "half a pair";
  EXPECT_EQ(decode_text(std::string("\xfe\xff\xd8\x3d\x00\x41", 6)), "\xef\xbf\xbd" "A");
  EXPECT_EQ(decode_text(std::string("\xfe\xff\xde\x00", 4)), "\xef\xbf\xbd");
  EXPECT_EQ(decode_text(std::string("\xff\xfe\x41\x00\x42", 5)), "A\xef\xbf\xbd") << "half a unit";
  EXPECT_EQ(decode_text("\xff"), "\xff");
  EXPECT_EQ(decode_text(""), "");
}

TEST(pattern_file, is_read_from_disk) {
  unique_directory directory;
  const auto file = directory.write("excludes", "\xef\xbb\xbf*.o\n# c\n/x\n");
  EXPECT_EQ(read_pattern_file(file), (names{"*.o", "/x"}));
  const std::string large(300'000, 'p');
  EXPECT_EQ(read_pattern_file(directory.write("large", large + "\nq")), (names{large, "q"}));
  expect_error(error_code::not_found, directory / "absent",
               [&] { (void)read_pattern_file(directory / "absent"); });
}

class from_globs : public ::testing::Test {
protected:
  void SetUp() override {
    for (const char* name : {"b.txt", "a.txt", "c.log", "sub1/x.txt", "sub2/x.txt", "sub2/y.txt", "[odd].txt"})
      directory.write(name);
    on_warning = [this](const std::string& path, const std::string& message) {
      EXPECT_NE(message.find(path), std::string::npos);
      warnings.push_back(message);
    };
  }
  std::string in(std::string_view name) const { return directory / name; }
  names parse(files_from kind, std::string_view text) { return parse_files_from(kind, text, on_warning); }

  unique_directory directory;
  warning_function on_warning;
  names warnings;
};

TEST_F(from_globs, are_expanded_in_order) {
  EXPECT_EQ(parse(files_from::globs, in("*.txt")), (names{in("[odd].txt"), in("a.txt"), in("b.txt")}));
  EXPECT_EQ(parse(files_from::globs, in("sub?/x.txt")), (names{in("sub1/x.txt"), in("sub2/x.txt")}));
  EXPECT_EQ(parse(files_from::globs, in("sub*/*")),
            (names{in("sub1/x.txt"), in("sub2/x.txt"), in("sub2/y.txt")}));
  EXPECT_EQ(parse(files_from::globs, "  " + in("c.log") + "\t\n#" + in("a.txt") + "\n\n"), names{in("c.log")});
  EXPECT_EQ(parse(files_from::globs, in("\\[odd\\].txt")), names{in("[odd].txt")});
  EXPECT_TRUE(warnings.empty());
}

TEST_F(from_globs, that_match_nothing_are_a_warning) {
  EXPECT_EQ(parse(files_from::globs, in("*.none") + "\n" + in("absent") + "\n" + in("[odd].txt")), names{});
  EXPECT_EQ(warnings, (names{"pattern \"" + in("*.none") + "\" does not match any files, skipping",
                             "pattern \"" + in("absent") + "\" does not match any files, skipping",
                             "pattern \"" + in("[odd].txt") + "\" does not match any files, skipping"}));
}

TEST_F(from_globs, that_are_malformed_are_an_error) {
  expect_error(error_code::invalid_argument, "syntax error in pattern", [&] { parse(files_from::globs, "a["); });
  expect_error(error_code::invalid_argument, "syntax error in pattern", [&] { parse(files_from::globs, "a[/b*"); });
}

TEST_F(from_globs, with_odd_slashes) {
  EXPECT_EQ(expand_glob(in("sub1//*")), names{in("sub1/x.txt")});
  EXPECT_EQ(expand_glob(in("sub1/*/")), names{}) << "as in Go, an empty last name matches nothing";
  EXPECT_EQ(expand_glob(in("sub1/")), names{in("sub1/")});
  EXPECT_EQ(expand_glob("/et[c]"), names{"/etc"});
  EXPECT_EQ(expand_glob(in("a.txt/*")), names{}) << "not a directory";
}

TEST_F(from_globs, relative_to_the_working_directory) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  EXPECT_EQ(expand_glob("*.log"), names{"c.log"});
  EXPECT_EQ(expand_glob("./*.log"), names{"c.log"});
  EXPECT_EQ(expand_glob("sub1/*"), names{"sub1/x.txt"});
  std::filesystem::current_path(before);
}

TEST_F(from_globs, verbatim_lines_are_taken_as_they_are) {
  EXPECT_EQ(parse(files_from::verbatim, "*.txt\n\n# no comment\n  spaces  \r\nlast"),
            (names{"*.txt", "# no comment", "  spaces  ", "last"}));
}

TEST_F(from_globs, raw_names_end_with_nul) {
  EXPECT_EQ(parse(files_from::raw, std::string_view("a\nb\0 c \0", 8)), (names{"a\nb", " c "}));
  EXPECT_EQ(parse(files_from::raw, ""), names{});
  expect_error(error_code::invalid_argument, "trailing zero byte missing",
               [&] { parse(files_from::raw, std::string_view("a\0b", 3)); });
  expect_error(error_code::invalid_argument, "empty filename",
               [&] { parse(files_from::raw, std::string_view("a\0\0", 3)); });
}

TEST_F(from_globs, read_from_files_and_from_standard_input) {
  std::istringstream input("\xef\xbb\xbf" "one\ntwo\n");
  const auto list = directory.write("list", "\xef\xbb\xbf" "three\n");
  const auto read = [&](files_from kind, const std::string& name) {
    return read_files_from(kind, name, input, on_warning);
  };
  EXPECT_EQ(read(files_from::verbatim, "-"), (names{"\xef\xbb\xbf" "one", "two"}));
  EXPECT_EQ(read(files_from::verbatim, list), names{"three"});
  EXPECT_EQ(read(files_from::raw, directory.write("raw", std::string_view("\xff\xfe\0", 3))), names{"\xff\xfe"});
  EXPECT_EQ(read(files_from::globs, ""), names{});
  expect_error(error_code::not_found, "absent", [&] { read(files_from::globs, in("absent")); });
}

TEST_F(from_globs, what_does_not_exist_is_dropped) {
  ASSERT_EQ(::symlink("nowhere", in("dangling").c_str()), 0);
  const auto kept = keep_present({in("a.txt"), in("absent"), in("dangling")}, on_warning);
  EXPECT_EQ(kept.present, (names{in("a.txt"), in("dangling")}));
  EXPECT_TRUE(kept.any_missing);
  EXPECT_EQ(warnings, names{in("absent") + " does not exist, skipping"});
  EXPECT_FALSE(keep_present({in("a.txt")}, on_warning).any_missing);
  expect_error(error_code::not_found, "all source directories/files do not exist",
               [&] { (void)keep_present({in("absent")}, on_warning); });
}

TEST(parse_size, suffixes_are_powers_of_1024) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("1024"), 1024u);
  EXPECT_EQ(parse_size("7b"), 7u);
  EXPECT_EQ(parse_size("+5K"), 5120u);
  EXPECT_EQ(parse_size("3m"), 3u << 20);
  EXPECT_EQ(parse_size("2G"), 2ull << 30);
  EXPECT_EQ(parse_size("8388607T"), 8388607ull << 40);
  EXPECT_EQ(parse_size("9223372036854775807"), 9223372036854775807ull);
}

TEST(parse_size, everything_else_is_refused) {
  for (const char* text : {"", "k", "1.5M", "-1", "-1k", "1 k", " 1", "1kB", "0x10", "1_000", "M1", "++1", "+",
                           "9223372036854775808", "8388608T", "99999999999999999999", "18446744073709551616k"})
    EXPECT_THROW((void)parse_size(text), error) << text;
}

}  // namespace
}  // namespace recoup
