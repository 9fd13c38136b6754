// Requests to an S3 server: signed, sent to the right region, repeated when that can help.
//
//     sign with the credentials of the moment                       credentials.hpp, signature.hpp
//     wait for a place in flight                                    concurrency.hpp
//     send                                                          http/client.hpp
//     2xx                        -> done
//     another region             -> remember it, at once once more
//     token expired              -> renew the credentials, at once once more
//     clocks differ              -> go by the server's clock, at once once more
//     busy, broken, unreachable  -> say so, wait, once more         retry.hpp
//     anything else              -> an error in the server's words, and what to do
#pragma once

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <curl/curl.h>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/http/client.hpp>
#include <recoup/s3/concurrency.hpp>
#include <recoup/s3/credentials.hpp>
#include <recoup/s3/error.hpp>
#include <recoup/s3/endpoint.hpp>
#include <recoup/s3/location.hpp>
#include <recoup/s3/retry.hpp>
#include <recoup/s3/settings.hpp>
#include <recoup/s3/signature.hpp>
#include <recoup/s3/uri.hpp>

namespace recoup {

struct s3_request {
  std::string what;  ///< for messages: "load pack 1a2b3c4d"
  std::string method = "GET";
  std::string bucket{};  ///< empty: the server itself (its list of buckets)
  std::string key{};     ///< empty: the bucket
  uri_query query{};
  std::vector<http_header> headers{};
  byte_view body{};
  std::string payload_hash{};  ///< SHA-256 of the body in hexadecimal if it is known already
  byte_span into{};            ///< as in http_request
  bytes* content = nullptr;
  bool needs_md5 = false;      ///< S3 demands Content-MD5 for some requests
  bool answers_with_errors = false;  ///< a success may list what could not be done; the caller reads it
  /// What is wrong with a success, "" if nothing: then it is repeated like any other passing failure. May throw.
  std::function<std::string(const http_response&)> check{};
  bool is_urgent = false;      ///< waits for no place in flight: a lock must not expire behind a queue of packs
  bool ignores_stop = false;   ///< goes on after a stop was requested, but for 10 seconds at most
};

/// What a client is told from outside; all may be left as they are.
struct s3_environment {
  std::stop_token stop{};
  /// Something went wrong that does not stop the work: a request is repeated, the clocks differ. Called from any thread,
  /// and from several at once.
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
};

/// Members may be called from any thread.
class s3_client {
public:
  s3_client(s3_endpoint endpoint, s3_settings settings, http_options http, s3_environment environment = {})
      : s3_client(std::move(endpoint), std::move(settings), std::move(http), std::move(environment), nullptr, {}) {}

  /// With credentials that somebody hands over, so that no place has to be looked at; null looks for them as ever.
  /// `patience` is for those who would rather hear soon that a server is not there; its most_retries is the settings'.
  s3_client(s3_endpoint endpoint, s3_settings settings, http_options http, s3_environment environment,
            std::shared_ptr<credential_provider> credentials, const retry_policy& patience)
      : endpoint_(std::move(endpoint)), settings_(std::move(settings)), environment_(std::move(environment)),
        policy_(patience), http_(std::make_shared<http_client>(std::move(http))),
        credentials_(credentials ? std::move(credentials)
                                 : default_credentials(credential_options_for(endpoint_, settings_), http_)),
        places_(first_connections, connections()) {
    policy_.most_retries = settings_.retries;
  }

  [[nodiscard]] const s3_endpoint& endpoint() const noexcept { return endpoint_; }
  [[nodiscard]] const s3_settings& settings() const noexcept { return settings_; }
  /// Requests worth having in flight at this moment, and at the most.
  [[nodiscard]] unsigned connections_now() const { return places_.limit(); }
  [[nodiscard]] unsigned connections() const noexcept {
    return settings_.connections != 0 ? settings_.connections : default_connections;
  }
  void warn(const std::string& message) const { environment_.on_warning(message); }
  [[nodiscard]] const std::stop_token& stop() const noexcept { return environment_.stop; }

  /// The region that requests for this bucket are signed for, as far as it is known by now.
  [[nodiscard]] std::string region_of(const std::string& bucket) const;

  /// Waits for the answer. Throws s3_error if the server refuses, http_error if there is no answer, interrupted.
  http_response send(const s3_request& request);

private:
  struct target {
    std::string scheme_and_host, host, path;
  };

  /// What one send() has tried already.
  struct attempts {
    explicit attempts(const retry_policy& policy) : retries(policy) {}
    retry_state retries;
    int redirects = 0, races = 0;
    bool renewed = false, clock_corrected = false, with_md5 = false;
  };

  [[nodiscard]] static s3_action action_of(const s3_request& request) {
    if (!request.key.empty()) {
      if (request.method == "DELETE") return s3_action::remove;
      return request.method == "GET" || request.method == "HEAD" ? s3_action::read : s3_action::write;
    }
    const auto is_listing = [](const auto& parameter) { return parameter.first == "encoding-type"; };
    return request.method == "GET" && std::ranges::any_of(request.query, is_listing) ? s3_action::list : s3_action::other;
  }

  /// Copying and putting parts together take so long that S3 answers 200 before it knows how they end.
  [[nodiscard]] static bool is_error_in_disguise(const s3_request& request, const http_response& response) {
    return !request.answers_with_errors && request.method != "GET" && response.body.size() < 64 * 1024 &&
           response.body.find("<Error>") != std::string::npos;
  }

  [[nodiscard]] target target_of(const s3_request& request) const;
  [[nodiscard]] http_response send_once(const s3_request& request, const s3_credentials& credentials, bool with_md5,
                                        const std::stop_token& stop);
  [[nodiscard]] bool is_mended(const s3_request& request, const s3_refusal& refusal, const http_response& response,
                               const s3_credentials& used, attempts& tried);
  [[nodiscard]] bool learn_region(const s3_request& request, const s3_refusal& refusal, const http_response& response);
  [[nodiscard]] bool learn_clock(const http_response& response);
  void wait_to_repeat(const s3_request& request, attempts& tried, const std::string& cause, bool was_reached,
                      std::optional<std::chrono::milliseconds> asked_for, const std::stop_token& stop,
                      const std::function<void(const std::string&)>& give_up);
  [[nodiscard]] std::string describe(const s3_request& request) const;

  /// Whoever pressed Ctrl-C does not want to wait for a server that is gone.
  static constexpr std::chrono::seconds patience_after_stop{10};
  /// Enough to find out whether more help; a NAS with one disk is not helped by more.
  static constexpr unsigned first_connections = 4;
  /// 10 Gbit/s x 100 ms are 125 MB under way: 30 parts of 4 MiB.
  static constexpr unsigned default_connections = 32;

  const s3_endpoint endpoint_;
  const s3_settings settings_;
  const s3_environment environment_;
  retry_policy policy_;
  const std::shared_ptr<http_client> http_;
  const std::shared_ptr<credential_provider> credentials_;
  concurrency_limit places_;
  std::atomic<bool> was_reached_{false}, wants_md5_{false};
  std::atomic<std::int64_t> clock_offset_{0};  // seconds by which the server is ahead of us

  mutable std::mutex mutex_;  // guards all below
  std::map<std::string, std::string> regions_, hosts_;  // by bucket
  std::chrono::steady_clock::time_point last_warning_{};
  unsigned unreported_ = 0;
};

// ---------------------------------------------------------------------------------------------------------------------

/// Base64 of the MD5, for Content-MD5. Nothing but a check sum here; S3 asks for it where a bucket has object lock.
[[nodiscard]] inline std::string content_md5(byte_view content) {
  std::array<std::uint8_t, 16> digest{};
  unsigned length = 0;
  if (::EVP_Digest(content.data(), content.size(), digest.data(), &length, ::EVP_md5(), nullptr) != 1)
    throw error(error_code::failure, "the server asks for an MD5 check sum, which OpenSSL does not offer here");
  return to_base64(digest);
}

inline std::string s3_client::region_of(const std::string& bucket) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = regions_.find(bucket); known != regions_.end()) return known->second;
  }
  if (!settings_.region.empty()) return settings_.region;
  return default_region(endpoint_);
}

inline std::string s3_client::describe(const s3_request& request) const {
  return "cannot " + request.what + " (" + ::recoup::describe(endpoint_, request.bucket, request.key) + ')';
}

inline s3_client::target s3_client::target_of(const s3_request& request) const {
  target found;
  bool in_host = false;
  {
    const std::lock_guard lock(mutex_);
    if (const auto moved = hosts_.find(request.bucket); moved != hosts_.end()) found.host = moved->second;
  }
  if (found.host.empty()) {
    in_host = !request.bucket.empty() && puts_bucket_into_host(endpoint_, request.bucket, settings_.lookup);
    found.host = host_for(endpoint_, region_of(request.bucket));
    if (in_host) found.host = request.bucket + '.' + found.host;
  } else {
    in_host = found.host.starts_with(request.bucket + '.');
  }
  found.path = "/";
  if (!request.bucket.empty() && !in_host) found.path += request.bucket + (request.key.empty() ? "" : "/");
  found.path += request.key;
  found.scheme_and_host = (endpoint_.use_tls ? "https://" : "http://") + found.host;
  return found;
}

inline http_response s3_client::send_once(const s3_request& request, const s3_credentials& credentials, bool with_md5,
                                          const std::stop_token& stop) {
  const auto where = target_of(request);
  signing_request to_sign;
  to_sign.method = request.method;
  to_sign.host = where.host;
  to_sign.path = where.path;
  to_sign.query = request.query;
  to_sign.headers = request.headers;
  if (!request.body.empty() && endpoint_.use_tls && settings_.unsigned_payload)
    to_sign.payload_hash = unsigned_payload;
  else if (!request.body.empty())
    to_sign.payload_hash = request.payload_hash.empty() ? sha256(request.body).hex() : request.payload_hash;
  // An unsigned body is guarded against damage on its way by nothing else.
  if (with_md5 || (to_sign.payload_hash == unsigned_payload)) to_sign.headers.push_back({"content-md5", content_md5(request.body)});

  const auto now = std::chrono::system_clock::now() + std::chrono::seconds(clock_offset_.load());
  http_request message;
  message.method = request.method;
  message.url = where.scheme_and_host + uri_escape_path(where.path);
  if (!request.query.empty()) message.url += '?' + uri_query_string(request.query);
  message.headers = to_sign.headers;
  for (auto& header : sign(to_sign, credentials, {region_of(request.bucket)}, now))
    message.headers.push_back(std::move(header));
  message.body = request.body;
  message.into = request.into;
  message.content = request.content;
  if (request.ignores_stop) message.grace_after_stop = patience_after_stop;
  const auto perform = [&] {
    auto response = http_->perform(message, environment_.stop);
    if (request.body.empty()) places_.answered_after(response.answered_after);
    return response;
  };
  if (request.is_urgent) return perform();
  places_.acquire(stop);
  concurrency_limit::place place(places_);
  auto response = perform();
  place.moved(response.received + request.body.size());
  return response;
}

inline http_response s3_client::send(const s3_request& request) {
  auto policy = policy_;
  const std::stop_token stop = request.ignores_stop ? std::stop_token{} : environment_.stop;
  attempts tried(policy);
  for (;;) {
    if (request.ignores_stop && environment_.stop.stop_requested()) policy.longest_total = patience_after_stop;
    const bool with_md5 = !request.body.empty() && (request.needs_md5 || wants_md5_ || tried.with_md5);
    try {
      const auto credentials = credentials_->get(stop);
      auto response = send_once(request, *credentials, with_md5, stop);
      was_reached_ = true;
      if (response.is_success() && !is_error_in_disguise(request, response)) {
        const auto flaw = request.check ? request.check(response) : std::string();
        if (flaw.empty()) return response;
        wait_to_repeat(request, tried, flaw, true, std::nullopt, stop, [&](const std::string& effort) {
          throw http_error(http_failure::bad_response, describe(request) + ": " + flaw + effort);
        });
        continue;
      }
      const auto refusal = read_refusal(response);
      if (is_mended(request, refusal, response, *credentials, tried)) continue;
      const auto fail = [&](const std::string& effort) {
        const auto advice = advice_for(refusal, action_of(request));
        throw s3_error(code_of(refusal),
                       describe(request) + ": " + refusal.describe() + effort + (advice.empty() ? "" : "; " + advice),
                       refusal);
      };
      const bool may_pass = is_passing(refusal) || (may_be_race_of_directories(refusal) && tried.races++ < 4);
      if (!may_pass) fail("");
      if (asks_to_slow_down(refusal)) places_.slow_down();
      const auto* wish = response.header("retry-after");
      wait_to_repeat(request, tried, refusal.describe(), true, wish ? parse_retry_after(*wish) : std::nullopt, stop, fail);
    } catch (const http_error& problem) {
      const auto fail = [&](const std::string& effort) {
        throw http_error(problem.kind(), describe(request) + ": " + problem.what() + effort);
      };
      if (!problem.is_passing()) fail("");
      wait_to_repeat(request, tried, problem.what(), was_reached_, std::nullopt, stop, fail);
    }
  }
}

/// Something was learned from the refusal that makes the next attempt another one.
inline bool s3_client::is_mended(const s3_request& request, const s3_refusal& refusal, const http_response& response,
                                 const s3_credentials& used, attempts& tried) {
  if (names_other_region(refusal) && tried.redirects++ < 3 && learn_region(request, refusal, response)) return true;
  if (may_have_newer_credentials(refusal) && !std::exchange(tried.renewed, true)) return credentials_->renew(used);
  if (refusal.code == "RequestTimeTooSkewed" && !std::exchange(tried.clock_corrected, true)) return learn_clock(response);
  const bool asks_for_md5 = refusal.code == "MissingContentMD5" ||
                            (refusal.status == 400 && refusal.message.find("Content-MD5") != std::string::npos);
  if (asks_for_md5 && !request.body.empty() && !std::exchange(tried.with_md5, true)) {
    wants_md5_ = true;
    return true;
  }
  return false;
}

inline bool s3_client::learn_region(const s3_request& request, const s3_refusal& refusal, const http_response& response) {
  const std::lock_guard lock(mutex_);
  bool learned = false;
  if (!refusal.region.empty()) {
    auto& known = regions_[request.bucket];
    learned = known != refusal.region;
    known = refusal.region;
  }
  // A new bucket's name takes a while to mean its region everywhere; until then the answer says where to go.
  const auto* location = response.header("location");
  if (location == nullptr || request.bucket.empty()) return learned;
  const std::string_view scheme = endpoint_.use_tls ? "https://" : "http://";
  if (!location->starts_with(scheme)) return learned;
  const auto host = location->substr(scheme.size(), location->find_first_of("/?", scheme.size()) - scheme.size());
  auto& known = hosts_[request.bucket];
  learned = learned || known != host;
  known = host;
  return learned;
}

/// Signatures hold for 15 minutes around the server's time. A machine whose clock is wrong should be able to get its data
/// back all the same.
inline bool s3_client::learn_clock(const http_response& response) {
  const auto* date = response.header("date");
  if (date == nullptr) return false;
  const auto theirs = ::curl_getdate(date->c_str(), nullptr);
  if (theirs < 0) return false;
  const auto offset = static_cast<std::int64_t>(theirs) - static_cast<std::int64_t>(std::time(nullptr));
  if (clock_offset_.exchange(offset) == offset) return false;
  environment_.on_warning("this machine's clock is " + std::to_string(offset < 0 ? -offset : offset) + " s " +
                          (offset < 0 ? "ahead of" : "behind") +
                          " the S3 server's; requests are dated by the server's, but do correct the clock");
  return true;
}

inline void s3_client::wait_to_repeat(const s3_request& request, attempts& tried, const std::string& cause,
                                      bool was_reached, std::optional<std::chrono::milliseconds> asked_for,
                                      const std::stop_token& stop,
                                      const std::function<void(const std::string&)>& give_up) {
  using clock = retry_state::clock;
  const auto now = clock::now();
  const auto delay = tried.retries.after_failure(now, was_reached, asked_for);
  if (!delay) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(tried.retries.elapsed(now)).count();
    give_up(" (given up after " + std::to_string(tried.retries.attempts()) + " attempts in " + std::to_string(seconds) +
            " s)");
  }
  std::string suppressed;
  bool report = false;
  {
    // When a server goes away every request in flight fails at once, and again: a line a second tells it.
    const std::lock_guard lock(mutex_);
    report = now - last_warning_ >= std::chrono::seconds(1);
    if (!report)
      ++unreported_;
    else {
      last_warning_ = now;
      if (unreported_ != 0) suppressed = " (and " + std::to_string(unreported_) + " other requests that failed)";
      unreported_ = 0;
    }
  }
  if (report) {
    char wait[32];
    std::snprintf(wait, sizeof wait, "%.1f s", static_cast<double>(delay->count()) / 1000);
    environment_.on_warning(describe(request) + ": " + cause + "; trying again in " + wait + suppressed);
  }
  if (!sleep_unless_stopped(stop, *delay)) throw error(error_code::interrupted, "interrupted");
}

}  // namespace recoup
