// Byte-sliced search (byte_sliced.hpp) in 32 lanes, for processors with GFNI and AVX2 but without AVX-512: Alder Lake
// and later.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#define RECOUP_HAS_GFNI_AVX2 1

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include <recoup/chunker/byte_sliced.hpp>

#define RECOUP_TARGET __attribute__((target("avx2,gfni")))
#define RECOUP_INLINE __attribute__((target("avx2,gfni"), always_inline)) inline

namespace recoup {

class gfni_avx2_lanes {
public:
  static constexpr std::size_t lanes = 32;
  using lane_bits = std::uint32_t;
  using starts = byte_sliced::lane_starts<lanes>;

  RECOUP_TARGET explicit gfni_avx2_lanes(const rabin_tables& tables) {
    for (std::size_t i = 0; i < 7; ++i) {
      reduce_[i] = broadcast(tables.reduce_matrices[i]);
      leave_[i] = broadcast(tables.leave_matrices[i]);
    }
  }

  RECOUP_TARGET lane_bits begin(const starts& where) {
    const vector zero = _mm256_setzero_si256();
    digests d{zero, zero, zero, zero, zero, zero, zero};
    for (std::size_t at = 0; at < rabin_window; at += tile) {
      load(where, at, window_[at / tile]);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < tile; ++i) push(d, window_[at / tile][i]);
    }
    digests_ = d;
    return zero_lanes(cut_bits(d));
  }

  RECOUP_TARGET lane_bits advance(const starts& where, std::size_t& at, std::size_t end,
                                  byte_sliced::prefetch_plan& prefetch) {
    auto d = digests_;
    vector rows[tile];
    lane_bits hits = 0;
    while (hits == 0 && end - at >= tile) {
      load(where, at, rows);
      for (std::size_t i = 0; i < lanes * tile / 64; ++i, prefetch.next += prefetch.step)
        _mm_prefetch(reinterpret_cast<const char*>(prefetch.next), _MM_HINT_T0);
      auto& old = window_[at / tile % 4];
      vector seen = _mm256_set1_epi8(-1);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < tile; ++i) {
        slide(d, rows[i], old[i]);
        old[i] = rows[i];
        seen = _mm256_min_epu8(seen, cut_bits(d));
      }
      hits = zero_lanes(seen);
      at += tile;
    }
    if (hits == 0 && at != end) {
      // The last bytes come with as many before them as make a tile; every lane has at least 64.
      const auto rest = end - at;
      load(where, end - tile, rows);
      const auto& old = window_[at / tile % 4];
      vector seen = _mm256_set1_epi8(-1);
      for (std::size_t i = 0; i < rest; ++i) {
        slide(d, rows[tile - rest + i], old[i]);
        seen = _mm256_min_epu8(seen, cut_bits(d));
      }
      hits = zero_lanes(seen);
      at = end;
    }
    digests_ = d;
    return hits;
  }

private:
  using vector = __m256i;
  static constexpr auto tile = byte_sliced::tile;

  struct digests {
    vector s0, s1, s2, s3, s4, s5, s6;
  };

  RECOUP_INLINE static vector broadcast(bit_matrix matrix) {
    return _mm256_set1_epi64x(static_cast<long long>(matrix));
  }
  RECOUP_INLINE static vector product(vector byte, vector matrix) {
    return _mm256_gf2p8affine_epi64_epi8(byte, matrix, 0);
  }
  RECOUP_INLINE static vector sum(vector a, vector b) { return _mm256_xor_si256(a, b); }
  RECOUP_INLINE static lane_bits zero_lanes(vector a) {
    return static_cast<lane_bits>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, _mm256_setzero_si256())));
  }

  RECOUP_INLINE static vector enter_low(vector byte) {
    return product(byte, broadcast(byte_sliced::enter_matrices[0]));
  }
  RECOUP_INLINE static vector enter_high(vector byte) {
    return product(byte, broadcast(byte_sliced::enter_matrices[1]));
  }

  /// What is added to each slice does not wait for the digest that is moved on; `top` comes in last.
  RECOUP_INLINE void push(digests& d, vector entering) const {
    const vector top = d.s6;
    d.s6 = sum(d.s5, product(top, reduce_[6]));
    d.s5 = sum(d.s4, product(top, reduce_[5]));
    d.s4 = sum(d.s3, product(top, reduce_[4]));
    d.s3 = sum(d.s2, product(top, reduce_[3]));
    d.s2 = sum(d.s1, product(top, reduce_[2]));
    d.s1 = sum(sum(d.s0, enter_high(entering)), product(top, reduce_[1]));
    d.s0 = sum(enter_low(entering), product(top, reduce_[0]));
  }

  RECOUP_INLINE void slide(digests& d, vector entering, vector leaving) const {
    const vector top = d.s6;
    d.s6 = sum(sum(d.s5, product(leaving, leave_[6])), product(top, reduce_[6]));
    d.s5 = sum(sum(d.s4, product(leaving, leave_[5])), product(top, reduce_[5]));
    d.s4 = sum(sum(d.s3, product(leaving, leave_[4])), product(top, reduce_[4]));
    d.s3 = sum(sum(d.s2, product(leaving, leave_[3])), product(top, reduce_[3]));
    d.s2 = sum(sum(d.s1, product(leaving, leave_[2])), product(top, reduce_[2]));
    d.s1 = sum(sum(sum(d.s0, enter_high(entering)), product(leaving, leave_[1])), product(top, reduce_[1]));
    d.s0 = sum(sum(enter_low(entering), product(leaving, leave_[0])), product(top, reduce_[0]));
  }

  /// Zero in the lanes that are at a cut.
  RECOUP_INLINE static vector cut_bits(const digests& d) {
    const vector wanted = _mm256_set1_epi8(byte_sliced::cut_bits_of_s2);
    return _mm256_or_si256(_mm256_and_si256(d.s2, wanted), _mm256_or_si256(d.s0, d.s1));
  }

  /// Sixteen bytes of each of the lanes i and i + 16.
  RECOUP_INLINE static vector load_two(const starts& where, std::size_t i, std::size_t at) {
    const auto* const low = reinterpret_cast<const __m128i*>(where.window[i] + at);
    const auto* const high = reinterpret_cast<const __m128i*>(where.window[i + 16] + at);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)), _mm_loadu_si128(high), 1);
  }

  RECOUP_INLINE static void interleave(const vector (&in)[tile], vector (&out)[tile]) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < tile / 2; ++i) {
      out[2 * i] = _mm256_unpacklo_epi8(in[i], in[i + tile / 2]);
      out[2 * i + 1] = _mm256_unpackhi_epi8(in[i], in[i + tile / 2]);
    }
  }

  /// rows[i] becomes byte at + i of all lanes. An interleaving rotates the eight bits of an element's row and column by
  /// one; four exchange row and column.
  RECOUP_INLINE static void load(const starts& where, std::size_t at, vector (&rows)[tile]) {
    vector between[tile];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < tile; ++i) rows[i] = load_two(where, i, at);
    interleave(rows, between);
    interleave(between, rows);
    interleave(rows, between);
    interleave(between, rows);
  }

  vector reduce_[7], leave_[7];
  vector window_[rabin_window / tile][tile];  ///< the last 64 bytes of all lanes, by offset modulo 64
  digests digests_;
};

/// Whether this processor has GFNI and AVX2, and its system saves the registers.
[[nodiscard]] inline bool runs_gfni_avx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("gfni") && __builtin_cpu_supports("avx2");
}

/// A scan_function; call it only where runs_gfni_avx2().
[[nodiscard]] inline std::size_t scan_gfni_avx2(const rabin_tables& tables, const std::uint8_t* data, std::size_t begin,
                                                std::size_t end) {
  return byte_sliced::scan<gfni_avx2_lanes>(tables, data, begin, end, 32 * 1600, 160);
}

}  // namespace recoup

#undef RECOUP_TARGET
#undef RECOUP_INLINE
#endif
