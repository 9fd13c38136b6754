// Blobs to their stored form and back; what the check after sealing must notice.
#include <recoup/repo/blob_codec.hpp>

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace recoup {
namespace {

bytes noise(std::size_t size, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  bytes content(size);
  for (auto& byte : content) byte = static_cast<std::uint8_t>(random());
  return content;
}

/// As compressible as text, and longer than the window of the compressor if `size` is.
bytes text(std::size_t size) {
  bytes content;
  for (unsigned i = 0; content.size() < size; ++i) append(content, as_bytes("line " + std::to_string(i * 37) + "\n"));
  content.resize(size);
  return content;
}

struct kind {
  unsigned version;
  compression mode;
};

class blob_codec_test : public testing::TestWithParam<kind> {
protected:
  box_key key_ = box_key::random();
  blob_codec codec_{key_, {GetParam().version, GetParam().mode, true}};
};

TEST_P(blob_codec_test, opens_what_it_sealed) {
  for (const std::size_t size : {0u, 1u, 65535u, 65536u, 65537u, 131072u, 131073u, 3u << 20, 8u << 20})
    for (const auto& content : {noise(size), text(size), bytes(size, 0)}) {
      const blob_handle handle{blob_type::data, sha256(content)};
      const auto sealed = codec_.seal(handle, content);
      const bytes stored(sealed.box.begin(), sealed.box.end());
      EXPECT_EQ(sealed.uncompressed_length != 0, GetParam().version == 2 && GetParam().mode != compression::off && size > 0);
      const packed_blob blob{handle, 0, static_cast<std::uint32_t>(stored.size()), sealed.uncompressed_length};
      bytes opened;
      codec_.open(blob, stored, opened);
      EXPECT_EQ(opened, content);
      auto overwritten = stored;
      EXPECT_TRUE(std::ranges::equal(codec_.open_in_place(blob, overwritten).content, content));
    }
}

TEST_P(blob_codec_test, what_does_not_open_to_the_content_is_noticed) {
  for (const std::size_t size : {1u, 1000u, 200'000u, 3u << 20}) {
    const auto content = text(size);
    const auto sealed = codec_.seal({blob_type::data, sha256(content)}, content);
    const bytes stored(sealed.box.begin(), sealed.box.end());
    const auto opens_to = [&](byte_view box, std::uint32_t length, byte_view expected) {
      return codec_.opens_to({box, length}, expected);
    };
    EXPECT_TRUE(opens_to(stored, sealed.uncompressed_length, content));
    std::mt19937 random(static_cast<unsigned>(size));
    for (int i = 0; i < 20; ++i) {
      auto other = content;
      other[random() % other.size()] ^= static_cast<std::uint8_t>(1u << random() % 8);
      EXPECT_FALSE(opens_to(stored, sealed.uncompressed_length, other));
      auto flipped = stored;
      flipped[random() % flipped.size()] ^= static_cast<std::uint8_t>(1u << random() % 8);
      EXPECT_FALSE(opens_to(flipped, sealed.uncompressed_length, content));
    }
    EXPECT_FALSE(opens_to(stored, sealed.uncompressed_length, byte_view(content).first(size - 1)));
    auto longer = content;
    longer.push_back(0);
    EXPECT_FALSE(opens_to(stored, sealed.uncompressed_length, longer));
    EXPECT_FALSE(opens_to(byte_view(stored).first(stored.size() - 1), sealed.uncompressed_length, content));
    EXPECT_FALSE(opens_to({}, sealed.uncompressed_length, content));

    // A box that verifies around a frame that is cut off, or has more behind it.
    if (sealed.uncompressed_length == 0) continue;
    const auto frame = codec_.box().open(stored);
    EXPECT_FALSE(opens_to(codec_.box().seal(byte_view(frame).first(frame.size() - 1)), sealed.uncompressed_length, content));
    auto and_more = frame;
    append(and_more, frame);
    EXPECT_FALSE(opens_to(codec_.box().seal(and_more), sealed.uncompressed_length, content));
  }
}

INSTANTIATE_TEST_SUITE_P(all, blob_codec_test,
                         testing::Values(kind{1, compression::automatic}, kind{2, compression::automatic},
                                         kind{2, compression::off}, kind{2, compression::fastest},
                                         kind{2, compression::max}));

}  // namespace
}  // namespace recoup
