// What is stored without trying to compress it must be what compressing gains nothing from.
#include <recoup/compress/incompressible.hpp>
#include <recoup/compress/zstd.hpp>

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace recoup {
namespace {

bytes noise(std::size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  bytes content(size);
  for (auto& byte : content) byte = static_cast<std::uint8_t>(random());
  return content;
}

/// Share of the content that compressing would save.
double gain(byte_view content) {
  compressor with;
  return 1 - static_cast<double>(with.compress(content).size()) / static_cast<double>(content.size());
}

TEST(incompressible, noise_of_every_length_from_the_least_on) {
  incompressibility_test test;
  for (unsigned seed = 0; seed < 200; ++seed) {
    const auto size = incompressibility_test::least + seed * 9973;
    EXPECT_TRUE(test(noise(size, seed))) << size;
  }
  EXPECT_FALSE(test(noise(incompressibility_test::least - 1, 1)));
  EXPECT_FALSE(test({}));
}

TEST(incompressible, a_compressed_file) {
  bytes text;
  std::mt19937 random(3);
  while (text.size() < 16u << 20) append(text, as_bytes(std::to_string(random() % 100'000) + (random() % 3 == 0 ? "\n" : " ")));
  const auto frame = compressor(compression::better).compress(text);
  incompressibility_test test;
  EXPECT_TRUE(test(frame) || gain(frame) > 0);
}

TEST(incompressible, what_repeats_somewhere) {
  incompressibility_test test;
  for (const std::size_t distance : {70'001u, 100'000u, 262'144u, 500'000u, 700'000u})
    for (const std::size_t repeated : {100'000u, 300'000u}) {
      auto content = noise(1'500'000, static_cast<unsigned>(distance + repeated));
      std::copy_n(content.begin() + 1000, repeated, content.begin() + 1000 + static_cast<std::ptrdiff_t>(distance));
      EXPECT_FALSE(test(content)) << repeated << " bytes again after " << distance;
    }
}

TEST(incompressible, what_is_not_flat) {
  incompressibility_test test;
  auto content = noise(1'500'000, 5);
  for (auto& byte : content) byte &= 0x7f;
  EXPECT_FALSE(test(content));
  // One byte in fifty of English in place of noise.
  content = noise(1'500'000, 6);
  for (std::size_t i = 0; i < content.size(); i += 50) content[i] = 'e';
  EXPECT_FALSE(test(content));
  for (std::size_t size : {100'000u, 3'000'000u}) EXPECT_FALSE(test(bytes(size, 0)));
  bytes counter;
  for (std::uint32_t i = 0; counter.size() < 1'000'000; ++i)
    for (int shift = 0; shift < 32; shift += 8) counter.push_back(static_cast<std::uint8_t>(i >> shift));
  EXPECT_FALSE(test(counter));
}

/// Mixtures of noise and something else: whatever is taken for incompressible, little is lost by it.
TEST(incompressible, never_costs_more_than_two_percent) {
  incompressibility_test test;
  std::mt19937 random(9);
  for (unsigned round = 0; round < 300; ++round) {
    auto content = noise(incompressibility_test::least + random() % 2'000'000, round);
    for (unsigned patch = random() % 8; patch > 0; --patch) {
      const auto length = random() % (content.size() / (1 + random() % 200) + 1);
      const auto at = random() % (content.size() - length + 1);
      const auto from = random() % (content.size() - length + 1);
      for (std::size_t i = 0; i < length; ++i)
        content[at + i] = round % 3 == 0 ? static_cast<std::uint8_t>('a' + i % 26)
                          : round % 3 == 1 ? content[from + i] : static_cast<std::uint8_t>(content[at + i] & 0xfc);
    }
    if (test(content)) {
      EXPECT_LT(gain(content), 0.02) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace recoup
