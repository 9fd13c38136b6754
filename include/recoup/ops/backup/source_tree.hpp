// From targets to the upper part of a snapshot's tree.
//
// `backup /home/u /etc/passwd` makes root{ home{ u{…} } etc{ passwd } }: directories on the way to a target hold
// nothing but what leads to targets, and carry their own metadata. Two relative targets with the same first name but
// different parents ("../a/x ../../a/y") cannot share a directory; the second is called "a-1" (restic
// internal/archiver/tree.go).
#pragma once

#include <fcntl.h>

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/fs/directory.hpp>
#include <recoup/fs/path.hpp>

namespace recoup {

struct source_tree {
  std::map<std::string, source_tree> children;  ///< by raw name, which is the order in a tree
  std::string path;           ///< set in leaves: what to save here
  std::string metadata_path;  ///< set in inner ones: the directory whose metadata to take
  std::string root;           ///< set in the first level: the directory the target is relative to
  bool is_explicit = false;   ///< the user named this very path, so excludes do not apply to it

  [[nodiscard]] bool is_leaf() const noexcept { return !path.empty(); }
};

struct backup_target {
  std::string path;
  bool is_explicit = true;
};

namespace source_targets {

/// The names that a target contributes: "../x/y" and "/x/y" both give x, y.
[[nodiscard]] inline std::vector<std::string> names_of(const std::string& target) {
  const auto cleaned = clean_path("/" + target);
  std::vector<std::string> names;
  for (const auto name : split_path(cleaned)) names.emplace_back(name);
  return names;
}

/// The directory that the first of those names lies in: "/", "." or a chain of "..".
[[nodiscard]] inline std::string root_of(const std::string& target) {
  if (is_absolute(target)) return "/";
  std::string root = ".";
  for (const auto name : split_path(target)) {
    if (name != "..") break;
    root = join_path(root, name);
  }
  return root;
}

inline void insert(source_tree& into, const std::string& target, const std::string& directory,
                   std::span<const std::string> names, bool is_explicit) {
  auto* at = &into;
  std::string below = directory;
  for (; names.size() > 1; names = names.subspan(1)) {
    at = &at->children[names.front()];
    below = join_path(below, names.front());
    at->metadata_path = below;
  }
  auto& leaf = at->children[names.front()];
  if (leaf.is_leaf())
    throw error(error_code::invalid_argument, "two targets are the same place in the snapshot: " + target);
  leaf.path = target;
  leaf.is_explicit = is_explicit;
}

inline void add(source_tree& tree, const backup_target& target) {
  const auto names = names_of(target.path);
  const auto root = root_of(target.path);
  auto name = names.front();
  for (int i = 1; tree.children.contains(name) && tree.children[name].root != root; ++i)
    name = names.front() + "-" + std::to_string(i);
  auto& top = tree.children[name];
  top.root = root;
  if (names.size() == 1) {
    top.path = target.path;
    top.is_explicit = target.is_explicit;
    return;
  }
  top.metadata_path = join_path(root, names.front());
  insert(top, target.path, top.metadata_path, std::span(names).subspan(1), target.is_explicit);
}

/// A leaf that has children too ("/a" and "/a/b" were both given) becomes an inner one with all of the leaf's entries.
inline void unroll(source_tree& tree) {
  if (tree.is_leaf() && !tree.children.empty()) {
    const auto directory = open_directory(AT_FDCWD, tree.path.c_str());
    for (const auto& name : list_directory(directory.get())) {
      auto& child = tree.children[name];
      const auto path = join_path(tree.path, name);
      if (child.is_leaf() && clean_path(child.path) != path)
        throw error(error_code::invalid_argument, "two targets are the same place in the snapshot: " + path);
      if (!child.is_leaf()) child.path = path;
    }
    if (tree.metadata_path.empty()) tree.metadata_path = tree.path;
    tree.path.clear();
    tree.is_explicit = false;
  }
  for (auto& [name, child] : tree.children) unroll(child);
}

}  // namespace source_targets

/// Targets without a name of their own (".", "..", "/") are replaced by what is in them.
[[nodiscard]] inline std::vector<backup_target> resolve_targets(std::span<const std::string> targets) {
  std::vector<backup_target> resolved;
  for (const auto& target : targets) {
    if (target.empty()) throw error(error_code::invalid_argument, "an empty path cannot be backed up");
    const auto cleaned = clean_path(target);
    if (!source_targets::names_of(cleaned).empty()) {
      resolved.push_back({cleaned, true});
      continue;
    }
    const auto directory = open_directory(AT_FDCWD, cleaned.c_str());
    for (const auto& name : list_directory(directory.get())) resolved.push_back({child_path(cleaned, name), false});
  }
  return resolved;
}

/// Throws if two targets collide or a directory that must be listed for this cannot be.
[[nodiscard]] inline source_tree make_source_tree(std::span<const std::string> targets) {
  source_tree tree;
  std::set<std::string> seen;
  for (const auto& target : resolve_targets(targets))
    if (seen.insert(target.path).second) source_targets::add(tree, target);
  source_targets::unroll(tree);
  return tree;
}

}  // namespace recoup
