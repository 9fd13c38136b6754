// Object lock for a repository: keeping all that restores need from being removed before a day, by anybody.
//
// The bucket's default retention locks a pack for so long from when it was saved. Deduplication goes on using old
// packs, so the lock of what today's snapshot needs runs out while the snapshot is young; hence the extension here, to
// be run regularly. Files of locks/ are left out: they are removed in normal use.
//
// What it costs: prune, forget and everything else that removes is not refused by the server, but frees nothing before
// the day. Each DELETE lays a delete marker over the object, and the version below stays, hidden and paid for.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/s3/bucket/usage.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/object.hpp>
#include <recoup/s3/object_lock.hpp>
#include <recoup/storage/layout.hpp>

namespace recoup {

struct lock_totals {
  std::uint64_t objects = 0, bytes = 0;
  std::optional<timestamp> first_until{}, last_until{};  ///< of the locks that end first and last

  void add(std::uint64_t size, const timestamp& until) {
    ++objects, bytes += size;
    if (!first_until || earlier(until, *first_until)) first_until = until;
    if (!last_until || earlier(*last_until, until)) last_until = until;
  }
};

/// What of a repository is locked now.
struct lock_report {
  lock_totals governance{}, compliance{};
  std::uint64_t held_objects = 0, held_bytes = 0;          ///< by a legal hold
  std::uint64_t unlocked_objects = 0, unlocked_bytes = 0;  ///< neither, or their lock has run out
  /// Versions that were deleted or overwritten, and cannot go yet: room that is paid for and used by nobody.
  lock_totals hidden{};
};

struct failed_extension {
  std::string key, reason;
};

struct retention_extension {
  std::uint64_t extended = 0, extended_bytes = 0;
  std::uint64_t long_enough = 0, long_enough_bytes = 0;  ///< locked until later already
  std::vector<failed_extension> failed{};
  lock_report after{};
};

struct retention_options {
  retention_mode mode = retention_mode::governance;  ///< at least; what is in COMPLIANCE stays so
  timestamp until{};
  bool dry_run = false;  ///< counts what would be extended; `after` then is what is now
  /// Called from several threads: objects done, of how many.
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = [](std::uint64_t, std::uint64_t) {};
};

namespace retention_work {

struct version {
  std::string key, version_id;
  std::uint64_t size;
  bool is_latest;
};

/// "restic/" of "restic", "" of "".
[[nodiscard]] inline std::string directory_prefix(const std::string& prefix) {
  return prefix.empty() || prefix.ends_with('/') ? prefix : prefix + '/';
}

[[nodiscard]] inline bool is_kept(std::string_view relative) {
  if (relative == "config") return true;
  constexpr std::array types{file_type::key, file_type::snapshot, file_type::index, file_type::pack};
  return std::ranges::any_of(types, [&](file_type type) {
    const std::string_view directory = directory_of(type);
    return relative.size() > directory.size() && relative.starts_with(directory) && relative[directory.size()] == '/';
  });
}

[[nodiscard]] inline std::vector<version> list_versions(s3_client& client, const std::string& bucket,
                                                        const std::string& prefix) {
  if (!get_object_lock(client, bucket).enabled)
    throw error(error_code::invalid_argument,
                "bucket " + bucket +
                    " has no object lock, which a bucket gets when it is made (recoup bucket create "
                    "--object-lock) and on some servers never after: make one, and copy the repository into it "
                    "(recoup bucket sync)");
  std::vector<version> found;
  bool has_config = false;
  list_object_versions(client, bucket, prefix, [&](const listed_object& object) {
    const auto relative = std::string_view(object.key).substr(std::min(prefix.size(), object.key.size()));
    if (object.is_delete_marker || !is_kept(relative)) return;
    has_config = has_config || (relative == "config" && object.is_latest);
    found.push_back({object.key, object.info.version_id, object.info.size, object.is_latest});
  });
  if (!has_config)
    throw error(
        error_code::repository_missing,
        "there is no repository at " + describe(client.endpoint(), bucket, prefix) + ": no config file lies there");
  return found;
}

class worker {
public:
  worker(s3_client& client, const std::string& bucket, const retention_options* extend)
      : client_(client), bucket_(bucket), extend_(extend) {}

  void run(const std::vector<version>& versions, const std::function<void(std::uint64_t, std::uint64_t)>& on_progress) {
    std::uint64_t done = 0;
    parallel_for_each(
        client_.connections(), versions,
        [&](const version& each) {
          try {
            handle(each);
          } catch (const s3_error& problem) {
            const std::lock_guard lock(mutex_);
            result_.failed.push_back({each.key, problem.what()});
          }
          const std::lock_guard lock(mutex_);
          on_progress(++done, versions.size());
        },
        client_.stop());
  }

  [[nodiscard]] retention_extension take() { return std::move(result_); }

private:
  void handle(const version& each) {
    object_info info;
    s3_request request;
    request.what = "look at the lock of an object";
    request.method = "HEAD";
    request.bucket = bucket_;
    request.key = each.key;
    if (!each.version_id.empty()) request.query.emplace_back("versionId", each.version_id);
    info.headers = client_.send(request).headers;
    auto now_locked = retention_in(info);
    const bool is_held = has_legal_hold(info);
    if (extend_ != nullptr && each.is_latest) extend(each, now_locked);
    const std::lock_guard lock(mutex_);
    count(each, now_locked, is_held);
  }

  void extend(const version& each, std::optional<object_retention>& locked) {
    const bool is_long_enough = locked && locked->mode >= extend_->mode && !earlier(locked->until, extend_->until);
    if (!is_long_enough && !extend_->dry_run) {
      object_retention wanted{extend_->mode, extend_->until};
      if (locked) {  // neither is ever lowered
        wanted.mode = std::max(wanted.mode, locked->mode);
        if (earlier(wanted.until, locked->until)) wanted.until = locked->until;
      }
      // From GOVERNANCE to COMPLIANCE is a change of the mode, for which servers ask for the right to bypass it.
      const bool changes_mode = locked && locked->mode != wanted.mode;
      put_object_retention(client_, {bucket_, each.key}, each.version_id, wanted, changes_mode);
      locked = wanted;
    }
    const std::lock_guard lock(mutex_);
    (is_long_enough ? result_.long_enough : result_.extended) += 1;
    (is_long_enough ? result_.long_enough_bytes : result_.extended_bytes) += each.size;
  }

  void count(const version& each, const std::optional<object_retention>& locked, bool is_held) {
    auto& to = result_.after;
    const bool is_locked = locked && earlier(now_, locked->until);
    if (!each.is_latest) {
      if (is_locked) to.hidden.add(each.size, locked->until);
      return;
    }
    if (is_held) ++to.held_objects, to.held_bytes += each.size;
    if (is_locked)
      (locked->mode == retention_mode::compliance ? to.compliance : to.governance).add(each.size, locked->until);
    else if (!is_held)
      ++to.unlocked_objects, to.unlocked_bytes += each.size;
  }

  s3_client& client_;
  const std::string& bucket_;
  const retention_options* const extend_;
  const timestamp now_ = current_time();
  std::mutex mutex_;  // guards the rest
  retention_extension result_;
};

}  // namespace retention_work

/// Looks at every version of a repository's files. One request for each.
[[nodiscard]] inline retention_extension report_locks(
    s3_client& client, const std::string& bucket, const std::string& prefix,
    const std::function<void(std::uint64_t, std::uint64_t)>& on_progress = [](std::uint64_t, std::uint64_t) {}) {
  const auto versions = retention_work::list_versions(client, bucket, retention_work::directory_prefix(prefix));
  retention_work::worker worker(client, bucket, nullptr);
  worker.run(versions, on_progress);
  return worker.take();
}

/// Locks config, keys, index, snapshots and packs of the repository below `prefix` until a day; locks that end later
/// and stronger modes stay. Safe while backups run; what they save meanwhile has the bucket's default alone.
[[nodiscard]] inline retention_extension extend_retention(s3_client& client, const std::string& bucket,
                                                          const std::string& prefix, const retention_options& options) {
  if (!earlier(current_time(), options.until))
    throw error(error_code::invalid_argument, "a lock must end in the future");
  const auto versions = retention_work::list_versions(client, bucket, retention_work::directory_prefix(prefix));
  retention_work::worker worker(client, bucket, &options);
  worker.run(versions, options.on_progress);
  return worker.take();
}

/// Lifts the GOVERNANCE locks of all versions whose keys begin with a prefix, for whoever has the right to
/// (s3:BypassGovernanceRetention). COMPLIANCE and legal holds stay. `extended` counts those that were lifted.
[[nodiscard]] inline retention_extension clear_governance(
    s3_client& client, const std::string& bucket, const std::string& prefix,
    const std::function<void(std::uint64_t, std::uint64_t)>& on_progress = [](std::uint64_t, std::uint64_t) {}) {
  std::vector<retention_work::version> versions;
  list_object_versions(client, bucket, prefix, [&](const listed_object& object) {
    if (!object.is_delete_marker)
      versions.push_back({object.key, object.info.version_id, object.info.size, object.is_latest});
  });
  retention_extension result;
  std::uint64_t done = 0;
  std::mutex mutex;
  parallel_for_each(
      client.connections(), versions,
      [&](const retention_work::version& each) {
        std::optional<failed_extension> failure;
        bool was_lifted = false;
        try {
          const object_name name{bucket, each.key};
          const auto locked = get_object_retention(client, name, each.version_id);
          if (locked && locked->mode == retention_mode::governance) {
            put_object_retention(client, name, each.version_id, std::nullopt, true);
            was_lifted = true;
          }
        } catch (const s3_error& problem) {
          failure = {each.key, problem.what()};
        }
        const std::lock_guard lock(mutex);
        if (was_lifted) ++result.extended, result.extended_bytes += each.size;
        if (failure) result.failed.push_back(std::move(*failure));
        on_progress(++done, versions.size());
      },
      client.stop());
  return result;
}

}  // namespace recoup
