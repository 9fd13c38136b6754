// Blobs in the order they are needed, loaded on several threads before they are needed.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/working_threads.hpp>

namespace recoup {

/// One thread says what it will want and takes it, in the same order. What is loaded and not taken yet has at most
/// `memory` bytes, or is a single blob.
class blob_read_ahead {
public:
  static constexpr std::size_t memory = std::size_t{32} << 20;
  /// `memory` is what bounds the work; more than so many blobs rarely fit into it.
  static constexpr unsigned most_threads = 32;

  explicit blob_read_ahead(repository& repo, unsigned threads = 0, std::stop_token stop = {})
      : repo_(repo),
        count_(threads != 0 ? threads : working_threads(repo.storage(), most_threads)),
        stop_(std::move(stop)) {}

  blob_read_ahead(const blob_read_ahead&) = delete;
  blob_read_ahead& operator=(const blob_read_ahead&) = delete;

  ~blob_read_ahead() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  void want(const id& blob) {
    const auto length = repo_.index().plaintext_length({blob_type::data, blob});
    if (threads_.empty())
      for (unsigned i = 0; i < count_; ++i) threads_.emplace_back([this] { work(); });
    {
      const std::lock_guard lock(mutex_);
      slots_.push_back({blob, static_cast<std::size_t>(length.value_or(0)), {}, {}, false});
    }
    changed_.notify_all();
  }

  /// How many were wanted and not taken yet.
  [[nodiscard]] std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return slots_.size();
  }

  /// The one wanted longest ago. Throws what loading it threw, or interrupted.
  [[nodiscard]] bytes take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop_, [this] { return slots_.front().loaded; });
    throw_if_stopped(stop_);
    auto first = std::move(slots_.front());
    slots_.pop_front();
    --next_;
    used_ -= first.length;
    lock.unlock();
    changed_.notify_all();
    if (first.failure) std::rethrow_exception(first.failure);
    return std::move(first.content);
  }

private:
  struct slot {
    id blob;
    std::size_t length;
    bytes content;
    std::exception_ptr failure;
    bool loaded;
  };

  [[nodiscard]] bool may_load() const {
    return next_ < slots_.size() && (used_ == 0 || slots_[next_].length <= memory - std::min(used_, memory));
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return closing_ || may_load(); });
      if (closing_) return;
      auto& mine = slots_[next_++];  // stays where it is: a deque only grows at its back and is taken from its front
      used_ += mine.length;
      lock.unlock();
      try {
        mine.content = repo_.load_blob(blob_type::data, mine.blob);
      } catch (...) {
        mine.failure = std::current_exception();
      }
      lock.lock();
      mine.loaded = true;
      changed_.notify_all();
    }
  }

  repository& repo_;
  const unsigned count_;
  const std::stop_token stop_;
  mutable std::mutex mutex_;  // guards all down to closing_
  std::condition_variable_any changed_;
  std::deque<slot> slots_;
  std::size_t next_ = 0;  // the first slot that nobody loads yet
  std::size_t used_ = 0;  // bytes of those before it
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace recoup
