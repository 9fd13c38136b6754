// Percent-escaping for S3.
#include <gtest/gtest.h>

#include <recoup/s3/uri.hpp>

namespace recoup {
namespace {

TEST(s3_uri_test, only_unreserved_bytes_stand_for_themselves) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const auto escaped = uri_escape(all);
  // 66 unreserved bytes (RFC 3986 section 2.3), three characters for each other.
  EXPECT_EQ(escaped.size(), 66u + 3 * (256 - 66));
  EXPECT_EQ(uri_escape("-._~AZaz09"), "-._~AZaz09");
  EXPECT_EQ(uri_escape(" +=%/\xc3\xa4*'"), "%20%2B%3D%25%2F%C3%A4%2A%27");
  EXPECT_EQ(uri_unescape(escaped), all);
}

TEST(s3_uri_test, paths_keep_slashes_and_dots) {
  EXPECT_EQ(uri_escape_path("//a b/../\xc3\xa4/./c/"), "//a%20b/../%C3%A4/./c/");
}

TEST(s3_uri_test, unescaping) {
  EXPECT_EQ(uri_unescape("a%2fb%2Fc+d"), "a/b/c+d");
  EXPECT_EQ(uri_unescape("a+b%2B", true), "a b+");
  EXPECT_EQ(uri_unescape("%00"), std::string(1, '\0'));
  for (const char* bad : {"%", "%2", "a%", "%g0", "%0g", "%%20"}) EXPECT_EQ(uri_unescape(bad), std::nullopt) << bad;
}

TEST(s3_uri_test, queries_are_sorted_by_what_is_sent) {
  EXPECT_EQ(uri_query_string({}), "");
  EXPECT_EQ(uri_query_string({{"uploads", ""}}), "uploads=");
  EXPECT_EQ(uri_query_string({{"b", "2"}, {"a", "2"}, {"a", "10"}, {"B", ""}}), "B=&a=10&a=2&b=2");
  // As bytes, "\xc3" comes after "z"; escaped, its "%" comes before every letter. So does "a-" before "a=", by name.
  EXPECT_EQ(uri_query_string({{"z", ""}, {"\xc3\xa4", ""}}), "%C3%A4=&z=");
  EXPECT_EQ(uri_query_string({{"a-b", ""}, {"a", "x"}}), "a=x&a-b=");
  EXPECT_EQ(uri_query_string({{"prefix", "a b/c+d=e&f"}}), "prefix=a%20b%2Fc%2Bd%3De%26f");
}

TEST(s3_uri_test, forms_keep_their_order) {
  EXPECT_EQ(uri_form({{"Action", "AssumeRole"}, {"A", "{\"b\": [1]}"}}),
            "Action=AssumeRole&A=%7B%22b%22%3A%20%5B1%5D%7D");
}

}  // namespace
}  // namespace recoup
