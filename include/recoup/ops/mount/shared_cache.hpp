// What was loaded last, by id, up to a number of bytes; many threads that want the same load it once.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <recoup/core/id.hpp>

namespace recoup {

/// Members may be called from any thread. What is in use stays in memory when it has to leave the cache.
template <class Value>
class shared_cache {
public:
  struct loaded {
    std::shared_ptr<const Value> value;
    std::size_t bytes;  ///< what it takes of the limit
  };
  using loader = std::function<loaded(const id&)>;

  shared_cache(std::size_t limit, loader load) : limit_(limit), load_(std::move(load)) {}
  shared_cache(const shared_cache&) = delete;
  shared_cache& operator=(const shared_cache&) = delete;

  /// Throws what loading throws; the next call tries again.
  [[nodiscard]] std::shared_ptr<const Value> get(const id& name) {
    std::unique_lock lock(mutex_);
    const auto found = slots_.find(name);
    if (found == slots_.end()) return load(name, lock);
    const auto mine = found->second;
    if (mine->value) {
      recent_.splice(recent_.begin(), recent_, mine->place);
    } else {
      changed_.wait(lock, [&mine] { return mine->value || mine->failure; });
      if (mine->failure) std::rethrow_exception(mine->failure);
    }
    return mine->value;
  }

  /// True if it is there, or on its way.
  [[nodiscard]] bool contains(const id& name) const {
    const std::lock_guard lock(mutex_);
    return slots_.contains(name);
  }

  [[nodiscard]] std::size_t bytes_kept() const {
    const std::lock_guard lock(mutex_);
    return used_;
  }

private:
  struct slot {
    std::shared_ptr<const Value> value;
    std::exception_ptr failure;
    std::size_t bytes = 0;
    std::list<id>::iterator place{};
  };

  [[nodiscard]] std::shared_ptr<const Value> load(const id& name, std::unique_lock<std::mutex>& lock) {
    const auto mine = std::make_shared<slot>();
    slots_.emplace(name, mine);
    lock.unlock();
    loaded got{};
    try {
      got = load_(name);
    } catch (...) {
      lock.lock();
      mine->failure = std::current_exception();
      slots_.erase(name);
      changed_.notify_all();
      throw;
    }
    lock.lock();
    mine->value = got.value;
    mine->bytes = got.bytes;
    recent_.push_front(name);
    mine->place = recent_.begin();
    used_ += got.bytes;
    while (used_ > limit_) {
      const auto last = slots_.find(recent_.back());
      used_ -= last->second->bytes;
      slots_.erase(last);
      recent_.pop_back();
    }
    changed_.notify_all();
    return got.value;
  }

  const std::size_t limit_;
  const loader load_;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::unordered_map<id, std::shared_ptr<slot>> slots_;
  std::list<id> recent_;  // what is loaded, used last first
  std::size_t used_ = 0;
};

}  // namespace recoup
