// Work that makes more work, on several threads: walking a tree of directories.
//
// What is pushed goes on a stack: the newest is done first, so a walk is depth-first and what waits is bounded by the
// siblings along one path, not by the size of the tree. Urgent work goes on a queue that is always served first: a
// chunk of a file that waits to be stored holds a buffer, and the sooner it is stored the sooner reading goes on.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <mutex>
#include <stop_token>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>

namespace recoup {

/// Work is `void(Worker&)`, where Worker is what each thread keeps for itself.
template <class Worker>
class work_stack {
public:
  using work = std::function<void(Worker&)>;

  void push(work item) {
    {
      const std::lock_guard lock(mutex_);
      stack_.push_back(std::move(item));
      ++unfinished_;
    }
    changed_.notify_one();
  }

  /// Puts several pieces on the stack at once, such that the first is done first.
  void push_in_order(std::vector<work> items) {
    {
      const std::lock_guard lock(mutex_);
      unfinished_ += items.size();
      for (auto item = items.rbegin(); item != items.rend(); ++item) stack_.push_back(std::move(*item));
    }
    changed_.notify_all();
  }

  void push_urgent(work item) {
    {
      const std::lock_guard lock(mutex_);
      urgent_.push_back(std::move(item));
      ++unfinished_;
    }
    changed_.notify_one();
  }

  /// Works on `threads` threads, of which the caller's is one, until nothing is left. `make()` gives each what it keeps for
  /// itself. Throws what work threw first, then interrupted if a stop is requested.
  template <class Make>
  void run_on_threads(unsigned threads, const std::stop_token& stop, const Make& make) {
    worker_group group(stop);
    const auto take_part = [this, &make](const std::stop_token& token) {
      Worker own = make();
      run(own, token);
    };
    group.add(threads - 1, take_part);
    group.work_here(take_part);
    group.join();
  }

  /// The same for those who keep nothing that has to be made.
  void run_on_threads(unsigned threads, const std::stop_token& stop) {
    run_on_threads(threads, stop, [] { return Worker(); });
  }

  /// Works until nothing is left or a stop is requested. Called by each thread.
  void run(Worker& worker, const std::stop_token& stop) {
    while (auto item = wait_for_work(stop)) {
      (*item)(worker);
      done();
    }
  }

private:
  [[nodiscard]] std::optional<work> wait_for_work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [this] { return unfinished_ == 0 || !urgent_.empty() || !stack_.empty(); });
    if (stop.stop_requested() || unfinished_ == 0) return std::nullopt;
    work item;
    if (!urgent_.empty()) {
      item = std::move(urgent_.front());
      urgent_.pop_front();
    } else {
      item = std::move(stack_.back());
      stack_.pop_back();
    }
    return item;
  }

  void done() {
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      last = --unfinished_ == 0;
    }
    if (last) changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<work> stack_;
  std::deque<work> urgent_;
  std::size_t unfinished_ = 0;
};

}  // namespace recoup
