#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <queue>
#include <stop_token>
#include <thread>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/s3/concurrency.hpp>
#include <recoup/s3/retry.hpp>

namespace {

using namespace recoup;
using namespace std::chrono_literals;
using clock_type = concurrency_rule::clock;

/// A link and a server, simulated: each request takes `delay` and its share of `bandwidth`; there is always more to do.
struct link {
  double bandwidth;  // bytes per second
  double delay;      // seconds per request
  std::uint64_t request_bytes;

  /// Runs `rule` for so many seconds and returns the requests in flight in the second half, on average.
  double average_limit(concurrency_rule& rule, double seconds) const {
    struct by_end {
      bool operator()(double a, double b) const { return a > b; }
    };
    std::priority_queue<double, std::vector<double>, by_end> in_flight;
    double now = 0, link_free = 0, sum = 0, samples = 0;
    const auto start = clock_type::now();
    while (now < seconds) {
      while (in_flight.size() < rule.limit()) {
        link_free = std::max(link_free, now) + static_cast<double>(request_bytes) / bandwidth;
        in_flight.push(link_free + delay);
      }
      now = in_flight.top();
      in_flight.pop();
      rule.finished(request_bytes, true, start + std::chrono::duration_cast<clock_type::duration>(std::chrono::duration<double>(now)));
      if (now > seconds / 2) {
        sum += rule.limit();
        ++samples;
      }
    }
    return sum / samples;
  }
};

TEST(concurrency_rule, stays_low_where_more_in_flight_bring_nothing) {
  concurrency_rule rule(4, 32);
  EXPECT_LT((link{100e6, 0.0005, 4 << 20}.average_limit(rule, 60)), 8);  // a NAS in the same room
}

TEST(concurrency_rule, climbs_until_a_long_link_is_full) {
  concurrency_rule rule(4, 64);
  // 1 GB/s x 100 ms = 100 MB = 24 requests of 4 MiB
  const auto limit = link{1e9, 0.1, 4 << 20}.average_limit(rule, 60);
  EXPECT_GT(limit, 18);
  EXPECT_LT(limit, 60);
}

TEST(concurrency_rule, goes_to_the_cap_and_no_further_for_small_files_far_away) {
  concurrency_rule rule(4, 16);
  const auto limit = link{100e6, 0.05, 2000}.average_limit(rule, 60);
  EXPECT_GT(limit, 14);
  EXPECT_LE(limit, 16);
}

TEST(concurrency_rule, learns_nothing_while_nobody_waits) {
  concurrency_rule rule(4, 32);
  auto now = clock_type::now();
  for (int i = 0; i < 10'000; ++i) rule.finished(1000, false, now += 1ms);
  EXPECT_EQ(rule.limit(), 4u);
}

TEST(concurrency_rule, begins_with_more_for_a_server_far_away) {
  concurrency_rule rule(4, 32);
  rule.answered_after(500ms);  // the first answer waits for a disk
  EXPECT_EQ(rule.limit(), 16u);
  rule.answered_after(25ms);
  EXPECT_EQ(rule.limit(), 8u);
  rule.answered_after(80ms);
  EXPECT_EQ(rule.limit(), 8u);
  rule.finished(1000, true, clock_type::now());  // from here on it is measured
  rule.answered_after(1ms);
  EXPECT_EQ(rule.limit(), 8u);

  concurrency_rule near(4, 32);
  near.answered_after(1ms);
  EXPECT_EQ(near.limit(), 4u);
  concurrency_rule capped(4, 2);
  capped.answered_after(500ms);
  EXPECT_EQ(capped.limit(), 2u);
}

TEST(concurrency_rule, halves_when_the_server_asks_for_it_and_never_stops) {
  concurrency_rule rule(8, 32);
  const auto now = clock_type::now();
  rule.slow_down(now);
  EXPECT_EQ(rule.limit(), 4u);
  for (int i = 0; i < 10; ++i) rule.slow_down(now);
  EXPECT_EQ(rule.limit(), 1u);
}

TEST(concurrency_rule, the_cap_holds_from_the_start) { EXPECT_EQ(concurrency_rule(4, 1).limit(), 1u); }

TEST(concurrency_limit, never_gives_out_more_places_than_the_limit) {
  concurrency_limit places(3, 3);
  std::atomic<int> in_flight{0}, most{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 50; ++k) {
        places.acquire({});
        concurrency_limit::place place(places);
        const int now = ++in_flight;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        std::this_thread::sleep_for(100us);
        --in_flight;
      }
    });
  threads.clear();
  EXPECT_EQ(most, 3);
}

TEST(concurrency_limit, waiting_ends_when_a_stop_is_requested) {
  concurrency_limit places(1, 1);
  places.acquire({});
  concurrency_limit::place place(places);
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(20ms);
    stop.request_stop();
  });
  try {
    places.acquire(stop.get_token());
    FAIL() << "there was no place";
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::interrupted);
  }
}

TEST(retry_state, delays_double_with_chance_up_to_the_longest) {
  const retry_policy policy;
  retry_state state(policy);
  const auto now = retry_state::clock::now();
  double expected = 250;
  for (int i = 0; i < 12; ++i) {
    const auto delay = state.after_failure(now, true);
    ASSERT_TRUE(delay.has_value());
    EXPECT_GE(static_cast<double>(delay->count()), expected / 2 - 1) << i;
    EXPECT_LE(static_cast<double>(delay->count()), expected) << i;
    expected = std::min(expected * 2, 30'000.0);
  }
}

TEST(retry_state, gives_up_after_the_longest_time_or_number) {
  retry_policy policy;
  retry_state by_time(policy);
  const auto now = retry_state::clock::now();
  EXPECT_TRUE(by_time.after_failure(now, true));
  EXPECT_TRUE(by_time.after_failure(now + 10min, true));
  EXPECT_FALSE(by_time.after_failure(now + 16min, true));
  policy.most_retries = 2;
  retry_state by_number(policy);
  EXPECT_TRUE(by_number.after_failure(now, true));
  EXPECT_TRUE(by_number.after_failure(now, true));
  EXPECT_FALSE(by_number.after_failure(now, true));
  EXPECT_EQ(by_number.attempts(), 3u);
}

TEST(retry_state, a_server_never_reached_is_given_up_soon) {
  const retry_policy policy;
  retry_state state(policy);
  const auto now = retry_state::clock::now();
  EXPECT_TRUE(state.after_failure(now, false));
  EXPECT_FALSE(state.after_failure(now + 11s, false));
}

TEST(retry_state, waits_as_long_as_the_server_asks_within_reason) {
  const retry_policy policy;
  const auto now = retry_state::clock::now();
  retry_state state(policy);
  EXPECT_EQ(*state.after_failure(now, true, 7s), 7s);
  retry_state other(policy);
  EXPECT_EQ(*other.after_failure(now, true, 3h), 5min);
}

TEST(retry_after, is_seconds) {
  EXPECT_EQ(parse_retry_after("12"), 12s);
  EXPECT_FALSE(parse_retry_after("Wed, 21 Oct 2026 07:28:00 GMT"));
  EXPECT_FALSE(parse_retry_after(""));
  EXPECT_FALSE(parse_retry_after("-1"));
}

}  // namespace
