// Go's string quoting, against what Go itself printed (tools/go_vectors).
#include <recoup/json/go_quote.hpp>
#include <recoup/json/json_writer.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

TEST(go_quote, quotes_as_go_does) {
  const auto rows = read_hex_table("go_strings.tsv");
  ASSERT_GT(rows.size(), 600u);
  for (const auto& row : rows) {
    ASSERT_EQ(row.size(), 4u);
    EXPECT_EQ("\"" + go_quoted(row[0]) + "\"", row[1]) << to_hex(as_bytes(row[0]));
  }
}

TEST(go_quote, json_strings_are_go_s) {
  for (const auto& row : read_hex_table("go_strings.tsv")) {
    std::string json;
    append_json_string(json, row[0]);
    EXPECT_EQ(json, row[2]) << to_hex(as_bytes(row[0]));
  }
}

TEST(go_quote, names_are_quoted_and_then_a_json_string) {
  for (const auto& row : read_hex_table("go_strings.tsv")) {
    std::string name, in_two_steps;
    append_json_name(name, row[0]);
    append_json_string(in_two_steps, go_quoted(row[0]));
    EXPECT_EQ(name, row[3]) << to_hex(as_bytes(row[0]));
    EXPECT_EQ(name, in_two_steps) << to_hex(as_bytes(row[0]));
  }
}

TEST(go_quote, unquote_undoes_quote) {
  for (const auto& row : read_hex_table("go_strings.tsv")) {
    const auto raw = go_unquote(go_quoted(row[0]));
    ASSERT_TRUE(raw.has_value());
    EXPECT_EQ(*raw, row[0]);
  }
}

TEST(go_quote, unquote_accepts_and_refuses_what_go_does) {
  const auto rows = read_hex_table("go_unquote.tsv");
  ASSERT_GT(rows.size(), 600u);
  for (const auto& row : rows) {
    const auto raw = go_unquote(row[0]);
    EXPECT_EQ(raw.value_or("-"), row[1]) << row[0];
  }
}

TEST(go_quote, every_byte_comes_back) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  EXPECT_EQ(go_unquote(go_quoted(all)), all);
  EXPECT_EQ(go_quoted(""), "");
  EXPECT_EQ(go_unquote(""), "");
}

TEST(go_quote, printable_runes_at_the_edges_of_the_tables) {
  for (const char32_t rune : {0x20, 0x7e, 0xa1, 0xff, 0x377, 0xfffd, 0x10000, 0x1f600, 0x20000, 0x323af, 0xe01ef})
    EXPECT_TRUE(is_go_printable(rune)) << std::hex << static_cast<std::uint32_t>(rune);
  for (const char32_t rune :
       {0x0, 0x1f, 0x7f, 0x80, 0xa0, 0xad, 0x378, 0xe000, 0xfffe, 0xffff, 0x323b0, 0xe0001, 0x10ffff})
    EXPECT_FALSE(is_go_printable(rune)) << std::hex << static_cast<std::uint32_t>(rune);
}

TEST(utf8, what_is_not_valid_counts_one_byte_at_a_time) {
  for (const std::string_view bad :
       {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3("}) {
    const auto next = decode_rune(bad);
    EXPECT_FALSE(next.valid) << to_hex(as_bytes(bad));
    EXPECT_EQ(next.width, 1u);
    EXPECT_EQ(next.rune, 0xfffdu);
    EXPECT_FALSE(is_valid_utf8(bad));
  }
  EXPECT_TRUE(is_valid_utf8("\xef\xbf\xbd"));  // U+FFFD itself
  EXPECT_TRUE(is_valid_utf8(std::string_view("\0", 1)));
}

TEST(utf8, every_rune_encodes_and_decodes) {
  for (char32_t rune = 0; rune <= 0x10ffff; ++rune) {
    if (rune >= 0xd800 && rune <= 0xdfff) continue;
    std::string text;
    append_rune(text, rune);
    const auto next = decode_rune(text);
    ASSERT_TRUE(next.valid && next.rune == rune && next.width == text.size()) << static_cast<std::uint32_t>(rune);
  }
}

}  // namespace
}  // namespace recoup
