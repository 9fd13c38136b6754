// Byte-sliced search (byte_sliced.hpp) in 64 lanes, for processors with GFNI and AVX-512: Ice Lake, Zen 4 and later.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#define RECOUP_HAS_GFNI_AVX512 1

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include <recoup/chunker/byte_sliced.hpp>

#define RECOUP_TARGET __attribute__((target("avx512f,avx512bw,gfni")))
#define RECOUP_INLINE __attribute__((target("avx512f,avx512bw,gfni"), always_inline)) inline

namespace recoup {

class gfni_avx512_lanes {
public:
  static constexpr std::size_t lanes = 64;
  using lane_bits = std::uint64_t;
  using starts = byte_sliced::lane_starts<lanes>;

  RECOUP_TARGET explicit gfni_avx512_lanes(const rabin_tables& tables) {
    for (std::size_t i = 0; i < 7; ++i) {
      reduce_[i] = broadcast(tables.reduce_matrices[i]);
      leave_[i] = broadcast(tables.leave_matrices[i]);
    }
  }

  RECOUP_TARGET lane_bits begin(const starts& where) {
    const vector zero = _mm512_setzero_si512();
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
      vector seen = _mm512_set1_epi8(-1);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < tile; ++i) {
        slide(d, rows[i], old[i]);
        old[i] = rows[i];
        seen = _mm512_min_epu8(seen, cut_bits(d));
      }
      hits = zero_lanes(seen);
      at += tile;
    }
    if (hits == 0 && at != end) {
      // The last bytes come with as many before them as make a tile; every lane has at least 64.
      const auto rest = end - at;
      load(where, end - tile, rows);
      const auto& old = window_[at / tile % 4];
      vector seen = _mm512_set1_epi8(-1);
      for (std::size_t i = 0; i < rest; ++i) {
        slide(d, rows[tile - rest + i], old[i]);
        seen = _mm512_min_epu8(seen, cut_bits(d));
      }
      hits = zero_lanes(seen);
      at = end;
    }
    digests_ = d;
    return hits;
  }

private:
  using vector = __m512i;
  static constexpr auto tile = byte_sliced::tile;

  struct digests {
    vector s0, s1, s2, s3, s4, s5, s6;
  };

  RECOUP_INLINE static vector broadcast(bit_matrix matrix) {
    return _mm512_set1_epi64(static_cast<long long>(matrix));
  }
  RECOUP_INLINE static vector product(vector byte, vector matrix) {
    return _mm512_gf2p8affine_epi64_epi8(byte, matrix, 0);
  }
  RECOUP_INLINE static vector sum(vector a, vector b) { return _mm512_xor_si512(a, b); }
  RECOUP_INLINE static vector sum(vector a, vector b, vector c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
  RECOUP_INLINE static lane_bits zero_lanes(vector a) { return _mm512_testn_epi8_mask(a, a); }

  RECOUP_INLINE static vector enter_low(vector byte) {
    return product(byte, broadcast(byte_sliced::enter_matrices[0]));
  }
  RECOUP_INLINE static vector enter_high(vector byte) {
    return product(byte, broadcast(byte_sliced::enter_matrices[1]));
  }

  RECOUP_INLINE void push(digests& d, vector entering) const {
    const vector top = d.s6;
    d.s6 = sum(d.s5, product(top, reduce_[6]));
    d.s5 = sum(d.s4, product(top, reduce_[5]));
    d.s4 = sum(d.s3, product(top, reduce_[4]));
    d.s3 = sum(d.s2, product(top, reduce_[3]));
    d.s2 = sum(d.s1, product(top, reduce_[2]));
    d.s1 = sum(d.s0, enter_high(entering), product(top, reduce_[1]));
    d.s0 = sum(enter_low(entering), product(top, reduce_[0]));
  }

  RECOUP_INLINE void slide(digests& d, vector entering, vector leaving) const {
    const vector top = d.s6;
    d.s6 = sum(d.s5, product(leaving, leave_[6]), product(top, reduce_[6]));
    d.s5 = sum(d.s4, product(leaving, leave_[5]), product(top, reduce_[5]));
    d.s4 = sum(d.s3, product(leaving, leave_[4]), product(top, reduce_[4]));
    d.s3 = sum(d.s2, product(leaving, leave_[3]), product(top, reduce_[3]));
    d.s2 = sum(d.s1, product(leaving, leave_[2]), product(top, reduce_[2]));
    d.s1 = sum(sum(d.s0, enter_high(entering)), product(leaving, leave_[1]), product(top, reduce_[1]));
    d.s0 = sum(enter_low(entering), product(leaving, leave_[0]), product(top, reduce_[0]));
  }

  /// Zero in the lanes that are at a cut.
  RECOUP_INLINE static vector cut_bits(const digests& d) {
    const vector wanted = _mm512_set1_epi8(byte_sliced::cut_bits_of_s2);
    return _mm512_ternarylogic_epi64(d.s2, wanted, _mm512_or_si512(d.s0, d.s1), 0xea);  // s2 & wanted | (s0 | s1)
  }

  /// Sixteen bytes of each of the lanes i, i + 16, i + 32 and i + 48.
  RECOUP_INLINE static vector load_four(const starts& where, std::size_t i, std::size_t at) {
    const auto piece = [&](std::size_t lane) RECOUP_TARGET {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(where.window[lane] + at));
    };
    vector four = _mm512_castsi128_si512(piece(i));
    four = _mm512_inserti32x4(four, piece(i + 16), 1);
    four = _mm512_inserti32x4(four, piece(i + 32), 2);
    return _mm512_inserti32x4(four, piece(i + 48), 3);
  }

  RECOUP_INLINE static void interleave(const vector (&in)[tile], vector (&out)[tile]) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < tile / 2; ++i) {
      out[2 * i] = _mm512_unpacklo_epi8(in[i], in[i + tile / 2]);
      out[2 * i + 1] = _mm512_unpackhi_epi8(in[i], in[i + tile / 2]);
    }
  }

  /// rows[i] becomes byte at + i of all lanes. An interleaving rotates the eight bits of an element's row and column by
  /// one; four exchange row and column.
  RECOUP_INLINE static void load(const starts& where, std::size_t at, vector (&rows)[tile]) {
    vector between[tile];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < tile; ++i) rows[i] = load_four(where, i, at);
    interleave(rows, between);
    interleave(between, rows);
    interleave(rows, between);
    interleave(between, rows);
  }

  vector reduce_[7], leave_[7];
  vector window_[rabin_window / tile][tile];  ///< the last 64 bytes of all lanes, by offset modulo 64
  digests digests_;
};

/// Whether this processor has GFNI and AVX-512 (F, BW), and its system saves the registers.
[[nodiscard]] inline bool runs_gfni_avx512() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("gfni") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

/// A scan_function; call it only where runs_gfni_avx512().
[[nodiscard]] inline std::size_t scan_gfni_avx512(const rabin_tables& tables, const std::uint8_t* data,
                                                  std::size_t begin, std::size_t end) {
  return byte_sliced::scan<gfni_avx512_lanes>(tables, data, begin, end, 64 * 1088, 192);
}

}  // namespace recoup

#undef RECOUP_TARGET
#undef RECOUP_INLINE
#endif
