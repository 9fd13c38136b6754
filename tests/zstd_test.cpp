#include <recoup/compress/zstd.hpp>

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace {

using recoup::byte_view;
using recoup::bytes;
using recoup::compression;
using recoup::compressor;
using recoup::decompressor;
using recoup::error;
using recoup::error_code;

bytes text_like(std::size_t size) {
  static constexpr std::string_view words[] = {"snapshot ", "tree ", "blob ", "pack ", "index ", "lock ", "prune\n"};
  std::mt19937 random(11);
  bytes content;
  while (content.size() < size) recoup::append(content, recoup::as_bytes(words[random() % std::size(words)]));
  content.resize(size);
  return content;
}

bytes noise(std::size_t size) {
  std::mt19937 random(13);
  bytes content(size);
  for (auto& byte : content) byte = static_cast<std::uint8_t>(random());
  return content;
}

/// A frame as other programs write it: streamed, so that its header does not say how long the content is.
bytes frame_without_size(byte_view content, bool checksum = false) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum ? 1 : 0);
  bytes frame(ZSTD_compressBound(content.size()) + 64);
  ZSTD_inBuffer in{content.data(), content.size(), 0};
  ZSTD_outBuffer out{frame.data(), frame.size(), 0};
  EXPECT_FALSE(ZSTD_isError(ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue)));
  EXPECT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0u);
  ZSTD_freeCCtx(context);
  frame.resize(out.pos);
  EXPECT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), ZSTD_CONTENTSIZE_UNKNOWN);
  return frame;
}

template <class Action>
void expect_damaged(Action action) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::damaged) << problem.what();
  }
}

TEST(compression, names_are_restics) {
  for (const auto mode : {compression::automatic, compression::off, compression::fastest, compression::better,
                          compression::max})
    EXPECT_EQ(recoup::parse_compression(name_of(mode)), mode);
  EXPECT_EQ(recoup::parse_compression("auto"), compression::automatic);
  for (const auto* bad : {"", "Auto", "automatic", "best", "9"})
    EXPECT_EQ(recoup::parse_compression(bad), std::nullopt);
}

TEST(zstd, what_goes_in_comes_out) {
  decompressor back;
  for (const auto mode : {compression::automatic, compression::off, compression::fastest, compression::better,
                          compression::max}) {
    compressor forth(mode);
    bytes frame;
    for (const auto size : {0u, 1u, 2u, 100u, 65'536u, 600'000u, 1'500'000u})
      for (const auto& content : {text_like(size), noise(size), bytes(size, 0)}) {
        forth.compress(content, frame);
        bytes whole(size);
        back.decompress(frame, whole);
        ASSERT_EQ(whole, content);
        ASSERT_EQ(back.decompress_bounded(frame, size), content);
      }
  }
}

TEST(zstd, more_effort_gives_less) {
  const auto content = text_like(1'000'000);
  const auto size = [&](compression mode) { return compressor(mode).compress(content).size(); };
  EXPECT_GT(size(compression::fastest), size(compression::better));
  EXPECT_GE(size(compression::better), size(compression::max));
  EXPECT_EQ(size(compression::automatic), size(compression::off));
}

TEST(zstd, frames_say_how_long_they_are_and_carry_no_checksum) {
  for (const auto size : {0u, 1u, 1000u, 2'000'000u}) {
    const auto frame = compressor().compress(text_like(size));
    EXPECT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), size);
    EXPECT_EQ(frame[4] & 4, 0) << "checksum flag, RFC 8878 section 3.1.1.1.1";
  }
}

TEST(zstd, frames_of_other_programs_are_read) {
  decompressor back;
  for (const auto size : {0u, 1u, 70'000u, 3'000'000u}) {
    const auto content = text_like(size);
    for (const bool checksum : {false, true}) {
      const auto frame = frame_without_size(content, checksum);
      EXPECT_EQ(back.decompress_bounded(frame, size), content);
      EXPECT_EQ(back.decompress_bounded(frame, SIZE_MAX), content);
      bytes whole(size);
      back.decompress(frame, whole);
      EXPECT_EQ(whole, content);
      if (size > 0) expect_damaged([&] { (void)back.decompress_bounded(frame, size - 1); });
    }
  }
}

TEST(zstd, several_frames_in_a_row_are_one_content) {
  decompressor back;
  const auto content = text_like(100'000);
  auto frames = compressor().compress(byte_view(content).first(40'000));
  recoup::append(frames, frame_without_size(byte_view(content).subspan(40'000)));
  EXPECT_EQ(back.decompress_bounded(frames, content.size()), content);
  expect_damaged([&] { (void)back.decompress_bounded(frames, content.size() - 1); });
}

TEST(zstd, content_of_another_length_than_promised_is_refused) {
  decompressor back;
  const auto frame = compressor().compress(text_like(1000));
  for (const auto size : {0u, 1u, 999u, 1001u, 5000u}) {
    bytes into(size);
    expect_damaged([&] { back.decompress(frame, into); });
  }
  expect_damaged([&] { (void)back.decompress_bounded(frame, 999); });
  EXPECT_EQ(back.decompress_bounded(frame, 1000).size(), 1000u);
}

TEST(zstd, damage_never_gives_another_length) {
  decompressor back;
  const auto content = text_like(5000);
  for (const auto& good : {compressor().compress(content), frame_without_size(content)}) {
    for (std::size_t length = 0; length < good.size(); ++length)
      expect_damaged([&] { (void)back.decompress_bounded(byte_view(good).first(length), 1 << 20); });
    std::mt19937 random(17);
    for (int i = 0; i < 5000; ++i) {
      auto frame = good;
      for (int change = 0; change < 3; ++change)
        frame[random() % frame.size()] = static_cast<std::uint8_t>(random());
      bytes into(content.size());
      try {
        back.decompress(frame, into);
      } catch (const error&) {
      }
      try {
        EXPECT_LE(back.decompress_bounded(frame, 6000).size(), 6000u);
      } catch (const error&) {
      }
    }
    // The context is as good as new after all this.
    EXPECT_EQ(back.decompress_bounded(good, 5000), content);
  }
}

TEST(zstd, a_header_that_promises_too_much_takes_no_memory) {
  decompressor back;
  // RFC 8878 section 3.1.1: magic, descriptor 0xe0 (single segment, 8 bytes of content size), size, empty last block.
  const auto frame_claiming = [](std::uint64_t size) {
    bytes frame{0x28, 0xb5, 0x2f, 0xfd, 0xe0};
    for (int i = 0; i < 8; ++i) frame.push_back(static_cast<std::uint8_t>(size >> (8 * i)));
    recoup::append(frame, bytes{0x01, 0x00, 0x00});
    return frame;
  };
  for (const auto size : {std::uint64_t{1} << 20, std::uint64_t{1} << 40, UINT64_MAX - 2}) {
    expect_damaged([&] { (void)back.decompress_bounded(frame_claiming(size), std::size_t{1} << 30); });
    expect_damaged([&] { (void)back.decompress_bounded(frame_claiming(size), SIZE_MAX); });
  }
  EXPECT_TRUE(back.decompress_bounded(frame_claiming(0), 0).empty());
}

TEST(zstd, a_window_of_gigabytes_is_refused) {
  decompressor back;
  // Descriptor 0x00: no content size; window descriptor: exponent 30, so 1 TiB.
  expect_damaged([&] {
    (void)back.decompress_bounded(bytes{0x28, 0xb5, 0x2f, 0xfd, 0x00, 30 << 3, 0x01, 0x00, 0x00}, 1 << 20);
  });
}

TEST(zstd, highly_repetitive_content_stops_at_the_limit) {
  decompressor back;
  const auto bomb = frame_without_size(bytes(std::size_t{64} << 20, 0));
  ASSERT_LT(bomb.size(), 10'000u);
  expect_damaged([&] { (void)back.decompress_bounded(bomb, 1 << 20); });
  EXPECT_EQ(back.decompress_bounded(bomb, std::size_t{64} << 20).size(), std::size_t{64} << 20);
}

}  // namespace
