// Cuts files into chunks exactly where restic does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <recoup/chunker/dispatch.hpp>
#include <recoup/chunker/polynomial.hpp>
#include <recoup/chunker/rabin.hpp>
#include <recoup/chunker/scan.hpp>
#include <recoup/core/bytes.hpp>

namespace recoup {

/// Thread-safe; copies share their tables.
class chunker {
public:
  /// What `first_cut` returns while the bytes at hand do not decide where the chunk ends.
  static constexpr std::size_t more = SIZE_MAX;

  /// Throws unsupported if `chosen` is not irreducible of degree 53.
  explicit chunker(polynomial chosen, scan_function scan = best_scan_kernel())
      : tables_(std::make_shared<const rabin_tables>(chosen)), scan_(scan) {}

  /// Length of the chunk that `data` starts with; 0 if there is no data and never will be.
  /// `scanned` is 0 for a new chunk and carries what was searched already to the next call for the same chunk, so that
  /// no byte is searched twice. `at_end`: no bytes follow `data`. max_chunk bytes always decide.
  [[nodiscard]] std::size_t first_cut(byte_view data, std::size_t& scanned, bool at_end) const {
    const auto limit = std::min(data.size(), max_chunk);
    const auto begin = std::max(scanned, min_chunk - 1);
    if (begin < limit) {
      const auto cut = scan_(*tables_, data.data(), begin, limit);
      if (cut < limit) return cut + 1;
      scanned = limit;
    }
    if (limit == max_chunk || at_end) return limit;
    return more;
  }

  [[nodiscard]] std::vector<std::size_t> chunk_lengths(byte_view whole) const {
    std::vector<std::size_t> lengths;
    while (!whole.empty()) {
      std::size_t scanned = 0;
      lengths.push_back(first_cut(whole, scanned, true));
      whole = whole.subspan(lengths.back());
    }
    return lengths;
  }

  [[nodiscard]] const rabin_tables& tables() const noexcept { return *tables_; }

private:
  std::shared_ptr<const rabin_tables> tables_;
  scan_function scan_;
};

}  // namespace recoup
