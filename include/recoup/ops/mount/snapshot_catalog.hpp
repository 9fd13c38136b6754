// The snapshots of a mount: read again when they are looked at and it is some time since they were.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/ops/mount/options.hpp>
#include <recoup/ops/mount/snapshot_directory.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Members may be called from any thread.
class snapshot_catalog {
public:
  /// A snapshot that cannot be read is told of by `repo.warn` and passed over.
  snapshot_catalog(repository& repo, const mount_options& options) : repo_(repo), options_(options) {}
  snapshot_catalog(const snapshot_catalog&) = delete;
  snapshot_catalog& operator=(const snapshot_catalog&) = delete;

  /// Throws if they cannot be listed, and there is no earlier list to go on with.
  [[nodiscard]] std::shared_ptr<const snapshot_directory> current() {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (directory_ && now - checked_ < options_.reload_interval) return directory_;
    try {
      reload();
    } catch (const error& problem) {
      if (!directory_) throw;
      repo_.warn(std::string("cannot see whether there are new snapshots: ") + problem.what());
    }
    checked_ = std::chrono::steady_clock::now();
    return directory_;
  }

private:
  void reload() {
    const auto files = repo_.list(file_type::snapshot);
    std::unordered_set<id> listed;
    std::vector<id> missing;
    for (const auto& file : files) {
      listed.insert(file.name);
      if (!known_.contains(file.name)) missing.push_back(file.name);
    }
    const auto gone = std::erase_if(known_, [&](const auto& each) { return !listed.contains(each.first); });
    if (directory_ && gone == 0 && missing.empty()) return;
    if (directory_ && !missing.empty()) repo_.refresh_index();
    load(missing);
    std::vector<std::shared_ptr<const listed_snapshot>> shown;
    for (const auto& [name, each] : known_)
      if (each && options_.filter.matches(each->snapshot)) shown.push_back(each);
    std::ranges::sort(shown, [](const auto& a, const auto& b) {
      return same_instant(a->snapshot.time, b->snapshot.time) ? a->id < b->id : earlier(a->snapshot.time, b->snapshot.time);
    });
    directory_ = std::make_shared<const snapshot_directory>(options_.templates, shown);
  }

  void load(const std::vector<id>& names) {
    std::mutex mutex;
    parallel_for_each(std::max(repo_.storage().connections(), 2u), names, [&](const id& name) {
      std::shared_ptr<const listed_snapshot> one;
      try {
        one = std::make_shared<const listed_snapshot>(listed_snapshot{name, repo_.load_snapshot(name)});
      } catch (const error& problem) {
        if (problem.code() == error_code::interrupted) throw;
        repo_.warn("snapshot " + name.short_hex() + " is passed over: " + problem.what());
        if (problem.code() != error_code::damaged) return;  // next time it may be readable; else it is known as null
      }
      const std::lock_guard lock(mutex);
      known_.emplace(name, std::move(one));
    });
  }

  repository& repo_;
  const mount_options& options_;
  std::mutex mutex_;  // guards all below
  std::unordered_map<id, std::shared_ptr<const listed_snapshot>> known_;
  std::shared_ptr<const snapshot_directory> directory_;
  std::chrono::steady_clock::time_point checked_;
};

}  // namespace recoup
