// What a search for the next position where a file may be cut is, and the obvious one. scan_*.hpp are the fast ones;
// measurements are in README.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include <recoup/chunker/rabin.hpp>

namespace recoup {

/// The first i in [begin, end) for which the 64 bytes data[i-63 … i] have a fingerprint with its low 20 bits zero, or
/// end. begin is at least 63; nothing outside data[begin-63 … end-1] is read. Thread-safe.
using scan_function = std::size_t (*)(const rabin_tables& tables, const std::uint8_t* data, std::size_t begin,
                                      std::size_t end);

/// One byte after another: what the others are tested against, and what ends their searches.
[[nodiscard]] inline std::size_t scan_reference(const rabin_tables& tables, const std::uint8_t* data, std::size_t begin,
                                                std::size_t end) {
  if (begin >= end) return end;
  std::uint64_t digest = 0;
  for (std::size_t i = begin + 1 - rabin_window; i <= begin; ++i) digest = tables.push(digest, data[i]);
  for (std::size_t i = begin;;) {
    if (rabin_tables::is_cut(digest)) return i;
    if (++i == end) return end;
    digest = tables.slide(digest, data[i], data[i - rabin_window]);
  }
}

}  // namespace recoup
