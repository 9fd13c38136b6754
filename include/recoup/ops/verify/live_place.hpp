// Where the files of a snapshot were when it was made.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/ops/verify/live_options.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree_reader.hpp>

namespace recoup {

/// Whether a path is in a tree. The index must be loaded.
[[nodiscard]] inline bool holds_path(repository& repo, id tree, std::string_view path) {
  const auto names = split_path(path);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto found = find_in_tree(repo, tree, names[i]);
    if (!found) return false;
    if (i + 1 == names.size()) return true;
    if (!found->subtree) return false;
    tree = *found->subtree;
  }
  return true;
}

namespace live_places {

/// The directory that stands for "/" in the tree if `path`, which was backed up, is in it: "/" itself if it was given
/// as an absolute path, else the directory in which the backup was made.
[[nodiscard]] inline std::optional<std::string> base_of(repository& repo, const id& root, const std::string& path) {
  for (std::size_t cut = 0;;) {
    if (holds_path(repo, root, std::string_view(path).substr(cut))) return cut == 0 ? "/" : path.substr(0, cut);
    cut = path.find('/', cut + 1);
    if (cut == std::string::npos) return std::nullopt;
  }
}

}  // namespace live_places

/// Where the folder of the snapshot was. Throws invalid_argument if that cannot be told: some files were given by
/// absolute and some by relative paths, or nothing of what was to be backed up is there.
[[nodiscard]] inline live_place original_place(repository& repo, const found_snapshot& of) {
  const auto unknown = [](const std::string& why) {
    return error(error_code::invalid_argument, "cannot tell where the files of this snapshot were: " + why +
                                                   "; say with --target what to compare it with");
  };
  live_place place;
  for (const auto& path : of.snapshot.paths) {
    const auto base = live_places::base_of(repo, of.snapshot.tree, path);
    if (!base) continue;  // what could not be read, or the working directory itself
    if (!place.directory.empty() && place.directory != *base)
      throw unknown("some lay below " + place.directory + ", others below " + *base);
    place.directory = *base;
    place.targets.push_back(clean_path(*base == "/" ? path : path.substr(base->size())));
  }
  if (place.targets.empty()) {
    if (of.snapshot.paths.size() != 1) throw unknown("it holds nothing of the paths that were backed up");
    place = {of.snapshot.paths.front(), {"/"}};  // `backup .`
  }
  const auto folder = clean_path("/" + of.subfolder);
  if (folder == "/") return place;
  place.directory = join_path(place.directory, folder);
  std::vector<std::string> below;
  for (const auto& target : place.targets) {
    if (is_at_or_below(folder, target)) return {place.directory, {}};
    if (is_at_or_below(target, folder)) below.push_back(target.substr(folder.size()));
  }
  place.targets = std::move(below);
  return place;
}

}  // namespace recoup
