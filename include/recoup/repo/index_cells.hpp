// A hash table that says in which blocks of an id_table to look for an id.
//
// A cell is a number of 16 to 30 bits: which block of 64 ids, and a few bits of the id (its print). Cells lie in lines of
// 64 bytes, which is what the processor loads at once anyway; a line that is full passes what comes on to the next. Ids
// that share block, line and print share a cell. Cells are never removed, so a line is filled from its beginning, and a
// search ends at the first cell that is zero.
//
// Naming a block instead of an entry saves 6 bits of each cell, and they say more as a print. A line belongs to the ids
// between two others, so ids that begin alike are found without visiting everything.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <recoup/core/bytes.hpp>

namespace recoup {

/// Where to look for an id: 32 of its bits in order, and 32 independent of these.
struct cell_key {
  std::uint32_t order = 0, print = 0;
};

/// How wide the cells of all parts of a table are.
struct cell_layout {
  /// For block numbers below `blocks`. 5 bits of print at least: of the some 30 cells that a search passes, one then
  /// names a block for nothing. 4 would save 0.13 bytes per id, and cost a cache miss.
  [[nodiscard]] static cell_layout for_blocks(std::size_t blocks) noexcept {
    cell_layout layout;
    layout.block_bits = static_cast<unsigned>(std::bit_width(blocks));  // block + 1 is stored: zero is no cell
    layout.per_line = line_bits / (layout.block_bits + 5);
    layout.cell_bits = line_bits / layout.per_line;
    return layout;
  }

  static constexpr unsigned line_bits = 512;
  unsigned block_bits = 0, cell_bits = 0, per_line = 1;
};

/// Not thread-safe. Never holds more cells than was said.
class index_cells {
public:
  index_cells() = default;
  /// With room for `cells`, and an eighth of all stays empty. Then a search for what is not there passes 2 lines of 22
  /// cells; of 94 % in use it would pass 7, of 96 % 15.
  index_cells(cell_layout layout, std::size_t cells)
      : lines_((cells + cells / 7 + layout.per_line) / layout.per_line), layout_(layout) {}

  [[nodiscard]] std::size_t capacity() const noexcept {
    const auto all = lines_.size() * layout_.per_line;
    return all - (all + 7) / 8;
  }

  /// Adds that a block holds an id with this key.
  void insert(cell_key key, std::uint32_t block) noexcept {
    const auto cell = (print_of(key) << layout_.block_bits) | (block + 1);
    for (auto at = line_of(key.order);; at = at + 1 == lines_.size() ? 0 : at + 1) {
      auto& into = lines_[at];
      for (unsigned i = 0; i < layout_.per_line; ++i) {
        const auto known = cell_at(into, i);
        if (known == cell) return;
        if (known != 0) continue;
        set(into, i, cell);
        return;
      }
    }
  }

  /// Calls `visit(block)` for each block that may hold an id with this key, until it returns false. Lines that pass on
  /// may let a block come twice.
  template <class Visit>
  void for_each_block(cell_key key, Visit&& visit) const {
    if (lines_.empty()) return;
    const auto print = print_of(key);
    for (auto at = line_of(key.order);; at = at + 1 == lines_.size() ? 0 : at + 1) {
      const auto& from = lines_[at];
      for (unsigned i = 0; i < layout_.per_line; ++i) {
        const auto cell = cell_at(from, i);
        if (cell == 0) return;
        if (cell >> layout_.block_bits == print && !visit(block_of(cell))) return;
      }
    }
  }

  /// Appends the blocks that may hold ids with an order from `low` to `high`, and some others; a block may come often.
  void collect_blocks(std::uint32_t low, std::uint32_t high, std::vector<std::uint32_t>& blocks) const {
    if (lines_.empty()) return;
    auto at = line_of(low);
    const auto end = line_of(high);
    bool is_behind = false;  // there, only what full lines passed on counts
    for (std::size_t seen = 0; seen < lines_.size(); ++seen, at = at + 1 == lines_.size() ? 0 : at + 1) {
      for (unsigned i = 0; i < layout_.per_line; ++i) {
        const auto cell = cell_at(lines_[at], i);
        if (cell != 0) {
          blocks.push_back(block_of(cell));
          continue;
        }
        if (is_behind || at == end) return;
        break;
      }
      is_behind = is_behind || at == end;
    }
  }

  [[nodiscard]] std::size_t memory_bytes() const noexcept { return lines_.capacity() * sizeof(line); }

private:
  struct alignas(64) line {
    std::uint8_t bytes[cell_layout::line_bits / 8];
  };

  [[nodiscard]] std::size_t line_of(std::uint32_t order) const noexcept {
    return static_cast<std::size_t>(std::uint64_t{order} * lines_.size() >> 32);
  }
  [[nodiscard]] std::uint64_t print_of(cell_key key) const noexcept {
    return key.print & ((std::uint64_t{1} << (layout_.cell_bits - layout_.block_bits)) - 1);
  }
  [[nodiscard]] std::uint32_t block_of(std::uint64_t cell) const noexcept {
    return static_cast<std::uint32_t>(cell & ((std::uint64_t{1} << layout_.block_bits) - 1)) - 1;
  }

  /// The eight bytes of a line in which a cell lies: from its first one, or the line's last eight.
  [[nodiscard]] static constexpr unsigned window_of(unsigned bit) noexcept {
    return std::min(bit / 8, unsigned{sizeof(line) - sizeof(std::uint64_t)});
  }
  [[nodiscard]] std::uint64_t cell_at(const line& of, unsigned number) const noexcept {
    const auto bit = number * layout_.cell_bits, window = window_of(bit);
    return load_u64_le(of.bytes + window) >> (bit - 8 * window) & ((std::uint64_t{1} << layout_.cell_bits) - 1);
  }
  void set(line& of, unsigned number, std::uint64_t cell) const noexcept {
    const auto bit = number * layout_.cell_bits, window = window_of(bit);
    store_u64_le(of.bytes + window, load_u64_le(of.bytes + window) | cell << (bit - 8 * window));
  }

  std::vector<line> lines_;  // zero at first
  cell_layout layout_;
};

}  // namespace recoup
