// The seam between two stages of a pipeline: many threads push, many pop, and whoever is too fast waits.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace recoup {

/// Holds items up to a total weight. The weight is whatever the pipeline has to bound: 1 per item, or bytes of memory.
///
///     producer:  while (more) if (!queue.push(item, item.size())) return;   // nobody will take it any more
///                queue.close();                                            // the last producer
///     consumer:  while (auto item = queue.pop()) …
///     failure:   queue.abort();                                            // wakes everybody, drops what is queued
template <class T>
class bounded_queue {
public:
  explicit bounded_queue(std::size_t capacity) : capacity_(capacity) {}
  bounded_queue(const bounded_queue&) = delete;
  bounded_queue& operator=(const bounded_queue&) = delete;

  /// Waits for room. False, and the item is dropped, if the queue was closed or aborted meanwhile. An item heavier than
  /// the whole capacity is let in when the queue is empty, so it can be slow but never stuck.
  [[nodiscard]] bool push(T item, std::size_t weight = 1) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] {
      return closed_ || items_.empty() || (weight <= capacity_ && weight_ <= capacity_ - weight);
    });
    if (closed_) return false;
    items_.emplace_back(std::move(item), weight);
    weight_ += weight;
    lock.unlock();
    available_.notify_one();
    return true;
  }

  /// Waits for an item. Nothing once the queue is closed and drained, or aborted.
  [[nodiscard]] std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    available_.wait(lock, [&] { return closed_ || !items_.empty(); });
    return take(lock);
  }

  /// An item if there is one right now.
  [[nodiscard]] std::optional<T> try_pop() {
    std::unique_lock lock(mutex_);
    return take(lock);
  }

  /// No more pushes; what is queued can still be popped.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    available_.notify_all();
    room_.notify_all();
  }

  /// No more pushes, and what is queued is dropped.
  void abort() {
    std::deque<entry> dropped;  // destroyed after the lock is gone: items may be large, or call back
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      dropped.swap(items_);
      weight_ = 0;
    }
    available_.notify_all();
    room_.notify_all();
  }

  /// Items queued now; for progress displays only, since it may have changed by the time it is read.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }

private:
  struct entry {
    entry(T&& value, std::size_t its_weight) : item(std::move(value)), weight(its_weight) {}
    T item;
    std::size_t weight;
  };

  std::optional<T> take(std::unique_lock<std::mutex>& lock) {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front().item));
    weight_ -= items_.front().weight;
    items_.pop_front();
    lock.unlock();
    // All, not one: room for one heavy item may be room for several light ones, and the woken one may not fit.
    room_.notify_all();
    return item;
  }

  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable available_;
  std::deque<entry> items_;
  std::size_t capacity_;
  std::size_t weight_ = 0;
  bool closed_ = false;
};

}  // namespace recoup
