// How much lies in a bucket, below each prefix.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/s3/bucket/setting.hpp>
#include <recoup/s3/bucket/uploads.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/object.hpp>

namespace recoup {

struct usage_counts {
  std::uint64_t objects = 0, bytes = 0;           ///< current ones
  std::uint64_t old_versions = 0, old_bytes = 0;  ///< overwritten or deleted, and kept
  std::uint64_t delete_markers = 0;
  std::uint64_t uploads = 0, upload_bytes = 0;  ///< begun and not completed

  usage_counts& operator+=(const usage_counts& more) noexcept {
    objects += more.objects, bytes += more.bytes;
    old_versions += more.old_versions, old_bytes += more.old_bytes;
    delete_markers += more.delete_markers;
    uploads += more.uploads, upload_bytes += more.upload_bytes;
    return *this;
  }
  [[nodiscard]] friend bool operator==(const usage_counts&, const usage_counts&) = default;
};

struct bucket_usage {
  usage_counts total{};
  std::map<std::string, usage_counts> prefixes{};  ///< down to the depth asked for, each with all below it
  bool versions_are_known = true;                  ///< false: the server, or its policy, lists no versions
  bool uploads_are_known = true;
};

struct usage_options {
  std::string prefix{};  ///< as it is: "restic/", with its slash, for what lies in that "directory"
  unsigned depth = 0;
  bool count_uploads = true;
  /// Called now and then, from several threads, with what was counted since the call before.
  std::function<void(const usage_counts&)> on_progress = [](const usage_counts&) {};
};

namespace bucket_usage_count {

[[nodiscard]] inline usage_counts counts_of(const listed_object& object) noexcept {
  usage_counts one;
  if (object.is_delete_marker)
    one.delete_markers = 1;
  else if (object.is_latest)
    one.objects = 1, one.bytes = object.info.size;
  else
    one.old_versions = 1, one.old_bytes = object.info.size;
  return one;
}

/// Collects from one thread and passes on in heaps.
class tally {
public:
  tally(const usage_options& options, bucket_usage& into, std::mutex& mutex)
      : options_(options), into_(into), mutex_(mutex) {}
  tally(const tally&) = delete;
  tally& operator=(const tally&) = delete;

  void add(std::string_view key, const usage_counts& one) {
    total_ += one;
    unreported_ += one;
    std::size_t end = options_.prefix.size();
    for (unsigned level = 0; level < options_.depth; ++level) {
      const auto slash = key.find('/', end);
      if (slash == std::string_view::npos) break;
      end = slash + 1;
      counts_for(key.substr(0, end)) += one;
    }
    if (++count_ % 1000 == 0) report();
  }

  void finish() {
    report();
    const std::lock_guard lock(mutex_);
    into_.total += total_;
    for (const auto& [prefix, counts] : prefixes_) into_.prefixes[prefix] += counts;
  }

private:
  [[nodiscard]] usage_counts& counts_for(std::string_view prefix) {
    const auto known = prefixes_.find(prefix);
    return known != prefixes_.end() ? known->second : prefixes_[std::string(prefix)];
  }
  void report() { options_.on_progress(std::exchange(unreported_, {})); }

  const usage_options& options_;
  bucket_usage& into_;
  std::mutex& mutex_;
  usage_counts total_, unreported_;
  std::map<std::string, usage_counts, std::less<>> prefixes_;
  unsigned count_ = 0;
};

/// Whether versions can be listed, which is a right of its own.
[[nodiscard]] inline bool can_list_versions(s3_client& client, const std::string& bucket) {
  s3_request request;
  request.what = "list object versions";
  request.bucket = bucket;
  request.query = {{"versions", ""}, {"max-keys", "1"}};
  try {
    client.send(request);
    return true;
  } catch (const s3_error& problem) {
    if (problem.code() != error_code::access_denied && !is_unknown_operation(problem.refusal())) throw;
    return false;
  }
}

inline void list(s3_client& client, const std::string& bucket, bool versions, const std::string& prefix, bool one_level,
                 const std::function<void(const listed_object&)>& visit,
                 const std::function<void(const std::string&)>& visit_prefix) {
  list_options options;
  options.prefix = prefix;
  options.use_version_1 = client.settings().list_objects_v1;
  if (one_level) options.delimiter = "/";
  if (versions)
    list_object_versions(client, bucket, options, visit, visit_prefix);
  else
    list_objects(client, bucket, options, visit, visit_prefix);
}

inline void count_uploads(s3_client& client, const std::string& bucket, tally& into, const std::string& prefix) {
  std::vector<incomplete_upload> uploads;
  list_incomplete_uploads(client, bucket, prefix, [&](const incomplete_upload& each) { uploads.push_back(each); });
  std::mutex mutex;
  parallel_for_each(
      std::min(16u, client.connections()), uploads,
      [&](const incomplete_upload& upload) {
        usage_counts one;
        one.uploads = 1;
        one.upload_bytes = size_of_upload(client, bucket, upload);
        const std::lock_guard lock(mutex);
        into.add(upload.key, one);
      },
      client.stop());
}

}  // namespace bucket_usage_count

/// Lists all below the prefix, many prefixes at once. One request for each 1000 versions, and some more.
[[nodiscard]] inline bucket_usage count_usage(s3_client& client, const std::string& bucket,
                                              const usage_options& options) {
  using namespace bucket_usage_count;
  bucket_usage found;
  found.versions_are_known = can_list_versions(client, bucket);
  std::mutex mutex;
  const auto visit_level = [&](const std::vector<std::string>& level, bool one_level) {
    std::vector<std::string> below;
    parallel_for_each(
        client.connections(), level,
        [&](const std::string& prefix) {
          tally counted(options, found, mutex);
          list(
              client, bucket, found.versions_are_known, prefix, one_level,
              [&](const listed_object& object) { counted.add(object.key, counts_of(object)); },
              [&](const std::string& next) {
                const std::lock_guard lock(mutex);
                below.push_back(next);
              });
          counted.finish();
        },
        client.stop());
    return below;
  };
  // A listing is a chain of requests, each of which waits for the one before; several chains are what makes it fast. A
  // restic repository falls into 256 of them two levels down, in data/.
  std::vector<std::string> level{options.prefix};
  constexpr std::size_t enough = 64;
  for (int depth = 0; depth < 4 && !level.empty() && level.size() < enough; ++depth) level = visit_level(level, true);
  visit_level(level, false);

  if (!options.count_uploads) return found;
  try {
    tally counted(options, found, mutex);
    count_uploads(client, bucket, counted, options.prefix);
    counted.finish();
  } catch (const s3_error& problem) {
    if (problem.code() != error_code::access_denied && !is_unknown_operation(problem.refusal())) throw;
    found.uploads_are_known = false;
  }
  return found;
}

}  // namespace recoup
