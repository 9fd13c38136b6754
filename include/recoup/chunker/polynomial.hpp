// Polynomials over GF(2), bit i standing for x^i. Every repository has an irreducible one of degree 53, which decides
// where its files are cut (restic.md section 2.10).
#pragma once

#include <bit>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/crypto/secret.hpp>

namespace recoup {

struct polynomial {
  std::uint64_t value = 0;

  /// The only degree restic uses, and the one the scan kernels are built for.
  static constexpr int required_degree = 53;

  [[nodiscard]] friend constexpr bool operator==(const polynomial&, const polynomial&) noexcept = default;

  /// -1 for the zero polynomial.
  [[nodiscard]] constexpr int degree() const noexcept { return static_cast<int>(std::bit_width(value)) - 1; }

  [[nodiscard]] constexpr bool is_irreducible() const noexcept;

  /// Lowercase, no leading zeros, no prefix: as in a repository's config.
  [[nodiscard]] std::string hex() const {
    char digits[16];
    const auto end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
    return {digits, end};
  }

  /// Nothing unless `hex` is 1 to 16 hexadecimal digits. Does not ask whether the polynomial is a good one.
  [[nodiscard]] static std::optional<polynomial> parse(std::string_view hex) noexcept {
    polynomial result;
    const auto [end, problem] = std::from_chars(hex.data(), hex.data() + hex.size(), result.value, 16);
    if (problem != std::errc{} || end != hex.data() + hex.size() || hex.size() > 16) return std::nullopt;
    return result;
  }

  /// A new irreducible polynomial of degree 53. It is a secret: who knows it can tell which known files a repository
  /// holds from the lengths of its blobs.
  [[nodiscard]] static polynomial random();
};

/// a mod m, m not zero.
[[nodiscard]] constexpr polynomial modulo(polynomial a, polynomial m) noexcept {
  while (a.degree() >= m.degree()) a.value ^= m.value << (a.degree() - m.degree());
  return a;
}

/// a * b mod m, for m of degree 1 to 63 and a of lower degree.
[[nodiscard]] constexpr polynomial multiply_modulo(polynomial a, polynomial b, polynomial m) noexcept {
  const auto top = std::uint64_t{1} << (m.degree() - 1);
  polynomial product;
  for (; b.value != 0; b.value >>= 1) {
    if ((b.value & 1) != 0) product.value ^= a.value;
    const bool overflows = (a.value & top) != 0;
    a.value <<= 1;
    if (overflows) a.value ^= m.value;
  }
  return product;
}

/// x^exponent mod m, for m of degree 1 to 63.
[[nodiscard]] constexpr polynomial power_of_x(unsigned exponent, polynomial m) noexcept {
  const auto x = modulo({2}, m);
  auto power = modulo({1}, m);
  for (unsigned i = 0; i < exponent; ++i) power = multiply_modulo(power, x, m);
  return power;
}

[[nodiscard]] constexpr polynomial greatest_common_divisor(polynomial a, polynomial b) noexcept {
  while (b.value != 0) {
    const auto rest = modulo(a, b);
    a = b;
    b = rest;
  }
  return a;
}

/// Ben-Or's test: x^(2^i) - x is the product of all irreducible polynomials whose degree divides i, so a reducible one
/// shares a factor with it for some i up to half its degree.
constexpr bool polynomial::is_irreducible() const noexcept {
  if (degree() < 1) return false;
  if (degree() == 1) return true;
  if (degree() > 63) return false;
  polynomial power = modulo({2}, *this);  // x^(2^i)
  for (int i = 1; i <= degree() / 2; ++i) {
    power = multiply_modulo(power, power, *this);
    if (greatest_common_divisor(*this, {power.value ^ 2}).value != 1) return false;
  }
  return true;
}

inline polynomial polynomial::random() {
  // One in 53/2 of the odd ones is irreducible: a hundred thousand failures are a broken generator.
  for (int attempt = 0; attempt < 100'000; ++attempt) {
    polynomial candidate;
    std::uint8_t raw[sizeof candidate.value];
    random_bytes(raw);
    std::memcpy(&candidate.value, raw, sizeof raw);
    candidate.value &= (std::uint64_t{1} << required_degree) - 1;
    candidate.value |= std::uint64_t{1} << required_degree | 1;
    if (candidate.is_irreducible()) return candidate;
  }
  throw error(error_code::failure, "no irreducible polynomial found: the system's random numbers are not random");
}

}  // namespace recoup
