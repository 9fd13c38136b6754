// Bodies of index, snapshot and lock files in both versions of the format.
#include <recoup/repo/unpacked.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

bytes to_bytes(std::string_view text) { return {text.begin(), text.end()}; }

TEST(unpacked, version_1_is_the_json_itself) {
  compressor zstd;
  decompressor unzstd;
  const auto body = encode_body(1, as_bytes("{\"a\":1}"), zstd);
  EXPECT_EQ(as_text(body), "{\"a\":1}");
  EXPECT_EQ(as_text(decode_body(body, 100, unzstd)), "{\"a\":1}");
  EXPECT_EQ(as_text(decode_body(to_bytes("[1]"), 100, unzstd)), "[1]");
}

TEST(unpacked, version_2_is_compressed) {
  compressor zstd(compression::off);
  decompressor unzstd;
  const std::string json = "{\"a\":\"" + std::string(10'000, 'x') + "\"}";
  const auto body = encode_body(2, as_bytes(json), zstd);
  EXPECT_EQ(body[0], 2);
  EXPECT_LT(body.size(), 200u);
  EXPECT_EQ(as_text(decode_body(body, json.size(), unzstd)), json);
  expect_error(error_code::damaged, "longer than", [&] { (void)decode_body(body, json.size() - 1, unzstd); });
  for (std::size_t length = 1; length < body.size(); ++length)
    EXPECT_THROW((void)decode_body({body.begin(), body.begin() + static_cast<std::ptrdiff_t>(length)}, 1 << 20, unzstd),
                 error);
}

TEST(unpacked, other_encodings_are_unsupported_and_nothing_stays_nothing) {
  decompressor unzstd;
  EXPECT_TRUE(decode_body({}, 100, unzstd).empty());
  for (const auto* body : {"\x01{}", "\x03", " {}", "x"})
    expect_error(error_code::unsupported, "the content begins with byte",
                 [&] { (void)decode_body(to_bytes(body), 100, unzstd); });
}

}  // namespace
}  // namespace recoup
