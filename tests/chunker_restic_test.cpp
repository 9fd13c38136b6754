// The cuts of every kernel are those of restic's own chunker, a Go program (support/restic_chunker).
#include <recoup/chunker/chunker.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "chunker_fixture.hpp"
#include "test_data.hpp"
#include "unique_directory.hpp"

namespace {

using recoup::bytes;
using recoup::max_chunk;
using recoup::min_chunk;
using recoup::polynomial;
using recoup_test::kernels;
using recoup_test::noise;
using recoup_test::plant_cut;
using lengths = std::vector<std::size_t>;

struct sample {
  std::string what;
  polynomial modulus;
  bytes data;
  lengths chunks;  ///< restic's
};

void add_noise(std::vector<sample>& samples) {
  std::mt19937_64 random(101);
  for (std::uint64_t seed = 0; seed < 16; ++seed)
    samples.push_back({"noise", polynomial::random(), noise((std::size_t{2} << 20) + random() % (2 << 20), seed), {}});
}

void add_repeating(std::vector<sample>& samples) {
  const auto size = min_chunk + 200'000;
  for (const std::size_t period : {1u, 2u, 3u, 7u, 8u, 16u, 31u, 63u, 64u, 65u, 127u, 130u, 4096u}) {
    auto data = noise(size, period);
    for (std::size_t i = period; i < size; ++i) data[i] = data[i - period];
    samples.push_back({"period " + std::to_string(period), polynomial::random(), std::move(data), {}});
  }
  samples.push_back({"zeros", polynomial::random(), bytes(3 * min_chunk + 1, 0), {}});
  samples.push_back({"one value", polynomial::random(), bytes(max_chunk + min_chunk + 5, 0x41), {}});
  auto sparse = bytes(std::size_t{3} << 20, 0);
  std::mt19937_64 random(103);
  for (int i = 0; i < 200; ++i) sparse[random() % sparse.size()] = static_cast<std::uint8_t>(random());
  samples.push_back({"sparse", polynomial::random(), std::move(sparse), {}});
}

/// Cuts at and around the smallest and the largest chunk, and short ends.
void add_edges(std::vector<sample>& samples) {
  const auto add = [&](std::size_t size, std::initializer_list<std::size_t> cuts) {
    const auto modulus = polynomial::random();
    bytes data(size, 0x41);
    for (const auto cut : cuts) plant_cut(recoup::rabin_tables(modulus), data.data(), cut - 1);
    samples.push_back({"edge, size " + std::to_string(size), modulus, std::move(data), {}});
  };
  for (const auto cut : {min_chunk - 1, min_chunk, min_chunk + 1, min_chunk + 64}) add(min_chunk + 700, {cut});
  for (const auto size : {min_chunk - 1, min_chunk, min_chunk + 1}) add(size, {});
  for (const auto cut : {max_chunk - 1, max_chunk, max_chunk + 1}) add(max_chunk + 100, {cut});
  for (std::size_t tail = 1; tail <= 200; tail += 11) add(min_chunk + 300 + tail, {min_chunk + 300});
  add(2 * min_chunk + 900, {min_chunk + 200, min_chunk + 203, 2 * min_chunk + 201, 2 * min_chunk + 800});
}

void put_number(std::ostream& out, std::uint64_t number) {
  for (int byte = 0; byte < 8; ++byte) out.put(static_cast<char>(number >> (8 * byte)));
}

/// Asks restic's chunker about all samples in one run of it.
void ask_restic(std::vector<sample>& samples) {
  const unique_directory place;
  const std::string records = place / "records", answers = place / "answers";
  {
    std::ofstream out(records, std::ios::binary);
    for (const auto& each : samples) {
      put_number(out, each.modulus.value);
      put_number(out, each.data.size());
      out.write(reinterpret_cast<const char*>(each.data.data()), static_cast<std::streamsize>(each.data.size()));
    }
  }
  const auto program = tests_directory() / "support" / "restic_chunker";
  const auto command = "cd '" + program.string() + "' && go run . lengths <'" + records + "' >'" + answers + "'";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
  std::istringstream lines(read_file(answers));
  for (auto& each : samples) {
    std::string line;
    if (!std::getline(lines, line)) throw std::runtime_error("restic's chunker gave too few answers");
    std::istringstream numbers(line);
    for (std::size_t length = 0; numbers >> length;) each.chunks.push_back(length);
  }
}

const std::vector<sample>& samples() {
  static const auto made = [] {
    std::vector<sample> all;
    add_noise(all), add_repeating(all), add_edges(all);
    ask_restic(all);
    return all;
  }();
  return made;
}

INSTANTIATE_TEST_SUITE_P(restic, kernels, testing::ValuesIn(recoup_test::kernels_that_run_here()), recoup_test::kernel_name);

TEST_P(kernels, cut_where_restics_chunker_cuts) {
  std::size_t cuts_in_the_middle = 0;
  for (const auto& each : samples()) {
    const recoup::chunker cutter(each.modulus, scan());
    EXPECT_EQ(cutter.chunk_lengths(each.data), each.chunks) << each.what << ", polynomial " << each.modulus.hex();
    for (const auto length : each.chunks) cuts_in_the_middle += length > min_chunk && length < max_chunk ? 1 : 0;
  }
  // Half of a sample of noise's chunks at least: with fewer, the comparison would be of ends only.
  EXPECT_GT(cuts_in_the_middle, 20u);
}

}  // namespace
