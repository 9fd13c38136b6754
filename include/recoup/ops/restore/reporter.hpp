// The one place where a restore's results are counted, told, and turned into a reason to stop.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <new>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/ops/restore/options.hpp>

namespace recoup {

/// Any thread may call any member.
class restore_reporter {
public:
  restore_reporter(restore_observer& observer, std::stop_token outer)
      : observer_(observer), wants_items_(observer.wants_items()), outer_(std::move(outer)),
        forward_(outer_, [this] { stop_.request_stop(); }) {}

  [[nodiscard]] restore_counters& counters() const noexcept { return observer_.counters; }
  [[nodiscard]] bool wants_items() const noexcept { return wants_items_; }

  void phase(restore_phase which) { observer_.on_phase(which); }

  /// `path` is a function, so that nobody builds paths that nobody reads.
  template <class Path>
  void item(restore_action action, const Path& path, std::uint64_t size = 0) {
    if (wants_items_) observer_.on_item(action, path(), size);
  }

  void warn(const std::string& path, const std::string& message) { observer_.on_warning(path, message); }

  /// A full disk ends the whole restore: every further file would only fail in the same way.
  void failed(const std::string& path, const error& problem) {
    if (problem.code() == error_code::interrupted) {
      stop_.request_stop();
      return;
    }
    ++observer_.counters.errors;
    observer_.on_error(path, problem);
    if (problem.code() != error_code::no_space) return;
    const std::lock_guard lock(mutex_);
    if (!fatal_) fatal_.emplace(error_code::no_space, std::string(problem.what()) +
                                    "; the restore was stopped. Make room and restore again: what is complete is kept");
    stop_.request_stop();
  }

  /// Runs `work` for the item that `path()` names; what it throws becomes that item's error. True if nothing was
  /// thrown.
  template <class Path, class Work>
  bool attempt(const Path& path, const Work& work) {
    try {
      work();
      return true;
    } catch (const error& problem) {
      failed(path(), problem);
    } catch (const std::bad_alloc&) {
      failed(path(), error(error_code::failure, "not enough memory"));
    }
    return false;
  }

  /// Requested by the caller, or by us because going on makes no sense.
  [[nodiscard]] std::stop_token token() const noexcept { return stop_.get_token(); }

  /// Throws the reason if the restore has to stop.
  void check() const {
    {
      const std::lock_guard lock(mutex_);
      if (fatal_) throw error(*fatal_);
    }
    throw_if_stopped(stop_.get_token());
  }

private:
  restore_observer& observer_;
  const bool wants_items_;
  std::stop_source stop_;
  std::stop_token outer_;
  mutable std::mutex mutex_;
  std::optional<error> fatal_;
  std::stop_callback<std::function<void()>> forward_;
};

}  // namespace recoup
