// One directory on its way into a tree blob.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/file_descriptor.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/ops/backup/options.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

struct source_tree;

/// A directory in the parent snapshot of a repository.
struct previous_directory {
  std::optional<node> own;
  std::shared_ptr<const std::vector<node>> nodes;  ///< its entries, by name; several repositories may share them

  [[nodiscard]] const node* find(std::string_view name) const {
    if (!nodes) return nullptr;
    const auto at =
        std::ranges::lower_bound(*nodes, name, {}, [](const node& each) -> std::string_view { return each.name; });
    return at != nodes->end() && at->name == name ? &*at : nullptr;
  }
};

/// Created when its parent is listed, opened when its turn comes, finished when its last entry is, which may be much
/// later and on another thread. Entries are kept as the JSON they will be in the tree: smaller than nodes, and encoded
/// by whichever thread made them.
struct directory_job {
  std::shared_ptr<directory_job> parent;  ///< empty for the root
  std::size_t slot = 0;                   ///< which of the parent's entries this is

  std::string snapshot_path;  ///< "/home/u"; "/" for the root
  std::string source_path;    ///< as given and extended: may be relative to the working directory
  std::string absolute_path;  ///< for excludes and messages
  /// Set if this only leads to targets: its entries are those, not what is on disk.
  const source_tree* inner = nullptr;

  std::vector<previous_directory> previous;  ///< this directory in the parent snapshot of each repository
  node own;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

  file_descriptor directory;
  std::vector<std::string> names;
  std::vector<std::string> encoded;  ///< one for each name; empty: left out

  std::atomic<std::size_t> open_parts{0};  ///< parts of `names` not worked through yet
  std::atomic<std::size_t> unfinished{1};  ///< entries and parts that can still change `encoded`
  std::mutex children_mutex;
  std::vector<std::shared_ptr<directory_job>> children;  ///< wait until the parts are done

  [[nodiscard]] bool is_root() const noexcept { return parent == nullptr; }

  void add_child(std::shared_ptr<directory_job> child) {
    unfinished.fetch_add(1);
    const std::lock_guard lock(children_mutex);
    children.push_back(std::move(child));
  }

  /// In the order of their names, whichever thread met them first.
  [[nodiscard]] std::vector<std::shared_ptr<directory_job>> take_children() {
    const std::lock_guard lock(children_mutex);
    std::ranges::sort(children, {}, [](const auto& child) { return child->slot; });
    return std::exchange(children, {});
  }
};

}  // namespace recoup
