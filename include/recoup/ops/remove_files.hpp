// Removing many files of a repository at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/stored_file.hpp>

namespace recoup {

/// Called from any thread, but only from one at a time. What is not given is not told.
struct removal_observer {
  std::function<void(std::size_t done, std::size_t total)> on_progress;
  std::function<void(const id&)> on_removed;
  std::function<void(const id&, const error&)> on_failed;
};

/// Removes files on as many threads as the storage has connections. One that cannot be removed does not keep the others;
/// one that is gone already counts as removed. Returns those that are still there, in no order. Throws interrupted when
/// a stop is requested.
inline std::vector<id> remove_files(repository& repo, file_type type, std::span<const id> names,
                                    const removal_observer& observer = {}, std::stop_token stop = {}) {
  std::vector<id> left;
  std::mutex reporting;
  std::size_t done = 0;
  const auto remove = [&](const id& name) {
    std::optional<error> problem;
    try {
      repo.remove(type, name);
    } catch (const error& thrown) {
      if (thrown.code() == error_code::interrupted) throw;
      if (thrown.code() != error_code::not_found) problem.emplace(thrown);
    }
    const std::lock_guard lock(reporting);
    if (problem) {
      left.push_back(name);
      if (observer.on_failed) observer.on_failed(name, *problem);
    } else if (observer.on_removed) {
      observer.on_removed(name);
    }
    if (observer.on_progress) observer.on_progress(++done, names.size());
  };
  parallel_for_each(std::max(repo.storage().connections(), 2u), names, remove, std::move(stop));
  return left;
}

}  // namespace recoup
