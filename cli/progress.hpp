// Calling for a status line at regular times, and what such a line needs: rates, time left, a bar.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "interrupt.hpp"
#include "terminal.hpp"

namespace recoup::cli {

using steady_time = std::chrono::steady_clock::time_point;

/// Time between two status lines: ten a second on a terminal or with --json, none otherwise; RESTIC_PROGRESS_FPS (at
/// most 60) sets another rate, also for output that is no terminal. Zero means: only when a signal asks.
[[nodiscard]] std::chrono::nanoseconds progress_interval(bool show, bool json, bool can_update_status);

/// Calls `report(elapsed, final)` at each interval and for each status signal, from one thread of its own, and once
/// more, with `final`, when it ends.
class updater {
public:
  using report_function = std::function<void(std::chrono::nanoseconds elapsed, bool final)>;

  updater(interrupt& signals, std::chrono::nanoseconds interval, report_function report);
  updater(const updater&) = delete;
  updater& operator=(const updater&) = delete;
  ~updater();

  /// The last report has been made when this returns. Later calls do nothing.
  void finish();

private:
  void run();

  interrupt& signals_;
  const std::chrono::nanoseconds interval_;
  const report_function report_;
  const steady_time start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable wake_;
  bool requested_ = false, ending_ = false;
  std::thread thread_;
};

/// Bytes per second over about the last two minutes; longer while little moves, so that a slow connection that reports
/// in bursts does not make the estimate jump. Not thread-safe.
class rate_estimator {
public:
  explicit rate_estimator(steady_time start) : start_(start) {}

  void record(steady_time now, std::uint64_t bytes);
  /// Zero if there is nothing to go by yet.
  [[nodiscard]] double rate(steady_time now);

private:
  struct bucket {
    std::uint64_t bytes;
    steady_time end;
  };
  void trim(steady_time now);

  std::deque<bucket> buckets_;
  steady_time start_;
  std::uint64_t total_ = 0;
};

/// "=====>    ", `width` cells for `part` of `whole`.
[[nodiscard]] std::string progress_bar(std::uint64_t part, std::uint64_t whole, std::size_t width);

/// "[0:05] 40.00%  2 / 5 snapshots": counts one kind of thing. The line is drawn while it counts and stays as the last
/// state when it is done.
class counter {
public:
  /// With `show` false it counts in silence.
  counter(interrupt& signals, terminal& screen, bool show, std::string what);

  void add(std::uint64_t count) noexcept { value_ += count; }
  void set(std::uint64_t value) noexcept { value_ = value; }
  void set_total(std::uint64_t total) noexcept { total_ = total; }
  void finish() {
    if (updater_) updater_->finish();
  }
  /// Ends without leaving a line.
  void vanish() {
    leaves_line_ = false;
    finish();
  }

private:
  void report(std::chrono::nanoseconds elapsed, bool final);

  terminal& screen_;
  const std::string what_;
  std::atomic<std::uint64_t> value_{0}, total_{0};
  std::atomic<bool> leaves_line_{true};
  std::unique_ptr<updater> updater_;  // last: its thread uses what is above
};

}  // namespace recoup::cli
