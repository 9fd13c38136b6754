// When to try again, and when to give up. The only place where requests are repeated.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

#include <sodium.h>

namespace recoup {

struct retry_policy {
  std::chrono::milliseconds first_delay{250};
  std::chrono::milliseconds longest_delay{30'000};
  /// From the first failure of a request on. restic's is 15 minutes as well: a server's restart or a router's.
  std::chrono::milliseconds longest_total = std::chrono::minutes(15);
  /// As long as the server has never answered, a wrong address is likelier than a short outage.
  std::chrono::milliseconds longest_unreached = std::chrono::seconds(10);
  unsigned most_retries = 0;  ///< 0: as many as fit into the time
};

/// One request's attempts.
class retry_state {
public:
  using clock = std::chrono::steady_clock;

  explicit retry_state(const retry_policy& policy) : policy_(policy) {}

  [[nodiscard]] unsigned attempts() const noexcept { return attempts_; }
  [[nodiscard]] std::chrono::milliseconds elapsed(clock::time_point now) const noexcept {
    return attempts_ == 0 ? std::chrono::milliseconds(0)
                          : std::chrono::duration_cast<std::chrono::milliseconds>(now - first_failure_);
  }

  /// How long to wait before the next attempt; nothing if it is time to give up. `asked_for` is the server's Retry-After.
  [[nodiscard]] std::optional<std::chrono::milliseconds> after_failure(
      clock::time_point now, bool was_reached, std::optional<std::chrono::milliseconds> asked_for = {}) {
    if (attempts_++ == 0) first_failure_ = now;
    if (policy_.most_retries != 0 && attempts_ > policy_.most_retries) return std::nullopt;
    const auto limit = was_reached ? policy_.longest_total : std::min(policy_.longest_total, policy_.longest_unreached);
    // Half of it is chance: many that failed together must not come back together.
    const auto doubled = static_cast<double>(policy_.first_delay.count()) * std::exp2(std::min(attempts_ - 1, 20u));
    const auto longest = std::min(doubled, static_cast<double>(policy_.longest_delay.count()));
    const auto chance = static_cast<double>(::randombytes_uniform(1 << 20)) / (1 << 20);
    auto delay = std::chrono::milliseconds(static_cast<std::int64_t>(longest * (0.5 + 0.5 * chance)));
    if (asked_for) delay = std::max(delay, std::min(*asked_for, longest_asked_for));
    if (elapsed(now) + delay > limit) return std::nullopt;
    return delay;
  }

private:
  /// A server that wants to be left alone for longer is as good as down.
  static constexpr std::chrono::milliseconds longest_asked_for = std::chrono::minutes(5);

  const retry_policy& policy_;
  unsigned attempts_ = 0;
  clock::time_point first_failure_{};
};

/// The value of a Retry-After header in seconds (RFC 9110 section 10.2.3). Its other form, a date, is not used by object
/// stores, and means nothing where the clocks differ.
[[nodiscard]] inline std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view value) {
  std::uint32_t seconds = 0;
  const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (problem != std::errc{} || end != value.data() + value.size()) return std::nullopt;
  return std::chrono::seconds(seconds);
}

}  // namespace recoup
