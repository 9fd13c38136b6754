// SHA-256's inner loop (FIPS 180-4, section 6.2.2) over the blocks of several messages at once: what a kernel is, and
// the two that run everywhere. How messages become blocks is in sha256_message.hpp.
#pragma once

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace recoup {

inline constexpr std::size_t sha256_block_size = 64;

/// The chaining value, a to h.
using sha256_words = std::array<std::uint32_t, 8>;

/// One message among those that a kernel works on.
struct sha256_lane {
  sha256_words words;
  const std::uint8_t* data;
};

/// Takes `blocks` blocks of 64 bytes from each of lanes[0 … count-1] into its words, and moves its data on. Count is at
/// least 1 and at most what the kernel's table entry says. Reads nothing beyond those blocks. Thread-safe.
using sha256_function = void (*)(sha256_lane* const* lanes, std::size_t count, std::size_t blocks);

/// FIPS 180-4, section 5.3.3.
inline constexpr sha256_words sha256_initial{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/// FIPS 180-4, section 4.2.2.
alignas(64) inline constexpr std::uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/// One block, as the standard writes it down.
inline void sha256_one_block(sha256_words& words, const std::uint8_t* block) {
  std::uint32_t w[64];
  for (std::size_t t = 0; t < 16; ++t)
    w[t] = std::uint32_t{block[4 * t]} << 24 | std::uint32_t{block[4 * t + 1]} << 16 |
           std::uint32_t{block[4 * t + 2]} << 8 | std::uint32_t{block[4 * t + 3]};
  for (std::size_t t = 16; t < 64; ++t) {
    const auto s0 = std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
    const auto s1 = std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);
    w[t] = s1 + w[t - 7] + s0 + w[t - 16];
  }
  auto [a, b, c, d, e, f, g, h] = words;
  for (std::size_t t = 0; t < 64; ++t) {
    const auto t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g)) +
                    sha256_constants[t] + w[t];
    const auto t2 = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const sha256_words more{a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < more.size(); ++i) words[i] += more[i];
}

/// One lane after the other, portable C++.
inline void sha256_reference(sha256_lane* const* lanes, std::size_t count, std::size_t blocks) {
  for (auto* const* lane = lanes; lane != lanes + count; ++lane)
    for (std::size_t block = 0; block < blocks; ++block, (*lane)->data += sha256_block_size)
      sha256_one_block((*lane)->words, (*lane)->data);
}

#ifndef OPENSSL_NO_DEPRECATED_3_0
/// One lane after the other, with what OpenSSL knows of this processor: ARMv8's SHA-2, AVX2, POWER8 and others. These
/// functions are deprecated in favour of EVP, which cannot be given a chaining value and takes 35 ns more for a call.
inline void sha256_openssl(sha256_lane* const* lanes, std::size_t count, std::size_t blocks) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  SHA256_CTX context;
  ::SHA256_Init(&context);
  for (auto* const* lane = lanes; lane != lanes + count; ++lane) {
    std::copy((*lane)->words.begin(), (*lane)->words.end(), context.h);
    ::SHA256_Update(&context, (*lane)->data, blocks * sha256_block_size);
    std::copy(context.h, context.h + 8, (*lane)->words.begin());
    (*lane)->data += blocks * sha256_block_size;
  }
#pragma GCC diagnostic pop
}
#endif

}  // namespace recoup
