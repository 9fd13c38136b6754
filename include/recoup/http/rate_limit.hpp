// Bounds how many bytes flow per second, over all connections together.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace recoup {

/// A token bucket that may go into debt: whoever finds it above zero may move a whole buffer, and the next one waits until
/// the debt is paid. So the rate holds exactly over time, whatever the buffers' sizes. Not thread-safe.
class rate_limit {
public:
  using clock = std::chrono::steady_clock;

  /// `bytes_per_second` of 0: no limit.
  explicit rate_limit(std::uint64_t bytes_per_second, clock::time_point now = clock::now())
      : rate_(static_cast<double>(bytes_per_second)), last_(now) {}

  [[nodiscard]] bool is_limited() const noexcept { return rate_ > 0; }

  /// True if bytes may flow now.
  [[nodiscard]] bool is_open(clock::time_point now) {
    if (!is_limited()) return true;
    refill(now);
    return balance_ >= 0;
  }

  void take(std::uint64_t moved) noexcept {
    if (is_limited()) balance_ -= static_cast<double>(moved);
  }

  /// How long until bytes may flow again.
  [[nodiscard]] std::chrono::milliseconds wait(clock::time_point now) {
    if (is_open(now)) return std::chrono::milliseconds(0);
    return std::chrono::milliseconds(static_cast<std::int64_t>(-balance_ / rate_ * 1000) + 1);
  }

private:
  void refill(clock::time_point now) {
    balance_ += rate_ * std::chrono::duration<double>(now - last_).count();
    // What was not used is not saved up, but for a tenth of a second.
    balance_ = std::min(balance_, rate_ / 10);
    last_ = now;
  }

  double rate_;  // bytes per second
  double balance_ = 0;
  clock::time_point last_;
};

}  // namespace recoup
