// HTTP over libcurl's multi interface: any number of threads ask, one thread moves all bytes. They share connections, DNS
// answers, TLS sessions and the limits on the rate.
#pragma once

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/http/message.hpp>
#include <recoup/http/options.hpp>
#include <recoup/http/transfer.hpp>

namespace recoup {

/// Members may be called from any thread.
class http_client {
public:
  /// Reads the certificates that the options name. Throws invalid_argument if they cannot be used.
  explicit http_client(http_options options = {})
      : environment_{std::move(options), {}, find_system_certificates(), rate_limit(0), rate_limit(0)} {
    static const CURLcode initialised = ::curl_global_init(CURL_GLOBAL_DEFAULT);
    if (initialised != CURLE_OK) throw http_error(http_failure::local, "libcurl cannot be initialised");
    environment_.root_certificates = read_root_certificates(environment_.options.root_certificates);
    environment_.upload = rate_limit(environment_.options.upload_limit);
    environment_.download = rate_limit(environment_.options.download_limit);
    multi_.reset(::curl_multi_init());
    if (!multi_) throw http_error(http_failure::local, "libcurl: no memory for its connections");
    ::curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, max_idle_connections);
  }

  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;

  /// No request may be under way.
  ~http_client() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    ::curl_multi_wakeup(multi_.get());
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] const http_options& options() const noexcept { return environment_.options; }

  /// Waits for the answer, whatever its status. Throws http_error if there is none, interrupted if a stop is requested and
  /// the request's grace is over.
  [[nodiscard]] http_response perform(const http_request& request, const std::stop_token& stop = {}) {
    if (request.grace_after_stop.count() == 0) throw_if_stopped(stop);
    job own(take_handle(), request, environment_);
    {
      const std::lock_guard lock(mutex_);
      if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
      queued_.push_back(&own);
    }
    ::curl_multi_wakeup(multi_.get());
    {
      const std::stop_callback cancel(stop, [&] {
        {
          const std::lock_guard lock(mutex_);
          own.ends_at = clock::now() + request.grace_after_stop;
        }
        ::curl_multi_wakeup(multi_.get());
      });
      std::unique_lock lock(mutex_);
      own.changed.wait(lock, [&] { return own.is_done; });
    }
    if (own.was_removed) throw_if_stopped(stop);
    auto response = own.transfer.finish(own.result);
    keep_handle(own.transfer.take_handle());
    return response;
  }

private:
  struct job {
    job(curl_easy handle, const http_request& request, http_environment& environment)
        : transfer(std::move(handle), request, environment) {}

    http_transfer transfer;
    // The rest is guarded by mutex_.
    std::optional<std::chrono::steady_clock::time_point> ends_at;  ///< set by a stop
    bool is_done = false, was_removed = false;
    CURLcode result = CURLE_OK;
    std::condition_variable changed;
  };

  struct close_curl_multi {
    void operator()(CURLM* handle) const noexcept { ::curl_multi_cleanup(handle); }
  };

  using clock = http_transfer::clock;

  // --- the asking threads ---

  /// Handles keep buffers of half a megabyte, which are worth using again.
  [[nodiscard]] curl_easy take_handle() {
    {
      const std::lock_guard lock(mutex_);
      if (!spare_.empty()) {
        auto handle = std::move(spare_.back());
        spare_.pop_back();
        return handle;
      }
    }
    curl_easy handle(::curl_easy_init());
    if (!handle) throw http_error(http_failure::local, "libcurl: no memory for a request");
    return handle;
  }

  void keep_handle(curl_easy handle) {
    const std::lock_guard lock(mutex_);
    spare_.push_back(std::move(handle));
  }

  // --- the thread that moves bytes ---

  void run() {
    while (start_queued()) {
      int running = 0;
      ::curl_multi_perform(multi_.get(), &running);
      finish_completed();
      const auto now = clock::now();
      end_stalled(now);
      ::curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(longest_wait(now).count()), nullptr);
      const auto later = clock::now();
      for (auto* each : active_) each->transfer.resume(later);
    }
  }

  /// False once the client closes.
  bool start_queued() {
    const std::lock_guard lock(mutex_);
    const auto now = clock::now();
    for (auto* each : queued_) {
      each->transfer.begin(now);
      active_.push_back(each);
      const auto added = ::curl_multi_add_handle(multi_.get(), each->transfer.handle());
      if (added != CURLM_OK) end(each, CURLE_FAILED_INIT);
    }
    queued_.clear();
    const auto active = active_;
    for (auto* each : active)
      if (each->ends_at && *each->ends_at <= now) {
        each->was_removed = true;
        end(each, CURLE_ABORTED_BY_CALLBACK);
      }
    return !closing_;
  }

  void finish_completed() {
    int left = 0;
    while (const auto* message = ::curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const auto found = std::ranges::find(active_, message->easy_handle, [](job* each) { return each->transfer.handle(); });
      const auto result = message->data.result;  // the message goes with its handle
      const std::lock_guard lock(mutex_);
      if (found != active_.end()) end(*found, result);
    }
  }

  void end_stalled(clock::time_point now) {
    const auto active = active_;
    for (auto* each : active) {
      if (!each->transfer.is_stalled(now)) continue;
      each->transfer.give_up_as_stalled();
      const std::lock_guard lock(mutex_);
      end(each, CURLE_OPERATION_TIMEDOUT);
    }
  }

  /// The asking thread goes on, and the job with it, as soon as mutex_, which the caller holds, is free.
  void end(job* finished, CURLcode result) {
    ::curl_multi_remove_handle(multi_.get(), finished->transfer.handle());
    std::erase(active_, finished);
    finished->result = result;
    finished->is_done = true;
    finished->changed.notify_one();
  }

  /// Bytes and new requests wake the thread by themselves; time limits do not.
  [[nodiscard]] std::chrono::milliseconds longest_wait(clock::time_point now) {
    auto wait = std::min(std::chrono::milliseconds(1000), environment_.options.stall_timeout / 4);
    const auto is_paused = [](const job* each) { return each->transfer.is_paused(); };
    if (std::ranges::any_of(active_, is_paused)) {
      if (const auto upload = environment_.upload.wait(now); upload.count() > 0) wait = std::min(wait, upload);
      if (const auto download = environment_.download.wait(now); download.count() > 0) wait = std::min(wait, download);
    }
    return std::max(wait, std::chrono::milliseconds(1));
  }

  /// Connections kept open between requests; more than any backend has requests in flight.
  static constexpr long max_idle_connections = 128;

  http_environment environment_;  // its rate limits belong to thread_
  std::unique_ptr<CURLM, close_curl_multi> multi_;
  std::vector<job*> active_;  // belongs to thread_

  std::mutex mutex_;  // guards all down to thread_
  std::vector<job*> queued_;
  std::vector<curl_easy> spare_;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace recoup
