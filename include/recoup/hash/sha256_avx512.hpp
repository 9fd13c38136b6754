// SHA-256 of eight messages, each in one of the eight 32-bit places of a vector register, with AVX-512's rotation and
// ternary logic: for processors that have those but no SHA instructions (Skylake and Cascade Lake servers).
#pragma once

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <recoup/hash/sha256_blocks.hpp>

#define RECOUP_SHA256_AVX512 __attribute__((target("avx512f,avx512vl")))
#define RECOUP_SHA256_AVX512_INLINE RECOUP_SHA256_AVX512 __attribute__((always_inline)) inline

namespace recoup {

namespace sha256_with_avx512 {

inline constexpr std::size_t lanes = 8;

/// Whether the processor has the instructions and the system saves their registers.
[[nodiscard]] inline bool runs_here() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}

RECOUP_SHA256_AVX512_INLINE __m256i load(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

/// Rows become columns: afterwards word j of rows[i] is what word i of rows[j] was.
RECOUP_SHA256_AVX512_INLINE void transpose(__m256i* rows) {
  __m256i s[8], t[8];
  for (std::size_t i = 0; i < 8; i += 2) {
    s[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
    s[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (std::size_t i = 0; i < 8; i += 4) {
    t[i] = _mm256_unpacklo_epi64(s[i], s[i + 2]);
    t[i + 1] = _mm256_unpackhi_epi64(s[i], s[i + 2]);
    t[i + 2] = _mm256_unpacklo_epi64(s[i + 1], s[i + 3]);
    t[i + 3] = _mm256_unpackhi_epi64(s[i + 1], s[i + 3]);
  }
  for (std::size_t j = 0; j < 4; ++j) {
    rows[j] = _mm256_permute2x128_si256(t[j], t[4 + j], 0x20);
    rows[4 + j] = _mm256_permute2x128_si256(t[j], t[4 + j], 0x31);
  }
}

/// The sixteen words of a block of each message.
RECOUP_SHA256_AVX512_INLINE void load_blocks(const std::uint8_t* const* data, __m256i* w) {
  const auto big_endian = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
  for (std::size_t i = 0; i < lanes; ++i) {
    w[i] = _mm256_shuffle_epi8(load(data[i]), big_endian);
    w[8 + i] = _mm256_shuffle_epi8(load(data[i] + 32), big_endian);
  }
  transpose(w);
  transpose(w + 8);
}

/// Tables of the ternary logic: the result for each (x, y, z), x the highest bit of the index.
inline constexpr int exclusive_or = 0x96, choose = 0xca, majority = 0xe8;

/// One round. Which variable is a, and so on, moves by one with each round, so nothing is copied.
template <std::size_t Round>
RECOUP_SHA256_AVX512_INLINE void one_round(__m256i* s, __m256i* w) {
  auto& now = w[Round % 16];
  if constexpr (Round >= 16) {
    const auto x = w[(Round - 15) % 16], y = w[(Round - 2) % 16];
    const auto s0 = _mm256_ternarylogic_epi32(_mm256_ror_epi32(x, 7), _mm256_ror_epi32(x, 18),
                                              _mm256_srli_epi32(x, 3), exclusive_or);
    const auto s1 = _mm256_ternarylogic_epi32(_mm256_ror_epi32(y, 17), _mm256_ror_epi32(y, 19),
                                              _mm256_srli_epi32(y, 10), exclusive_or);
    now = _mm256_add_epi32(_mm256_add_epi32(now, s0), _mm256_add_epi32(w[(Round - 7) % 16], s1));
  }
  constexpr std::size_t first = 64 - Round;
  const auto a = s[first % 8], b = s[(first + 1) % 8], c = s[(first + 2) % 8];
  const auto e = s[(first + 4) % 8], f = s[(first + 5) % 8], g = s[(first + 6) % 8];
  auto& d = s[(first + 3) % 8];
  auto& h = s[(first + 7) % 8];
  const auto constant = _mm256_set1_epi32(static_cast<int>(sha256_constants[Round]));
  const auto sum1 = _mm256_ternarylogic_epi32(_mm256_ror_epi32(e, 6), _mm256_ror_epi32(e, 11), _mm256_ror_epi32(e, 25),
                                              exclusive_or);
  const auto sum0 = _mm256_ternarylogic_epi32(_mm256_ror_epi32(a, 2), _mm256_ror_epi32(a, 13), _mm256_ror_epi32(a, 22),
                                              exclusive_or);
  const auto t1 = _mm256_add_epi32(_mm256_add_epi32(_mm256_add_epi32(now, constant), h),
                                   _mm256_add_epi32(_mm256_ternarylogic_epi32(e, f, g, choose), sum1));
  d = _mm256_add_epi32(d, t1);
  h = _mm256_add_epi32(t1, _mm256_add_epi32(_mm256_ternarylogic_epi32(a, b, c, majority), sum0));
}

template <std::size_t... Round>
RECOUP_SHA256_AVX512_INLINE void all_rounds(__m256i* s, __m256i* w, std::index_sequence<Round...>) {
  (one_round<Round>(s, w), ...);
}

RECOUP_SHA256_AVX512 inline void compress(sha256_lane* const* lane, std::size_t count, std::size_t blocks) {
  // Places without a message of their own do the first one again, in a copy.
  sha256_lane spare = *lane[0];
  sha256_lane* every[lanes];
  std::fill(std::copy_n(lane, count, every), every + lanes, &spare);
  const std::uint8_t* data[lanes];
  __m256i words[8];
  for (std::size_t i = 0; i < lanes; ++i) {
    data[i] = every[i]->data;
    words[i] = load(every[i]->words.data());
  }
  transpose(words);
  for (std::size_t left = blocks; left > 0; --left) {
    __m256i w[16], now[8];
    load_blocks(data, w);
    for (std::size_t i = 0; i < 8; ++i) now[i] = words[i];
    all_rounds(now, w, std::make_index_sequence<64>{});
    for (std::size_t i = 0; i < 8; ++i) words[i] = _mm256_add_epi32(words[i], now[i]);
    for (auto& place : data) place += sha256_block_size;
  }
  transpose(words);
  for (std::size_t i = 0; i < lanes; ++i)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(every[i]->words.data()), words[i]);
  for (std::size_t i = 0; i < count; ++i) lane[i]->data = data[i];
}

}  // namespace sha256_with_avx512

inline void sha256_avx512(sha256_lane* const* lanes, std::size_t count, std::size_t blocks) {
#ifndef OPENSSL_NO_DEPRECATED_3_0
  // One takes as long as eight here, and half as long again as OpenSSL needs for it.
  if (count == 1) return sha256_openssl(lanes, count, blocks);
#endif
  sha256_with_avx512::compress(lanes, count, blocks);
}

}  // namespace recoup

#undef RECOUP_SHA256_AVX512_INLINE
#undef RECOUP_SHA256_AVX512

#endif  // __x86_64__
