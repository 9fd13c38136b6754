// Which files and snapshots need a blob, a tree, or anything of a pack.
#pragma once

#include <algorithm>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/ops/used_blobs.hpp>
#include <recoup/ops/walk.hpp>
#include <recoup/repo/pack_reader.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

enum class object_kind { blob, tree, pack };

struct found_object {
  blob_handle object;  ///< a data blob in a file, or the tree of a directory
  std::string path;    ///< "/" for a snapshot's root tree
  id parent_tree{};    ///< of a blob: the tree that lists the file
};

struct object_search_options {
  tree_error_handler on_error;  ///< nothing: errors are thrown
  std::stop_token stop{};
};

/// Looks for objects, given by their ids or how these begin, in one snapshot after another.
class object_search {
public:
  /// The index must be loaded. Throws invalid_argument for what is not the beginning of an id, not_found for packs that
  /// are neither stored nor indexed.
  object_search(repository& repo, object_kind kind, std::span<const std::string> ids,
                object_search_options options = {})
      : repo_(repo), options_(std::move(options)) {
    for (const auto& text : ids) {
      if (text.empty() || text.size() > id::hex_size || text.find_first_not_of("0123456789abcdef") != text.npos)
        throw error(error_code::invalid_argument, "\"" + text + "\" is not the beginning of an id");
      if (kind == object_kind::pack) continue;
      wanted_[index_of(kind == object_kind::tree ? blob_type::tree : blob_type::data)].prefixes.insert(text);
    }
    if (kind == object_kind::pack) want_packs(ids);
  }

  /// Calls `visit(const found_object&)` for each place. The search in a snapshot ends early once all trees have been
  /// found if no blobs are looked for.
  template <class Visit>
  void run(const id& tree, Visit&& visit) {
    const bool files = wants(blob_type::data);
    std::set<std::string> left = wanted_[index_of(blob_type::tree)].prefixes;
    for (const auto& whole : wanted_[index_of(blob_type::tree)].ids) left.insert(whole.hex());
    const auto check_tree = [&](const id& found, const std::string& path) {
      if (!is_wanted({blob_type::tree, found})) return;
      visit(found_object{{blob_type::tree, found}, path, {}});
      const auto hex = found.hex();
      std::erase_if(left, [&](const std::string& prefix) { return hex.starts_with(prefix); });
    };
    const auto is_done = [&] { return !files && left.empty(); };

    check_tree(tree, "/");
    if (is_done()) return;
    tree_walk walk(repo_, tree, {"", options_.on_error, options_.stop});
    while (const auto* at = walk.next()) {
      if (at->node.type == node_type::dir && at->node.subtree) check_tree(*at->node.subtree, at->path);
      if (is_done()) return;
      if (!files || at->node.type != node_type::file || !at->node.content) continue;
      for (const auto& blob : *at->node.content)
        if (is_wanted({blob_type::data, blob})) visit(found_object{{blob_type::data, blob}, at->path, at->parent_tree});
    }
  }

  /// All objects that were found or, of packs, looked for, each once. `repository::index().find_all` tells the packs
  /// that one is in.
  [[nodiscard]] const blob_set& objects() const noexcept { return objects_; }

  /// Beginnings of ids that nothing found so far has.
  [[nodiscard]] std::vector<std::string> unmatched() const {
    std::vector<std::string> left;
    for (const auto& part : wanted_)
      for (const auto& prefix : part.prefixes)
        if (std::ranges::none_of(objects_,
                                 [&](const blob_handle& object) { return object.id.hex().starts_with(prefix); }))
          left.push_back(prefix);
    return left;
  }

private:
  struct wanted {
    std::set<std::string> prefixes;
    std::unordered_set<id> ids;
  };

  [[nodiscard]] static std::size_t index_of(blob_type type) noexcept { return static_cast<std::size_t>(type); }

  [[nodiscard]] bool wants(blob_type type) const {
    const auto& part = wanted_[index_of(type)];
    return !part.prefixes.empty() || !part.ids.empty();
  }

  [[nodiscard]] bool is_wanted(const blob_handle& object) {
    const auto& part = wanted_[index_of(object.type)];
    if (part.ids.contains(object.id)) return true;
    if (part.prefixes.empty()) return false;
    const auto hex = object.id.hex();
    // Of the prefixes in order, only the one just before the id can begin it, unless one prefix begins another.
    for (auto at = part.prefixes.upper_bound(hex); at != part.prefixes.begin();) {
      --at;
      if (hex.starts_with(*at)) {
        objects_.insert(object);
        return true;
      }
      if (at->front() != hex.front()) break;
    }
    return false;
  }

  void want(const blob_handle& object) {
    wanted_[index_of(object.type)].ids.insert(object.id);
    objects_.insert(object);
  }

  /// What is in a pack says its header; the index is asked if that cannot be read or the pack is gone.
  void want_packs(std::span<const std::string> ids) {
    std::set<std::string> missing(ids.begin(), ids.end());
    const auto asked_for = [&](const id& pack) {
      const auto hex = pack.hex();
      return std::ranges::any_of(ids, [&](const std::string& prefix) { return hex.starts_with(prefix); });
    };
    std::unordered_set<id> read;
    for (const auto& file : repo_.list(file_type::pack)) {
      if (!asked_for(file.name)) continue;
      try {
        auto codec = repo_.codecs().take();
        for (const auto& blob :
             read_pack_header(repo_.storage(), {file_type::pack, file.name}, file.size, codec->box()))
          want(blob.handle);
        read.insert(file.name);
      } catch (const error& problem) {
        repo_.warn(std::string(problem.what()) + "; the index is asked instead");
      }
    }
    std::unordered_set<id> indexed;
    for (const auto& prefix : ids)
      for (const auto& pack : repo_.index().find_packs(prefix))
        if (!read.contains(pack) && indexed.insert(pack).second)
          for (const auto& blob : repo_.index().blobs_in(pack)) want(blob.handle);
    for (const auto* known : {&read, &indexed})
      for (const auto& pack : *known)
        std::erase_if(missing, [&](const std::string& prefix) { return pack.hex().starts_with(prefix); });
    if (missing.empty()) return;
    std::string list;
    for (const auto& prefix : missing) list += (list.empty() ? "" : " ") + prefix;
    throw error(error_code::not_found, "unable to find pack(s): [" + list + "]");
  }

  repository& repo_;
  const object_search_options options_;
  wanted wanted_[2];  // by blob_type
  blob_set objects_;
};

}  // namespace recoup
