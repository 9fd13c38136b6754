// What a Python `Repository` stands for, which may live for days beside other programs that add and remove packs.
//
// An index that was read once is therefore never trusted with more than one operation:
//   backup, restore, check   each has a repository object of its own and reads the index when it holds its lock: a
//                            backup that relied on blobs which a prune took away meanwhile would have holes
//   reading trees and files  share one object; its index is compared with the list of index files after each listing of
//                            snapshots, and when something is not found
#pragma once

#include <pybind11/pybind11.h>

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
#include <recoup/core/interrupt.hpp>
#include <recoup/ops/open_cached.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/dry_run.hpp>
#include <recoup/storage/gate.hpp>

#include "storage_connections.hpp"

namespace recoup::python {

struct lock_settings {
  std::chrono::seconds retry_for{0};
  bool none = false;  ///< as --no-lock: only for what does not write
};

/// A repository that can be read while the lock on it still waits for others to see it.
struct gated_repository {
  std::shared_ptr<storage_connection> connection;
  std::shared_ptr<gated_backend> gate;
  std::shared_ptr<repository> repo;
};

/// Members may be called from any thread, without the GIL.
class live_repository {
public:
  /// `opened`, by way of `first`, tells the keys and the config; everything else is read through the cache that is
  /// chosen.
  live_repository(std::shared_ptr<storage_connections> connections, std::shared_ptr<storage_connection> first,
                  std::shared_ptr<repository> opened, lock_settings locks, cache_choice cache)
      : connections_(std::move(connections)),
        opened_(std::move(opened)),
        locks_(locks),
        cache_(std::move(cache)),
        way_(through(std::move(first))),
        cache_directory_(way_.plain->storage().cache_directory()) {}

  [[nodiscard]] const repository_config& config() const noexcept { return opened_->config(); }
  [[nodiscard]] const id& key_id() const noexcept { return opened_->key_id(); }
  [[nodiscard]] std::string location() const { return opened_->storage().location(); }
  void warn(const std::string& message) const { opened_->warn(message); }
  [[nodiscard]] const lock_settings& locks() const noexcept { return locks_; }

  /// Where copies of what was read are kept; empty if nowhere.
  [[nodiscard]] const std::string& cache_directory() const noexcept { return cache_directory_; }

  /// Another object for the same repository, without an index yet. With `dry_run` nothing that it stores goes anywhere.
  [[nodiscard]] gated_repository another(bool dry_run = false) const { return another(cache_, dry_run); }

  /// One that reads what is stored, and not the copies of it that are kept.
  [[nodiscard]] gated_repository another_to_check() const {
    auto choice = cache_;
    if (choice.use == cache_use::shared) choice.use = cache_use::temporary;
    return another(choice, false);
  }

  /// What is to be read next may be newer than the index at hand.
  void expect_news() {
    const std::lock_guard lock(index_mutex_);
    may_be_old_ = true;
  }

  /// Calls `work(repository&)`, for snapshots and other small files: the repository has no index. To be called with the
  /// GIL, which the work is done without. Ctrl-C ends what is being read, in all threads; what comes afterwards begins
  /// anew.
  template <class Work>
  auto run(Work&& work) {
    const auto through = way_to_read();
    return run_stopping(through.connection->stop, [&] { return work(*through.plain); });
  }

  /// Calls `read(std::shared_ptr<repository>, std::shared_ptr<storage_connection>)` with an index; once more with a
  /// newer one if there is, and something was not found. As run(), but for what is brief.
  template <class Read>
  auto read(Read&& read) {
    const auto through = way_to_read();
    return run_briefly_on(through.connection, [&] { return read_with_index(through, read); });
  }

  /// The same for what is not.
  template <class Read>
  auto search(Read&& read) {
    const auto through = way_to_read();
    return run_stopping(through.connection->stop, [&] { return read_with_index(through, read); });
  }

private:
  struct way {
    std::shared_ptr<storage_connection> connection;
    std::shared_ptr<repository> plain;  ///< without an index
  };

  [[nodiscard]] std::shared_ptr<repository> like_opened(std::shared_ptr<backend> storage) const {
    return std::make_shared<repository>(std::move(storage), opened_key{opened_->key_id(), opened_->master_key().copy()},
                                        opened_->config(), opened_->options());
  }

  [[nodiscard]] std::shared_ptr<backend> cached(const storage_connection& connection,
                                                const cache_choice& choice) const {
    return with_cache(connection.storage, opened_->config().id, choice);
  }

  [[nodiscard]] gated_repository another(const cache_choice& choice, bool dry_run) const {
    auto connection = connections_->take();
    auto gate = std::make_shared<gated_backend>(cached(*connection, choice));
    auto repo = like_opened(dry_run ? std::make_shared<dry_run_backend>(gate) : std::shared_ptr<backend>(gate));
    return {std::move(connection), std::move(gate), std::move(repo)};
  }

  [[nodiscard]] way through(std::shared_ptr<storage_connection> connection) const {
    auto plain = like_opened(cached(*connection, cache_));
    return {std::move(connection), std::move(plain)};
  }

  [[nodiscard]] way way_to_read() {
    const pybind11::gil_scoped_release release;
    const std::lock_guard lock(way_mutex_);
    if (way_.connection->stop.stop_requested()) way_ = through(connections_->take());
    return way_;
  }

  template <class Read>
  auto read_with_index(const way& through, Read& read) {
    const auto first = with_index(through);
    try {
      return read(first, through.connection);
    } catch (const error& problem) {
      if (problem.code() != error_code::not_found && problem.code() != error_code::damaged) throw;
      expect_news();
      const auto second = with_index(through);
      if (second == first) throw;
      return read(second, through.connection);
    }
  }

  [[nodiscard]] std::shared_ptr<repository> with_index(const way& through) {
    const std::lock_guard lock(index_mutex_);
    // Whoever held it may have been stopped together with us.
    throw_if_stopped(through.connection->stop.get_token());
    const bool is_cut_off = indexed_through_ != through.connection;
    if (reader_ && !is_cut_off && !may_be_old_) return reader_;
    auto files = through.plain->list(file_type::index);
    if (!reader_ || is_cut_off || !std::ranges::equal(files, loaded_, {}, &listed_file::name, &listed_file::name)) {
      auto fresh = like_opened(through.plain->share_storage());
      fresh->load_index();
      reader_ = std::move(fresh);
      indexed_through_ = through.connection;
      loaded_ = std::move(files);
    }
    may_be_old_ = false;
    return reader_;
  }

  const std::shared_ptr<storage_connections> connections_;
  const std::shared_ptr<repository> opened_;
  const lock_settings locks_;
  const cache_choice cache_;

  std::mutex way_mutex_;  // guards what follows
  way way_;

  std::mutex index_mutex_;  // guards what follows
  std::shared_ptr<repository> reader_;
  std::shared_ptr<storage_connection> indexed_through_;
  std::vector<listed_file> loaded_;  // listed just before reader_'s index was read
  bool may_be_old_ = false;

  const std::string cache_directory_;
};

enum class lock_mode { none, shared, exclusive };
enum class purpose { reading, writing };

/// A repository object and the lock on it, for one operation.
class operation {
public:
  operation(live_repository& live, lock_mode mode, purpose what_for, const std::stop_token& caller,
            bool dry_run = false)
      : operation(live, live.another(dry_run), mode, what_for, caller) {}

  /// With a repository object that `live` has made.
  operation(live_repository& live, gated_repository opened, lock_mode mode, purpose what_for,
            const std::stop_token& caller)
      : connection_(std::move(opened.connection)), repo_(std::move(opened.repo)), forward_caller_(caller, [this] {
          stop_.request_stop();
          connection_->stop.request_stop();
        }) {
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

  /// Calls `work()`; says so if it was stopped because of the lock. Others may still have to see the lock when it
  /// begins: until then what is to be stored waits.
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

  const std::shared_ptr<storage_connection> connection_;
  const std::shared_ptr<repository> repo_;
  std::stop_source stop_;
  forward forward_caller_;
  std::optional<repository_lock> lock_;
  std::optional<forward> forward_lost_;
};

}  // namespace recoup::python
