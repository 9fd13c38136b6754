#include "progress.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "format.hpp"
#include "parse_number.hpp"

namespace recoup::cli {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

nanoseconds progress_interval(bool show, bool json, bool can_update_status) {
  constexpr double most_per_second = 60;
  if (const char* text = std::getenv("RESTIC_PROGRESS_FPS"); text != nullptr) {
    if (const auto wanted = parse_number<double>(text); wanted && *wanted > 0)
      return nanoseconds{static_cast<std::int64_t>(1e9 / std::min(*wanted, most_per_second))};
  }
  if (!show || (!json && !can_update_status)) return 0ns;
  return 100ms;
}

updater::updater(interrupt& signals, nanoseconds interval, report_function report)
    : signals_(signals), interval_(interval), report_(std::move(report)) {
  signals_.on_status_request([this] {
    const std::lock_guard lock(mutex_);
    requested_ = true;
    wake_.notify_one();
  });
  thread_ = std::thread([this] { run(); });
}

updater::~updater() { finish(); }

void updater::finish() {
  if (!thread_.joinable()) return;
  signals_.on_status_request({});
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void updater::run() {
  std::unique_lock lock(mutex_);
  auto next = start_ + interval_;
  const auto woken = [this] { return requested_ || ending_; };
  for (;;) {
    if (interval_ > 0ns)
      wake_.wait_until(lock, next, woken);
    else
      wake_.wait(lock, woken);
    const bool final = ending_;
    requested_ = false;
    lock.unlock();
    const auto now = steady_clock::now();
    report_(now - start_, final);
    if (final) return;
    // A report that took long does not make the next ones come in a rush.
    next = std::max(next + interval_, now + interval_ / 2);
    lock.lock();
  }
}

namespace {

constexpr auto bucket_width = 1s;
constexpr auto least_time = 2min;
constexpr std::size_t least_buckets = 20;
constexpr std::uint64_t least_bytes = 100'000'000;

}  // namespace

void rate_estimator::trim(steady_time now) {
  while (buckets_.size() > least_buckets && buckets_.front().end <= now - least_time &&
         total_ - buckets_.front().bytes >= least_bytes) {
    start_ = buckets_.front().end;
    total_ -= buckets_.front().bytes;
    buckets_.pop_front();
  }
}

void rate_estimator::record(steady_time now, std::uint64_t bytes) {
  if (bytes == 0) return;
  if (buckets_.empty() || buckets_.back().end <= now) buckets_.push_back({0, now + bucket_width});
  buckets_.back().bytes += bytes;
  total_ += bytes;
  trim(now);
}

double rate_estimator::rate(steady_time now) {
  trim(now);
  if (now <= start_) return 0;
  return static_cast<double>(total_) / std::chrono::duration<double>(now - start_).count();
}

std::string progress_bar(std::uint64_t part, std::uint64_t whole, std::size_t width) {
  if (whole == 0) return std::string(width, ' ');
  const auto share = std::min(1.0, static_cast<double>(part) / static_cast<double>(whole));
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
  std::string bar(filled, '=');
  if (filled < width) bar += '>';
  return bar.append(width - bar.size(), ' ');
}

counter::counter(interrupt& signals, terminal& screen, bool show, std::string what)
    : screen_(screen), what_(std::move(what)) {
  if (!show) return;
  updater_ = std::make_unique<updater>(signals, progress_interval(true, false, screen.can_update_status()),
                                       [this](nanoseconds elapsed, bool final) { report(elapsed, final); });
}

void counter::report(nanoseconds elapsed, bool final) {
  const std::uint64_t value = value_, total = total_;
  const auto number = [](std::uint64_t count) { return static_cast<unsigned long long>(count); };
  const auto time = format_duration(elapsed);
  const auto line = total == 0
                        ? formatted("[%s]          %llu %s", time.c_str(), number(value), what_.c_str())
                        : formatted("[%s] %s  %llu / %llu %s", time.c_str(), format_percent(value, total).c_str(),
                                    number(value), number(total), what_.c_str());
  if (!final) return screen_.set_status({line});
  screen_.set_status({});
  if (leaves_line_) screen_.print(line);
}

}  // namespace recoup::cli
