// Lists of snapshots: several at once by id or filter, the newest of each kind, and groups by host, paths and tags.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/json/json_writer.hpp>
#include <recoup/ops/snapshots.hpp>

namespace recoup {

/// The snapshots that `names` say (an id, a prefix, latest, latest~1), each once and in that order; without names all
/// that match the filter, oldest first. With names the filter only helps to find the latest. Folders make no sense
/// here. A name that no snapshot has is an error, unless `on_missing` takes it.
[[nodiscard]] inline std::vector<found_snapshot> find_snapshots(
    repository& repo, const std::vector<std::string>& names, const snapshot_filter& filter = {},
    const std::function<void(const std::string& name, const error&)>& on_missing = {}) {
  std::vector<found_snapshot> found;
  if (names.empty()) {
    auto all = repo.load_snapshots([&](const id& unreadable, const error& problem) {
      repo.warn("snapshot " + unreadable.hex() + " is passed over: " + problem.what());
    });
    for (auto& [name, snapshot] : all)
      if (filter.matches(snapshot)) found.push_back({name, std::move(snapshot), {}});
    return found;
  }
  bool used_filter = false;
  for (const auto& name : names) {
    found_snapshot one;
    try {
      one = find_snapshot(repo, name, filter);
    } catch (const error& problem) {
      if (!on_missing || problem.code() != error_code::not_found) throw;
      on_missing(name, problem);
      continue;
    }
    if (name.find(':') != name.npos)
      throw error(error_code::invalid_argument,
                  "\"" + name + "\": a folder in a snapshot cannot be given here, only a snapshot");
    used_filter = used_filter || name.starts_with("latest");
    if (std::ranges::none_of(found, [&](const found_snapshot& each) { return each.id == one.id; }))
      found.push_back(std::move(one));
  }
  if (!found.empty() && !used_filter && filter.restricts())
    repo.warn("the filters for hosts, tags and paths are ignored, because explicit snapshot ids are given");
  return found;
}

/// By what snapshots are put together; an empty key groups nothing.
struct snapshot_grouping {
  bool host = false, paths = false, tags = false;

  [[nodiscard]] bool any() const noexcept { return host || paths || tags; }

  /// From "host,paths,tags". Throws invalid_argument.
  [[nodiscard]] static snapshot_grouping parse(std::string_view text) {
    snapshot_grouping grouping;
    while (!text.empty()) {
      const auto word = text.substr(0, text.find(','));
      text.remove_prefix(std::min(word.size() + 1, text.size()));
      if (word == "host" || word == "hosts")
        grouping.host = true;
      else if (word == "path" || word == "paths")
        grouping.paths = true;
      else if (word == "tag" || word == "tags")
        grouping.tags = true;
      else if (!word.empty())
        throw error(error_code::invalid_argument, "unknown grouping option: \"" + std::string(word) + "\"");
    }
    return grouping;
  }
};

/// What the snapshots of a group have in common. Lists are sorted; absent if it is not grouped by them.
struct snapshot_group_key {
  std::string hostname;
  std::optional<std::vector<std::string>> paths, tags;

  [[nodiscard]] friend auto operator<=>(const snapshot_group_key&, const snapshot_group_key&) = default;
};

struct snapshot_group {
  snapshot_group_key key;
  std::vector<found_snapshot> snapshots;
};

/// Keeps the order of the snapshots within each group; groups are ordered by their keys.
[[nodiscard]] inline std::vector<snapshot_group> group_snapshots(std::vector<found_snapshot> snapshots,
                                                                 const snapshot_grouping& grouping) {
  const auto sorted = [](std::vector<std::string> list) {
    std::ranges::sort(list);
    return list;
  };
  std::map<snapshot_group_key, std::vector<found_snapshot>> groups;
  for (auto& each : snapshots) {
    snapshot_group_key key;
    if (grouping.host) key.hostname = each.snapshot.hostname;
    // Go leaves a list that is empty as `null`, and restic does not tell it from one that is not grouped by.
    if (grouping.paths) key.paths = sorted(each.snapshot.paths);
    if (grouping.tags && !each.snapshot.tags.empty()) key.tags = sorted(each.snapshot.tags);
    groups[std::move(key)].push_back(std::move(each));
  }
  std::vector<snapshot_group> result;
  for (auto& [key, members] : groups) result.push_back({key, std::move(members)});
  return result;
}

/// The `count` newest for each host and set of paths, newest first.
[[nodiscard]] inline std::vector<found_snapshot> newest_snapshots(std::vector<found_snapshot> snapshots,
                                                                  std::size_t count, bool by_host_and_paths) {
  std::ranges::stable_sort(snapshots, [](const found_snapshot& a, const found_snapshot& b) {
    return earlier(b.snapshot.time, a.snapshot.time);
  });
  std::map<std::pair<std::string, std::vector<std::string>>, std::size_t> seen;
  std::erase_if(snapshots, [&](const found_snapshot& each) {
    auto paths = each.snapshot.paths;
    std::ranges::sort(paths);
    auto key = by_host_and_paths ? std::pair{each.snapshot.hostname, std::move(paths)}
                                 : std::pair<std::string, std::vector<std::string>>{};
    return ++seen[std::move(key)] > count;
  });
  return snapshots;
}

}  // namespace recoup
