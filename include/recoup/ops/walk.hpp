// Going through all of a snapshot, in the order of its paths.
//
//   recoup::tree_walk walk(*repo, snapshot.tree);
//   while (const auto* at = walk.next())
//     if (is_dull(at->path)) walk.skip();    // a directory: do not enter it
//
// A directory comes before what is in it, entries in the order of their tree: ascending raw names. The index must be
// loaded. All the memory that is used is a tree for each level of directories, or a part of one that is long.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree_reader.hpp>

namespace recoup {

struct walked_node {
  std::string path;  ///< "/home/u/x". Names come as stored: `is_safe_name` says whether they may be used as paths
  recoup::node node;
  id parent_tree;         ///< the tree that lists the node
  std::size_t depth = 0;  ///< 0 for what the root tree lists
};

/// Told of a tree that cannot be read, or of a directory without one; `tree` is zero then. The walk goes on after it.
using tree_error_handler = std::function<void(const std::string& path, const id& tree, const error& problem)>;

struct tree_walk_options {
  std::string prefix;           ///< what paths begin with: "" for a snapshot's root, "/home" for a folder in it
  tree_error_handler on_error;  ///< nothing: errors are thrown
  std::stop_token stop{};
};

/// Not thread-safe.
class tree_walk {
public:
  tree_walk(repository& repo, const id& root, tree_walk_options options = {})
      : repo_(repo), options_(std::move(options)) {
    enter(root, options_.prefix);
  }

  /// The next node, or null at the end. What it points to may be moved from and is good until the next call. Throws
  /// interrupted when a stop is requested.
  [[nodiscard]] walked_node* next() {
    throw_if_stopped(options_.stop);
    if (std::exchange(entering_, false)) enter_current();
    auto* const found = next_node();
    if (found == nullptr) return nullptr;
    auto& top = levels_.back();
    current_.node = std::move(*found);
    path_.resize(top.path_length);
    path_.append("/").append(current_.node.name);
    current_.path = path_;
    current_.parent_tree = top.tree;
    current_.depth = levels_.size() - 1;
    entering_ = current_.node.type == node_type::dir;
    if (entering_) subtree_ = current_.node.subtree.value_or(id{});
    return &current_;
  }

  /// The directory that next() gave last is not entered.
  void skip() noexcept { entering_ = false; }

  /// The other entries of the directory that holds what next() gave last are passed over too.
  void skip_rest_of_directory() noexcept {
    entering_ = false;
    if (!levels_.empty()) levels_.back().reader.reset();
  }

private:
  struct level {
    id tree;
    std::unique_ptr<tree_reader> reader;  ///< while there is more
    std::size_t path_length = 0;
  };

  /// Of the innermost directory that has more.
  [[nodiscard]] node* next_node() {
    for (; !levels_.empty(); levels_.pop_back()) {
      auto& top = levels_.back();
      try {
        if (auto* const found = top.reader ? top.reader->next() : nullptr) return found;
      } catch (const error& problem) {
        report(top.tree, path_.substr(0, top.path_length), problem);
      }
    }
    return nullptr;
  }

  void enter_current() {
    const std::string path = path_;
    if (!subtree_.is_zero()) return enter(subtree_, path);
    const error problem(error_code::damaged, "directory " + path + " has no tree");
    if (!options_.on_error) throw problem;
    options_.on_error(path, {}, problem);
  }

  void enter(const id& tree, const std::string& path) {
    level entered{tree, {}, path.size()};
    try {
      entered.reader = std::make_unique<tree_reader>(repo_, tree);
    } catch (const error& problem) {
      report(tree, path, problem);
      return;
    }
    path_ = path;
    levels_.push_back(std::move(entered));
  }

  void report(const id& tree, const std::string& path, const error& problem) const {
    const auto shown = path.empty() ? std::string("/") : path;
    const error named(problem.code(), "tree " + tree.hex() + " of " + shown + " cannot be read: " + problem.what());
    if (!options_.on_error) throw named;
    options_.on_error(shown, tree, named);
  }

  repository& repo_;
  const tree_walk_options options_;
  std::vector<level> levels_;
  std::string path_;  // of the current node
  walked_node current_;
  id subtree_{};  // of the current node: the caller may have moved it away
  bool entering_ = false;
};

/// True if `path` is `base` or lies below it; both absolute.
[[nodiscard]] inline bool is_within(std::string_view base, std::string_view path) noexcept {
  while (base.ends_with('/')) base.remove_suffix(1);
  return path.starts_with(base) && (path.size() == base.size() || path[base.size()] == '/');
}

}  // namespace recoup
