// Snapshots that can be read again, out of damaged ones.
//
//   a tree that cannot be read    -> an empty directory; if it is a snapshot's root, the snapshot goes
//   a file of which blobs are gone -> the rest of them, and the size that they have
//   a file of another size than its blobs -> their size
//   a node of no kind that can be restored -> goes
//
// The index must be right: blobs count as there if it lists them. So repair the index first. What is only out of reach,
// because storage fails, is never taken for lost: that is an error, and nothing is changed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/ops/rewrite/snapshot_changes.hpp>
#include <recoup/ops/snapshot_groups.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/ops/tree_rewriter.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

struct repair_snapshots_options {
  /// Ids, unique prefixes or "latest", in this order; none: all snapshots that match the filter, oldest first.
  std::vector<std::string> snapshots;
  snapshot_filter filter;
  bool forget = false;  ///< remove the damaged snapshots; else new ones get the tag "repaired"
  bool dry_run = false;
  std::stop_token stop{};
};

enum class snapshot_repair : std::uint8_t {
  dropped_node,       ///< of a type that says nothing
  dropped_content,    ///< of a file: blobs that no index lists
  corrected_size,     ///< of a file
  emptied_directory,  ///< its tree cannot be read
  unreadable_root,    ///< the snapshot goes
};

class repair_snapshots_observer : public snapshot_change_observer {
public:
  /// Told once of a tree that several paths have in common.
  virtual void on_repair(snapshot_repair /*what*/, const std::string& /*path*/, node_type /*type*/) {}
};

namespace snapshot_repairs {

class rules : public tree_rules {
public:
  rules(const blob_index& index, repair_snapshots_observer& observer) : index_(index), observer_(observer) {}

  node_fate apply(node& entry, const std::string& path) override {
    if (entry.type == node_type::irregular || entry.type == node_type::unknown) {
      observer_.on_repair(snapshot_repair::dropped_node, path, entry.type);
      return node_fate::dropped;
    }
    return entry.type == node_type::file ? repair_file(entry, path) : node_fate::kept;
  }

  unreadable_tree_fate on_unreadable(const std::string& path, const error&) override {
    const bool is_root = path == "/";
    observer_.on_repair(is_root ? snapshot_repair::unreadable_root : snapshot_repair::emptied_directory, path,
                        node_type::dir);
    return is_root ? unreadable_tree_fate::dropped : unreadable_tree_fate::emptied;
  }

private:
  node_fate repair_file(node& file, const std::string& path) {
    const bool had_list = file.content.has_value();
    auto& blobs = had_list ? *file.content : file.content.emplace();
    std::uint64_t size = 0;
    const auto is_missing = [&](const id& blob) {
      const auto length = index_.plaintext_length({blob_type::data, blob});
      size += length.value_or(0);
      return !length;
    };
    const bool missing = std::erase_if(blobs, is_missing) != 0;
    const bool other_size = size != file.size;
    if (missing)
      observer_.on_repair(snapshot_repair::dropped_content, path, file.type);
    else if (other_size)
      observer_.on_repair(snapshot_repair::corrected_size, path, file.type);
    file.size = size;
    return missing || other_size || !had_list ? node_fate::changed : node_fate::kept;
  }

  const blob_index& index_;
  repair_snapshots_observer& observer_;
};

[[nodiscard]] inline snapshot_change_options change_options(const repair_snapshots_options& options) {
  snapshot_change_options how;
  how.forget = options.forget;
  how.dry_run = options.dry_run;
  how.added_tag = "repaired";
  how.stop = options.stop;
  return how;
}

}  // namespace snapshot_repairs

/// Loads the index if nobody has. Trees in which nothing is wrong keep their bytes. Callers hold an exclusive lock.
[[nodiscard]] inline std::vector<changed_snapshot> repair_snapshots(repository& repo,
                                                                    const repair_snapshots_options& options,
                                                                    repair_snapshots_observer& observer) {
  const auto snapshots = find_snapshots(repo, options.snapshots, options.filter);
  index_load_observer loading;
  loading.on_progress = [&](std::size_t done, std::size_t total) { observer.on_index_progress(done, total); };
  repo.load_index(loading);

  snapshot_repairs::rules rules(repo.index(), observer);
  tree_rewriter_options how;
  how.refuse_loss = false;
  how.store = !options.dry_run;
  how.path_matters = false;
  how.stop = options.stop;
  tree_rewriter trees(repo, rules, how);
  const auto changes = snapshot_repairs::change_options(options);
  return snapshot_changer(repo, changes, observer).run(snapshots, [&](const found_snapshot& old) {
    return changed_content{trees.run(old.snapshot.tree).tree, {}, false};
  });
}

}  // namespace recoup
