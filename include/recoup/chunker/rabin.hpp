// The rule by which restic cuts files (restic.md section 2.10), and its obvious implementation.
//
//   fingerprint(i) = (data[i-63 … i] as a polynomial, the first byte the highest) mod P
//   a chunk ends after byte i as soon as it has min_chunk bytes and the low 20 bits of fingerprint(i) are zero,
//   or when it has max_chunk bytes, or where the data ends
//
// restic starts each chunk with a window of zeros and a digest of 1, and hashes only its last 64 bytes before
// min_chunk. Both leave no trace by the first test, so the test at i is a function of 64 bytes alone and positions can
// be searched in any order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <recoup/chunker/bit_matrix.hpp>
#include <recoup/chunker/polynomial.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>

namespace recoup {

inline constexpr std::size_t min_chunk = std::size_t{512} << 10;
inline constexpr std::size_t max_chunk = std::size_t{8} << 20;
inline constexpr std::size_t rabin_window = 64;
/// A cut's fingerprint has these bits clear: one position in 2^20.
inline constexpr std::uint64_t cut_mask = (std::uint64_t{1} << 20) - 1;

/// What a polynomial of degree 53 comes to, byte by byte. A little over 4 KiB: stays in the first-level cache.
struct rabin_tables {
  /// A digest's highest eight coefficients begin here; they are what the next byte pushes over the edge.
  static constexpr int top_byte = polynomial::required_degree - 8;

  polynomial modulus;
  /// For the byte t that goes over the edge: t * x^53 mod P, and t itself where it has to be cleared.
  std::array<std::uint64_t, 256> reduce{};
  /// b * x^512 mod P: what is left of byte b after 64 more have been appended.
  std::array<std::uint64_t, 256> leave{};
  /// What byte_sliced.hpp needs of both maps, their values multiplied by x^3: 53 coefficients then end at a whole byte.
  bit_matrix_column reduce_matrices{}, leave_matrices{};
  static constexpr int slice_shift = 56 - polynomial::required_degree;

  /// Throws unsupported if `chosen` is not irreducible of degree 53.
  explicit rabin_tables(polynomial chosen) : modulus(chosen) {
    if (chosen.degree() != polynomial::required_degree || !chosen.is_irreducible())
      throw error(error_code::unsupported,
                  "chunker polynomial " + chosen.hex() +
                      " is not irreducible of degree 53; the repository's config is damaged or "
                      "written by an unknown program");
    const auto over = power_of_x(polynomial::required_degree, chosen);
    const auto left = power_of_x(8 * rabin_window, chosen);
    for (std::uint64_t byte = 0; byte < 256; ++byte) {
      reduce[byte] = multiply_modulo(over, {byte}, chosen).value | byte << polynomial::required_degree;
      leave[byte] = multiply_modulo(left, {byte}, chosen).value;
    }
    // The shift drops what `reduce` has above 53 bits: sliced, the top byte goes away by itself.
    reduce_matrices = bit_matrices_of([this](std::uint8_t byte) { return reduce[byte] << slice_shift; });
    leave_matrices = bit_matrices_of([this](std::uint8_t byte) { return leave[byte] << slice_shift; });
  }

  /// Digest of a window that has grown by `byte`.
  [[nodiscard]] std::uint64_t push(std::uint64_t digest, std::uint8_t byte) const noexcept {
    return (digest << 8 | byte) ^ reduce[digest >> top_byte];
  }
  /// Digest of a window of 64 bytes that `entering` has moved on by one.
  [[nodiscard]] std::uint64_t slide(std::uint64_t digest, std::uint8_t entering, std::uint8_t leaving) const noexcept {
    return push(digest, entering) ^ leave[leaving];
  }
  [[nodiscard]] static bool is_cut(std::uint64_t digest) noexcept { return (digest & cut_mask) == 0; }

  /// Fingerprint of any number of bytes; of the last 64 of a chunk, what restic calls its cut.
  [[nodiscard]] std::uint64_t fingerprint(byte_view window) const noexcept {
    std::uint64_t digest = 0;
    for (const auto byte : window) digest = push(digest, byte);
    return digest;
  }
};

/// The chunks of `whole`, by the rule above and nothing else: what everything faster is compared with. Slow.
[[nodiscard]] inline std::vector<std::size_t> chunk_reference(polynomial chosen, byte_view whole) {
  const rabin_tables tables(chosen);
  std::vector<std::size_t> lengths;
  while (!whole.empty()) {
    std::size_t length = 0;
    std::uint64_t digest = 0;
    while (length < whole.size() && length < max_chunk) {
      digest = length < rabin_window ? tables.push(digest, whole[length])
                                     : tables.slide(digest, whole[length], whole[length - rabin_window]);
      ++length;
      if (length >= min_chunk && rabin_tables::is_cut(digest)) break;
    }
    lengths.push_back(length);
    whole = whole.subspan(length);
  }
  return lengths;
}

}  // namespace recoup
