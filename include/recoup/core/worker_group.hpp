// Threads that fail together: the first exception stops the others and reaches whoever joins.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <iterator>
#include <mutex>
#include <ranges>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>

namespace recoup {

/// Processors this process may run on, at least 1.
[[nodiscard]] inline unsigned processor_count() noexcept { return std::max(1U, std::thread::hardware_concurrency()); }

/// A stop is a request: a worker sees it in the token it is given. One that waits on a queue must be woken, with
/// `std::stop_callback wake(group.token(), [&] { queue.abort(); });` declared after the group.
class worker_group {
public:
  /// The group also stops when `outer` does; `join` then throws interrupted, unless a worker threw something before.
  explicit worker_group(std::stop_token outer = {})
      : outer_(std::move(outer)), forward_(outer_, [this] { stop_.request_stop(); }) {}

  worker_group(unsigned count, std::function<void(std::stop_token)> work, std::stop_token outer = {})
      : worker_group(std::move(outer)) {
    add(count, std::move(work));  // if this throws, the delegated constructor has run, so the destructor does too
  }

  worker_group(const worker_group&) = delete;
  worker_group& operator=(const worker_group&) = delete;

  /// Stops and waits; an exception nobody joined for is lost.
  ~worker_group() {
    stop();
    wait();
  }

  /// Starts `count` more threads that run `work` once each. Not to be called from several threads at once.
  void add(unsigned count, const std::function<void(std::stop_token)>& work) {
    threads_.reserve(threads_.size() + count);
    for (unsigned i = 0; i < count; ++i) {
      try {
        threads_.emplace_back([this, work] { run(work); });
      } catch (const std::system_error& reason) {
        stop();
        throw error(error_code::failure, std::string("cannot start another thread (") + reason.what() +
                                             "): raise the limit on processes (ulimit -u) or use fewer threads");
      }
    }
  }

  /// Makes the calling thread one of the workers until `work` returns; what it throws is kept for `join`.
  void work_here(const std::function<void(std::stop_token)>& work) noexcept { run(work); }

  void stop() noexcept { stop_.request_stop(); }
  [[nodiscard]] std::stop_token token() const noexcept { return stop_.get_token(); }

  /// Waits for all threads, then rethrows the first exception any of them ended with.
  void join() {
    wait();
    if (const auto first = std::exchange(first_, nullptr)) std::rethrow_exception(first);
    throw_if_stopped(outer_);
  }

private:
  void run(const std::function<void(std::stop_token)>& work) noexcept {
    try {
      work(stop_.get_token());
    } catch (...) {
      {
        const std::lock_guard lock(mutex_);
        if (!first_) first_ = std::current_exception();
      }
      stop();
    }
  }

  void wait() noexcept {
    for (auto& thread : threads_)
      if (thread.joinable()) thread.join();
    threads_.clear();
  }

  std::stop_source stop_;
  std::stop_token outer_;
  std::mutex mutex_;
  std::exception_ptr first_;
  std::vector<std::thread> threads_;
  std::stop_callback<std::function<void()>> forward_;
};

/// Calls `fn(item, own)` for each item, on up to `threads` threads of which the caller's is one, each taking the next
/// item as it becomes free. `own` is what `make()` gave the thread when it began. The first exception stops the handing
/// out and is rethrown when all threads are back; so is interrupted if `stop` is requested. The range is iterated by one
/// thread at a time, so any input range will do.
template <std::ranges::input_range Range, class Make, class Fn>
void parallel_for_each_with(unsigned threads, Range&& items, Make&& make, Fn&& fn, std::stop_token stop = {}) {
  if constexpr (std::ranges::sized_range<Range>)
    threads = static_cast<unsigned>(std::min<std::size_t>(threads, static_cast<std::size_t>(std::ranges::size(items))));
  if (threads <= 1) {
    auto own = make();
    for (auto&& item : items) {
      throw_if_stopped(stop);
      fn(std::forward<decltype(item)>(item), own);
    }
    return;
  }

  using reference = std::ranges::range_reference_t<Range>;
  // A reference into the range stays good once the lock is gone if it is one; a value made on the fly has to be kept.
  using held = std::conditional_t<std::forward_iterator<std::ranges::iterator_t<Range>>, reference,
                                  std::ranges::range_value_t<Range>>;
  std::mutex mutex;
  auto next = std::ranges::begin(items);
  const auto end = std::ranges::end(items);
  const auto work = [&](const std::stop_token& token) {
    auto own = make();
    while (!token.stop_requested()) {
      std::unique_lock lock(mutex);
      if (next == end) return;
      held item = *next;
      ++next;
      lock.unlock();
      fn(std::forward<held>(item), own);
    }
  };

  worker_group group(std::move(stop));
  group.add(threads - 1, work);
  group.work_here(work);
  group.join();
}

/// The same with `fn(item)`, for which threads need nothing of their own.
template <std::ranges::input_range Range, class Fn>
void parallel_for_each(unsigned threads, Range&& items, Fn&& fn, std::stop_token stop = {}) {
  struct nothing {};
  parallel_for_each_with(
      threads, std::forward<Range>(items), [] { return nothing{}; },
      [&fn]<class Item>(Item&& item, nothing) { fn(std::forward<Item>(item)); }, std::move(stop));
}

}  // namespace recoup
