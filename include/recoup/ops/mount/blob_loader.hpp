// Opened data blobs that all files of a mount share, and threads that load more of them ahead.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/ops/mount/shared_cache.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/working_threads.hpp>

namespace recoup {

/// Members may be called from any thread.
class blob_loader {
public:
  /// What waits to be loaded ahead; more would be dropped from the cache again before anybody reads it.
  static constexpr std::size_t most_waiting = 64;
  static constexpr unsigned most_threads = 32;

  /// Keeps up to `memory` bytes of blobs.
  blob_loader(repository& repo, std::size_t memory)
      : repo_(repo), blobs_(memory, [&repo](const id& name) {
          auto content = std::make_shared<const bytes>(repo.load_blob(blob_type::data, name));
          const auto length = content->size();
          return shared_cache<bytes>::loaded{std::move(content), length};
        }) {}
  blob_loader(const blob_loader&) = delete;
  blob_loader& operator=(const blob_loader&) = delete;

  ~blob_loader() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  /// Throws what loading it threw.
  [[nodiscard]] std::shared_ptr<const bytes> get(const id& name) { return blobs_.get(name); }

  /// Will be loaded if nothing more urgent is to be done.
  void prefetch(const id& name) {
    if (blobs_.contains(name)) return;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() >= most_waiting) return;
      if (threads_.empty())
        for (unsigned i = working_threads(repo_.storage(), most_threads); i > 0; --i)
          threads_.emplace_back([this] { work(); });
      waiting_.push_back(name);
    }
    changed_.notify_one();
  }

  [[nodiscard]] std::size_t bytes_kept() const { return blobs_.bytes_kept(); }

private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
      if (closing_) return;
      const auto name = waiting_.front();
      waiting_.pop_front();
      lock.unlock();
      try {
        if (!blobs_.contains(name)) (void)blobs_.get(name);
      } catch (...) {
        // Whoever reads it will try again, and be told.
      }
      lock.lock();
    }
  }

  repository& repo_;
  shared_cache<bytes> blobs_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<id> waiting_;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace recoup
