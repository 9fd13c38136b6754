// What is in a snapshot.
//
//   recoup::ls_options options;
//   options.directories = {"/etc"};
//   recoup::ls(*repo, snapshot.tree, options, [](const recoup::walked_node& at, bool) { show(at.path); });
#pragma once

#include <algorithm>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/ops/walk.hpp>

namespace recoup {

enum class ls_sort { name, size, mtime, atime, ctime, extension };

/// "name", "size", "time" (the same as "mtime"), "mtime", "atime", "ctime", "extension".
[[nodiscard]] inline std::optional<ls_sort> parse_ls_sort(std::string_view text) noexcept {
  if (text == "name") return ls_sort::name;
  if (text == "size") return ls_sort::size;
  if (text == "time" || text == "mtime") return ls_sort::mtime;
  if (text == "atime") return ls_sort::atime;
  if (text == "ctime") return ls_sort::ctime;
  if (text == "extension") return ls_sort::extension;
  return std::nullopt;
}

struct ls_options {
  /// Absolute paths in the snapshot: these, and what they hold, are listed. None: everything is.
  std::vector<std::string> directories;
  bool recursive = false;  ///< also what lies deeper in `directories`
  ls_sort sort = ls_sort::name;
  bool reverse = false;
  /// Also visit directories that were not asked for but lead to one that was: what makes a whole tree of the listing.
  bool with_leading = false;
  tree_error_handler on_error;  ///< nothing: errors are thrown
  std::stop_token stop{};
};

namespace listing {

/// Go's filepath.Ext: from the last dot of the name on.
[[nodiscard]] inline std::string_view extension_of(std::string_view path) noexcept {
  const auto at = path.find_last_of("./");
  return at == path.npos || path[at] == '/' ? std::string_view() : path.substr(at);
}

[[nodiscard]] inline std::uint64_t size_of(const node& of) noexcept { return of.type == node_type::file ? of.size : 0; }

/// Equal ones stay in the order of their paths.
[[nodiscard]] inline bool comes_before(ls_sort by, const walked_node& a, const walked_node& b) {
  const auto by_time = [&](timestamp node::*which) {
    const auto &first = a.node.*which, &second = b.node.*which;
    return same_instant(first, second) ? a.path < b.path : earlier(first, second);
  };
  switch (by) {
    case ls_sort::name: return a.path < b.path;
    case ls_sort::size:
      return std::tuple(size_of(a.node), std::string_view(a.path)) <
             std::tuple(size_of(b.node), std::string_view(b.path));
    case ls_sort::mtime: return by_time(&node::mtime);
    case ls_sort::atime: return by_time(&node::atime);
    case ls_sort::ctime: return by_time(&node::ctime);
    case ls_sort::extension:
      return std::tuple(extension_of(a.path), std::string_view(a.path)) <
             std::tuple(extension_of(b.path), std::string_view(b.path));
  }
  return false;
}

/// Visits in the order of the walk.
template <class Visit>
void walk_listed(repository& repo, const id& tree, const ls_options& options, Visit&& visit) {
  std::vector<std::string> directories;
  for (const auto& directory : options.directories) {
    if (!is_absolute(directory))
      throw error(error_code::invalid_argument, "All path filters must be absolute, starting with a forward slash '/'");
    directories.push_back(clean_path(directory));
  }
  const auto any = [&](auto&& test) { return directories.empty() || std::ranges::any_of(directories, test); };

  tree_walk walk(repo, tree, {"", options.on_error, options.stop});
  while (auto* at = walk.next()) {
    const bool listed = any([&](const std::string& directory) { return is_within(directory, at->path); });
    const bool leads = any([&](const std::string& directory) { return is_within(at->path, directory); });
    if (!(listed && options.recursive) && !leads) walk.skip();
    if (listed || (leads && options.with_leading)) visit(*at, !listed);
  }
}

}  // namespace listing

/// Calls `visit(walked_node&, bool leading)` for each node that is listed; `leading` is true for directories that only
/// lead to what was asked for. In any order but that of names all nodes are held in memory first, without their
/// contents. The index must be loaded. Throws invalid_argument for a directory that is not absolute.
template <class Visit>
void ls(repository& repo, const id& tree, const ls_options& options, Visit&& visit) {
  if (options.sort == ls_sort::name && !options.reverse) return listing::walk_listed(repo, tree, options, visit);
  std::vector<walked_node> all;
  listing::walk_listed(repo, tree, options, [&](walked_node& at, bool leading) {
    if (leading) return;
    at.node.content.reset();
    at.node.extended_attributes.clear();
    all.push_back(std::move(at));
  });
  // The walk's own order is what "name" means: a directory before its entries, which "a.path < b.path" would not give.
  if (options.sort != ls_sort::name)
    std::ranges::sort(
        all, [&](const walked_node& a, const walked_node& b) { return listing::comes_before(options.sort, a, b); });
  if (options.reverse) std::ranges::reverse(all);
  for (auto& each : all) visit(each, false);
}

}  // namespace recoup
