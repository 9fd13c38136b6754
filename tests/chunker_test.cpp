#include <recoup/chunker/chunker.hpp>
#include <recoup/hash/sha256.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "chunker_fixture.hpp"
#include "test_data.hpp"

namespace {

using recoup::byte_view;
using recoup::bytes;
using recoup::chunker;
using recoup::max_chunk;
using recoup::min_chunk;
using recoup::polynomial;
using recoup::rabin_tables;
using lengths = std::vector<std::size_t>;

constexpr polynomial usual{0x3da3358b4dc173};
constexpr polynomial another{0x25b468838dcb75};

/// The data of the vectors in restic.md section 2.10.
const bytes& vector_data() {
  static const bytes data = [] {
    bytes made;
    for (std::uint64_t i = 0; made.size() < std::size_t{16} << 20; ++i) {
      std::string input = "holdfast-chunker-v1";
      for (int byte = 0; byte < 8; ++byte) input.push_back(static_cast<char>(i >> (8 * byte)));
      recoup::append(made, recoup::sha256(recoup::as_bytes(input)).view());
    }
    return made;
  }();
  return data;
}

using recoup_test::kernels;
INSTANTIATE_TEST_SUITE_P(chunker, kernels, testing::ValuesIn(recoup_test::kernels_that_run_here()), recoup_test::kernel_name);

TEST_P(kernels, cuts_where_restic_does) {
  ASSERT_EQ(recoup::sha256(vector_data()).hex(), "d686bdc8b8d4950615bc212aede317af3bad68722110ddad42789948c0a038d6");
  EXPECT_EQ(chunker(usual, scan()).chunk_lengths(vector_data()),
            (lengths{1168790, 941216, 597143, 2533313, 2292668, 2002842, 1570400, 2785969, 2091650, 793225}));
  EXPECT_EQ(chunker(another, scan()).chunk_lengths(vector_data()),
            (lengths{2076161, 2189307, 1554130, 1039115, 2659304, 1314811, 1544030, 4400358}));
}

TEST_P(kernels, bytes_that_never_change_are_cut_at_the_maximum) {
  EXPECT_EQ(chunker(usual, scan()).chunk_lengths(bytes(std::size_t{20} << 20, 0x41)),
            (lengths{8388608, 8388608, 4194304}));
}

TEST_P(kernels, zeros_are_cut_at_the_minimum) {
  const bytes zeros((std::size_t{2} << 20) + 1, 0);
  EXPECT_EQ(chunker(usual, scan()).chunk_lengths(zeros), (lengths{min_chunk, min_chunk, min_chunk, min_chunk, 1}));
  EXPECT_EQ(recoup::sha256(byte_view(zeros).first(min_chunk)).hex(),
            "07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541");
}

// The chunks that restic/chunker's own test expects, with the fingerprint at each cut.
TEST(chunker, restics_own_vectors) {
  const auto program = tests_directory() / "support" / "go_random.go";
  std::FILE* const output = ::popen(("go run '" + program.string() + "' 23 33554432").c_str(), "r");
  ASSERT_NE(output, nullptr);
  bytes data(std::size_t{32} << 20);
  const auto read = std::fread(data.data(), 1, data.size(), output);
  ASSERT_EQ(::pclose(output), 0);
  ASSERT_EQ(read, data.size());

  const struct {
    std::size_t length;
    std::uint64_t fingerprint;
    const char* hash;
  } expected[] = {
      {2163460, 0x000b98d4cdf00000, "4b94cb2cf293855ea43bf766731c74969b91aa6bf3c078719aabdd19860d590d"},
      {643703, 0x000d4e8364d00000, "5727a63c0964f365ab8ed2ccf604912f2ea7be29759a2b53ede4d6841e397407"},
      {1528956, 0x0015a25c2ef00000, "a73759636a1e7a2758767791c69e81b69fb49236c6929e5d1b654e06e37674ba"},
      {1955808, 0x00102a8242e00000, "c955fb059409b25f07e5ae09defbbc2aadf117c97a3724e06ad4abd2787e6824"},
      {2222372, 0x00045da878000000, "6ba5e9f7e1b310722be3627716cf469be941f7f3e39a4c3bcefea492ec31ee56"},
      {2538687, 0x00198a8179900000, "8687937412f654b5cfe4a82b08f28393a0c040f77c6f95e26742c2fc4254bfde"},
      {609606, 0x001d4e8d17100000, "5da820742ff5feb3369112938d3095785487456f65a8efc4b96dac4be7ebb259"},
      {1205738, 0x000a7204dd600000, "cc70d8fad5472beb031b1aca356bcab86c7368f40faa24fe5f8922c6c268c299"},
      {959742, 0x00183e71e1400000, "4065bdd778f95676c92b38ac265d361f81bff17d76e5d9452cf985a2ea5a4e39"},
      {4036109, 0x001fec043c700000, "b9cf166e75200eb4993fc9b6e22300a6790c75e6b0fc8f3f29b68a752d42f275"},
      {1525894, 0x000b1574b1500000, "2f238180e4ca1f7520a05f3d6059233926341090f9236ce677690c1823eccab3"},
      {1352720, 0x00018965f2e00000, "afd12f13286a3901430de816e62b85cc62468c059295ce5888b76b3af9028d84"},
      {811884, 0x00155628aa100000, "42d0cdb1ee7c48e552705d18e061abb70ae7957027db8ae8db37ec756472a70a"},
      {1282314, 0x001909a0a1400000, "819721c2457426eb4f4c7565050c44c32076a56fa9b4515a1c7796441730eb58"},
      {1318021, 0x001cceb980000000, "842eb53543db55bacac5e25cb91e43cc2e310fe5f9acc1aee86bdf5e91389374"},
      {948640, 0x0011f7a470a00000, "b8e36bf7019bb96ac3fb7867659d2167d9d3b3148c09fe0de45850b8fe577185"},
      {645464, 0x00030ce2d9400000, "5584bd27982191c3329f01ed846bfd266e96548dfa87018f745c33cfc240211d"},
      {533758, 0x0004435c53c00000, "4da778a25b72a9a0d53529eccfe2e5865a789116cb1800f470d8df685a8ab05d"},
      {1128303, 0x0000c48517800000, "08c6b0b38095b348d80300f0be4c5184d2744a17147c2cba5cc4315abf4c048f"},
      {800374, 0x000968473f900000, "820284d2c8fd243429674c996d8eb8d3450cbc32421f43113e980f516282c7bf"},
      {2453512, 0x001e197c92600000, "5fa870ed107c67704258e5e50abe67509fb73562caf77caa843b5f243425d853"},
      {2651975, 0x000ae6c868000000, "181347d2bbec32bef77ad5e9001e6af80f6abcf3576549384d334ee00c1988d8"},
      {237392, 0, "fcd567f5d866357a8e299fd5b2359bb2c8157c30395229c4e9b0a353944a7978"},
  };
  for (const auto& kernel : recoup::scan_kernels) {
    if (!kernel.runs_here()) continue;
    const chunker cutter(usual, kernel.function);
    byte_view rest(data);
    for (const auto& chunk : expected) {
      std::size_t scanned = 0;
      ASSERT_EQ(cutter.first_cut(rest, scanned, true), chunk.length) << kernel.name;
      const auto content = rest.first(chunk.length);
      ASSERT_EQ(recoup::sha256(content).hex(), chunk.hash);
      if (chunk.fingerprint != 0) {
        ASSERT_EQ(cutter.tables().fingerprint(content.last(64)), chunk.fingerprint);
      }
      rest = rest.subspan(chunk.length);
    }
    EXPECT_TRUE(rest.empty());
  }
}

TEST(rabin_tables, fingerprint_is_the_remainder_of_the_window) {
  const auto data = recoup_test::noise(1000, 1);
  for (const auto modulus : {usual, another, polynomial::random()}) {
    const rabin_tables tables(modulus);
    std::uint64_t sliding = tables.fingerprint(byte_view(data).first(64));
    for (std::size_t end = 64; end < data.size(); ++end) {
      polynomial slow;  // bit by bit, without tables
      for (const auto byte : byte_view(data).subspan(end - 64, 64))
        slow.value = multiply_modulo(slow, {256}, modulus).value ^ byte;
      ASSERT_EQ(sliding, slow.value);
      ASSERT_EQ(rabin_tables::is_cut(sliding), (slow.value & 0xfffff) == 0);
      sliding = tables.slide(sliding, data[end], data[end - 64]);
    }
  }
}

TEST(rabin_tables, polynomials_that_restic_would_not_use_are_refused) {
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x38f1e565e288df},
                                    std::uint64_t{0b111}, UINT64_MAX}) {
    try {
      const rabin_tables refused{polynomial{value}};
      ADD_FAILURE() << value;
    } catch (const recoup::error& problem) {
      EXPECT_EQ(problem.code(), recoup::error_code::unsupported);
    }
  }
}

TEST_P(kernels, agree_with_the_rule_on_data_of_little_entropy) {
  std::mt19937_64 random(29);
  std::map<std::string, bytes> samples;
  const std::size_t size = (std::size_t{3} << 20) + 12'345;
  auto& sparse = samples["sparse"] = bytes(size, 0);
  for (int i = 0; i < 200; ++i) sparse[random() % size] = static_cast<std::uint8_t>(random());
  auto& periodic = samples["periodic"] = recoup_test::noise(size, 31);
  for (std::size_t i = 4096; i < size; ++i) periodic[i] = periodic[i - 4096];
  auto& binary = samples["two values"] = recoup_test::noise(size, 37);
  for (auto& byte : binary) byte &= 1;
  auto& counting = samples["counting"] = bytes(size);
  for (std::size_t i = 0; i < size; ++i) counting[i] = static_cast<std::uint8_t>(i / 1000);
  for (const auto& [name, data] : samples)
    for (const auto modulus : {usual, another})
      EXPECT_EQ(chunker(modulus, scan()).chunk_lengths(data), recoup::chunk_reference(modulus, data)) << name;
}

TEST_P(kernels, agree_with_the_rule_for_any_polynomial) {
  for (int i = 0; i < 3; ++i) {
    const auto modulus = polynomial::random();
    const auto data = byte_view(vector_data()).subspan(static_cast<std::size_t>(i) * 1000 + 1);
    EXPECT_EQ(chunker(modulus, scan()).chunk_lengths(data), recoup::chunk_reference(modulus, data)) << modulus.hex();
  }
}

TEST_P(kernels, data_that_comes_in_pieces_is_cut_the_same) {
  std::mt19937_64 random(41);
  const chunker cutter(usual, scan());
  const auto whole = cutter.chunk_lengths(vector_data());
  for (int round = 0; round < 8; ++round) {
    lengths found;
    byte_view rest(vector_data());
    while (!rest.empty()) {
      std::size_t scanned = 0, at_hand = 0, cut = chunker::more;
      while (cut == chunker::more) {
        at_hand = std::min(rest.size(), at_hand + 1 + random() % (round < 1 ? 5'000 : round < 4 ? 300'000 : 3'000'000));
        cut = cutter.first_cut(rest.first(at_hand), scanned, at_hand == rest.size());
        ASSERT_LE(scanned, at_hand);
      }
      found.push_back(cut);
      rest = rest.subspan(cut);
    }
    ASSERT_EQ(found, whole);
  }
}

std::vector<int> times_tested;
std::size_t count_and_scan(const rabin_tables& tables, const std::uint8_t* data, std::size_t begin, std::size_t end) {
  for (auto i = begin; i < end; ++i) ++times_tested.at(i);
  return recoup::scan_reference(tables, data, begin, end);
}

TEST(chunker, tests_no_position_twice_and_none_below_the_minimum) {
  const bytes constant(max_chunk + 10, 0x41);
  times_tested.assign(constant.size(), 0);
  const chunker cutter(usual, count_and_scan);
  std::size_t scanned = 0, at_hand = 100'000;
  while (cutter.first_cut(byte_view(constant).first(at_hand), scanned, false) == chunker::more) at_hand += 777'777;
  for (std::size_t i = 0; i < constant.size(); ++i)
    ASSERT_EQ(times_tested[i], i >= min_chunk - 1 && i < max_chunk ? 1 : 0) << i;
}

TEST(chunker, what_is_shorter_than_the_minimum_is_one_chunk_once_it_ends) {
  const chunker cutter(usual);
  const bytes data(min_chunk, 0);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, min_chunk - 1}) {
    std::size_t scanned = 0;
    EXPECT_EQ(cutter.first_cut(byte_view(data).first(size), scanned, false), chunker::more);
    EXPECT_EQ(cutter.first_cut(byte_view(data).first(size), scanned, true), size);
  }
  std::size_t scanned = 0;
  EXPECT_EQ(cutter.first_cut(data, scanned, false), min_chunk);
  EXPECT_TRUE(cutter.chunk_lengths({}).empty());
}

TEST(chunker, the_maximum_decides_without_more_data) {
  const bytes data(max_chunk, 0x41);
  const chunker cutter(usual);
  std::size_t scanned = 0;
  EXPECT_EQ(cutter.first_cut(byte_view(data).first(max_chunk - 1), scanned, false), chunker::more);
  EXPECT_EQ(cutter.first_cut(data, scanned, false), max_chunk);
}

TEST(dispatch, finds_each_kernel_and_chooses_the_fastest_that_runs) {
  EXPECT_EQ(recoup::find_scan_kernel(recoup::scan_kernel::reference), &recoup::scan_reference);
  EXPECT_EQ(recoup::find_scan_kernel(recoup::scan_kernel::portable), &recoup::scan_portable);
  const recoup::scan_kernel_entry* fastest = nullptr;
  for (const auto& entry : recoup::scan_kernels) {
    EXPECT_EQ(recoup::find_scan_kernel(entry.kernel).has_value(), entry.runs_here()) << entry.name;
    if (!entry.runs_here()) continue;
    fastest = &entry;
    EXPECT_EQ(&recoup::choose_scan_kernel(entry.name), &entry);
  }
  EXPECT_EQ(&recoup::choose_scan_kernel(""), fastest);
  EXPECT_EQ(recoup::best_scan_kernel(), recoup::best_scan_kernel_entry().function);
}

TEST(dispatch, a_kernel_that_cannot_be_had_is_told_with_those_that_can) {
  expect_error(recoup::error_code::invalid_argument,
               "RECOUP_KERNEL=refer: there is no such kernel; those that run here are",
               [] { (void)recoup::choose_scan_kernel("refer"); });
  expect_error(recoup::error_code::invalid_argument, "portable, reference",
               [] { (void)recoup::choose_scan_kernel("avx512"); });
  for (const auto& entry : recoup::scan_kernels)
    if (!entry.runs_here())
      expect_error(recoup::error_code::invalid_argument, ": this processor cannot run that kernel; those",
                   [&] { (void)recoup::choose_scan_kernel(entry.name); });
}

}  // namespace
