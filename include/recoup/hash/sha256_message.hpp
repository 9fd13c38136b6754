// How a message becomes blocks for a kernel: what is pending from earlier calls, then what lies whole in the caller's
// memory, then the padding (FIPS 180-4, section 5.1.1).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>
#include <recoup/hash/sha256_blocks.hpp>

namespace recoup {

/// A hash that is under way: what came in so far. A copy goes on by itself.
struct sha256_state {
  sha256_words words = sha256_initial;
  std::uint64_t length = 0;                              ///< bytes that came in, at most 2^61 - 1
  std::array<std::uint8_t, sha256_block_size> pending{};  ///< the first length % 64: what fills no block yet
};
static_assert(std::is_trivially_copyable_v<sha256_state>);

/// What to hash, and what to do with the result.
struct sha256_job {
  /// Goes on from here and is brought up to date; null to begin from nothing. With `name` it begins anew afterwards.
  sha256_state* state = nullptr;
  byte_view data{};
  /// Gets the hash of all that came in, if not null.
  id* name = nullptr;
};

/// Blocks that a kernel has to take for `job`.
[[nodiscard]] inline std::uint64_t sha256_block_count(const sha256_job& job) noexcept {
  const std::uint64_t pending = job.state == nullptr ? 0 : job.state->length % sha256_block_size;
  // The padding is one byte 0x80, zeros, and the length in 8 bytes.
  const std::uint64_t padding = job.name == nullptr ? 0 : 9 + sha256_block_size - 1;
  return (pending + job.data.size() + padding) / sha256_block_size;
}

/// A job in a lane of a kernel. `start`, then as long as `next_part` is true let the kernel take the `left` blocks at
/// `data`; the last call, which returns false, hands the result over.
class sha256_message : public sha256_lane {
public:
  std::size_t left;  ///< blocks of the part that the kernel has not taken yet

  void start(const sha256_job& job) noexcept {
    job_ = job;
    left = 0;
    pending_ = 0;
    length_ = job.data.size();
    words = sha256_initial;
    if (job.state != nullptr) {
      words = job.state->words;
      pending_ = static_cast<std::size_t>(job.state->length % sha256_block_size);
      length_ += job.state->length;
    }
    // A short message is copied into one part: parts cost more than copying does.
    part_ = job.name != nullptr && pending_ + job.data.size() <= tail_.size() - 9 ? part::tail : part::head;
  }

  [[nodiscard]] bool next_part() noexcept {
    switch (part_) {
      case part::head:
        part_ = part::body;
        if (take_head()) return true;
        [[fallthrough]];
      case part::body:
        part_ = part::tail;
        if (take_body()) return true;
        [[fallthrough]];
      case part::tail:
        part_ = part::end;
        if (take_tail()) return true;
        [[fallthrough]];
      default: hand_over(); return false;
    }
  }

private:
  enum class part : std::uint8_t { head, body, tail, end };

  /// The block that was begun in an earlier call.
  bool take_head() noexcept {
    const auto missing = sha256_block_size - pending_;
    if (pending_ == 0 || job_.data.size() < missing) return false;
    std::copy_n(job_.data.begin(), missing, job_.state->pending.begin() + static_cast<std::ptrdiff_t>(pending_));
    job_.data = job_.data.subspan(missing);
    pending_ = 0;
    data = job_.state->pending.data();
    left = 1;
    return true;
  }

  bool take_body() noexcept {
    left = job_.data.size() / sha256_block_size;
    if (left == 0) return false;
    data = job_.data.data();
    job_.data = job_.data.subspan(left * sha256_block_size);
    return true;
  }

  /// The padding, or what waits for a later call.
  bool take_tail() noexcept {
    if (job_.name == nullptr) {
      if (job_.state != nullptr)
        std::copy(job_.data.begin(), job_.data.end(),
                  job_.state->pending.begin() + static_cast<std::ptrdiff_t>(pending_));
      return false;
    }
    auto* end = tail_.data();
    if (pending_ > 0) end = std::copy_n(job_.state->pending.data(), pending_, end);
    end = std::copy(job_.data.begin(), job_.data.end(), end);
    *end++ = 0x80;
    left = (static_cast<std::size_t>(end - tail_.data()) + 8 + sha256_block_size - 1) / sha256_block_size;
    auto* const bits = tail_.data() + left * sha256_block_size - 8;
    std::fill(end, bits, std::uint8_t{0});
    for (unsigned i = 0; i < 8; ++i) bits[i] = static_cast<std::uint8_t>(length_ * 8 >> (56 - 8 * i));
    data = tail_.data();
    return true;
  }

  void hand_over() noexcept {
    if (job_.name != nullptr) {
      for (std::size_t i = 0; i < words.size(); ++i) {
        const auto big_endian = std::endian::native == std::endian::little ? __builtin_bswap32(words[i]) : words[i];
        std::memcpy(job_.name->value.data() + 4 * i, &big_endian, 4);
      }
      if (job_.state != nullptr) *job_.state = {};
    } else if (job_.state != nullptr) {
      job_.state->words = words;
      job_.state->length = length_;
    }
  }

  sha256_job job_;
  std::size_t pending_;
  std::uint64_t length_;
  part part_;
  std::array<std::uint8_t, 4 * sha256_block_size> tail_;
};

}  // namespace recoup
