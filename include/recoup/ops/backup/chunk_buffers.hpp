// The memory that chunks of large files are read into, and stored from.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <recoup/chunker/chunker.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/release_pages.hpp>

namespace recoup {

/// Some chunks, one behind the other, and the beginning of the next. Memory that was never written to costs nothing.
struct chunk_buffer {
  static constexpr std::size_t read_step = std::size_t{512} << 10;
  /// A chunk ends within this, and reading stops with the step in which it does.
  static constexpr std::size_t capacity = max_chunk + read_step;
  /// Enough for two or three chunks, which are then hashed at once.
  static constexpr std::size_t usual_fill = std::size_t{4} << 20;

  chunk_buffer() : memory(capacity) {}

  bytes memory;
  std::size_t filled = 0;
};

/// Lends buffers. Who reads holds one, and each thread that stores another, so there are never more than two for each
/// thread.
class chunk_buffers {
public:
  using buffer = std::unique_ptr<chunk_buffer>;

  [[nodiscard]] buffer take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto free = std::move(idle_.back());
        idle_.pop_back();
        return free;
      }
    }
    return std::make_unique<chunk_buffer>();
  }

  void give_back(buffer used) {
    constexpr auto kept = chunk_buffer::usual_fill + chunk_buffer::read_step;
    if (used->filled > kept) release_pages(byte_span(used->memory).subspan(kept));
    used->filled = 0;
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(used));
  }

private:
  std::mutex mutex_;
  std::vector<buffer> idle_;
};

}  // namespace recoup
