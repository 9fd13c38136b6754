// The memory that chunks of large files wait in.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <recoup/chunker/chunker.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/release_pages.hpp>

namespace recoup {

/// One chunk, and room to read on into the next. Memory that was never written to costs nothing.
struct chunk_buffer {
  static constexpr std::size_t read_step = std::size_t{512} << 10;
  static constexpr std::size_t capacity = max_chunk + read_step;

  chunk_buffer() : memory(capacity) {}

  bytes memory;
  std::size_t filled = 0;
};

/// A fixed number of buffers bounds how far reading can run ahead of storing. With two for each thread there is always
/// one that is free, waiting to be stored or being stored, because a reader holds one while it asks for the next.
class chunk_buffers {
public:
  using buffer = std::unique_ptr<chunk_buffer>;

  explicit chunk_buffers(std::size_t count) : left_(count) {}

  /// Waits for a buffer. `help` is called while there is none; it does some work and returns true, or returns false if
  /// all of that is in others' hands already.
  template <class Help>
  [[nodiscard]] buffer take(Help&& help) {
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        if (auto free = take_free()) return free;
      }
      if (help()) continue;
      std::unique_lock lock(mutex_);
      // Others are storing; wake up now and then in case there is something new to help with.
      returned_.wait_for(lock, std::chrono::milliseconds{5}, [this] { return !idle_.empty() || left_ > 0; });
      if (auto free = take_free()) return free;
    }
  }

  void give_back(buffer used) {
    if (used->filled > usual_chunk_memory) release_pages(byte_span(used->memory).subspan(usual_chunk_memory));
    used->filled = 0;
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(std::move(used));
    }
    returned_.notify_one();
  }

private:
  [[nodiscard]] buffer take_free() {
    if (!idle_.empty()) {
      auto free = std::move(idle_.back());
      idle_.pop_back();
      return free;
    }
    if (left_ == 0) return nullptr;
    --left_;
    return std::make_unique<chunk_buffer>();
  }

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<buffer> idle_;
  std::size_t left_;
};

}  // namespace recoup
