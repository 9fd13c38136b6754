// New snapshots out of old ones: without some files, with only some, of another host or time.
//
//   recoup::pattern_list patterns({"*.iso"});
//   recoup::rewrite_options options;
//   options.excludes = [&](std::string_view path) { return patterns.matches(path); };
//   recoup::rewrite_observer nobody;
//   auto changed = recoup::rewrite(*repo, options, nobody);
//
// Only trees are read and made: ops/tree_rewriter.hpp. What is left out stays in the repository until a prune.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/fs/patterns.hpp>
#include <recoup/ops/rewrite/snapshot_changes.hpp>
#include <recoup/ops/snapshot_groups.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/ops/tree_rewriter.hpp>
#include <recoup/repo/node_json.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

struct rewrite_options {
  /// Ids, unique prefixes or "latest", in this order; none: all snapshots that match the filter, oldest first.
  std::vector<std::string> snapshots;
  snapshot_filter filter;

  /// Paths to leave out, with all below them.
  std::function<bool(std::string_view path)> excludes;
  /// Or paths to keep: a file that matches, a directory that matches or below which something may. Directories in which
  /// nothing is left go, unless they match. Not together with `excludes`.
  std::function<match_result(std::string_view path)> includes;
  /// Count files and bytes in the summary anew, or make one. Excludes and includes do so anyway.
  bool summary = false;
  std::optional<std::string> new_host;
  std::optional<timestamp> new_time;

  bool forget = false;   ///< remove the old snapshots; else new ones get the tag "rewrite"
  bool dry_run = false;
  bool tell_paths = false;  ///< tell the observer of every path in every snapshot: nothing is remembered then
  std::stop_token stop{};
};

class rewrite_observer : public snapshot_change_observer {
public:
  virtual void on_excluded(const std::string& /*path*/) {}
  /// A file, or a directory that stays although nothing in it does.
  virtual void on_included(const std::string& /*path*/, bool /*is_directory*/) {}
};

namespace rewriting {

class rules : public tree_rules {
public:
  rules(const rewrite_options& options, rewrite_observer& observer) : options_(options), observer_(observer) {}

  node_fate apply(node& entry, const std::string& path) override {
    if (options_.includes) return include(entry, path);
    if (!options_.excludes || !options_.excludes(path)) return node_fate::kept;
    observer_.on_excluded(path);
    return node_fate::dropped;
  }

  bool keeps_empty_directory(const std::string& path) override {
    if (!options_.includes) return true;
    if (!options_.includes(path).matched) return false;
    observer_.on_included(path, true);
    return true;
  }

private:
  node_fate include(const node& entry, const std::string& path) {
    const auto result = options_.includes(path);
    if (entry.type == node_type::dir)
      return result.matched || result.child_may_match ? node_fate::kept : node_fate::dropped;
    if (!result.matched) return node_fate::dropped;
    observer_.on_included(path, false);
    return node_fate::kept;
  }

  const rewrite_options& options_;
  rewrite_observer& observer_;
};

/// Backups before restic 0.17 left no summary: Go's zero times stand in one that is made later.
[[nodiscard]] inline snapshot_summary summary_of(const snapshot& old, const rewritten_tree& counted) {
  snapshot_summary summary;
  summary.backup_start = summary.backup_end = node_json::no_time;
  if (old.summary) summary = *old.summary;
  summary.total_files_processed = counted.files;
  summary.total_bytes_processed = counted.bytes;
  return summary;
}

[[nodiscard]] inline snapshot_change_options change_options(const rewrite_options& options) {
  snapshot_change_options how;
  how.forget = options.forget;
  how.dry_run = options.dry_run;
  how.added_tag = "rewrite";
  how.new_host = options.new_host;
  how.new_time = options.new_time;
  how.stop = options.stop;
  return how;
}

}  // namespace rewriting

/// Loads the index if nobody has. Throws damaged if a tree cannot be read, or cannot be encoded again without loss (one
/// that another program wrote): snapshots before that one are done then, it and those after it are as they were. Callers
/// hold a lock, an exclusive one to forget.
[[nodiscard]] inline std::vector<changed_snapshot> rewrite(repository& repo, const rewrite_options& options,
                                                           rewrite_observer& observer) {
  if (options.excludes && options.includes)
    throw error(error_code::invalid_argument, "exclude and include patterns are mutually exclusive");
  const bool reads_trees = options.excludes || options.includes || options.summary;
  const auto snapshots = find_snapshots(repo, options.snapshots, options.filter);
  index_load_observer loading;
  loading.on_progress = [&](std::size_t done, std::size_t total) { observer.on_index_progress(done, total); };
  repo.load_index(loading);

  rewriting::rules rules(options, observer);
  tree_rewriter_options how;
  how.store = !options.dry_run;
  how.remember = !options.tell_paths;
  how.path_matters = options.excludes || options.includes;
  how.stop = options.stop;
  tree_rewriter trees(repo, rules, how);
  const auto changes = rewriting::change_options(options);
  return snapshot_changer(repo, changes, observer).run(snapshots, [&](const found_snapshot& old) {
    if (!reads_trees) return changed_content{old.snapshot.tree, {}, false};
    const auto made = trees.run(old.snapshot.tree);
    // With includes, nothing that matches is more likely a mistake than a wish.
    if (!made.tree) return changed_content{old.snapshot.tree, {}, true};
    return changed_content{made.tree, rewriting::summary_of(old.snapshot, made), false};
  });
}

}  // namespace recoup
