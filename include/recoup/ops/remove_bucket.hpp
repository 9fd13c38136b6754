// Removing a bucket with all that is in it.
//
//     plan     counts everything, old versions and unfinished uploads too, and looks for restic repositories
//     execute  versions and delete markers, 1000 in a request, many requests at once
//              uploads aborted
//              the bucket itself, if nothing was left over: locked versions stay until their day
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/bounded_queue.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/ops/bucket_repositories.hpp>
#include <recoup/s3/bucket/list.hpp>
#include <recoup/s3/bucket/uploads.hpp>
#include <recoup/s3/bucket/usage.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/object.hpp>
#include <recoup/s3/object_lock.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

struct bucket_removal_plan {
  std::string bucket{};
  usage_counts counts{};
  std::vector<std::string> repositories{};  ///< prefixes; "" is one at the top
  bool versions_are_known = true;

  [[nodiscard]] bool is_empty() const noexcept { return counts == usage_counts{}; }
};

struct stuck_version {
  object_version object{};
  std::string reason{};                         ///< the server's words
  std::optional<object_retention> retention{};  ///< why it cannot go, if that can be seen
  bool is_held = false;                         ///< by a legal hold
};

struct bucket_removal {
  std::uint64_t removed = 0, aborted_uploads = 0;
  std::vector<stuck_version> stuck{};
  bool bucket_is_gone = false;
};

struct bucket_removal_options {
  /// Lift GOVERNANCE locks, for whoever has the right to.
  bool bypass_governance = false;
  /// Called from several threads with how many versions went since the call before.
  std::function<void(std::uint64_t)> on_progress = [](std::uint64_t) {};
};

[[nodiscard]] inline bucket_removal_plan plan_bucket_removal(s3_client& client, const std::string& bucket) {
  bucket_removal_plan plan;
  plan.bucket = bucket;
  plan.versions_are_known = bucket_usage_count::can_list_versions(client, bucket);
  repository_detector detector;
  bucket_usage_count::list(client, bucket, plan.versions_are_known, {}, false,
                           [&](const listed_object& object) {
                             plan.counts += bucket_usage_count::counts_of(object);
                             detector.see(object.key);
                           },
                           {});
  plan.repositories = detector.repositories();
  try {
    list_incomplete_uploads(client, bucket, {}, [&](const incomplete_upload&) { ++plan.counts.uploads; });
  } catch (const s3_error& problem) {
    if (!is_unknown_operation(problem.refusal())) throw;
  }
  return plan;
}

namespace bucket_removing {

class remover {
public:
  remover(s3_client& client, const bucket_removal_plan& plan, const bucket_removal_options& options)
      : client_(client), plan_(plan), options_(options) {}

  /// Removes versions while they are listed. A page that was listed already may lose its objects.
  void remove_versions(bucket_removal& done) {
    bounded_queue<std::vector<object_version>> batches(4);
    worker_group group(client_.stop());
    const std::stop_callback wake(group.token(), [&] { batches.abort(); });
    group.add(std::min(4u, client_.connections()), [&](const std::stop_token&) {
      while (auto batch = batches.pop()) remove_batch(*batch);
    });
    group.work_here([&](const std::stop_token& token) {
      std::vector<object_version> batch;
      bucket_usage_count::list(client_, plan_.bucket, plan_.versions_are_known, {}, false,
                               [&](const listed_object& object) {
                                 throw_if_stopped(token);
                                 batch.push_back({object.key, object.info.version_id});
                                 if (batch.size() == 1000 && !batches.push(std::exchange(batch, {})))
                                   throw_if_stopped(token);
                               },
                               {});
      if (!batch.empty()) (void)batches.push(std::move(batch));
      batches.close();
    });
    group.join();
    done.removed = removed_;
    done.stuck = std::move(stuck_);
  }

  void explain_locks(std::vector<stuck_version>& stuck) {
    constexpr std::size_t enough = 1000;
    const auto count = std::min(stuck.size(), enough);
    parallel_for_each(client_.connections(), std::views::iota(std::size_t{0}, count), [&](std::size_t at) {
      auto& each = stuck[at];
      const object_name name{plan_.bucket, each.object.key};
      try {
        each.retention = get_object_retention(client_, name, each.object.version_id);
        each.is_held = get_legal_hold(client_, name, each.object.version_id);
      } catch (const s3_error&) {
        // Then the server's words have to do.
      }
    });
  }

private:
  void remove_batch(const std::vector<object_version>& batch) {
    std::vector<object_version> together;
    std::vector<failed_removal> failed;
    for (const auto& each : batch) {
      if (is_xml_text(each.key)) {
        together.push_back(each);
        continue;
      }
      try {
        delete_object(client_, {plan_.bucket, each.key}, each.version_id);
      } catch (const s3_error& problem) {
        failed.push_back({each, problem.refusal().code, problem.refusal().message});
      }
    }
    auto more = delete_objects(client_, plan_.bucket, together, options_.bypass_governance);
    failed.insert(failed.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    const auto gone = batch.size() - std::min(failed.size(), batch.size());
    removed_ += gone;
    options_.on_progress(gone);
    const std::lock_guard lock(mutex_);
    for (auto& each : failed) stuck_.push_back({std::move(each.object), each.code + ": " + each.message, {}, false});
  }

  s3_client& client_;
  const bucket_removal_plan& plan_;
  const bucket_removal_options& options_;
  std::atomic<std::uint64_t> removed_{0};
  std::mutex mutex_;  // guards the rest
  std::vector<stuck_version> stuck_;
};

inline std::uint64_t abort_uploads(s3_client& client, const std::string& bucket) {
  std::vector<incomplete_upload> uploads;
  try {
    list_incomplete_uploads(client, bucket, {}, [&](const incomplete_upload& each) { uploads.push_back(each); });
  } catch (const s3_error& problem) {
    if (!is_unknown_operation(problem.refusal())) throw;
  }
  parallel_for_each(
      client.connections(), uploads, [&](const incomplete_upload& each) { abort_upload(client, bucket, each); },
      client.stop());
  return uploads.size();
}

}  // namespace bucket_removing

/// Removes everything, and the bucket unless something is stuck in it: `bucket_is_gone` tells.
[[nodiscard]] inline bucket_removal execute_bucket_removal(s3_client& client, const bucket_removal_plan& plan,
                                                           const bucket_removal_options& options = {}) {
  bucket_removal done;
  if (!plan.is_empty()) {
    bucket_removing::remover remover(client, plan, options);
    remover.remove_versions(done);
    remover.explain_locks(done.stuck);
    done.aborted_uploads = bucket_removing::abort_uploads(client, plan.bucket);
  }
  if (!done.stuck.empty()) return done;
  delete_bucket(client, plan.bucket);
  done.bucket_is_gone = true;
  return done;
}

}  // namespace recoup
