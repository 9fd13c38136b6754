// Where blobs lie in their packs: offsets and lengths of index entries, in some 4 to 6 bytes each.
//
// Entries that were added together and belong to one pack are a run. Nearly always its blobs lie one behind the other, so
// that offsets follow from lengths, and these are kept in as many bits as they have:
//
//   run     = flags u8  [offset of its first blob u32, if that is not 0]  checkpoints  codes
//   flags   = bit 0: scattered   bit 1: the first offset is there   from bit 2: how many checkpoints
//   checkpoint, before every 32nd entry but the first = offset u32, u32 bits of the codes before it
//   code    = 5 bits: b, one less than the length's number of bits   3 bits: u
//             b bits: the length without its first, which is 1
//             u = 0: stored uncompressed
//             u = 1 to 6: the uncompressed length has u - 2 more than b bits, and is stored without its first too
//             u = 7: 5 bits: one less than its number of bits, then the same
//
// A blob that fills 15 KB of a pack takes 8 + 13 + 14 bits, one of 1.5 MB 8 + 20 + 20. Where blobs do not lie one behind
// the other, as when an index lists a part of a pack only, the run is scattered: three u32 for each.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/segment_array.hpp>

namespace recoup {

namespace run_format {

inline constexpr std::size_t most_entries = 2048;  // so that there are at most 63 checkpoints
inline constexpr std::size_t checkpoint_distance = 32;
inline constexpr unsigned scattered = 1, has_offset = 2, checkpoint_shift = 2;

/// Appends numbers of up to 32 bits, lowest bits first.
class bit_writer {
public:
  explicit bit_writer(bytes& to) : to_(to) {}
  void put(std::uint64_t value, unsigned bits) {
    pending_ |= value << count_;
    for (count_ += bits; count_ >= 8; count_ -= 8, pending_ >>= 8) to_.push_back(static_cast<std::uint8_t>(pending_));
    written_ += bits;
  }
  [[nodiscard]] std::uint32_t written() const noexcept { return written_; }
  void finish() {
    if (count_ > 0) to_.push_back(static_cast<std::uint8_t>(pending_));
  }

private:
  bytes& to_;
  std::uint64_t pending_ = 0;
  unsigned count_ = 0;
  std::uint32_t written_ = 0;
};

inline void put_u32(bytes& to, std::uint32_t value) {
  to.resize(to.size() + sizeof value);
  store_u32_le(to.data() + to.size() - sizeof value, value);
}

[[nodiscard]] inline bool is_contiguous(std::span<const packed_blob> blobs) noexcept {
  std::uint64_t next = blobs.empty() ? 0 : blobs.front().offset;
  for (const auto& blob : blobs) {
    if (blob.offset != next || blob.length == 0) return false;
    next += blob.length;
  }
  return true;
}

inline void put_code(bit_writer& to, const packed_blob& blob) {
  const auto bits = static_cast<unsigned>(std::bit_width(blob.length)) - 1;
  const auto of = [](std::uint32_t value, unsigned low) { return value & ((std::uint64_t{1} << low) - 1); };
  if (!blob.is_compressed()) {
    to.put(bits, 8);
    return to.put(of(blob.length, bits), bits);
  }
  const auto more = static_cast<unsigned>(std::bit_width(blob.uncompressed_length)) - 1;
  // 1 for one bit less, which a blob that is hardly compressed may have: encryption adds 32 bytes.
  const auto kind = more + 2 >= bits + 1 && more + 2 <= bits + 6 ? more + 2 - bits : 7;
  to.put(bits | kind << 5, 8);
  if (kind == 7) to.put(more, 5);
  to.put(of(blob.length, bits), bits);
  to.put(of(blob.uncompressed_length, more), more);
}

/// Appends the run's bytes. At most most_entries blobs, by offset.
inline void encode(std::span<const packed_blob> blobs, bytes& to) {
  if (!is_contiguous(blobs)) {
    to.push_back(scattered);
    for (const auto& blob : blobs)
      for (const auto value : {blob.offset, blob.length, blob.uncompressed_length}) put_u32(to, value);
    return;
  }
  const auto offset = blobs.empty() ? 0 : blobs.front().offset;
  const auto checkpoints = blobs.empty() ? 0 : (blobs.size() - 1) / checkpoint_distance;
  to.push_back(static_cast<std::uint8_t>((offset != 0 ? has_offset : 0u) | checkpoints << checkpoint_shift));
  if (offset != 0) put_u32(to, offset);
  auto checkpoint = to.size();
  to.resize(to.size() + checkpoints * 8);
  bit_writer codes(to);
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    if (i != 0 && i % checkpoint_distance == 0) {
      store_u32_le(to.data() + checkpoint, blobs[i].offset);
      store_u32_le(to.data() + checkpoint + 4, codes.written());
      checkpoint += 8;
    }
    put_code(codes, blobs[i]);
  }
  codes.finish();
}

}  // namespace run_format

/// Where a blob lies in the pack of its run.
struct index_place {
  std::uint32_t run = 0, offset = 0, length = 0, uncompressed_length = 0;
};

/// One thread at a time may call append; others may read what they were told about meanwhile.
class index_places {
public:
  /// Makes memory for more runs, entries in them, and bytes that these encode to.
  void prepare(std::size_t runs, std::size_t entries, std::size_t encoded) {
    const auto codes = codes_used_.load(std::memory_order_relaxed);
    if (codes + encoded > UINT32_MAX)
      throw error(error_code::unsupported, "the repository has more blobs than this program can index (4 GiB of lengths)");
    codes_.make_room(codes + encoded);
    runs_.make_room(runs_used_.load(std::memory_order_relaxed) + runs);
    hints_.make_room(hints_used_.load(std::memory_order_relaxed) + entries / hint_distance + 1);
  }

  /// Appends a run of `count` entries, encoded.
  void append(std::uint64_t first_entry, std::size_t count, byte_view encoded) noexcept {
    const auto number = runs_used_.load(std::memory_order_relaxed);
    const auto codes = codes_used_.load(std::memory_order_relaxed);
    auto hint = hints_used_.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < encoded.size(); ++i) codes_[codes + i] = encoded[i];
    runs_[number] = {static_cast<std::uint32_t>(first_entry), static_cast<std::uint32_t>(codes)};
    for (; hint * hint_distance < first_entry + count; ++hint) hints_[hint] = static_cast<std::uint32_t>(number);
    codes_used_.store(codes + encoded.size(), std::memory_order_release);
    runs_used_.store(number + 1, std::memory_order_release);
    hints_used_.store(hint, std::memory_order_release);
  }

  /// The number of the next run.
  [[nodiscard]] std::size_t runs() const noexcept { return runs_used_.load(std::memory_order_acquire); }
  /// The number of a run's first entry.
  [[nodiscard]] std::uint32_t first_entry(std::size_t run) const noexcept { return runs_[run].first_entry; }

  [[nodiscard]] index_place place_of(std::uint32_t entry) const noexcept {
    const auto run = run_of(entry);
    run_reader reader(*this, run, entry - runs_[run].first_entry);
    return reader.next();
  }

  /// Calls `visit(const index_place&)` for the first `count` entries of a run.
  template <class Visit>
  void walk(std::size_t run, std::size_t count, Visit&& visit) const {
    if (count == 0) return;
    for (run_reader reader(*this, run, 0); count > 0; --count) visit(reader.next());
  }

  /// Not while somebody appends.
  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    return runs_.memory_bytes() + hints_.memory_bytes() + codes_.memory_bytes();
  }

private:
  static constexpr std::size_t hint_distance = 1024;
  static constexpr std::size_t code_segment = 16384;

  using code_array = segment_array<std::uint8_t, code_segment>;

  struct run_start {
    std::uint32_t first_entry, codes;
  };

  [[nodiscard]] std::size_t run_of(std::uint32_t entry) const noexcept {
    const std::size_t hint = entry / hint_distance;
    const auto hints = hints_used_.load(std::memory_order_acquire);
    std::size_t low = hints_[hint], high = hint + 1 < hints ? hints_[hint + 1] : runs() - 1;
    while (low < high) {  // the last run that begins no later; those without entries begin where the next does
      const auto middle = (low + high + 1) / 2;
      if (runs_[middle].first_entry <= entry)
        low = middle;
      else
        high = middle - 1;
    }
    return low;
  }

  [[nodiscard]] std::uint32_t u32_at(std::size_t at) const noexcept {
    return std::uint32_t{codes_[at]} | std::uint32_t{codes_[at + 1]} << 8 | std::uint32_t{codes_[at + 2]} << 16 |
           std::uint32_t{codes_[at + 3]} << 24;
  }

  /// Reads the entries of a run from one on.
  class run_reader {
  public:
    run_reader(const index_places& of, std::size_t run, std::size_t from) noexcept
        : codes_(of.codes_), end_(of.codes_used_.load(std::memory_order_acquire)) {
      place_.run = static_cast<std::uint32_t>(run);
      std::size_t at = of.runs_[run].codes;
      const unsigned flags = codes_[at++];
      is_scattered_ = (flags & run_format::scattered) != 0;
      if (is_scattered_) {
        bit_ = (at + from * 12) * 8;
        return;
      }
      if ((flags & run_format::has_offset) != 0) next_offset_ = of.u32_at(at), at += 4;
      if (const auto checkpoint = from / run_format::checkpoint_distance; checkpoint != 0) {
        next_offset_ = of.u32_at(at + (checkpoint - 1) * 8);
        bit_ = of.u32_at(at + (checkpoint - 1) * 8 + 4);
      }
      bit_ += (at + (flags >> run_format::checkpoint_shift) * std::size_t{8}) * 8;
      for (auto skip = from % run_format::checkpoint_distance; skip > 0; --skip) next_code<false>();
    }

    [[nodiscard]] const index_place& next() noexcept {
      if (is_scattered_) {
        place_.offset = take(32), place_.length = take(32), place_.uncompressed_length = take(32);
        return place_;
      }
      next_code<true>();
      return place_;
    }

  private:
    template <bool all>
    void next_code() noexcept {
      const auto head = peek(bit_, 13 + 31);
      const auto length_bits = static_cast<unsigned>(head & 31), kind = static_cast<unsigned>(head >> 5 & 7);
      const auto long_kind = static_cast<unsigned>(head >> 8 & 31);
      const unsigned prefix = kind == 7 ? 13 : 8;
      const auto more_bits = kind == 0 ? 0 : kind == 7 ? long_kind : length_bits + kind - 2;
      place_.length = 1u << length_bits | low(head >> prefix, length_bits);
      place_.offset = next_offset_;
      next_offset_ += place_.length;
      bit_ += prefix + length_bits;
      if constexpr (all) place_.uncompressed_length = kind == 0 ? 0 : 1u << more_bits | low(peek(bit_, more_bits), more_bits);
      bit_ += more_bits;
    }

    [[nodiscard]] static std::uint32_t low(std::uint64_t value, unsigned bits) noexcept {
      return static_cast<std::uint32_t>(value & ((std::uint64_t{1} << bits) - 1));
    }
    [[nodiscard]] std::uint32_t take(unsigned bits) noexcept {
      const auto value = low(peek(bit_, bits), bits);
      bit_ += bits;
      return value;
    }

    /// `bits` bits or more, as far as they are there. Eight bytes at once, unless they reach into another segment or what
    /// somebody may be writing now.
    [[nodiscard]] std::uint64_t peek(std::uint64_t bit, unsigned bits) noexcept {
      const auto at = static_cast<std::size_t>(bit / 8);
      const auto shift = static_cast<unsigned>(bit % 8);
      if (at < window_ || at + 8 > window_end_) {
        const auto segment = at - at % code_segment;
        if (at + 8 > std::min(segment + code_segment, end_)) return peek_bytes(at, shift, bits);
        window_ = segment;
        window_end_ = std::min(segment + code_segment, end_);
        bytes_ = &codes_[segment];
      }
      return load_u64_le(bytes_ + (at - window_)) >> shift;
    }
    [[nodiscard]] std::uint64_t peek_bytes(std::size_t at, unsigned shift, unsigned bits) const noexcept {
      std::uint64_t word = 0;
      for (unsigned i = 0; i * 8 < shift + bits && at + i < end_; ++i) word |= std::uint64_t{codes_[at + i]} << (8 * i);
      return word >> shift;
    }

    const code_array& codes_;
    const std::size_t end_;
    std::uint64_t bit_ = 0;
    std::uint32_t next_offset_ = 0;
    bool is_scattered_ = false;
    index_place place_;
    const std::uint8_t* bytes_ = nullptr;  // of the segment from window_ to window_end_
    std::size_t window_ = 1, window_end_ = 0;
  };

  segment_array<run_start, 1024> runs_;
  segment_array<std::uint32_t, 256> hints_;  // the run of every 1024th entry
  code_array codes_;
  std::atomic<std::size_t> runs_used_{0}, hints_used_{0}, codes_used_{0};
};

}  // namespace recoup
