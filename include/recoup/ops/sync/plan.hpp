// What a copy has to do: both ends listed and compared, before anything is changed.
//
// All keys are held in memory, about 150 bytes for each: 150 MB for a million objects at each end.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/ops/sync/bucket_place.hpp>
#include <recoup/ops/sync/place.hpp>

namespace recoup {

struct sync_options {
  bool checksum = false;        ///< read both ends to see what differs, and believe neither sizes nor times nor ETags
  bool read_back = false;       ///< read every copy back, also where the server's ETag proves it already
  bool remove_extra = false;    ///< remove from the destination what the source does not have
  bool allow_emptying = false;  ///< even if that leaves nothing of what is there now
  std::uint64_t memory = std::uint64_t{256} << 20;  ///< bytes of contents in flight
};

enum class sync_reason : std::uint8_t {
  missing,    ///< not there
  differs,    ///< there, but of another size, ETag or time
  to_compare  ///< there, of the same size: its contents have to be read
};

struct sync_item {
  sync_entry entry;
  sync_reason reason;
};

struct sync_failure {
  std::string key, reason;
};

struct sync_plan {
  std::vector<sync_item> items{};  ///< to copy, in order of their keys
  std::uint64_t bytes = 0;         ///< in those
  std::uint64_t equal = 0, equal_bytes = 0;
  std::vector<std::string> removals{};  ///< there, and not in the source; only with remove_extra
  std::uint64_t extra = 0;              ///< the same, counted always
  std::uint64_t source_objects = 0, destination_objects = 0;
  std::vector<sync_failure> failures{};    ///< in the source, and cannot be copied
  std::vector<sync_failure> left_alone{};  ///< at the destination, and no business of ours: links, devices
  /// The removals are all that is at the destination: a wrong or unmounted source looks like that.
  bool empties_destination = false;
};

namespace sync_planning {

/// Same size is known already.
[[nodiscard]] inline bool is_equal(const sync_place& from, const sync_entry& here, const sync_place& to,
                                   const sync_entry& there) {
  if (to.is_directory()) {
    if (here.key.ends_with('/') && here.size == 0) return true;  // a directory is a directory
    // The copy has the time of its source, in seconds: that is what HEAD tells.
    return here.modified.seconds == there.modified.seconds;
  }
  if (!from.is_directory()) {
    if (!here.etag.empty() && here.etag == there.etag) return true;
    if (is_md5_etag(here.etag) && is_md5_etag(there.etag)) return false;
  }
  // Copied in other parts, or from a file: then the copy is younger, unless the source was changed since.
  return !earlier(there.modified, here.modified);
}

[[nodiscard]] inline std::vector<sync_entry> sorted_list(sync_place& place, std::vector<sync_failure>& unusable) {
  std::vector<sync_entry> entries;
  place.list([&](sync_entry entry) { entries.push_back(std::move(entry)); },
             [&](const std::string& name, const std::string& reason) { unusable.push_back({name, reason}); });
  std::ranges::sort(entries, {}, &sync_entry::key);
  return entries;
}

inline void refuse_overlap(const sync_place& from, const sync_place& to) {
  const auto* here = dynamic_cast<const bucket_place*>(&from);
  const auto* there = dynamic_cast<const bucket_place*>(&to);
  if (here == nullptr || there == nullptr) {
    if (from.is_directory() && to.is_directory())
      throw error(error_code::unsupported, "both ends are directories: use rsync or cp for that");
    return;
  }
  if (here->client().endpoint() == there->client().endpoint() && here->bucket() == there->bucket() &&
      (here->prefix().starts_with(there->prefix()) || there->prefix().starts_with(here->prefix())))
    throw error(error_code::invalid_argument,
                "cannot copy " + from.describe() + " to " + to.describe() + ": one lies in the other");
}

}  // namespace sync_planning

[[nodiscard]] inline sync_plan plan_sync(sync_place& from, sync_place& to, const sync_options& options = {}) {
  using namespace sync_planning;
  refuse_overlap(from, to);
  sync_plan plan;
  const auto sources = sorted_list(from, plan.failures);
  // A marker of the directory that is copied says nothing about what lies in it.
  std::erase_if(plan.failures, [&](const sync_failure&) { return !from.is_directory(); });
  to.expect(sources);
  const auto present = sorted_list(to, plan.left_alone);
  plan.source_objects = sources.size();
  plan.destination_objects = present.size();

  auto there = present.begin();
  const auto pass_extra = [&](std::string_view before, bool is_end) {
    for (; there != present.end() && (is_end || there->key < before); ++there) {
      ++plan.extra;
      if (options.remove_extra) plan.removals.push_back(there->key);
    }
  };
  for (const auto& here : sources) {
    pass_extra(here.key, false);
    const bool is_there = there != present.end() && there->key == here.key;
    const auto* found = is_there ? &*there++ : nullptr;
    const auto below = here.key + '/';
    const auto next = std::ranges::lower_bound(sources, below, {}, &sync_entry::key);
    const bool is_directory_too = next != sources.end() && next->key.starts_with(below);
    if (auto problem = to.problem_of(here.key, is_directory_too, here.size); !problem.empty()) {
      plan.failures.push_back({here.key, to.is_directory() ? "it cannot be the name of a file: " + problem : problem});
      continue;
    }
    if (found != nullptr && found->size == here.size) {
      const bool is_marker = to.is_directory() && here.key.ends_with('/') && here.size == 0;
      if (!options.checksum || is_marker) {
        if (is_equal(from, here, to, *found)) {
          ++plan.equal, plan.equal_bytes += here.size;
          continue;
        }
      }
    }
    auto reason = found == nullptr ? sync_reason::missing : sync_reason::differs;
    if (options.checksum && found != nullptr && found->size == here.size) reason = sync_reason::to_compare;
    plan.bytes += here.size;
    plan.items.push_back({here, reason});
  }
  pass_extra({}, true);
  plan.empties_destination = !plan.removals.empty() && plan.removals.size() == present.size();
  return plan;
}

}  // namespace recoup
