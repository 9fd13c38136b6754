// What a Python `Repository` stands for, which may live for days beside other programs that add and remove packs.
//
// An index that was read once is therefore never trusted with more than one operation:
//   backup, restore, check   each has a repository object of its own and reads the index when it holds its lock: a
//                            backup that relied on blobs which a prune took away meanwhile would have holes
//   reading trees and files  share one object; its index is compared with the list of index files after each listing of
//                            snapshots, and when something is not found
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/ops/open_cached.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/dry_run.hpp>
#include <recoup/storage/gate.hpp>

namespace recoup::python {

struct lock_settings {
  std::chrono::seconds retry_for{0};
  bool none = false;  ///< as --no-lock: only for what does not write
};

/// A repository that can be read while the lock on it still waits for others to see it.
struct gated_repository {
  std::shared_ptr<gated_backend> gate;
  std::shared_ptr<repository> repo;
};

/// Members may be called from any thread, without the GIL.
class live_repository {
public:
  /// `opened` tells the keys and the config; everything else is read through the cache that is chosen.
  live_repository(std::shared_ptr<backend> storage, const repository& opened, lock_settings locks, cache_choice cache)
      : cache_(std::move(cache)), uncached_(std::move(storage)),
        storage_(with_cache(uncached_, opened.config().id, cache_)), facts_(like(opened, storage_)), locks_(locks) {}

  /// For config, keys and small files: no index.
  [[nodiscard]] repository& facts() const noexcept { return *facts_; }
  [[nodiscard]] const lock_settings& locks() const noexcept { return locks_; }

  /// Another object for the same repository, without an index yet. With `dry_run` nothing that it stores goes anywhere.
  [[nodiscard]] gated_repository another(bool dry_run = false) const {
    auto gate = std::make_shared<gated_backend>(storage_);
    return {gate, like(*facts_, dry_run ? std::make_shared<dry_run_backend>(gate) : std::shared_ptr<backend>(gate))};
  }

  /// One that reads what is stored, and not the copies of it that are kept.
  [[nodiscard]] gated_repository another_to_check() const {
    auto choice = cache_;
    if (choice.use == cache_use::shared) choice.use = cache_use::temporary;
    auto gate = std::make_shared<gated_backend>(with_cache(uncached_, facts_->config().id, choice));
    return {gate, like(*facts_, gate)};
  }

  /// What is to be read next may be newer than the index at hand.
  void expect_news() {
    const std::lock_guard lock(mutex_);
    may_be_old_ = true;
  }

  /// Calls `read(std::shared_ptr<repository>)` with an index; once more with a newer one if there is, and something was
  /// not found.
  template <class Read>
  auto read(Read&& read) {
    const auto first = with_index();
    try {
      return read(first);
    } catch (const error& problem) {
      if (problem.code() != error_code::not_found && problem.code() != error_code::damaged) throw;
      expect_news();
      const auto second = with_index();
      if (second == first) throw;
      return read(second);
    }
  }

private:
  [[nodiscard]] static std::shared_ptr<repository> like(const repository& other, std::shared_ptr<backend> storage) {
    return std::make_shared<repository>(std::move(storage), opened_key{other.key_id(), other.master_key().copy()},
                                        other.config(), other.options());
  }

  [[nodiscard]] std::shared_ptr<repository> with_index() {
    const std::lock_guard lock(mutex_);
    if (reader_ && !may_be_old_) return reader_;
    auto files = facts_->list(file_type::index);
    if (!reader_ || !std::ranges::equal(files, loaded_, {}, &listed_file::name, &listed_file::name)) {
      auto fresh = like(*facts_, storage_);
      fresh->load_index();
      reader_ = std::move(fresh);
      loaded_ = std::move(files);
    }
    may_be_old_ = false;
    return reader_;
  }

  const cache_choice cache_;
  const std::shared_ptr<backend> uncached_, storage_;
  const std::shared_ptr<repository> facts_;
  const lock_settings locks_;

  std::mutex mutex_;  // guards what follows
  std::shared_ptr<repository> reader_;
  std::vector<listed_file> loaded_;  // listed just before reader_'s index was read
  bool may_be_old_ = false;
};

enum class lock_mode { none, shared, exclusive };
enum class purpose { reading, writing };

/// A repository object and the lock on it, for one operation.
class operation {
public:
  operation(live_repository& live, lock_mode mode, purpose what_for, const std::stop_token& caller, bool dry_run = false)
      : operation(live, live.another(dry_run), mode, what_for, caller) {}

  /// With a repository object that `live` has made.
  operation(live_repository& live, gated_repository opened, lock_mode mode, purpose what_for, const std::stop_token& caller)
      : repo_(std::move(opened.repo)), forward_caller_(caller, [this] { stop_.request_stop(); }) {
    if (mode == lock_mode::none) return;
    lock_options wanted;
    wanted.exclusive = mode == lock_mode::exclusive;
    wanted.only_reading = what_for == purpose::reading;
    wanted.settle_meanwhile = true;
    wanted.retry_for = live.locks().retry_for;
    wanted.stop = caller;
    wanted.on_wait = [this](const std::string& reason) { repo_->warn("waiting for a lock: " + reason); };
    lock_.emplace(*repo_, wanted);
    opened.gate->hold([this] { lock_->confirm(); });
    forward_lost_.emplace(lock_->lost(), [this] { stop_.request_stop(); });
  }

  [[nodiscard]] repository& repo() const noexcept { return *repo_; }
  /// Requested by the caller, or because the lock could not be kept.
  [[nodiscard]] std::stop_token token() const noexcept { return stop_.get_token(); }
  [[nodiscard]] bool is_locked() const noexcept { return lock_ && lock_->is_held(); }

  /// Calls `work()`; says so if it was stopped because of the lock. Others may still have to see the lock when it begins:
  /// until then what is to be stored waits.
  template <class Work>
  auto run(Work&& work) {
    try {
      return lock_ ? lock_->run(work) : work();
    } catch (const error& problem) {
      if (problem.code() != error_code::interrupted || !lock_ || !lock_->lost().stop_requested()) throw;
      throw error(error_code::locked, "the lock on the repository could not be kept, so the work was stopped");
    }
  }

private:
  using forward = std::stop_callback<std::function<void()>>;

  const std::shared_ptr<repository> repo_;
  std::stop_source stop_;
  forward forward_caller_;
  std::optional<repository_lock> lock_;
  std::optional<forward> forward_lost_;
};

}  // namespace recoup::python
