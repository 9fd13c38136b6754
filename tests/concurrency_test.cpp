// Queues between threads, groups of threads that fail together, and stopping.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <list>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <set>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <recoup/core/bounded_queue.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/core/worker_group.hpp>

namespace {

using namespace recoup;
using namespace std::chrono_literals;

std::vector<int> numbers_below(int end) {
  std::vector<int> numbers(static_cast<std::size_t>(end));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

TEST(bounded_queue, keeps_the_order_and_drains_after_close) {
  bounded_queue<int> queue(10);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(queue.push(i));
  queue.close();
  EXPECT_FALSE(queue.push(99));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(queue.pop(), i);
  EXPECT_EQ(queue.pop(), std::nullopt);
  EXPECT_EQ(queue.try_pop(), std::nullopt);
}

TEST(bounded_queue, push_waits_for_room) {
  bounded_queue<int> queue(2);
  EXPECT_TRUE(queue.push(1));
  EXPECT_TRUE(queue.push(2));
  std::atomic<bool> pushed{false};
  std::thread producer([&] {
    EXPECT_TRUE(queue.push(3));
    pushed = true;
  });
  std::this_thread::sleep_for(30ms);
  EXPECT_FALSE(pushed);
  EXPECT_EQ(queue.pop(), 1);
  producer.join();
  EXPECT_EQ(queue.size(), 2u);
}

TEST(bounded_queue, bounds_the_weight) {
  bounded_queue<std::string> queue(100);
  EXPECT_TRUE(queue.push("a", 60));
  std::atomic<int> pushed{0};
  std::thread producer([&] {
    EXPECT_TRUE(queue.push("b", 40));
    pushed = 1;
    EXPECT_TRUE(queue.push("c", 1));
    pushed = 2;
  });
  while (pushed < 1) std::this_thread::yield();
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(pushed, 1);
  EXPECT_EQ(queue.pop(), "a");
  producer.join();
  EXPECT_EQ(queue.size(), 2u);
}

TEST(bounded_queue, lets_in_what_is_heavier_than_all_of_it_when_empty) {
  bounded_queue<int> queue(10);
  EXPECT_TRUE(queue.push(1, 1'000'000));
  std::atomic<bool> pushed{false};
  std::thread producer([&] {
    EXPECT_TRUE(queue.push(2, static_cast<std::size_t>(-1)));
    pushed = true;
  });
  std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(pushed);
  EXPECT_EQ(queue.pop(), 1);
  producer.join();
  EXPECT_EQ(queue.pop(), 2);
}

TEST(bounded_queue, abort_drops_what_is_queued_and_wakes_everybody) {
  bounded_queue<std::shared_ptr<int>> full(1), empty(1);
  const auto item = std::make_shared<int>(7);
  EXPECT_TRUE(full.push(item));
  std::thread producer([&] { EXPECT_FALSE(full.push(std::make_shared<int>(8))); });
  std::thread consumer([&] { EXPECT_FALSE(empty.pop().has_value()); });
  std::this_thread::sleep_for(20ms);
  full.abort();
  empty.abort();
  producer.join();
  consumer.join();
  EXPECT_EQ(item.use_count(), 1);
  EXPECT_EQ(full.pop(), std::nullopt);
}

TEST(bounded_queue, holds_what_cannot_be_copied) {
  bounded_queue<std::unique_ptr<int>> queue(1);
  EXPECT_TRUE(queue.push(std::make_unique<int>(5)));
  const auto item = queue.pop();
  ASSERT_TRUE(item);
  EXPECT_EQ(**item, 5);
}

TEST(bounded_queue, delivers_each_item_once_between_many_threads) {
  constexpr int producers = 4, each = 5000;
  bounded_queue<int> queue(17);
  std::atomic<int> running{producers};
  std::atomic<long> sum{0}, count{0};
  worker_group group;
  group.add(producers, [&](const std::stop_token&) {
    for (int i = 1; i <= each; ++i) ASSERT_TRUE(queue.push(i, static_cast<std::size_t>(i % 5 + 1)));
    if (--running == 0) queue.close();
  });
  group.add(3, [&](const std::stop_token&) {
    while (const auto item = queue.pop()) sum += *item, ++count;
  });
  group.join();
  EXPECT_EQ(count, producers * each);
  EXPECT_EQ(sum, long{producers} * each * (each + 1) / 2);
}

TEST(worker_group, the_first_exception_stops_the_others_and_is_rethrown) {
  std::atomic<int> started{0}, stopped{0};
  worker_group group(4, [&](const std::stop_token& stop) {
    if (++started == 4) throw std::out_of_range("first");
    while (!stop.stop_requested()) std::this_thread::yield();
    ++stopped;
    throw std::runtime_error("only because of the first");
  });
  EXPECT_THROW(group.join(), std::out_of_range);
  EXPECT_EQ(stopped, 3);
}

TEST(worker_group, wakes_workers_that_wait_on_a_queue) {
  bounded_queue<int> queue(1);
  worker_group group;
  const std::stop_callback wake(group.token(), [&] { queue.abort(); });
  group.add(3, [&](const std::stop_token&) {
    while (queue.pop()) {
    }
  });
  group.add(1, [](const std::stop_token&) { throw error(error_code::io, "the disk is gone"); });
  EXPECT_THROW(group.join(), error);
}

TEST(worker_group, leaving_without_join_stops_and_waits) {
  std::atomic<int> ended{0};
  {
    worker_group group(3, [&](const std::stop_token& stop) {
      while (!stop.stop_requested()) std::this_thread::sleep_for(1ms);
      ++ended;
    });
  }
  EXPECT_EQ(ended, 3);
}

TEST(worker_group, stops_with_the_caller) {
  std::stop_source caller;
  worker_group group(2, [](const std::stop_token& stop) { EXPECT_FALSE(sleep_unless_stopped(stop, 1h)); },
                     caller.get_token());
  caller.request_stop();
  try {
    group.join();
    FAIL() << "an interrupted group must say so";
  } catch (const error& caught) {
    EXPECT_EQ(caught.code(), error_code::interrupted);
  }
}

TEST(worker_group, joining_without_failure_is_quiet) {
  std::atomic<int> done{0};
  worker_group group(3, [&](const std::stop_token&) { ++done; });
  group.join();
  group.join();
  EXPECT_EQ(done, 3);
}

TEST(parallel_for_each, takes_each_item_once) {
  std::vector<int> seen(10'000, 0);
  parallel_for_each(4, seen, [](int& item) { ++item; });
  EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), 0), 10'000);
  EXPECT_EQ(*std::max_element(seen.begin(), seen.end()), 1);
}

TEST(parallel_for_each, takes_ranges_of_all_kinds) {
  for (const unsigned threads : {0u, 1u, 3u}) {
    std::atomic<int> sum{0};
    const auto add = [&](int item) { sum += item; };
    const std::list<int> list{1, 2, 3, 4};
    parallel_for_each(threads, list, add);
    EXPECT_EQ(sum, 10);
    parallel_for_each(threads, std::set<int>{5, 5, 6}, add);
    EXPECT_EQ(sum, 21);
    parallel_for_each(threads, std::vector<int>{}, add);
    EXPECT_EQ(sum, 21);
#if !defined(__clang__) || __clang_major__ >= 16  // older ones cannot compile libstdc++'s views
    parallel_for_each(threads, std::views::iota(1, 5), add);
    EXPECT_EQ(sum, 31);
    parallel_for_each(threads, list | std::views::transform([](int item) { return item * 100; }), add);
    EXPECT_EQ(sum, 1031);
    std::istringstream words("1 2 3");
    parallel_for_each(threads, std::views::istream<int>(words), add);
    EXPECT_EQ(sum, 1037);
#endif
  }
}

TEST(parallel_for_each, works_on_several_threads) {
  // Each of the three waits until all have begun, which no single thread could bring about.
  std::atomic<int> begun{0};
  parallel_for_each(3, numbers_below(3), [&](int) {
    ++begun;
    while (begun < 3) std::this_thread::yield();
  });
  EXPECT_EQ(begun, 3);
}

TEST(parallel_for_each, an_exception_ends_it_early) {
  for (const unsigned threads : {1u, 2u, 4u}) {
    std::atomic<int> called{0};
    EXPECT_THROW(parallel_for_each(threads, numbers_below(1'000'000),
                                   [&](int item) {
                                     ++called;
                                     if (item == 50) throw std::out_of_range("50");
                                     if (item > 50) std::this_thread::sleep_for(1ms);
                                   }),
                 std::out_of_range);
    EXPECT_LT(called, 100'000);
  }
}

TEST(parallel_for_each, can_be_interrupted) {
  for (const unsigned threads : {1u, 3u}) {
    std::stop_source source;
    std::atomic<int> called{0};
    EXPECT_THROW(parallel_for_each(
                     threads, numbers_below(1'000'000),
                     [&](int) {
                       if (++called == 20) source.request_stop();
                       if (called > 20) std::this_thread::sleep_for(1ms);
                     },
                     source.get_token()),
                 error);
    EXPECT_LT(called, 100'000);
  }
}

TEST(interrupt, throws_only_when_asked_to_stop) {
  std::stop_source source;
  EXPECT_NO_THROW(throw_if_stopped(source.get_token()));
  EXPECT_NO_THROW(throw_if_stopped({}));
  EXPECT_TRUE(sleep_unless_stopped(source.get_token(), 1ms));
  source.request_stop();
  EXPECT_FALSE(sleep_unless_stopped(source.get_token(), 1h));
  try {
    throw_if_stopped(source.get_token());
    FAIL();
  } catch (const error& caught) {
    EXPECT_EQ(caught.code(), error_code::interrupted);
    EXPECT_STREQ(caught.what(), "interrupted");
    EXPECT_EQ(exit_code(caught.code()), 130);
  }
}

}  // namespace
