// How many requests to have in flight: as many as make the transfer faster, and no more.
//
// A link needs bandwidth x delay bytes under way to be full, and neither is known beforehand. So the limit climbs while
// climbing pays, as a hill climber does:
//
//     begin:  the farther away the server, the more: a connection starts with ten segments per round trip (RFC 6928), so
//             few of them take long to get going, and there may be too few requests to find that out by climbing
//     an epoch = some requests finished, all of them while the limit was what held others back
//     rate     = work done in the epoch / its time
//     first:  double as long as each doubling brings clearly more
//     then:   stay for a while, try a quarter more; stay, try a quarter less; what is as fast with less in flight is kept
//     the server says "slow down"?  halve, and stay
//
// The first requests to finish after a change were begun before it, so they are not counted.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

#include <recoup/core/interrupt.hpp>

namespace recoup {

/// The rule alone: no threads, no clock of its own.
class concurrency_rule {
public:
  using clock = std::chrono::steady_clock;

  concurrency_rule(unsigned first, unsigned most)
      : least_first_(std::min(first, most)), limit_(least_first_), most_(most), to_settle_(limit_) {}

  [[nodiscard]] unsigned limit() const noexcept { return limit_; }

  /// The answer to a request without a body began so long after it was sent: a round trip, and what the server took.
  void answered_after(clock::duration delay) noexcept {
    if (is_measuring_) return;
    round_trip_ = std::min(round_trip_, delay);
    const auto wanted = static_cast<unsigned>(std::min<clock::rep>(round_trip_ / one_more_per, most_first));
    limit_ = std::max(least_first_, std::min(wanted, most_));
    to_settle_ = limit_;
  }

  /// A request of `moved` bytes ended. `was_wanted`: others waited for its place.
  void finished(std::uint64_t moved, bool was_wanted, clock::time_point now) {
    if (!was_wanted) {  // not the limit held the work back, so nothing can be learned about it
      begin_epoch(now);
      return;
    }
    is_measuring_ = true;
    if (to_settle_ > 0) {
      if (--to_settle_ == 0) begin_epoch(now);
      return;
    }
    work_ += static_cast<double>(moved + per_request);
    ++requests_;
    const auto elapsed = std::chrono::duration<double>(now - epoch_start_).count();
    if (requests_ < 2 * limit_ || elapsed < shortest_epoch) return;
    decide(work_ / elapsed);
    begin_epoch(now);
  }

  /// The server asked for fewer requests.
  void slow_down(clock::time_point now) {
    phase_ = phase::stay;
    change_to(std::max(1u, limit_ / 2));
    rest_ = rest_epochs;
    begin_epoch(now);
  }

private:
  enum class phase : std::uint8_t { doubling, stay, try_more, try_less };

  void begin_epoch(clock::time_point now) {
    epoch_start_ = now;
    work_ = 0;
    requests_ = 0;
  }

  void change_to(unsigned limit) {
    before_ = limit_;
    limit_ = limit;
    to_settle_ = limit;
  }

  void decide(double rate) {
    switch (phase_) {
      case phase::doubling:
        if (rate_before_ != 0 && rate < rate_before_ * worthwhile) return settle_for(before_);
        if (limit_ == most_) return settle_for(limit_);
        rate_before_ = rate;
        return change_to(std::min(most_, limit_ * 2));
      case phase::stay:
        if (--rest_ > 0) return;
        rate_before_ = rate;
        tries_less_ = limit_ == most_ || (!tries_less_ && limit_ > 1);
        phase_ = tries_less_ ? phase::try_less : phase::try_more;
        return change_to(tries_less_ ? limit_ - quarter() : std::min(most_, limit_ + quarter()));
      case phase::try_more: return settle_for(rate > rate_before_ * worthwhile ? limit_ : before_);
      case phase::try_less: return settle_for(rate > rate_before_ * as_good ? limit_ : before_);
    }
  }

  [[nodiscard]] unsigned quarter() const noexcept { return std::max(1u, limit_ / 4); }

  void settle_for(unsigned limit) {
    phase_ = phase::stay;
    rest_ = rest_epochs;
    if (limit != limit_) change_to(limit);
  }

  /// A request costs a server about as much as moving so many bytes; it makes small files count at all.
  static constexpr std::uint64_t per_request = 64 << 10;
  static constexpr double shortest_epoch = 0.25;  // seconds; shorter ones measure noise
  static constexpr double worthwhile = 1.08;      // more in flight must bring so much, or it only fills queues
  static constexpr double as_good = 0.98;
  static constexpr int rest_epochs = 6;

  static constexpr clock::duration one_more_per = std::chrono::milliseconds(3);  // of delay: 5 MB/s to begin with
  static constexpr clock::rep most_first = 16;  // far enough to learn the rest by climbing

  const unsigned least_first_;
  unsigned limit_;
  const unsigned most_;
  unsigned before_ = 1, to_settle_ = 0;
  phase phase_ = phase::doubling;
  bool tries_less_ = false, is_measuring_ = false;
  clock::duration round_trip_ = clock::duration::max();
  int rest_ = 0;
  double rate_before_ = 0;
  double work_ = 0;
  unsigned requests_ = 0;
  clock::time_point epoch_start_{};
};

/// Places for requests. Who gets none waits, in no particular order.
class concurrency_limit {
public:
  concurrency_limit(unsigned first, unsigned most) : rule_(first, most) {}

  /// One place in flight, given back when this goes.
  class place {
  public:
    place(concurrency_limit& owner) noexcept : owner_(&owner) {}
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    ~place() { owner_->give_back(moved_); }
    void moved(std::uint64_t bytes_moved) noexcept { moved_ = bytes_moved; }

  private:
    concurrency_limit* owner_;
    std::uint64_t moved_ = 0;
  };

  /// Waits for a place; throws interrupted if a stop is requested first.
  void acquire(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    if (in_flight_ >= rule_.limit()) {
      was_wanted_ = true;
      freed_.wait(lock, stop, [this] { return in_flight_ < rule_.limit(); });
      if (stop.stop_requested()) throw_if_stopped(stop);
    }
    ++in_flight_;
  }

  void answered_after(concurrency_rule::clock::duration delay) {
    const std::lock_guard lock(mutex_);
    rule_.answered_after(delay);
  }

  void slow_down() {
    const std::lock_guard lock(mutex_);
    rule_.slow_down(concurrency_rule::clock::now());
  }

  [[nodiscard]] unsigned limit() const {
    const std::lock_guard lock(mutex_);
    return rule_.limit();
  }

private:
  void give_back(std::uint64_t moved) noexcept {
    {
      const std::lock_guard lock(mutex_);
      --in_flight_;
      rule_.finished(moved, was_wanted_, concurrency_rule::clock::now());
      was_wanted_ = in_flight_ + 1 >= rule_.limit() && was_wanted_;
    }
    freed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable_any freed_;
  concurrency_rule rule_;
  unsigned in_flight_ = 0;
  bool was_wanted_ = false;
};

}  // namespace recoup
