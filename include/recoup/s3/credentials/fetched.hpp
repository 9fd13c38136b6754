// Credentials that are fetched from somewhere, kept until they run out, and fetched again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/s3/credentials/provider.hpp>

namespace recoup {

/// Any number of threads ask, one of them fetches, the others wait for what comes of it. A failure while the present
/// credentials still hold is not shown: the next request half a minute later tries again.
class fetched_credentials : public credential_provider {
public:
  /// Fetched anew when they hold for less than this: enough for the longest single request, a part of 200 MiB at some
  /// 6 Mbit/s, since servers look at a signature when a request begins.
  static constexpr std::chrono::minutes renewed_before = std::chrono::minutes(5);
  /// Some issuers hand out credentials with less than that left until they run out.
  static constexpr std::chrono::seconds shortest_interval = std::chrono::seconds(30);

  [[nodiscard]] std::shared_ptr<const s3_credentials> get(std::stop_token stop) final {
    std::unique_lock lock(mutex_);
    for (;;) {
      throw_if_stopped(stop);
      if (current_ && !is_due()) return current_;
      if (!is_fetching_) break;
      const auto awaited = attempts_;
      changed_.wait(lock, stop, [&] { return attempts_ != awaited; });
      if (attempts_ != awaited && failure_ && !holds()) std::rethrow_exception(failure_);
    }
    is_fetching_ = true;
    lock.unlock();
    std::shared_ptr<const s3_credentials> made;
    std::exception_ptr failure;
    bool was_interrupted = false;
    try {
      made = std::make_shared<const s3_credentials>(fetch(stop));
    } catch (const error& problem) {
      failure = std::current_exception();
      was_interrupted = problem.code() == error_code::interrupted;
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    is_fetching_ = false;
    ++attempts_;
    last_attempt_ = std::chrono::steady_clock::now();
    // Whoever waited was not asked to stop: that one tries itself.
    failure_ = was_interrupted ? nullptr : failure;
    if (made) current_ = std::move(made);
    changed_.notify_all();
    if (failure && (was_interrupted || !holds())) std::rethrow_exception(failure);
    return current_;
  }

  bool renew(const s3_credentials& rejected) final {
    const std::lock_guard lock(mutex_);
    if (!current_ || !is_same(*current_, rejected)) return true;  // another thread was faster
    const identity now{rejected.access_key_id, rejected.session_token};
    if (rejected_ == now) return false;  // they came once more, so asking again is no use
    rejected_ = now;
    current_.reset();
    return true;
  }

protected:
  /// Called by one thread at a time. Throws http_error for what may pass.
  [[nodiscard]] virtual s3_credentials fetch(const std::stop_token& stop) = 0;

private:
  using identity = std::pair<std::string, std::string>;

  [[nodiscard]] static bool is_same(const s3_credentials& left, const s3_credentials& right) noexcept {
    return left.access_key_id == right.access_key_id && left.session_token == right.session_token;
  }

  [[nodiscard]] bool holds() const noexcept {
    return current_ && (!current_->expires || std::chrono::system_clock::now() < *current_->expires);
  }

  [[nodiscard]] bool is_due() const noexcept {
    if (!holds()) return true;
    return current_->expires && std::chrono::system_clock::now() + renewed_before >= *current_->expires &&
           std::chrono::steady_clock::now() - last_attempt_ >= shortest_interval;
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::shared_ptr<const s3_credentials> current_;
  bool is_fetching_ = false;
  std::uint64_t attempts_ = 0;
  std::chrono::steady_clock::time_point last_attempt_{};
  std::exception_ptr failure_;  ///< of the last attempt
  std::optional<identity> rejected_;
};

}  // namespace recoup
