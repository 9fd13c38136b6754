// Every kernel finds what the reference finds, and reads nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "chunker_fixture.hpp"

namespace {

using recoup::byte_view;
using recoup::bytes;
using recoup::polynomial;
using recoup::rabin_tables;
using recoup::rabin_window;
using recoup::scan_function;
using recoup_test::guarded_bytes;
using recoup_test::kernels;
using recoup_test::noise;
using recoup_test::plant_cut;

#if defined(__aarch64__)
TEST(chunker, aarch64_has_the_portable_kernel) {
  EXPECT_EQ(std::size(recoup::scan_kernels), 2u);
  EXPECT_EQ(recoup::choose_scan_kernel("").kernel, recoup::scan_kernel::portable);
}
#endif

INSTANTIATE_TEST_SUITE_P(chunker, kernels, testing::ValuesIn(recoup_test::kernels_that_run_here()), recoup_test::kernel_name);

constexpr polynomial usual{0x3da3358b4dc173};
constexpr std::size_t before = rabin_window - 1;

/// What the kernels divide a range into: a lane or stream, and a block of them (scan_*.hpp).
struct division {
  std::size_t lane, block;
};
constexpr division divisions[] = {{1088, 64 * 1088}, {1600, 32 * 1600}, {4160, 8 * 4160}};

/// Follows the cuts of [begin, end) with both, up to `most`.
void expect_same_cuts(scan_function scan, const rabin_tables& tables, byte_view data, std::size_t begin,
                      std::size_t end, int most, const std::string& what) {
  for (; most > 0 && begin < end; --most) {
    const auto expected = recoup::scan_reference(tables, data.data(), begin, end);
    ASSERT_EQ(scan(tables, data.data(), begin, end), expected)
        << what << ", polynomial " << tables.modulus.hex() << ", from " << begin << " to " << end;
    begin = expected + 1;
  }
}

TEST_P(kernels, find_every_position_that_the_reference_finds) {
  // Among random bytes one position in a million is a cut. Sixty-four zeros make one wherever they are put.
  std::mt19937_64 random(5);
  for (int round = 0; round < 40; ++round) {
    auto data = noise(100'000 + random() % 60'000, random());
    for (auto runs = random() % 40; runs > 0; --runs) {
      const auto start = random() % data.size();
      const auto length = std::min<std::size_t>(data.size() - start, 60 + random() % 10);
      std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(start), length, std::uint8_t{0});
    }
    const rabin_tables tables(round % 2 == 0 ? usual : polynomial::random());
    expect_same_cuts(scan(), tables, data, before + random() % 100, data.size() - random() % 100, 1'000,
                     "round " + std::to_string(round));
  }
}

TEST_P(kernels, find_a_cut_at_every_position_of_a_short_range) {
  const rabin_tables tables(polynomial::random());
  for (const std::size_t length :
       {1u, 2u, 16u, 63u, 64u, 65u, 159u, 160u, 161u, 191u, 192u, 193u, 200u, 575u, 1025u, 2049u}) {
    const auto clean = noise(before + 3 + length, length);
    const auto begin = before + 3;  // a plant changes two bytes before its position
    if (recoup::scan_reference(tables, clean.data(), begin, clean.size()) != clean.size()) continue;
    for (std::size_t position = begin; position < clean.size(); ++position) {
      auto data = clean;
      plant_cut(tables, data.data(), position);
      // A planted cut may make its neighbours one too, so the reference has the last word; it must not be after it.
      const auto expected = recoup::scan_reference(tables, data.data(), begin, data.size());
      ASSERT_LE(expected, position);
      ASSERT_EQ(scan()(tables, data.data(), begin, data.size()), expected) << "length " << length;
    }
  }
}

TEST_P(kernels, find_a_cut_at_the_edges_of_blocks_lanes_and_tiles) {
  const rabin_tables tables(usual);
  for (const auto& [lane, block] : divisions) {
    const auto length = 2 * block + 5'000;
    auto data = noise(before + length, lane);
    for (auto seed = lane; recoup::scan_reference(tables, data.data(), before, data.size()) != data.size();)
      data = noise(before + length, ++seed);
    std::vector<std::size_t> edges;
    for (std::size_t edge = lane; edge < 2 * block; edge += edge % block == 0 ? lane : 3 * lane) edges.push_back(edge);
    for (std::size_t tile = 16; tile <= 128; tile += 16) edges.push_back(tile), edges.push_back(block + tile);
    edges.insert(edges.end(), {2 * block, length - 2});
    for (const auto edge : edges)
      for (std::size_t near = edge - 2; near < edge + 2; ++near) {
        const auto position = before + near;
        const bytes kept(data.begin() + static_cast<std::ptrdiff_t>(position) - 2,
                         data.begin() + static_cast<std::ptrdiff_t>(position) + 1);
        plant_cut(tables, data.data(), position);
        ASSERT_EQ(scan()(tables, data.data(), before, data.size()), position) << "lane " << lane << ", at " << near;
        std::copy(kept.begin(), kept.end(), data.begin() + static_cast<std::ptrdiff_t>(position) - 2);
      }
  }
}

TEST_P(kernels, find_the_first_of_several_cuts) {
  // The first may lie in any lane, and be met before or after the others.
  const rabin_tables tables(polynomial::random());
  std::mt19937_64 random(7);
  const auto clean = noise(200'000, 8);
  for (int round = 0; round < 400; ++round) {
    auto data = clean;
    for (auto cuts = 2 + random() % 5; cuts > 0; --cuts) plant_cut(tables, data.data(), 100 + random() % 199'900);
    expect_same_cuts(scan(), tables, data, before + random() % 64, data.size(), 10, "round " + std::to_string(round));
  }
}

TEST_P(kernels, agree_on_bytes_that_repeat) {
  std::mt19937_64 random(11);
  const polynomial moduli[] = {usual, polynomial::random(), polynomial::random()};
  for (std::size_t period = 1; period <= 130; ++period) {
    const rabin_tables tables(moduli[period % 3]);
    const auto piece = noise(period, period);
    for (const bool with_cut : {false, true}) {
      bytes data(period % 10 == 0 ? 150'000 : 12'000);
      for (std::size_t i = 0; i < data.size(); ++i) data[i] = piece[i % period];
      if (with_cut) plant_cut(tables, data.data(), 100 + random() % (data.size() - 100));
      expect_same_cuts(scan(), tables, data, before + random() % 50, data.size(), 5,
                       "period " + std::to_string(period));
    }
  }
  for (unsigned value = 0; value < 256; ++value) {
    const bytes data(5'000, static_cast<std::uint8_t>(value));
    expect_same_cuts(scan(), rabin_tables(usual), data, before, data.size(), 5, "value " + std::to_string(value));
  }
}

TEST_P(kernels, agree_where_every_window_of_some_lanes_is_a_cut) {
  // Zeros are cuts everywhere: lanes that no longer count go on to report them.
  const rabin_tables tables(usual);
  auto data = noise(140'000, 13);
  std::fill(data.begin() + 3'000, data.begin() + 60'000, std::uint8_t{0});
  for (std::size_t begin = before; begin < 3'200; begin += 77)
    expect_same_cuts(scan(), tables, data, begin, data.size(), 3, "");
  expect_same_cuts(scan(), tables, data, 59'990, data.size(), 100, "");
}

TEST_P(kernels, take_any_range_at_any_alignment) {
  auto data = noise(200'000, 23);
  std::fill_n(data.begin() + 150'000, 64, std::uint8_t{0});
  const rabin_tables tables(usual);
  for (std::size_t begin = before; begin < before + 130; begin += begin < 100 ? 1 : 5)
    for (const std::size_t length :
         {0u, 1u, 2u, 63u, 64u, 65u, 4159u, 4160u, 4161u, 33279u, 33280u, 33281u, 65536u, 199'000u}) {
      const auto end = std::min(begin + length, data.size());
      ASSERT_EQ(scan()(tables, data.data(), begin, end), recoup::scan_reference(tables, data.data(), begin, end))
          << begin << " " << length;
    }
  EXPECT_EQ(scan()(tables, data.data(), 500, 400), 400u) << "an empty range";
}

TEST_P(kernels, read_nothing_outside_their_range) {
  const rabin_tables tables(usual);
  std::vector<std::size_t> lengths;
  for (std::size_t length = 1; length < 300; ++length) lengths.push_back(length);
  for (std::size_t length = 300; length < 10'000; length += 307) lengths.push_back(length);
  for (const auto& [lane, block] : divisions)
    for (const auto edge : {lane, 513 * (block / lane), block, 2 * block})
      for (const auto near : {edge - 1, edge, edge + 1, edge + 17, edge + 250}) lengths.push_back(near);
  const auto content = noise(before + *std::max_element(lengths.begin(), lengths.end()), 43);
  for (const auto length : lengths)
    for (const auto side : {guarded_bytes::against::front, guarded_bytes::against::back}) {
      const auto size = before + length;
      const guarded_bytes data(byte_view(content).first(size), side);
      ASSERT_EQ(scan()(tables, data.data(), before, size), recoup::scan_reference(tables, data.data(), before, size));
    }
}

}  // namespace
