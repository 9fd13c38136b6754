// A hash table that says in which blocks of an id_table to look for an id.
//
// A cell is a number of 16 to 32 bits: which block of 56 ids, and a few bits of the id (its print, never zero). Cells lie
// in lines of 64 bytes, which is what the processor loads at once anyway; a line that is full passes what comes on to the
// next. Ids that share block, line and print share a cell. Cells are never removed, so a line is filled from its
// beginning, and a search ends at the first empty cell.
//
//   line = 16 bits of each cell: print | low bits of the block    the other bits of each cell
//
// so that four cells are compared in one word. Naming a block instead of an entry saves 5.8 bits of each cell, and they say
// more as a print. A line belongs to the ids between two others, so ids that begin alike are found without visiting all.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <recoup/core/bytes.hpp>

namespace recoup {

/// Where to look for an id: 32 of its bits in order, and 32 independent of these.
struct cell_key {
  std::uint32_t order = 0, print = 0;
};

/// How wide the cells of all parts of a table are.
struct cell_layout {
  static constexpr unsigned line_bits = 512, word_bits = 16;

  /// For block numbers below `blocks`. 5 bits of print at least: of the some 30 cells that a search passes, one then
  /// names a block for nothing. 4 would save 0.15 bytes per id, and cost a cache miss.
  [[nodiscard]] static cell_layout for_blocks(std::size_t blocks) noexcept {
    cell_layout layout;
    const auto block_bits = std::max(static_cast<unsigned>(std::bit_width(blocks)), 8u);
    layout.per_line = line_bits / std::max(block_bits + 5, word_bits);
    const auto cell_bits = line_bits / layout.per_line;
    layout.print_bits = std::min(cell_bits - block_bits, 8u);
    layout.rest_bits = cell_bits - word_bits;
    return layout;
  }

  [[nodiscard]] constexpr unsigned low_bits() const noexcept { return word_bits - print_bits; }

  unsigned per_line = 1;
  unsigned print_bits = 5;  ///< the highest of a cell's 16
  unsigned rest_bits = 0;   ///< of a block's number, which do not fit into the 16
};

/// Not thread-safe. Never holds more cells than was said.
class index_cells {
public:
  index_cells() = default;
  /// With room for `cells`, and a tenth of all stays empty. Of lines of 22 cells, a search for what is not there then
  /// passes 3; with 85 % in use it passes 2, with 94 % it would 7 and with 96 % 15.
  index_cells(cell_layout layout, std::size_t cells)
      : lines_((cells + cells / 9 + layout.per_line) / layout.per_line), layout_(layout) {}

  [[nodiscard]] std::size_t capacity() const noexcept {
    const auto all = lines_.size() * layout_.per_line;
    return all - (all + 9) / 10;
  }

  /// Adds that a block holds an id with this key.
  void insert(cell_key key, std::uint32_t block) noexcept {
    const auto print = print_of(key);
    const auto word = static_cast<std::uint64_t>(print | (block & ((1u << layout_.low_bits()) - 1)));
    for (auto at = line_of(key.order);; at = following(at)) {
      auto& into = lines_[at];
      unsigned used = 0;
      for (unsigned first = 0; first < layout_.per_line; first += 4) {
        const auto words = words_at(into, first);
        for (auto equal = zero_words(words ^ word * each_word); equal != 0; equal &= equal - 1) {
          const auto number = first + static_cast<unsigned>(std::countr_zero(equal)) / 16;
          if (number < layout_.per_line && block_at(into, number) == block) return;
        }
        const auto empty = zero_words(words);
        used += empty == 0 ? 4u : static_cast<unsigned>(std::countr_zero(empty)) / 16;
        if (empty != 0) break;
      }
      if (used >= layout_.per_line) continue;
      set_bits(into, used * cell_layout::word_bits, word);
      set_bits(into, rest_of(used), block >> layout_.low_bits());
      return;
    }
  }

  /// Calls `visit(block)` for each block that may hold an id with this key, until it returns false. Lines that pass on
  /// may let a block come twice. Those in one line go to `announce(block)` first: it may begin to load them.
  template <class Announce, class Visit>
  void for_each_block(cell_key key, Announce&& announce, Visit&& visit) const {
    if (lines_.empty()) return;
    const auto pattern = print_of(key) * each_word;
    const auto mask = ((1u << cell_layout::word_bits) - (1u << layout_.low_bits())) * each_word;
    for (auto at = line_of(key.order);; at = following(at)) {
      const auto& from = lines_[at];
      std::array<std::uint32_t, 32> blocks;
      std::size_t count = 0;
      bool is_full = true;
      for (unsigned first = 0; first < layout_.per_line && is_full; first += 4) {
        const auto words = words_at(from, first);
        for (auto equal = zero_words((words & mask) ^ pattern); equal != 0; equal &= equal - 1) {
          const auto number = first + static_cast<unsigned>(std::countr_zero(equal)) / 16;
          if (number >= layout_.per_line) break;
          announce(blocks[count++] = block_at(from, number));
        }
        const auto empty = zero_words(words);
        is_full = empty == 0 || first + static_cast<unsigned>(std::countr_zero(empty)) / 16 >= layout_.per_line;
      }
      for (std::size_t i = 0; i < count; ++i)
        if (!visit(blocks[i])) return;
      if (!is_full) return;
    }
  }

  /// Begins to load the line where a search for the key begins.
  void prefetch(cell_key key) const noexcept {
    if (!lines_.empty()) __builtin_prefetch(&lines_[line_of(key.order)], 1);
  }

  /// Appends the blocks that may hold ids with an order from `low` to `high`, and some others; a block may come often.
  void collect_blocks(std::uint32_t low, std::uint32_t high, std::vector<std::uint32_t>& blocks) const {
    if (lines_.empty()) return;
    auto at = line_of(low);
    const auto end = line_of(high);
    bool is_behind = false;  // there, only what full lines passed on counts
    for (std::size_t seen = 0; seen < lines_.size(); ++seen, at = following(at)) {
      unsigned number = 0;
      for (; number < layout_.per_line && (words_at(lines_[at], number) & 0xffff) != 0; ++number)
        blocks.push_back(block_at(lines_[at], number));
      is_behind = is_behind || at == end;
      if (is_behind && number < layout_.per_line) return;
    }
  }

  [[nodiscard]] std::size_t memory_bytes() const noexcept { return lines_.capacity() * sizeof(line); }

private:
  struct alignas(64) line {
    std::uint8_t bytes[cell_layout::line_bits / 8];
  };
  static constexpr std::uint64_t each_word = 0x0001'0001'0001'0001;

  /// The highest bit of each of four words that is zero.
  [[nodiscard]] static constexpr std::uint64_t zero_words(std::uint64_t words) noexcept {
    constexpr auto low = 0x7fff * each_word;
    return ~(((words & low) + low) | words | low);
  }

  [[nodiscard]] std::size_t line_of(std::uint32_t order) const noexcept {
    return static_cast<std::size_t>(std::uint64_t{order} * lines_.size() >> 32);
  }
  [[nodiscard]] std::size_t following(std::size_t at) const noexcept { return at + 1 == lines_.size() ? 0 : at + 1; }
  /// At its place in the 16 bits.
  [[nodiscard]] std::uint32_t print_of(cell_key key) const noexcept {
    const auto values = (std::uint64_t{1} << layout_.print_bits) - 1;
    return (1 + static_cast<std::uint32_t>(key.print * values >> 32)) << layout_.low_bits();
  }

  /// Four words, the first with this number; behind the line's end they are zero.
  [[nodiscard]] static std::uint64_t words_at(const line& of, unsigned first) noexcept {
    const auto byte = 2 * first, window = std::min(byte, unsigned{sizeof(line) - sizeof(std::uint64_t)});
    return load_u64_le(of.bytes + window) >> 8 * (byte - window);
  }
  [[nodiscard]] unsigned rest_of(unsigned number) const noexcept {
    return layout_.per_line * cell_layout::word_bits + number * layout_.rest_bits;
  }
  [[nodiscard]] std::uint32_t block_at(const line& of, unsigned number) const noexcept {
    const auto low = bits_at(of, number * cell_layout::word_bits, layout_.low_bits());
    return low | bits_at(of, rest_of(number), layout_.rest_bits) << layout_.low_bits();
  }

  /// The eight bytes of a line in which up to 32 bits lie: from their first one, or the line's last eight.
  [[nodiscard]] static constexpr unsigned window_of(unsigned bit) noexcept {
    return std::min(bit / 8, unsigned{sizeof(line) - sizeof(std::uint64_t)});
  }
  [[nodiscard]] static std::uint32_t bits_at(const line& of, unsigned bit, unsigned count) noexcept {
    if (count == 0) return 0;
    const auto window = window_of(bit);
    return static_cast<std::uint32_t>(load_u64_le(of.bytes + window) >> (bit - 8 * window) &
                                      ((std::uint64_t{1} << count) - 1));
  }
  static void set_bits(line& of, unsigned bit, std::uint64_t value) noexcept {
    if (value == 0) return;
    const auto window = window_of(bit);
    store_u64_le(of.bytes + window, load_u64_le(of.bytes + window) | value << (bit - 8 * window));
  }

  std::vector<line> lines_;  // zero at first
  cell_layout layout_;
};

}  // namespace recoup
