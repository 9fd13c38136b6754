// An open repository and the lock on it, for as long as a command needs them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include <recoup/ops/open_cached.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/open_backend.hpp>

#include "command.hpp"

namespace recoup::cli {

enum class lock_mode { none, shared, exclusive };

struct lock_request {
  lock_mode mode;
  bool only_reading = false;      ///< see lock_options
  bool settle_meanwhile = false;  ///< see settling_meanwhile()
  bool two_phase_prune = false;   ///< see lock_options

  lock_request(lock_mode wanted) : mode(wanted) {}
  lock_request(lock_mode wanted, bool reads) : mode(wanted), only_reading(reads) {}
};

/// Where the options say that the repository is, opened but not looked into.
[[nodiscard]] std::shared_ptr<backend> open_storage(const context& call, const global_options& options);
/// What the options say about storage, with this command's signals and messages.
[[nodiscard]] backend_settings storage_settings(const context& call, const global_options& options);
[[nodiscard]] repository_options engine_options(const context& call);
/// What the options say about the cache, where they allow this `use` of one. What there is to tell is printed.
[[nodiscard]] cache_choice cache_choice_of(const context& call, cache_use use = cache_use::shared);

class session {
public:
  /// What a command reads first. Called once, as early as the lock allows; what it throws, the constructor throws.
  using first_reads = std::function<void(session&)>;

  /// Asks for the password if need be. With `dry_run` there is no lock and nothing is stored.
  session(context& call, lock_request lock, const first_reads& read = {}, bool dry_run = false,
          cache_use cache = cache_use::shared);
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  [[nodiscard]] repository& repo() const noexcept { return *repo_; }
  [[nodiscard]] std::shared_ptr<repository> share() const noexcept { return repo_; }
  /// Requested when the user asks to stop, or when the lock could not be kept.
  [[nodiscard]] std::stop_token token() const noexcept { return stop_.get_token(); }
  /// False in a dry run, with --no-lock, and where a reader is not allowed to lock.
  [[nodiscard]] bool is_locked() const noexcept { return lock_ && lock_->is_held(); }

  /// True if it is the name of the session's lock, or once was. Any thread may call it.
  [[nodiscard]] bool owns_lock(const id& lock) const { return lock_ && lock_->has_name(lock); }
  /// Gives the lock up and takes another one: meanwhile the repository is anybody's. Only where nothing settles meanwhile.
  void exchange_lock(const lock_request& wanted);

  /// Does a command's work; returns what it returns. Others may still have to see the lock when it begins: until then what
  /// is to be stored waits. Throws `locked` if it turns out that somebody else was first.
  template <class Work>
  auto under_lock(Work&& work) {
    return lock_ ? lock_->run(work) : work();
  }

  /// Reads the index, showing how far it is on a terminal.
  void load_index();

private:
  void acquire(const lock_request& lock, const first_reads& read);

  context& call_;
  std::shared_ptr<repository> repo_;
  std::optional<repository_lock> lock_;
  std::stop_source stop_;
  using forward = std::stop_callback<std::function<void()>>;
  std::optional<forward> forward_signal_, forward_lost_;
};

/// The snapshot that `name` means, with the index loaded. What is wrong is told in restic's words for restore and dump.
[[nodiscard]] found_snapshot find_snapshot_and_load_index(session& open, const std::string& name,
                                                          const snapshot_filter& filter);

/// For a command that does its work within session::under_lock.
[[nodiscard]] inline lock_request settling_meanwhile(lock_request wanted) {
  wanted.settle_meanwhile = true;
  return wanted;
}

/// The lock that a command which only reads takes: none with --no-lock.
[[nodiscard]] inline lock_request unless_no_lock(const context& call, lock_mode mode) {
  return {call.options.no_lock ? lock_mode::none : mode, true};
}

}  // namespace recoup::cli
