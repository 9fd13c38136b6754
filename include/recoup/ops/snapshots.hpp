// Choosing snapshots: by id, by prefix, as the latest of some host, and a folder inside one.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/snapshot.hpp>
#include <recoup/repo/tree_reader.hpp>

namespace recoup {

/// True if the snapshot has all tags of the list. An empty tag means "no tags at all", and settles it as soon as it is met.
[[nodiscard]] inline bool has_tags(const snapshot& candidate, const std::vector<std::string>& list) {
  for (const auto& tag : list) {
    if (tag.empty() && candidate.tags.empty()) return true;
    if (std::ranges::find(candidate.tags, tag) == candidate.tags.end()) return false;
  }
  return true;
}

/// What a snapshot must be like; what is empty does not restrict.
struct snapshot_filter {
  std::vector<std::string> hosts{};              ///< one of these
  /// All tags of one of these lists; see has_tags().
  std::vector<std::vector<std::string>> tags{};
  std::vector<std::string> paths{};              ///< all of these, absolute
  std::optional<timestamp> not_after{};

  [[nodiscard]] bool restricts() const noexcept { return !hosts.empty() || !tags.empty() || !paths.empty(); }

  [[nodiscard]] bool matches(const snapshot& candidate) const {
    const auto has = [](const std::vector<std::string>& all, const std::string& one) {
      return std::ranges::find(all, one) != all.end();
    };
    const auto has_list = [&](const std::vector<std::string>& list) { return has_tags(candidate, list); };
    return (hosts.empty() || has(hosts, candidate.hostname)) && (tags.empty() || std::ranges::any_of(tags, has_list)) &&
           std::ranges::all_of(paths, [&](const std::string& path) { return has(candidate.paths, path); }) &&
           !(not_after && earlier(*not_after, candidate.time));
  }
};

struct found_snapshot {
  recoup::id id;
  recoup::snapshot snapshot;
  std::string subfolder;  ///< of "ID:subfolder"; empty for the whole
};

/// The one file of a type whose id begins with `prefix`. Throws not_found if there is none or more than one.
[[nodiscard]] inline id find_by_prefix(const repository& repo, file_type type, std::string_view prefix) {
  if (const auto whole = id::parse(prefix)) return *whole;
  std::optional<id> found;
  const auto what = std::string(name_of(type)) + " with an id that begins with \"" + std::string(prefix) + "\"";
  if (prefix.empty()) throw error(error_code::invalid_argument, std::string("an empty ") + name_of(type) + " id");
  for (const auto& file : repo.list(type)) {
    if (!file.name.hex().starts_with(prefix)) continue;
    if (found) throw error(error_code::not_found, "there is more than one " + what + "; give more of its digits");
    found = file.name;
  }
  if (!found) throw error(error_code::not_found, "there is no " + what);
  return *found;
}

/// Takes "latest", "latest~2" (the third newest that matches), an id or a unique prefix of one; behind any of these
/// ":folder" names a folder in the snapshot. The filter restricts only "latest". Snapshots that cannot be read are
/// passed over with a warning when the latest is looked for.
[[nodiscard]] inline found_snapshot find_snapshot(repository& repo, std::string_view text,
                                                  const snapshot_filter& filter = {}) {
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  found_snapshot found;
  if (colon != text.npos) found.subfolder = text.substr(colon + 1);

  constexpr std::string_view latest = "latest";
  if (!name.starts_with(latest)) {
    found.id = find_by_prefix(repo, file_type::snapshot, name);
    found.snapshot = repo.load_snapshot(found.id);
    return found;
  }
  std::size_t back = 0;
  auto rest = name.substr(latest.size());
  if (!rest.empty()) {
    const auto* end = rest.data() + rest.size();
    const auto [stopped, problem] = std::from_chars(rest.data() + 1, end, back);
    if (rest.front() != '~' || stopped != end || problem != std::errc())
      throw error(error_code::invalid_argument,
                  "\"" + std::string(name) + "\" names no snapshot; say latest, latest~1 for the one before, or an id");
  }
  auto all = repo.load_snapshots([&](const id& unreadable, const error& problem) {
    repo.warn("snapshot " + unreadable.short_hex() + " is passed over: " + problem.what());
  });
  std::erase_if(all, [&](const auto& each) { return !filter.matches(each.second); });
  if (all.size() <= back)
    throw error(error_code::not_found,
                all.empty() ? "no snapshot found" +
                                  std::string(filter.restricts() ? " that matches the given hosts, tags and paths" : "")
                            : "there are only " + std::to_string(all.size()) + " snapshots that match, too few for " +
                                  std::string(name));
  auto& [id, snapshot] = all[all.size() - 1 - back];
  found.id = id;
  found.snapshot = std::move(snapshot);
  return found;
}

/// The tree of a directory inside a tree; `folder` is a path with slashes. Throws not_found if it is not there,
/// invalid_argument if it is no directory. The index must be loaded.
[[nodiscard]] inline id find_subtree(repository& repo, id tree, std::string_view folder) {
  const auto cleaned = clean_path("/" + std::string(folder));
  std::string so_far;
  for (const auto name : split_path(cleaned)) {
    so_far += "/" + std::string(name);
    const auto at = find_in_tree(repo, tree, name);
    if (!at) throw error(error_code::not_found, "path " + so_far + ": not found in the snapshot");
    if (at->type != node_type::dir || !at->subtree)
      throw error(error_code::invalid_argument, "path " + so_far + ": not a directory");
    tree = *at->subtree;
  }
  return tree;
}

}  // namespace recoup
