// How a vector kernel searches: many segments side by side, digests cut into byte slices.
//
// A block of positions is divided into as many segments as a vector has bytes (lanes). After a transposition, vector i
// holds byte i of every segment. The digests of all lanes, 53 bits each, are kept as seven vectors, multiplied by x^3
// so that the highest eight coefficients are a vector of their own:
//
//   s6 s5 s4 s3 s2 s1 s0        bit 3 of s0 is x^0, bit 7 of s6 is x^52, the low three bits are always zero
//
// To append a byte is then no shifting at all: s5 becomes s6, s4 becomes s5, and so on. What remains are three linear
// maps of a byte, the one pushed over the edge (s6), the one that leaves the window, and the one that enters; each is
// one 8x8 bit matrix for every slice that it touches, and GF2P8AFFINEQB multiplies a whole vector by one:
//
//   s[j] = s[j-1] + reduce[j] * s6 + leave[j] * leaving + enter[j] * entering        7 + 7 + 2 products
//
// A position is a cut where bits 3 to 22 are zero: s0 = s1 = 0 and s2 & 0x7f = 0. That is noted for 16 positions of all
// lanes at a time; which position it was is then asked of the reference, once in a mebibyte.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <recoup/chunker/bit_matrix.hpp>
#include <recoup/chunker/rabin.hpp>
#include <recoup/chunker/scan.hpp>

namespace recoup::byte_sliced {

/// Bytes of each lane that are transposed at once.
inline constexpr std::size_t tile = 16;
/// Where a byte enters: x^3 times itself lies across two slices.
inline constexpr auto enter_matrices =
    bit_matrices_of([](std::uint8_t byte) { return std::uint64_t{byte} << rabin_tables::slice_shift; });
/// The bits of s2 that a cut has clear; of s0 and s1, all are.
inline constexpr std::uint8_t cut_bits_of_s2 = cut_mask << rabin_tables::slice_shift >> 16;
static_assert(rabin_window % tile == 0 && cut_bits_of_s2 == 0x7f);

/// Where the lanes of a block begin, each with the 63 bytes before its first position. Neighbours meet, except that the
/// last lanes may overlap, so that all are of one length and none reads past the block.
template <std::size_t Lanes>
struct lane_starts {
  std::array<const std::uint8_t*, Lanes> window;
  std::size_t positions;  ///< in each lane

  lane_starts(const std::uint8_t* first, std::size_t block_positions)
      : positions(lane_length(block_positions)) {
    for (std::size_t i = 0; i < Lanes; ++i)
      window[i] = first + std::min(i * positions, block_positions - positions);
  }

  /// Lanes that begin near multiples of 1024 bytes apart would fight for a few sets of the first-level cache, so longer
  /// ones are an odd number of its lines.
  [[nodiscard]] static constexpr std::size_t lane_length(std::size_t block_positions) noexcept {
    const auto least = (block_positions + Lanes - 1) / Lanes;
    return least <= 512 ? least : (least + 63) / 128 * 128 + 64;
  }
};

/// Reads the following block into the cache while this one is searched: 64 lanes at once are more than the processor's
/// own prefetching follows.
struct prefetch_plan {
  const std::uint8_t* next;
  std::size_t step;  ///< bytes on after each prefetch; 0 if no block follows
};

/// The first position of a block that is a cut, or `positions`. `first` is 63 bytes before the first of these.
///
/// Kernel has `lanes`, `lane_bits` (an unsigned type with a bit for each), and an object of it is one search:
///   Kernel(tables)
///   lane_bits begin(starts)
///     takes the first 64 bytes of each lane, and returns the lanes in which these were a cut
///   lane_bits advance(starts, at, end, prefetch)
///     takes bytes [at, end) of each lane, or fewer: it stops behind a tile in which lanes had a cut, and returns
///     these. Moves `at` on.
template <class Kernel>
[[nodiscard]] std::size_t scan_block(const rabin_tables& tables, const std::uint8_t* first, std::size_t positions,
                                     prefetch_plan prefetch) {
  using lane_bits = typename Kernel::lane_bits;
  const lane_starts<Kernel::lanes> starts(first, positions);
  std::size_t found = positions;
  auto earlier = static_cast<lane_bits>(~lane_bits{0});  // lanes that could still find something before `found`
  const auto note = [&](lane_bits hits, std::size_t from, std::size_t to) {
    hits &= earlier;
    if (hits == 0) return;
    // Lanes begin in order, so the lowest has the first cut, even where the last ones overlap: a later lane's would lie
    // where this one has searched already.
    const auto lane = std::countr_zero(hits);
    const auto start = static_cast<std::size_t>(starts.window[static_cast<std::size_t>(lane)] - first);
    constexpr auto before = rabin_window - 1;
    found = scan_reference(tables, first, start + from, start + to) - before;
    earlier = static_cast<lane_bits>((lane_bits{1} << lane) - 1);
  };

  Kernel kernel(tables);
  note(kernel.begin(starts), rabin_window - 1, rabin_window);
  const auto end = starts.positions + rabin_window - 1;
  for (auto at = rabin_window; at < end && earlier != 0;) {
    const auto from = at;
    const auto hits = kernel.advance(starts, at, end, prefetch);
    note(hits, from, at);
  }
  return found;
}

/// A scan_function but for its last arguments. `block`: positions searched before a cut among them counts; more lose
/// time behind a cut, fewer to the 64 bytes with which each lane begins. `least`: below it the reference is faster; at
/// least 65.
template <class Kernel>
[[nodiscard]] std::size_t scan(const rabin_tables& tables, const std::uint8_t* data, std::size_t begin, std::size_t end,
                               std::size_t block, std::size_t least) {
  while (begin < end && end - begin >= least) {
    const auto positions = std::min(block, end - begin);
    const auto next = std::min(block, end - begin - positions);
    const auto* const first = data + begin - (rabin_window - 1);
    // A tile of every lane is as many cache lines as there are 64 bytes in it.
    const auto found = scan_block<Kernel>(tables, first, positions, {first + positions, 64 * next / positions});
    if (found != positions) return begin + found;
    begin += positions;
  }
  return scan_reference(tables, data, begin, end);
}

}  // namespace recoup::byte_sliced
