// SHA-256 with the SHA instructions of x86, several messages interleaved: two rounds take four cycles, but a new
// pair can begin every two, so one message alone leaves half of the unit idle.
#pragma once

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#include <cstddef>
#include <utility>

#include <recoup/hash/sha256_blocks.hpp>

#define RECOUP_SHA256_SHA_NI __attribute__((target("sha,sse4.1,ssse3")))
#define RECOUP_SHA256_SHA_NI_INLINE RECOUP_SHA256_SHA_NI __attribute__((always_inline)) inline

namespace recoup {

namespace sha256_with_sha_ni {

/// Three fill the unit. Four are 2 % faster as g++ 12 compiles them and a third slower as clang 14 does, see README.md.
inline constexpr std::size_t lanes = 3;

/// SHA, SSE4.1 and SSSE3. They use registers that every x86-64 system saves.
[[nodiscard]] inline bool runs_here() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_SSE4_1) == 0 || (c & bit_SSSE3) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

/// The instructions want the words in this order, the first in the highest place.
struct state {
  __m128i abef, cdgh;
};

RECOUP_SHA256_SHA_NI_INLINE state load(const sha256_words& words) {
  const auto cdab = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(words.data())), 0xb1);
  const auto efgh = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(words.data() + 4)), 0x1b);
  return {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0)};
}

RECOUP_SHA256_SHA_NI_INLINE void store(const state& from, sha256_words& words) {
  const auto feba = _mm_shuffle_epi32(from.abef, 0x1b);
  const auto dchg = _mm_shuffle_epi32(from.cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(words.data()), _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(words.data() + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/// Sixteen words of the message schedule: the last ones, in a ring of four times four.
struct schedule {
  __m128i ring[4];
};

/// Rounds 4·Group to 4·Group+3 of one message.
template <std::size_t Group>
RECOUP_SHA256_SHA_NI_INLINE void four_rounds(state& words, schedule& w, const std::uint8_t* block) {
  auto& now = w.ring[Group % 4];
  if constexpr (Group < 4) {
    const auto big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    now = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * Group)), big_endian);
  } else {
    const auto& before = w.ring[(Group + 3) % 4];
    const auto seven_back = _mm_alignr_epi8(before, w.ring[(Group + 2) % 4], 4);
    const auto partly = _mm_add_epi32(_mm_sha256msg1_epu32(now, w.ring[(Group + 1) % 4]), seven_back);
    now = _mm_sha256msg2_epu32(partly, before);
  }
  const auto constants = _mm_load_si128(reinterpret_cast<const __m128i*>(sha256_constants + 4 * Group));
  const auto sum = _mm_add_epi32(now, constants);
  words.cdgh = _mm_sha256rnds2_epu32(words.cdgh, words.abef, sum);
  words.abef = _mm_sha256rnds2_epu32(words.abef, words.cdgh, _mm_shuffle_epi32(sum, 0x0e));
}

template <std::size_t Group, std::size_t... Lane>
RECOUP_SHA256_SHA_NI_INLINE void four_rounds_each(state* words, schedule* w, const std::uint8_t* const* data,
                                                  std::index_sequence<Lane...>) {
  (four_rounds<Group>(words[Lane], w[Lane], data[Lane]), ...);
}

/// All rounds, the messages taking turns after each four.
template <class Lanes, std::size_t... Group>
RECOUP_SHA256_SHA_NI_INLINE void all_rounds(state* words, schedule* w, const std::uint8_t* const* data, Lanes each,
                                            std::index_sequence<Group...>) {
  (four_rounds_each<Group>(words, w, data, each), ...);
}

/// The instructions above keep what lies beyond 128 bits of the register that they write. As long as something does, each
/// waits for what was in the register before, and interleaved messages take as long as one after the other. Others, such
/// as OpenSSL's assembly, may have left it so.
inline void clear_upper_halves() {
  static const bool has_avx = __builtin_cpu_supports("avx") != 0;
  if (has_avx) asm volatile("vzeroupper" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                            "xmm12", "xmm13", "xmm14", "xmm15");
}

template <std::size_t... Lane>
RECOUP_SHA256_SHA_NI inline void compress(sha256_lane* const* lane, std::size_t blocks,
                                          std::index_sequence<Lane...> each) {
  state words[] = {load(lane[Lane]->words)...};
  const std::uint8_t* data[] = {lane[Lane]->data...};
  for (; blocks > 0; --blocks) {
    schedule w[sizeof...(Lane)];
    const state before[] = {words[Lane]...};
    all_rounds(words, w, data, each, std::make_index_sequence<16>{});
    ((words[Lane].abef = _mm_add_epi32(words[Lane].abef, before[Lane].abef)), ...);
    ((words[Lane].cdgh = _mm_add_epi32(words[Lane].cdgh, before[Lane].cdgh)), ...);
    ((data[Lane] += sha256_block_size), ...);
  }
  (store(words[Lane], lane[Lane]->words), ...);
  ((lane[Lane]->data = data[Lane]), ...);
}

}  // namespace sha256_with_sha_ni

inline void sha256_sha_ni(sha256_lane* const* lanes, std::size_t count, std::size_t blocks) {
  using sha256_with_sha_ni::compress;
  sha256_with_sha_ni::clear_upper_halves();
  switch (count) {
    case 1: return compress(lanes, blocks, std::make_index_sequence<1>{});
    case 2: return compress(lanes, blocks, std::make_index_sequence<2>{});
    default: return compress(lanes, blocks, std::make_index_sequence<3>{});
  }
}

}  // namespace recoup

#undef RECOUP_SHA256_SHA_NI_INLINE
#undef RECOUP_SHA256_SHA_NI

#endif  // __x86_64__
