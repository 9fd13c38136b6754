// Who may work beside whom, and what becomes of locks that nobody holds any more.
#include <recoup/repo/lock.hpp>
#include <recoup/storage/fault.hpp>
#include <recoup/storage/gate.hpp>

#include <sys/wait.h>

#include <atomic>
#include <barrier>
#include <latch>
#include <thread>
#include <utility>

#include "at_last.hpp"
#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

int pid_of_dead_process() {
  const auto child = ::fork();
  if (child == 0) ::_exit(0);
  int status = 0;
  ::waitpid(child, &status, 0);
  return child;
}

class repository_lock_test : public testing::Test {
protected:
  repository_lock_test() : storage_(std::make_shared<fault_backend>(std::make_shared<memory_backend>())) {
    repository_options options;
    options.on_warning = [this](const std::string& text) { warnings_.push_back(text); };
    repo_ = make_repository(storage_, 2, options);
  }

  static lock_options exclusive(bool yes = true) {
    lock_options options;
    options.exclusive = yes;
    return options;
  }

  id save_lock(bool is_exclusive, const std::string& host, int pid, std::int64_t age = 0) {
    lock_file lock;
    lock.time = current_time();
    lock.time.seconds -= age;
    lock.exclusive = is_exclusive;
    lock.hostname = host;
    lock.username = "somebody";
    lock.pid = pid;
    return repo_->save_unpacked(file_type::lock, encode_lock_file(lock));
  }

  [[nodiscard]] std::vector<id> locks() const {
    std::vector<id> names;
    for (const auto& file : repo_->list(file_type::lock)) names.push_back(file.name);
    return names;
  }

  /// Until `attempt()` says yes; no after 20 times. For what a lock does within 200 ms: whether it has them depends on
  /// what else the machine does, but not each time.
  template <class Attempt>
  [[nodiscard]] static bool once_of_many(Attempt attempt) {
    for (int i = 0; i < 20; ++i)
      if (attempt()) return true;
    return false;
  }

  /// What `action` fails with; nothing where it does not.
  template <class Action>
  [[nodiscard]] static std::optional<error> failure_of(Action action) {
    try {
      action();
    } catch (const error& problem) {
      return problem;
    }
    return std::nullopt;
  }

  static void expect_failure(const std::optional<error>& problem, error_code code, std::string_view part) {
    expect_error(code, part, [&] {
      if (problem) throw error(*problem);
    });
  }

  void expect_locked(bool is_exclusive, std::string_view part) {
    expect_error(error_code::locked, part, [&] { const repository_lock lock(*repo_, exclusive(is_exclusive)); });
  }

  std::shared_ptr<fault_backend> storage_;
  std::shared_ptr<repository> repo_;
  std::vector<std::string> warnings_;
};

TEST_F(repository_lock_test, exists_while_it_is_held) {
  {
    const repository_lock lock(*repo_, exclusive());
    ASSERT_EQ(locks().size(), 1u);
    const auto stored = load_lock(*repo_, locks().front());
    EXPECT_TRUE(stored->exclusive);
    EXPECT_EQ(stored->pid, ::getpid());
    EXPECT_EQ(stored->hostname, local_hostname());
    EXPECT_LE(std::abs(stored->time.seconds - current_time().seconds), 5);
    EXPECT_FALSE(lock.lost().stop_requested());
  }
  EXPECT_TRUE(locks().empty());
}

TEST_F(repository_lock_test, shared_ones_exclude_only_exclusive_ones) {
  {
    const repository_lock first(*repo_, exclusive(false));
    const repository_lock second(*repo_, exclusive(false));
    EXPECT_EQ(locks().size(), 2u);
    expect_locked(true, "already locked by PID " + std::to_string(::getpid()));
    EXPECT_EQ(locks().size(), 2u);
  }
  const repository_lock alone(*repo_, exclusive());
  expect_locked(true, "already locked exclusively by");
  expect_locked(false, "already locked exclusively by");
  EXPECT_EQ(locks().size(), 1u);
}

TEST_F(repository_lock_test, the_message_says_who_holds_it) {
  const auto name = save_lock(true, "far-away", 4711);
  for (const auto* part : {"PID 4711 on far-away by somebody", "lock was created at", "s ago)", "`unlock`"})
    expect_locked(false, part);
  expect_locked(false, name.short_hex());
}

TEST_F(repository_lock_test, of_those_that_come_at_the_same_moment_one_gets_it) {
  lock_options two_phase;
  two_phase.two_phase_prune = true;
  for (const auto& options : {exclusive(), two_phase}) {
    std::atomic<int> had{0};
    std::barrier start(4);
    std::latch tried(4);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        start.arrive_and_wait();
        try {
          const repository_lock lock(*repo_, options);
          ++had;
          // Held until all have tried: nobody else may get it.
          tried.arrive_and_wait();
        } catch (const error& problem) {
          EXPECT_EQ(problem.code(), error_code::locked);
          tried.count_down();
        }
      });
    threads.clear();
    EXPECT_EQ(had, 1);
    EXPECT_TRUE(locks().empty());
  }
}

TEST_F(repository_lock_test, who_looked_before_anybody_was_there_tries_again) {
  // Somebody's lock comes at the same moment as ours, and is taken back as ours is.
  bool has_come = false;
  std::optional<id> other;
  storage_->before_each([&](const storage_event& event) {
    if (event.operation == storage_operation::save && !std::exchange(has_come, true))
      other = save_lock(true, "elsewhere", 7);
    else if (event.operation == storage_operation::remove && other)
      repo_->remove(file_type::lock, *std::exchange(other, std::nullopt));
  });
  const repository_lock lock(*repo_, exclusive());
  EXPECT_TRUE(has_come);
  EXPECT_EQ(locks().size(), 1u);
}

TEST_F(repository_lock_test, what_was_read_while_somebody_else_came_is_not_read_again) {
  auto options = exclusive();
  int reads = 0;
  options.read_meanwhile = [&] {
    ++reads;
    (void)save_lock(true, "elsewhere", 7);
  };
  std::optional<error> problem;
  ASSERT_TRUE(once_of_many([&] {
    problem = failure_of([&] { const repository_lock lock(*repo_, options); });
    return reads > 0;
  }));
  expect_failure(problem, error_code::locked, "elsewhere");
  EXPECT_EQ(reads, 1);
}

TEST_F(repository_lock_test, of_a_process_that_cannot_be_seen_is_in_the_way_while_it_is_fresh) {
  // It may live in a container that shares the host's name.
  const auto fresh = save_lock(true, local_hostname(), pid_of_dead_process(), 6 * 60);
  expect_locked(false, "`unlock` it now");
  EXPECT_EQ(locks(), std::vector{fresh});
}

TEST_F(repository_lock_test, an_abandoned_one_is_removed) {
  const auto dead = save_lock(true, local_hostname(), pid_of_dead_process(), 8 * 60);
  const repository_lock lock(*repo_, exclusive());
  EXPECT_EQ(std::ranges::count(locks(), dead), 0);
  ASSERT_FALSE(warnings_.empty());
  EXPECT_NE(warnings_[0].find(dead.short_hex()), std::string::npos);
}

TEST_F(repository_lock_test, other_hosts_processes_cannot_be_seen) {
  const auto foreign = save_lock(true, "far-away", pid_of_dead_process(), 31 * 60);
  expect_locked(true, "far-away");  // old, but its owner may only be asleep
  EXPECT_EQ(locks(), std::vector{foreign});
}

TEST_F(repository_lock_test, a_lock_that_cannot_be_read_is_in_the_way) {
  const auto junk = repo_->save_unpacked(file_type::lock, "{\"time\":\"yesterday\"}");
  expect_locked(false, "lock " + junk.hex() + " cannot be read");
  EXPECT_EQ(locks(), std::vector{junk});
}

TEST_F(repository_lock_test, an_empty_file_is_no_lock) {
  storage_->save({file_type::lock, id{}}, {});
  const repository_lock lock(*repo_, exclusive());
  EXPECT_EQ(locks().size(), 2u);
}

TEST_F(repository_lock_test, waiting_for_it) {
  auto options = exclusive();
  options.retry_for = std::chrono::seconds(3);
  int told = 0;
  std::optional<repository_lock> other;
  options.on_wait = [&](const std::string& why) {
    ++told;
    EXPECT_NE(why.find("already locked"), std::string::npos);
    other.reset();
  };
  other.emplace(*repo_, exclusive());
  const repository_lock lock(*repo_, options);
  EXPECT_EQ(told, 1);
}

TEST_F(repository_lock_test, waiting_can_be_interrupted) {
  const repository_lock other(*repo_, exclusive());
  std::stop_source stop;
  auto options = exclusive();
  options.retry_for = std::chrono::minutes(10);
  options.stop = stop.get_token();
  options.on_wait = [&](const std::string&) { stop.request_stop(); };
  expect_error(error_code::interrupted, "waiting for a lock", [&] { const repository_lock lock(*repo_, options); });
  EXPECT_EQ(locks().size(), 1u);
}

TEST_F(repository_lock_test, interrupted_while_it_is_written_nothing_stays) {
  for (const auto kind : {fault_kind::fail_before, fault_kind::fail_after}) {
    fault_plan plan;
    plan.faults.push_back({.kind = kind, .operation = storage_operation::save, .code = error_code::interrupted});
    storage_->set_plan(plan);
    expect_error(error_code::interrupted, "save lock", [&] { const repository_lock lock(*repo_, exclusive()); });
    storage_->set_plan({});
    EXPECT_TRUE(locks().empty());
    EXPECT_TRUE(warnings_.empty());
  }
}

/// Its own lock is there when it reads; nobody else's is written later than it looks again.
TEST_F(repository_lock_test, reads_while_others_have_time_to_see_it) {
  std::size_t locks_seen = 0;
  auto options = exclusive();
  options.read_meanwhile = [&] { locks_seen = locks().size(); };
  EXPECT_TRUE(once_of_many([&] {
    const auto begun = std::chrono::steady_clock::now();
    const repository_lock lock(*repo_, options);
    EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(200));
    return lock.was_read_meanwhile();
  }));
  EXPECT_EQ(locks_seen, 1u);

  std::optional<error> problem;
  const auto lock_and_fail = [&] {
    problem = failure_of([&] { const repository_lock lock(*repo_, options); });
    return problem.has_value();
  };
  options.read_meanwhile = [&] { (void)save_lock(false, "far-away", 1); };
  ASSERT_TRUE(once_of_many(lock_and_fail));
  expect_failure(problem, error_code::locked, "far-away");
  EXPECT_EQ(locks().size(), 1u);
  (void)remove_locks(*repo_, true);

  options.read_meanwhile = [] { throw error(error_code::not_found, "no such snapshot"); };
  ASSERT_TRUE(once_of_many(lock_and_fail));
  expect_failure(problem, error_code::not_found, "no such snapshot");
  EXPECT_TRUE(locks().empty());
}

TEST_F(repository_lock_test, reads_only_once_it_has_the_lock_where_meanwhile_is_too_early) {
  auto options = exclusive();
  options.read_meanwhile = [] { ADD_FAILURE() << "too early"; };
  options.retry_for = std::chrono::seconds(1);  // it might have to read again
  EXPECT_FALSE(repository_lock(*repo_, options).was_read_meanwhile());

  // So slow that another program may have looked for the last time before ours was written.
  options.retry_for = {};
  fault_plan plan;
  plan.faults.push_back(
      {.kind = fault_kind::delay, .operation = storage_operation::save, .pause = std::chrono::milliseconds(250)});
  storage_->set_plan(plan);
  EXPECT_FALSE(repository_lock(*repo_, options).was_read_meanwhile());
}

lock_options settling_meanwhile(bool exclusive) {
  lock_options options;
  options.exclusive = exclusive;
  options.settle_meanwhile = true;
  return options;
}

TEST_F(repository_lock_test, work_may_begin_while_others_have_time_to_see_it) {
  using std::chrono::steady_clock, std::chrono::milliseconds;
  EXPECT_TRUE(once_of_many([&] {
    const auto began = steady_clock::now();
    repository_lock lock(*repo_, settling_meanwhile(true));
    const auto had_it = steady_clock::now();
    EXPECT_EQ(locks().size(), 1u);
    lock.confirm();
    EXPECT_GE(steady_clock::now() - began, milliseconds{200});
    EXPECT_FALSE(lock.lost().stop_requested());
    lock.confirm();
    EXPECT_EQ(locks().size(), 1u);
    return had_it - began < milliseconds{150};
  }));
  EXPECT_TRUE(locks().empty());
}

TEST_F(repository_lock_test, whoever_worked_meanwhile_is_told_that_somebody_else_was_there) {
  EXPECT_TRUE(once_of_many([&] {
    repository_lock lock(*repo_, settling_meanwhile(false));
    const auto other = save_lock(true, "elsewhere", 7);
    const auto problem = failure_of([&] { lock.confirm(); });
    if (!problem) {  // the other one came too late
      repo_->remove(file_type::lock, other);
      return false;
    }
    expect_failure(problem, error_code::locked, "already locked exclusively");
    EXPECT_TRUE(lock.has_conflict());
    EXPECT_TRUE(lock.lost().stop_requested());
    EXPECT_EQ(locks(), std::vector{other});
    return true;
  }));
}

TEST_F(repository_lock_test, work_that_ends_early_does_not_wait) {
  EXPECT_TRUE(once_of_many([&] {
    const auto began = std::chrono::steady_clock::now();
    { const repository_lock lock(*repo_, settling_meanwhile(true)); }
    return std::chrono::steady_clock::now() - began < std::chrono::milliseconds{150};
  }));
  EXPECT_TRUE(locks().empty());
}

TEST_F(repository_lock_test, what_changes_the_repository_waits_until_it_is_confirmed) {
  const auto gate = std::make_shared<gated_backend>(storage_);
  const auto gated = open_repository(gate);
  int stored = 0;
  /// True where it was refused.
  const auto store = [&](bool conflict) {
    const auto began = std::chrono::steady_clock::now();
    repository_lock lock(*gated, settling_meanwhile(false));
    gate->hold([&] { lock.confirm(); });
    const auto other = conflict ? std::optional(save_lock(true, "elsewhere", 7)) : std::nullopt;
    const auto packs = gated->list(file_type::pack).size();
    (void)gated->save_blob(blob_type::data, as_bytes("blob " + std::to_string(++stored)));
    const auto problem = failure_of([&] { gated->flush(); });
    EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds{200});
    if (problem) expect_failure(problem, error_code::locked, "already locked");
    EXPECT_EQ(gated->list(file_type::pack).size(), packs + (problem ? 0 : 1));
    if (other) repo_->remove(file_type::lock, *other);
    return problem.has_value();
  };
  EXPECT_FALSE(store(false));
  EXPECT_TRUE(once_of_many([&] { return store(true); }));
}

TEST_F(repository_lock_test, is_renewed_and_there_is_no_moment_without_one) {
  std::atomic<bool> missing{false}, watching{true};
  auto options = exclusive();
  options.refresh_every = std::chrono::milliseconds(100);
  id first{};
  {
    const repository_lock lock(*repo_, options);
    first = locks().front();
    std::thread watcher([&] {
      while (watching) missing = missing || locks().empty();
    });
    // The old one goes after the new one has come: meanwhile there are two.
    EXPECT_TRUE(at_last([&] {
      const auto now = locks();
      return now.size() == 1 && now.front() != first;
    }));
    watching = false;
    watcher.join();
    EXPECT_FALSE(lock.lost().stop_requested());
  }
  EXPECT_FALSE(missing);
  EXPECT_TRUE(locks().empty());
}

TEST_F(repository_lock_test, who_cannot_renew_it_is_told_to_stop) {
  auto options = exclusive();
  options.refresh_every = std::chrono::milliseconds(100);
  options.lost_after = std::chrono::milliseconds(1500);
  const repository_lock lock(*repo_, options);
  fault_plan plan;
  plan.faults.push_back({.operation = storage_operation::save, .times = fault::forever});
  storage_->set_plan(plan);
  EXPECT_TRUE(at_last([&] { return lock.lost().stop_requested(); }));
  storage_->set_plan({});
}

TEST_F(repository_lock_test, a_lock_that_somebody_took_away_is_lost) {
  auto options = exclusive();
  options.refresh_every = std::chrono::hours(1);
  options.lost_after = std::chrono::milliseconds(100);
  const repository_lock lock(*repo_, options);
  repo_->remove(file_type::lock, locks().front());
  EXPECT_TRUE(at_last([&] { return lock.lost().stop_requested(); }));
}

TEST_F(repository_lock_test, no_lock_stays_after_a_failed_attempt) {
  for (std::uint64_t nth = 1;; ++nth) {
    fault_plan plan;
    plan.faults.push_back({.nth = nth});
    storage_->set_plan(plan);
    bool got_it = true;
    try {
      const repository_lock lock(*repo_, exclusive());
    } catch (const error&) {
      got_it = false;
    }
    const auto last = storage_->count() < nth;
    storage_->set_plan({});
    // The one failing operation may be the removal itself.
    EXPECT_LE(locks().size(), got_it ? 1u : 0u);
    (void)remove_locks(*repo_, true);
    if (last) break;
  }
}

TEST_F(repository_lock_test, unlock_removes_what_is_stale) {
  const auto fresh = save_lock(false, "far-away", 1, 29 * 60), mine = save_lock(true, local_hostname(), ::getpid());
  (void)save_lock(true, "far-away", 1, 31 * 60);
  (void)save_lock(false, local_hostname(), pid_of_dead_process());
  const auto junk = repo_->save_unpacked(file_type::lock, "junk");
  EXPECT_EQ(remove_locks(*repo_, false).removed, 2u);
  auto left = std::vector{fresh, mine, junk};
  std::ranges::sort(left);
  EXPECT_EQ(locks(), left);
  EXPECT_EQ(warnings_.size(), 1u);  // of the one that cannot be read
  EXPECT_EQ(remove_locks(*repo_, true).removed, 3u);
  EXPECT_TRUE(locks().empty());
}

}  // namespace
}  // namespace recoup
