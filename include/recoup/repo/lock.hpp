// Locks tell other programs what may happen to a repository meanwhile (restic.md section 2.11).
//
//   acquire: read all locks -> one conflicts? give up -> write ours -> wait 200 ms -> read all again -> conflict? take
//   ours back and give up. Two programs that write at the same moment both see the other and both take theirs back, as
//   schedules of two hosts may at full hours. restic's then give up; ours try again a moment later, when at the latest
//   one of them is alone.
//
// Those 200 ms need not be idle. What is read meanwhile cannot be what an exclusive lock's owner is changing, if ours was
// written less than 200 ms after we first looked: whoever we did not see then wrote a lock later, and looks again when
// ours is there.
//
// A shared lock excludes only exclusive ones; that of a two-phase prune another two-phase prune too. A lock is stale,
// and `unlock` removes it, when it is 30 minutes old, or when its process is not to be seen on the host that it names.
// Two containers may share a host's name and not see each other's processes, so a lock is taken away unasked only if
// nobody has refreshed it either: then nobody has to unlock by hand after a crash. An old lock of another host stays in
// the way, because its owner may only be asleep. Ours is rewritten every five minutes; when that has not worked for 22.5
// minutes, others may soon take us for dead, so the operation is told to stop.
#pragma once

#include <csignal>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sodium.h>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/core/time.hpp>
#include <recoup/repo/lock_file.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

[[nodiscard]] inline std::string local_hostname() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

[[nodiscard]] inline std::string local_username() {
  char buffer[4096];
  passwd entry{};
  passwd* found = nullptr;
  return ::getpwuid_r(::geteuid(), &entry, buffer, sizeof buffer, &found) == 0 && found != nullptr ? entry.pw_name : "";
}

inline constexpr std::chrono::minutes lock_stale_after{30};
inline constexpr std::chrono::minutes lock_refresh_every{5};
/// A living process has refreshed its lock by now, with time to spare for slow storage and clocks that differ.
inline constexpr std::chrono::minutes lock_abandoned_after{7};
/// Two refreshes and a half may fail before others could call the lock stale.
inline constexpr std::chrono::seconds lock_lost_after{30 * 60 - 5 * 60 * 3 / 2};

/// True if the lock names this host and a process that cannot be seen here. Signal 0 only asks; EPERM means that the
/// process lives, as another user.
[[nodiscard]] inline bool belongs_to_dead_process(const lock_file& lock) {
  return lock.hostname == local_hostname() && lock.pid > 0 && ::kill(lock.pid, 0) != 0 && errno == ESRCH;
}

[[nodiscard]] inline std::chrono::seconds age_of(const lock_file& lock, const timestamp& now) {
  return std::chrono::seconds{now.seconds - lock.time.seconds};
}

/// True if nobody should be holding this lock any more, by restic's rules.
[[nodiscard]] inline bool is_stale(const lock_file& lock, const timestamp& now) {
  return age_of(lock, now) > lock_stale_after || belongs_to_dead_process(lock);
}

/// True if the lock may be taken away without asking anybody: its process is gone, and has not refreshed it.
[[nodiscard]] inline bool is_abandoned(const lock_file& lock, const timestamp& now) {
  return age_of(lock, now) > lock_abandoned_after && belongs_to_dead_process(lock);
}

/// "PID 4711 on nas by root (UID 0, GID 0)\nlock was created at 2024-05-06 07:08:09 (1h2m3s ago)": restic's words, which
/// programs take apart to learn who holds the lock and since when.
[[nodiscard]] inline std::string describe(const lock_file& lock, std::chrono::seconds age) {
  constexpr std::size_t date_and_time = 19;
  auto when = to_rfc3339(lock.time).substr(0, date_and_time);
  std::replace(when.begin(), when.end(), 'T', ' ');
  const auto seconds = std::max<std::int64_t>(age.count(), 0);
  auto ago = std::to_string(seconds % 60) + "s ago";
  if (seconds >= 60) ago = std::to_string(seconds / 60 % 60) + "m" + ago;
  if (seconds >= 3600) ago = std::to_string(seconds / 3600) + "h" + ago;
  return "PID " + std::to_string(lock.pid) + " on " + lock.hostname + " by " + lock.username + " (UID " +
         std::to_string(lock.uid) + ", GID " + std::to_string(lock.gid) + ")\nlock was created at " + when + " (" + ago + ")";
}

[[nodiscard]] inline bool lock_is_empty(repository& repo, const id& lock) {
  try {
    return repo.storage().size({file_type::lock, lock}) == 0;
  } catch (const error& problem) {
    return problem.code() == error_code::not_found;
  }
}

/// Reads one lock. Nothing if it is gone meanwhile or empty, as a crashed writer can leave it.
[[nodiscard]] inline std::optional<lock_file> load_lock(repository& repo, const id& name) {
  try {
    return decode_lock_file(repo.load_unpacked(file_type::lock, name));
  } catch (const error& problem) {
    if (problem.code() == error_code::not_found) return std::nullopt;
    if (problem.code() == error_code::damaged && lock_is_empty(repo, name)) return std::nullopt;
    throw error(problem.code(), "lock " + name.hex() + " cannot be read: " + problem.what() +
                                    "; if no other program uses the repository, remove it with `recoup unlock "
                                    "--remove-all`");
  }
}

struct lock_options {
  bool exclusive = false;
  bool two_phase_prune = false;  ///< a shared lock that excludes others of its kind, see ops/prune.hpp
  /// Whoever only reads can do that without a lock where writing one is not allowed: on read-only media, with credentials
  /// that may only read. What is read may then be pruned away meanwhile, which is reported, not wrong.
  bool only_reading = false;
  /// How long to keep trying when somebody else's lock is in the way.
  std::chrono::seconds retry_for{0};
  std::stop_token stop{};
  /// Told once when waiting begins, with the reason.
  std::function<void(const std::string&)> on_wait = [](const std::string&) {};
  /// Reads what will be needed anyway. Called, if it is at all, while the lock waits for others to see it; what it found is
  /// worth nothing if the constructor then throws. See was_read_meanwhile().
  std::function<void()> read_meanwhile{};
  /// The constructor may return while the lock still waits for others to see it. Then nothing must be changed before
  /// confirm() has returned, and lost() is requested if it is going to throw.
  bool settle_meanwhile = false;
  /// Not to be changed but for tests: other programs count on these.
  std::chrono::milliseconds refresh_every = lock_refresh_every, lost_after = lock_lost_after;
};

/// Held from construction to destruction. Throws `locked` if others hold a lock that conflicts, access_denied if none can
/// be written and options.only_reading is false.
class repository_lock {
public:
  repository_lock(repository& repo, const lock_options& options)
      : repo_(repo),
        exclusive_(options.exclusive),
        two_phase_prune_(options.two_phase_prune),
        refresh_every_(options.refresh_every),
        lost_after_(options.lost_after) {
    is_held_ = acquire(options);
    if (!is_held_) {
      settle({});
      return;
    }
    refreshed_ = std::chrono::system_clock::now();
    refresher_ = std::jthread([this](const std::stop_token& stop) { keep_fresh(stop); });
  }

  repository_lock(const repository_lock&) = delete;
  repository_lock& operator=(const repository_lock&) = delete;

  ~repository_lock() {
    if (!is_held_) return;
    refresher_.request_stop();
    refresher_.join();
    if (!has_conflict()) remove_own();
  }

  /// Waits until others have had the time to see the lock. Throws `locked` if somebody else's turned up meanwhile. Any
  /// thread may call it.
  void confirm() {
    std::unique_lock lock(settling_);
    settled_.wait(lock, [this] { return is_settled_; });
    if (conflict_) throw error(*conflict_);
  }

  /// Calls `work()`, which may begin before others have had the time to see the lock, and returns what it returns. Throws
  /// as confirm() does where that is why the work was interrupted or worth nothing.
  template <class Work>
  auto run(Work&& work) {
    try {
      auto result = work();
      confirm();
      return result;
    } catch (const error& problem) {
      if (problem.code() == error_code::interrupted && has_conflict()) confirm();
      throw;
    }
  }

  /// True if confirm() is going to throw.
  [[nodiscard]] bool has_conflict() {
    const std::lock_guard lock(settling_);
    return conflict_.has_value();
  }

  /// Requested when the lock could not be kept; whoever works under it must stop then.
  [[nodiscard]] std::stop_token lost() const noexcept { return lost_.get_token(); }

  /// False if the storage does not allow a lock and options.only_reading allows to do without.
  [[nodiscard]] bool is_held() const noexcept { return is_held_; }

  /// True if this is the name that the lock has or has had. Any thread may call it.
  [[nodiscard]] bool has_name(const id& lock) const {
    const std::lock_guard guard(naming_);
    return std::ranges::find(own_names_, lock) != own_names_.end();
  }

  /// True if options.read_meanwhile was called.
  [[nodiscard]] bool was_read_meanwhile() const noexcept { return was_read_meanwhile_; }

private:
  static constexpr std::chrono::milliseconds settle_time{200};
  /// Pauses after collisions are of any length up to this, and up to twice this, and so on.
  static constexpr std::chrono::milliseconds collision_pause{1000};
  static constexpr unsigned most_collisions = 4;

  /// Why an attempt was given up.
  struct refusal {
    std::string reason;
    bool is_collision;  ///< nobody was there when we first looked
  };

  /// False if it has to do without.
  [[nodiscard]] bool acquire(const lock_options& options) {
    using namespace std::chrono;
    const auto give_up = steady_clock::now() + options.retry_for;
    milliseconds pause{5000};
    bool told = false;
    unsigned collisions = 0;
    for (;;) {
      std::optional<refusal> conflict;
      try {
        conflict = try_acquire(options);
        if (!conflict) return true;
      } catch (const error& problem) {
        if (problem.code() != error_code::access_denied || !options.only_reading) throw;
        repo_.warn(std::string("going on without a lock, since none can be written: ") + problem.what());
        return false;
      }
      // What was read meanwhile could not be read again.
      if (conflict->is_collision && !was_read_meanwhile_ && collisions < most_collisions) {
        const auto longest = static_cast<std::uint32_t>(collision_pause.count()) * ++collisions;
        wait(milliseconds{::randombytes_uniform(longest)}, options.stop);
        continue;
      }
      const auto left = ceil<milliseconds>(give_up - steady_clock::now());
      if (left <= milliseconds{0}) throw error(error_code::locked, conflict->reason);
      if (!std::exchange(told, true)) options.on_wait(conflict->reason);
      wait(std::min(pause, left), options.stop);
      pause = std::min<milliseconds>(pause * 2, minutes{1});
    }
  }

  /// What is in the way, or nothing when the lock is ours.
  [[nodiscard]] std::optional<refusal> try_acquire(const lock_options& options) {
    using std::chrono::steady_clock;
    const auto looked = steady_clock::now();
    if (auto conflict = find_conflict(std::nullopt)) return refusal{std::move(*conflict), false};
    name_ = write_own();
    const auto written = steady_clock::now();
    try {
      // Whoever retries would have to read again.
      if (options.read_meanwhile && written - looked < settle_time && options.retry_for.count() == 0) {
        was_read_meanwhile_ = true;
        options.read_meanwhile();
      }
      if (options.settle_meanwhile && written - looked < settle_time && options.retry_for.count() == 0) {
        settles_at_ = written + settle_time;
        return std::nullopt;
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(written + settle_time - steady_clock::now());
      wait(std::max(left, std::chrono::milliseconds{0}), options.stop);
      if (auto conflict = find_conflict(name_)) {
        remove_own();
        return refusal{std::move(*conflict), true};
      }
    } catch (...) {
      remove_own();
      throw;
    }
    settle({});
    return std::nullopt;
  }

  /// From here on confirm() does not wait. Whoever hears from it of a conflict finds lost() requested, and whoever stops
  /// because lost() is requested finds the conflict.
  void settle(std::optional<error> conflict) {
    const bool is_lost = conflict.has_value();
    {
      const std::lock_guard lock(settling_);
      conflict_ = std::move(conflict);
    }
    if (is_lost) lost_.request_stop();
    {
      const std::lock_guard lock(settling_);
      is_settled_ = true;
    }
    settled_.notify_all();
  }

  /// The rest of try_acquire, while others work already. False if the lock is ours no more.
  [[nodiscard]] bool settle_late(const std::stop_token& stop) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*settles_at_ - std::chrono::steady_clock::now());
    std::optional<error> problem;
    try {
      wait(std::max(left, std::chrono::milliseconds{0}), stop);
      if (auto conflict = find_conflict(name_)) problem.emplace(error_code::locked, *conflict);
    } catch (const error& thrown) {
      problem.emplace(thrown);
    }
    if (problem) remove_own();
    settle(problem);
    return !problem;
  }

  [[nodiscard]] std::optional<std::string> find_conflict(const std::optional<id>& own) {
    const auto now = current_time();
    for (const auto& file : repo_.list(file_type::lock)) {
      if (own && file.name == *own) continue;
      const auto other = load_patiently(file.name);
      if (!other) continue;
      if (is_abandoned(*other, now)) {
        remove_abandoned(file.name, *other, age_of(*other, now));
        continue;
      }
      if (!exclusive_ && !other->exclusive && !(two_phase_prune_ && other->two_phase_prune)) continue;
      auto conflict = std::string("unable to create lock in backend: repository is already locked ") +
                      (other->exclusive ? "exclusively " : "") + "by " + describe(*other, age_of(*other, now)) +
                      "\nstorage ID " + file.name.short_hex() +
                      "\nthe `unlock` command can be used to remove stale locks";
      if (!exclusive_ && !other->exclusive)
        conflict += "\nit is a two-phase prune, as this one is: one at a time; `--retry-lock` waits for the other";
      if (belongs_to_dead_process(*other))
        conflict +=
            "\nno process of this machine has that PID: unless a container or another machine has this host's name "
            "too, `unlock` it now; left alone, the lock is no longer in the way when it is " +
            std::to_string(lock_abandoned_after.count()) + " minutes old";
      return conflict;
    }
    return std::nullopt;
  }

  void remove_abandoned(const id& name, const lock_file& lock, std::chrono::seconds age) {
    repo_.warn("removing the lock " + name.short_hex() + " of a process that is gone: " + describe(lock, age));
    try {
      repo_.remove(file_type::lock, name);
    } catch (const error& problem) {
      if (problem.code() != error_code::not_found) repo_.warn(std::string("it stays: ") + problem.what());
    }
  }

  /// A lock may be half visible on eventually consistent storage for a moment, so one that cannot be read gets time.
  [[nodiscard]] std::optional<lock_file> load_patiently(const id& name) {
    for (int attempt = 1;; ++attempt) {
      try {
        return load_lock(repo_, name);
      } catch (const error& problem) {
        if (attempt == unreadable_attempts) throw error(error_code::locked, problem.what());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{250} * (1 << (attempt - 1)));
    }
  }
  static constexpr int unreadable_attempts = 4;

  [[nodiscard]] id write_own() {
    lock_file lock;
    lock.time = current_time();
    lock.exclusive = exclusive_;
    lock.two_phase_prune = two_phase_prune_;
    lock.hostname = local_hostname();
    lock.username = local_username();
    lock.pid = ::getpid();
    lock.uid = ::geteuid();
    lock.gid = ::getegid();
    const auto sealed = repo_.seal_unpacked(file_type::lock, encode_lock_file(lock));
    {
      const std::lock_guard guard(naming_);
      own_names_.push_back(sealed.file.name);
    }
    try {
      repo_.storage().save(sealed.file, sealed.content);
    } catch (const error& problem) {
      if (problem.code() == error_code::interrupted) remove_if_there(sealed.file);
      throw;
    }
    return sealed.file.name;
  }

  /// Whoever stops waiting for the answer does not know whether the storage has the lock.
  void remove_if_there(const stored_file& file) noexcept {
    try {
      repo_.storage().remove(file);
    } catch (const std::exception&) {
      // Most likely it is not there, or the storage is out of reach, of which there is a report already.
    }
  }

  void remove_own() noexcept {
    try {
      repo_.remove(file_type::lock, name_);
    } catch (const std::exception& problem) {
      repo_.warn(std::string("the lock ") + name_.short_hex() + " could not be removed: " + problem.what() +
                 "; it goes stale by itself in 30 minutes, or `recoup unlock` removes it");
    }
  }

  static void wait(std::chrono::milliseconds duration, const std::stop_token& stop) {
    if (!sleep_unless_stopped(stop, duration))
      throw error(error_code::interrupted, "interrupted while waiting for a lock");
  }

  void keep_fresh(const std::stop_token& stop) {
    if (settles_at_ && !settle_late(stop)) return;
    while (sleep_unless_stopped(stop, std::chrono::seconds{1})) {
      // Others judge the lock by the wall clock, which goes on while a machine sleeps.
      const auto age = std::chrono::system_clock::now() - refreshed_;
      if (age > lost_after_ && !rescue()) {
        lost_.request_stop();
        return;
      }
      if (age > refresh_every_ && std::chrono::steady_clock::now() >= next_attempt_) refresh();
    }
  }

  /// For a lock that others may call stale: it is still ours if nobody has taken it away, neither before nor shortly
  /// after we renewed it.
  [[nodiscard]] bool rescue() noexcept {
    try {
      const auto old = name_;
      if (!exists(old)) return false;
      const auto renewed = write_own();
      std::this_thread::sleep_for(settle_time);
      name_ = renewed;
      if (!exists(old)) return false;
      repo_.remove(file_type::lock, old);
      refreshed_ = std::chrono::system_clock::now();
      return true;
    } catch (const std::exception& problem) {
      repo_.warn(std::string("the repository's lock is too old and could not be renewed: ") + problem.what());
      return false;
    }
  }

  [[nodiscard]] bool exists(const id& lock) {
    return std::ranges::any_of(repo_.list(file_type::lock), [&](const listed_file& file) { return file.name == lock; });
  }

  /// Writes a new lock before it takes the old one away, so that there is no moment without one.
  void refresh() noexcept {
    try {
      const auto old = name_;
      name_ = write_own();
      refreshed_ = std::chrono::system_clock::now();
      repo_.remove(file_type::lock, old);
    } catch (const std::exception& problem) {
      next_attempt_ = std::chrono::steady_clock::now() + std::chrono::seconds{30};
      repo_.warn(std::string("the repository's lock could not be refreshed: ") + problem.what());
    }
  }

  repository& repo_;
  const bool exclusive_, two_phase_prune_;
  const std::chrono::milliseconds refresh_every_, lost_after_;
  bool is_held_ = false, was_read_meanwhile_ = false;
  id name_{};
  mutable std::mutex naming_;  // guards own_names_
  std::vector<id> own_names_;
  std::optional<std::chrono::steady_clock::time_point> settles_at_;  ///< unset: before the constructor returned
  std::mutex settling_;                                              // guards the next three
  std::condition_variable settled_;
  bool is_settled_ = false;
  std::optional<error> conflict_;
  std::chrono::system_clock::time_point refreshed_{};
  std::chrono::steady_clock::time_point next_attempt_{};
  std::stop_source lost_;
  std::jthread refresher_;
};

struct unlock_result {
  std::size_t removed = 0;
};

/// Removes stale locks, or with `all` every lock, also those that cannot be read.
inline unlock_result remove_locks(repository& repo, bool all) {
  unlock_result result;
  const auto now = current_time();
  for (const auto& file : repo.list(file_type::lock)) {
    bool remove = all;
    if (!all) {
      try {
        const auto lock = load_lock(repo, file.name);
        remove = lock && is_stale(*lock, now);
      } catch (const error& problem) {
        repo.warn(problem.what());
      }
    }
    if (!remove) continue;
    try {
      repo.remove(file_type::lock, file.name);
      ++result.removed;
    } catch (const error& problem) {
      if (problem.code() != error_code::not_found) throw;
    }
  }
  return result;
}

}  // namespace recoup
