// Ids in the order in which they were added, each with one bit, found by value.
//
// Per id: 32 bytes and the bit; a cell of 2.3 to 4 bytes (index_cells.hpp). Ids lie in blocks of 56. The last byte of each
// stands apart: 56 of them and 56 bits fill one cache line, in which memchr finds the id that is meant. Only that is
// compared, so that a search takes one line of cells, one for each block that comes into question, and the id itself.
//
// The cells are in 64 stripes by the first bits of the id, each with a lock of its own: whoever reads does not meet the
// other readers at one place in memory. Blocks need no lock, as what was published never changes.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <numeric>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/repo/index_cells.hpp>
#include <recoup/repo/segment_array.hpp>

namespace recoup {

/// The ids from one to another, both included.
struct id_range {
  id first, last;

  /// Those that begin with these digits; nothing unless `digits` are up to 64 lowercase hexadecimal ones.
  [[nodiscard]] static std::optional<id_range> beginning_with(std::string_view digits) {
    if (digits.size() > id::hex_size) return std::nullopt;
    std::string low(digits), high(digits);
    low.resize(id::hex_size, '0');
    high.resize(id::hex_size, 'f');
    const auto first = id::parse(low), last = id::parse(high);
    if (!first || !last) return std::nullopt;
    return id_range{*first, *last};
  }
  [[nodiscard]] bool contains(const id& name) const noexcept { return first <= name && name <= last; }
};

/// To add: one thread at a time calls prepare, write for each id, publish, and enter; of several batches, enter may go
/// on at the same time. All else may be called by any thread at any time, and sees what was published; what looks by
/// value, what was entered.
class id_table {
public:
  static constexpr std::size_t stripes = 64;
  static constexpr std::size_t most = std::size_t{1} << 32;
  using stripe_counts = std::array<std::uint32_t, stripes>;

  [[nodiscard]] static unsigned stripe_of(const id& name) noexcept { return name.value[0] >> 2; }

  // --- adding ---

  /// True if there is memory for more ids, `more[s]` of them in stripe s.
  [[nodiscard]] bool has_room(const stripe_counts& more) const noexcept {
    if (cells_for_blocks_ * block_size < next_ + total_of(more)) return false;
    for (std::size_t s = 0; s < stripes; ++s)
      if (claimed_[s] + more[s] > stripes_[s].cells.capacity()) return false;
    return true;
  }

  /// Makes memory for more ids, and for the `expected` total as far as that is no more than twice of what there is then.
  /// Nobody may be in enter(); others may look things up.
  void grow(const stripe_counts& more, std::size_t expected) {
    const auto total = next_ + total_of(more);
    if (total > most)
      throw error(error_code::unsupported, "the repository has more blobs than this program can index (2^32)");
    // A sixteenth more at a time: of the cells 85 to 90 % are then in use, and each is made 16 times.
    const double factor = expected > total ? static_cast<double>(std::min(expected, 2 * total)) / static_cast<double>(total)
                                           : 1 + 1.0 / 16;
    const auto with_reserve = [factor](std::size_t count) { return static_cast<std::size_t>(static_cast<double>(count) * factor) + 1; };
    const auto blocks = with_reserve(total) / block_size + 1;
    const auto layout = cell_layout::for_blocks(blocks);
    std::array<index_cells, stripes> fresh;
    for (std::size_t s = 0; s < stripes; ++s)
      fresh[s] = index_cells(layout, with_reserve(claimed_[s] + more[s]));
    // A whole block's lines are on their way from memory while they are written to.
    for (std::size_t first = 0; first < next_; first += block_size) {
      const auto end = std::min(next_, first + block_size);
      for (auto number = first; number < end; ++number) {
        const auto name = at(static_cast<std::uint32_t>(number));
        fresh[stripe_of(name)].prefetch(key_of(name));
      }
      for (auto number = first; number < end; ++number) {
        const auto name = at(static_cast<std::uint32_t>(number));
        fresh[stripe_of(name)].insert(key_of(name), static_cast<std::uint32_t>(first / block_size));
      }
    }
    for (std::size_t s = 0; s < stripes; ++s) {
      const std::unique_lock lock(stripes_[s].mutex);
      std::swap(stripes_[s].cells, fresh[s]);
    }
    cells_for_blocks_ = blocks;
  }

  /// Makes memory for the ids with the numbers from size() on.
  void prepare(std::size_t count) {
    segments_.make_room((next_ + count + ids_per_segment - 1) / ids_per_segment);
  }

  /// The id with this number, which is below what was prepared and not published yet.
  void write(std::size_t number, const id& name, bool bit) noexcept {
    auto& segment = segments_[number / ids_per_segment];
    std::copy_n(name.value.begin(), row_size, segment.rows[number % ids_per_segment]);
    auto& head = segment.heads[number % ids_per_segment / block_size];
    const auto row = number % block_size;
    head.tags[row] = name.value[row_size];
    const auto mask = std::uint64_t{1} << row;
    if (bit)
      head.bits.fetch_or(mask, std::memory_order_relaxed);
    else
      head.bits.fetch_and(~mask, std::memory_order_relaxed);
  }

  /// Lets others see the `count` ids that were written.
  void publish(std::size_t count, const stripe_counts& more) noexcept {
    next_ += count;
    for (std::size_t s = 0; s < stripes; ++s) claimed_[s] += more[s];
    size_.store(next_, std::memory_order_release);
  }

  /// Lets others find published ids by value. `numbers` is in the order of stripes.
  void enter(std::span<const std::uint32_t> numbers) {
    for (auto from = numbers.begin(); from != numbers.end();) {
      const auto s = stripe_of(at(*from));
      const std::unique_lock lock(stripes_[s].mutex);
      for (; from != numbers.end(); ++from) {
        const auto name = at(*from);
        if (stripe_of(name) != s) break;
        stripes_[s].cells.insert(key_of(name), static_cast<std::uint32_t>(*from / block_size));
      }
    }
  }

  // --- reading ---

  [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }

  /// The id with a number below size().
  [[nodiscard]] id at(std::uint32_t number) const noexcept {
    const auto& segment = segments_[number / ids_per_segment];
    id name;
    std::copy_n(segment.rows[number % ids_per_segment], row_size, name.value.begin());
    name.value[row_size] = segment.heads[number % ids_per_segment / block_size].tags[number % block_size];
    return name;
  }
  [[nodiscard]] bool bit_of(std::uint32_t number) const noexcept {
    const auto& head = head_of(number / block_size);
    return (head.bits.load(std::memory_order_relaxed) >> (number % block_size) & 1) != 0;
  }

  /// Numbers of the id, in order.
  [[nodiscard]] std::vector<std::uint32_t> find_all(const id& name) const {
    std::vector<std::uint32_t> numbers;
    for_each_match(name, [&](std::uint32_t number) { numbers.push_back(number); return true; });
    std::ranges::sort(numbers);
    const auto rest = std::ranges::unique(numbers);
    numbers.erase(rest.begin(), rest.end());
    return numbers;
  }

  /// A number of the id with this bit.
  [[nodiscard]] std::optional<std::uint32_t> find(const id& name, bool bit) const {
    std::optional<std::uint32_t> found;
    for_each_match(name, [&](std::uint32_t number) {
      if (bit_of(number) == bit) found = number;
      return !found.has_value();
    });
    return found;
  }

  [[nodiscard]] bool contains(const id& name, bool bit) const {
    bool found = false;
    for_each_match(name, [&](std::uint32_t number) { return !(found = bit_of(number) == bit); });
    return found;
  }

  /// Numbers of all ids in a range, in order of the numbers.
  [[nodiscard]] std::vector<std::uint32_t> find_range(const id_range& range) const {
    auto blocks = blocks_of(range);
    const auto end = size();
    std::vector<std::uint32_t> numbers;
    for (const auto block : blocks)
      for (auto number = std::size_t{block} * block_size; number < std::min(end, (std::size_t{block} + 1) * block_size); ++number)
        if (range.contains(at(static_cast<std::uint32_t>(number)))) numbers.push_back(static_cast<std::uint32_t>(number));
    return numbers;
  }

  /// Not while somebody adds.
  [[nodiscard]] std::size_t memory_bytes() const {
    auto total = segments_.memory_bytes();
    for (const auto& stripe : stripes_) total += stripe.cells.memory_bytes();
    return total;
  }

private:
  static constexpr std::size_t block_size = 56, blocks_per_segment = 18;  // 32 KB a segment
  static constexpr std::size_t ids_per_segment = block_size * blocks_per_segment;
  static constexpr std::size_t row_size = id::size - 1;

  struct alignas(64) block_head {
    std::atomic<std::uint64_t> bits{0};
    std::uint8_t tags[block_size];
  };
  static_assert(sizeof(block_head) == 64);

  struct segment_of_ids {
    block_head heads[blocks_per_segment];
    std::uint8_t rows[ids_per_segment][row_size];
  };

  struct alignas(64) stripe_of_cells {
    mutable std::shared_mutex mutex;
    index_cells cells;
  };

  [[nodiscard]] static std::size_t total_of(const stripe_counts& counts) noexcept {
    return std::accumulate(counts.begin(), counts.end(), std::size_t{0});
  }

  [[nodiscard]] static cell_key key_of(const id& name) noexcept {
    const auto first = __builtin_bswap64(load_u64_le(name.value.data()));
    return {static_cast<std::uint32_t>(first << 6 >> 32), load_u32_le(&name.value[24])};
  }

  [[nodiscard]] const block_head& head_of(std::size_t block) const noexcept {
    return segments_[block / blocks_per_segment].heads[block % blocks_per_segment];
  }

  /// Calls `visit(number)` for each place of the id, in no order and perhaps more than once, until it returns false. The
  /// stripe is locked meanwhile.
  template <class Visit>
  void for_each_match(const id& name, Visit&& visit) const {
    const auto& stripe = stripes_[stripe_of(name)];
    const std::shared_lock lock(stripe.mutex);
    const auto end = size();
    stripe.cells.for_each_block(
        key_of(name), [this](std::uint32_t block) { __builtin_prefetch(&head_of(block)); },
        [&](std::uint32_t block) { return visit_block(block, end, name, visit); });
  }

  template <class Visit>
  [[nodiscard]] bool visit_block(std::uint32_t block_number, std::size_t end, const id& name, Visit& visit) const {
    const auto& segment = segments_[block_number / blocks_per_segment];
    const auto& tags = segment.heads[block_number % blocks_per_segment].tags;
    const auto* const rows = segment.rows + block_number % blocks_per_segment * block_size;
    const auto first = std::size_t{block_number} * block_size;
    const auto* const tags_end = tags + std::min(block_size, end - first);
    const auto next = [&](const std::uint8_t* from) {
      return static_cast<const std::uint8_t*>(
          std::memchr(from, name.value[row_size], static_cast<std::size_t>(tags_end - from)));
    };
    for (const auto* tag = next(tags); tag != nullptr; tag = next(tag + 1)) {
      const auto row = static_cast<std::size_t>(tag - tags);
      if (std::memcmp(rows[row], name.value.data(), row_size) == 0 &&
          !visit(static_cast<std::uint32_t>(first + row)))
        return false;
    }
    return true;
  }

  /// Blocks that may hold ids of a range, in order, each once.
  [[nodiscard]] std::vector<std::uint32_t> blocks_of(const id_range& range) const {
    std::vector<std::uint32_t> blocks;
    // Of a range this wide most blocks hold an id.
    if (range.first.value[0] != range.last.value[0]) {
      blocks.resize((size() + block_size - 1) / block_size);
      std::iota(blocks.begin(), blocks.end(), 0u);
      return blocks;
    }
    const auto& stripe = stripes_[stripe_of(range.first)];
    {
      const std::shared_lock lock(stripe.mutex);
      stripe.cells.collect_blocks(key_of(range.first).order, key_of(range.last).order, blocks);
    }
    std::ranges::sort(blocks);
    const auto rest = std::ranges::unique(blocks);
    blocks.erase(rest.begin(), rest.end());
    return blocks;
  }

  segment_array<segment_of_ids, 1> segments_;
  std::atomic<std::size_t> size_{0};

  // Of whoever adds:
  std::size_t next_ = 0;
  std::size_t cells_for_blocks_ = 0;
  stripe_counts claimed_{};  // cells that may be needed, of each stripe

  std::array<stripe_of_cells, stripes> stripes_;
};

}  // namespace recoup
