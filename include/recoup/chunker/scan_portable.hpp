// The search for every processor: several places of one block at once, in plain C++.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <recoup/chunker/rabin.hpp>
#include <recoup/chunker/scan.hpp>

namespace recoup {

namespace interleaving {

/// One stream takes about nine cycles a byte, most of them waiting for `reduce`; eight keep the core busy meanwhile.
inline constexpr std::size_t streams = 8;
/// Bytes that a stream searches before all meet again. More lose time behind a cut that was found, fewer to the 63
/// bytes with which each stream begins. Not a multiple of 4096, or all streams would fight for the same cache sets.
inline constexpr std::size_t stride = 4096 + 64;
inline constexpr std::size_t block = streams * stride;

/// The first position in first[0 … block-1] that is a cut, or `block`.
template <std::size_t... Stream>
[[nodiscard]] inline std::size_t scan_block(const rabin_tables& tables, const std::uint8_t* first,
                                            std::index_sequence<Stream...>) {
  std::array<std::uint64_t, streams> digest{};
  std::array<std::size_t, streams> found;
  found.fill(stride);
  // All streams' steps are written out, by folding over Stream: left as a loop, g++ -O2 keeps the digests in memory and
  // runs at half the speed. A branch for each stream is faster than one for all of them.
  const std::uint8_t* const window = first - (rabin_window - 1);
  for (std::size_t i = 0; i < rabin_window; ++i)
    ((digest[Stream] = tables.push(digest[Stream], window[Stream * stride + i])), ...);
  const auto note = [&digest, &found](std::size_t stream, std::size_t i) {
    if (rabin_tables::is_cut(digest[stream])) [[unlikely]]
      if (found[stream] == stride) found[stream] = i;
  };
  for (std::size_t i = 0;;) {
    (note(Stream, i), ...);
    if (found[0] != stride) [[unlikely]]
      return i;
    if (++i == stride) break;
    ((digest[Stream] = tables.slide(digest[Stream], window[Stream * stride + i + rabin_window - 1],
                                    window[Stream * stride + i - 1])), ...);
  }
  for (std::size_t stream = 0; stream < streams; ++stream)
    if (found[stream] != stride) return stream * stride + found[stream];
  return block;
}

}  // namespace interleaving

/// Eight places at once, each far enough from the next that none waits for another.
[[nodiscard]] inline std::size_t scan_portable(const rabin_tables& tables, const std::uint8_t* data,
                                                  std::size_t begin, std::size_t end) {
  using namespace interleaving;
  for (; begin < end && end - begin >= block; begin += block) {
    const auto found = scan_block(tables, data + begin, std::make_index_sequence<streams>{});
    if (found != block) return begin + found;
  }
  return scan_reference(tables, data, begin, end);
}

}  // namespace recoup
