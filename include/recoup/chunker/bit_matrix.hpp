// Linear maps between bytes as 8x8 matrices over GF(2), in the form in which the processor multiplies by them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace recoup {

/// Eight rows of eight bits, as GF2P8AFFINEQB takes them: bit i of the product is the parity of the input and byte
/// 7 - i (Intel SDM, volume 2).
using bit_matrix = std::uint64_t;

/// A linear map from a byte to seven bytes, one matrix for each of these, the lowest first.
using bit_matrix_column = std::array<bit_matrix, 7>;

/// The matrices of `map`, which must be linear: byte -> 56 bits.
template <class Map>
[[nodiscard]] constexpr bit_matrix_column bit_matrices_of(const Map& map) {
  bit_matrix_column matrices{};
  for (unsigned in = 0; in < 8; ++in) {
    const std::uint64_t image = map(static_cast<std::uint8_t>(1u << in));
    for (unsigned out = 0; out < 56; ++out)
      matrices[out / 8] |= (image >> out & 1) << (8 * (7 - out % 8) + in);
  }
  return matrices;
}

}  // namespace recoup
