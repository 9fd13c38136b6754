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

struct stored_blob {
  bytes box;
  std::uint32_t uncompressed_length;
};

class blob_codec_test : public testing::TestWithParam<kind> {
protected:
  stored_blob seal(byte_view content, blob_type type = blob_type::data) {
    stored_blob made;
    made.uncompressed_length = codec_.seal({type, sha256(content)}, {content}, made.box);
    return made;
  }
  [[nodiscard]] static bool compresses() { return GetParam().version == 2 && GetParam().mode != compression::off; }

  box_key key_ = box_key::random();
  blob_codec codec_{key_, {GetParam().version, GetParam().mode, true}};
};

TEST_P(blob_codec_test, opens_what_it_sealed) {
  for (const std::size_t size : {0u, 1u, 65535u, 65536u, 65537u, 131072u, 131073u, 3u << 20, 8u << 20})
    for (const auto& content : {noise(size), text(size), bytes(size, 0)}) {
      const auto [stored, uncompressed_length] = seal(content);
      const packed_blob blob{{blob_type::data, sha256(content)}, 0, static_cast<std::uint32_t>(stored.size()),
                             uncompressed_length};
      bytes opened;
      codec_.open(blob, stored, opened);
      EXPECT_EQ(opened, content);
      auto overwritten = stored;
      EXPECT_TRUE(std::ranges::equal(codec_.open_in_place(blob, overwritten).content, content));
    }
}

TEST_P(blob_codec_test, what_compression_makes_no_shorter_is_stored_as_it_is) {
  for (const std::size_t size : {64u << 10, 200'000u, 3u << 20}) {
    EXPECT_EQ(seal(noise(size)).uncompressed_length, 0u) << size;
    EXPECT_EQ(seal(noise(size)).box.size(), size + box_overhead);
  }
  for (const std::size_t size : {1u, 1000u, (64u << 10) - 1})
    EXPECT_EQ(seal(noise(size)).uncompressed_length, compresses() ? size : 0u) << size;
  for (const std::size_t size : {1000u, 200'000u, 3u << 20}) {
    const auto stored = seal(text(size));
    EXPECT_EQ(stored.uncompressed_length, compresses() ? size : 0u);
    EXPECT_EQ(stored.box.size() < size, compresses());
  }
  // Trees are compressed whatever comes of it, as restic does.
  EXPECT_EQ(seal(noise(1000), blob_type::tree).uncompressed_length, GetParam().version == 2 ? 1000u : 0u);
}

TEST_P(blob_codec_test, is_appended_to_what_is_there) {
  const auto before = noise(77);
  auto pack = before;
  const auto content = text(100'000);
  const blob_handle handle{blob_type::data, sha256(content)};
  const auto length = codec_.seal(handle, {content}, pack);
  const auto stored = byte_view(pack).subspan(before.size());
  EXPECT_TRUE(std::ranges::equal(byte_view(pack).first(before.size()), before));
  bytes opened;
  codec_.open({handle, 0, static_cast<std::uint32_t>(stored.size()), length}, stored, opened);
  EXPECT_EQ(opened, content);
}

TEST_P(blob_codec_test, a_compressed_form_that_came_along_is_taken_over_unless_a_level_is_asked_for) {
  const auto content = text(300'000);
  const auto frame = compressor(compression::better).compress(content);
  bytes pack;
  const auto length = codec_.seal({blob_type::data, sha256(content)}, {content, frame}, pack);
  const bool expected = compresses() && GetParam().mode == compression::automatic;
  EXPECT_EQ(length, compresses() ? content.size() : 0u);
  EXPECT_EQ(codec_.box().open(pack) == frame, expected);
}

TEST_P(blob_codec_test, what_does_not_open_to_the_content_is_noticed) {
  for (const std::size_t size : {1u, 1000u, 200'000u, 3u << 20}) {
    const auto content = text(size);
    const auto sealed = seal(content);
    const auto& stored = sealed.box;
    const auto opens_to = [&](byte_view box, std::uint32_t length, byte_view expected) {
      return codec_.opens_to(box, length, expected);
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
