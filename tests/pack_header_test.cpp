// Pack headers.
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/pack_header.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

std::vector<packed_blob> four_kinds() {
  std::vector<packed_blob> blobs;
  std::uint32_t offset = 0;
  for (const auto type : {blob_type::data, blob_type::tree})
    for (const std::uint32_t uncompressed : {0u, 1000u}) {
      packed_blob blob{{type, sha256(as_bytes(std::to_string(offset)))}, offset, 40 + offset, uncompressed};
      offset += blob.length;
      blobs.push_back(blob);
    }
  return blobs;
}

std::uint64_t pack_size(const std::vector<packed_blob>& blobs) {
  std::uint64_t size = pack_format::header_overhead(blobs);
  for (const auto& blob : blobs) size += blob.length;
  return size;
}

void refuse(byte_view header, std::uint64_t size, std::string_view part) {
  expect_error(error_code::damaged, part, [=] { (void)decode_pack_header(header, size); });
}

TEST(pack_header, bytes_are_those_of_the_format) {
  packed_blob blob{{blob_type::tree, {}}, 0, 0x01020304, 0x05060708};
  blob.handle.id.value.fill(0xaa);
  EXPECT_EQ(to_hex(encode_pack_header(std::span(&blob, 1))),
            "03"
            "04030201"
            "08070605"
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
  blob.uncompressed_length = 0;
  blob.handle.type = blob_type::data;
  EXPECT_EQ(to_hex(encode_pack_header(std::span(&blob, 1))),
            "00"
            "04030201"
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

TEST(pack_header, comes_back_with_offsets) {
  const auto blobs = four_kinds();
  const auto header = encode_pack_header(blobs);
  EXPECT_EQ(header.size(), 37u + 41 + 37 + 41);
  const auto decoded = decode_pack_header(header, pack_size(blobs));
  ASSERT_EQ(decoded.size(), blobs.size());
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    EXPECT_EQ(decoded[i].handle, blobs[i].handle);
    EXPECT_EQ(decoded[i].offset, blobs[i].offset);
    EXPECT_EQ(decoded[i].length, blobs[i].length);
    EXPECT_EQ(decoded[i].uncompressed_length, blobs[i].uncompressed_length);
  }
}

TEST(pack_header, must_fill_the_pack_exactly) {
  const auto blobs = four_kinds();
  const auto header = encode_pack_header(blobs);
  refuse(header, pack_size(blobs) - 1, "but the pack has");
  refuse(header, pack_size(blobs) + 1, "but the pack has");
  refuse(header, 0, "but the pack has");
}

TEST(pack_header, refuses_what_no_pack_has) {
  const auto blobs = four_kinds();
  auto header = encode_pack_header(blobs);
  refuse({}, 36, "lists no blobs");
  for (std::size_t length = 1; length < header.size(); ++length)
    EXPECT_THROW((void)decode_pack_header(byte_view(header).first(length), pack_size(blobs)), error) << length;

  auto bad = header;
  bad[0] = 4;
  refuse(bad, pack_size(blobs), "blob type 4");
  bad = header;
  store_u32_le(&bad[1], 31);
  refuse(bad, pack_size(blobs), "a blob of 31 bytes");
  bad = header;
  store_u32_le(&bad[37 + 5], 0);
  refuse(bad, pack_size(blobs), "a compressed blob of no bytes");
}

TEST(pack_header, lengths_cannot_overflow) {
  std::vector<packed_blob> blobs(3, packed_blob{{blob_type::data, {}}, 0, 0x60000000, 0});
  refuse(encode_pack_header(blobs), pack_size(blobs), "more than 4 GiB");
  blobs.resize(2);
  EXPECT_EQ(decode_pack_header(encode_pack_header(blobs), pack_size(blobs)).size(), 2u);
}

// restic.md, appendix A: a pack of version 1 with one data blob, "holdfast", of which this is the opened header.
TEST(pack_header, of_the_pack_in_the_appendix) {
  const auto blob = sha256(as_bytes("holdfast"));
  const packed_blob only{{blob_type::data, blob}, 0, 40, 0};
  const auto decoded = decode_pack_header(encode_pack_header(std::span(&only, 1)), 113);
  EXPECT_EQ(decoded.at(0).handle.id, blob);
  EXPECT_EQ(decoded.at(0).plaintext_length(), 8u);
}

}  // namespace
}  // namespace recoup
