// Trees made out of other trees: some nodes are left out, some are changed.
//
//   rewrite(root):
//     remembered? -> what it became
//     load it; unreadable? -> the rules say: an error, an empty directory, or left out
//     encoding it again gives other bytes? -> refused, as something would be lost      [unless lossy]
//     each node: the rules keep, change or drop it; a directory that is kept: rewrite(its tree) first
//     nothing changed? -> the tree that was there, its very bytes
//     else encode what is left, store it, remember it
//
// One thread, in the order of paths, with a stack of its own: a tree may be as deep as it likes. One decoded tree for
// each level of directories is kept, and some 100 bytes for each tree that is remembered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree.hpp>

namespace recoup {

enum class node_fate : std::uint8_t { kept, changed, dropped };

/// What becomes of a tree that cannot be read.
enum class unreadable_tree_fate : std::uint8_t { emptied, dropped };

/// Paths are absolute, "/" for the root; names stand in them as they are stored.
class tree_rules {
public:
  tree_rules() = default;
  tree_rules(const tree_rules&) = delete;
  tree_rules& operator=(const tree_rules&) = delete;
  virtual ~tree_rules() = default;

  /// May change the node, but for its name.
  virtual node_fate apply(node& entry, const std::string& path) = 0;
  /// Whether a directory stays that holds nothing, or nothing any more.
  virtual bool keeps_empty_directory(const std::string& /*path*/) { return true; }
  /// `problem` is of the tree itself (damaged, not_found), never of the way to it. Throwing ends the rewriting.
  virtual unreadable_tree_fate on_unreadable(const std::string& /*path*/, const error& problem) { throw problem; }
};

struct tree_rewriter_options {
  bool refuse_loss = true;    ///< throw where encoding a tree again would lose something
  bool store = true;          ///< false computes ids and stores nothing
  bool remember = true;       ///< false tells the rules of every path, also of those that are known
  bool path_matters = true;   ///< the rules look at paths: the same tree may become something else elsewhere
  std::size_t most_remembered = 1'000'000;
  std::stop_token stop{};
};

struct rewritten_tree {
  std::optional<id> tree;  ///< nothing: left out
  std::uint64_t files = 0, bytes = 0;  ///< of regular files that are left, each as often as it is listed
};

/// Serves any number of trees of one repository. Not thread-safe.
class tree_rewriter {
public:
  tree_rewriter(repository& repo, tree_rules& rules, tree_rewriter_options options = {})
      : repo_(repo), rules_(rules), options_(std::move(options)) {}

  /// The index must be loaded. New trees are durable after repository::flush(). Throws damaged if a tree cannot be read
  /// (unless the rules take that) or would lose something, invalid_argument if the nodes of a changed tree are in no
  /// order, interrupted, or what storing threw; then what is remembered is forgotten.
  [[nodiscard]] rewritten_tree run(const id& root) {
    levels_.clear();
    path_.clear();
    try {
      auto finished = enter(root);
      while (!finished || !levels_.empty()) {
        throw_if_stopped(options_.stop);
        if (finished) attach(*std::exchange(finished, std::nullopt));
        finished = step();
      }
      return *finished;
    } catch (...) {
      remembered_.clear();  // what it became may never have been stored
      throw;
    }
  }

private:
  struct level {
    id tree;
    std::size_t path_length = 0;
    std::vector<node> nodes;  ///< [0, kept) are done, [next, end) are to come
    std::size_t kept = 0, next = 0;
    bool changed = false;
    rewritten_tree result;

    void keep() {
      if (kept != next) nodes[kept] = std::move(nodes[next]);
      ++kept;
      ++next;
    }
    void drop() {
      ++next;
      changed = true;
    }
  };

  [[nodiscard]] std::string shown_path() const { return path_.empty() ? "/" : path_; }

  /// Begins a tree whose path is in path_; or returns what it becomes, where that is known without.
  [[nodiscard]] std::optional<rewritten_tree> enter(const id& tree) {
    if (options_.remember)
      if (const auto known = remembered_.find(key_of(tree)); known != remembered_.end()) return known->second;
    level entered;
    entered.tree = tree;
    entered.path_length = path_.size();
    std::optional<error> unreadable;
    try {
      if (tree.is_zero()) throw error(error_code::damaged, "directory \"" + go_quoted(shown_path()) + "\" has no tree");
      const auto json = repo_.load_blob(blob_type::tree, tree);
      entered.nodes = decode_tree(json);
      if (options_.refuse_loss) require_lossless(entered.nodes, json);
    } catch (const lossy_tree&) {
      throw;
    } catch (const error& problem) {
      // The tree may be fine where storage is not: then nobody must take it for lost.
      if (problem.code() != error_code::damaged && problem.code() != error_code::not_found) throw;
      unreadable.emplace(problem);
    }
    if (unreadable) {
      if (rules_.on_unreadable(shown_path(), *unreadable) == unreadable_tree_fate::dropped) return rewritten_tree{};
      return rewritten_tree{store(writer_.finish_view())};
    }
    levels_.push_back(std::move(entered));
    return std::nullopt;
  }

  class lossy_tree : public error {
  public:
    using error::error;
  };

  void require_lossless(const std::vector<node>& nodes, byte_view json) {
    const auto refuse = [&](const std::string& why) {
      return lossy_tree(error_code::damaged,
                        "cannot encode tree at \"" + go_quoted(shown_path()) + "\" without losing information" + why);
    };
    if (!names_ascend(nodes) || (!nodes.empty() && nodes.front().name.empty()))
      throw refuse(": its nodes are not ordered or duplicate");
    for (const auto& each : nodes) writer_.add(each);
    if (as_text(writer_.finish_view()) != as_text(json)) throw refuse("");
  }

  /// Goes on with the uppermost level by one node. Returns what a tree became if one is done.
  [[nodiscard]] std::optional<rewritten_tree> step() {
    auto& top = levels_.back();
    path_.resize(top.path_length);
    if (top.next == top.nodes.size()) return leave();
    auto& entry = top.nodes[top.next];
    path_.append("/").append(entry.name);
    const auto fate = rules_.apply(entry, path_);
    if (fate == node_fate::dropped) {
      top.drop();
      return std::nullopt;
    }
    top.changed = top.changed || fate == node_fate::changed;
    if (entry.type == node_type::dir) return enter(entry.subtree.value_or(id{}));
    if (entry.type == node_type::file) {
      ++top.result.files;
      top.result.bytes += entry.size;
    }
    top.keep();
    return std::nullopt;
  }

  /// Puts what a directory became into the tree that lists it.
  void attach(const rewritten_tree& below) {
    auto& top = levels_.back();
    if (!below.tree) return top.drop();
    auto& entry = top.nodes[top.next];
    top.changed = top.changed || entry.subtree != below.tree;
    entry.subtree = below.tree;
    top.result.files += below.files;
    top.result.bytes += below.bytes;
    top.keep();
  }

  [[nodiscard]] rewritten_tree leave() {
    auto& top = levels_.back();
    auto result = top.result;
    if (top.kept != 0 || rules_.keeps_empty_directory(shown_path())) result.tree = top.changed ? encode(top) : top.tree;
    if (options_.remember && remembered_.size() < options_.most_remembered) remembered_.emplace(key_of(top.tree), result);
    levels_.pop_back();
    return result;
  }

  [[nodiscard]] id encode(const level& of) {
    tree_writer writer;
    for (std::size_t i = 0; i < of.kept; ++i) writer.add(of.nodes[i]);
    return store(writer.finish_view());
  }

  [[nodiscard]] id store(byte_view json) {
    return options_.store ? repo_.save_blob(blob_type::tree, json).id : sha256(json);
  }

  /// The path in path_ and the tree, or the tree alone.
  [[nodiscard]] id key_of(const id& tree) const {
    if (!options_.path_matters) return tree;
    std::string both = path_;
    both.append(as_text(tree.view()));
    return sha256(as_bytes(both));
  }

  repository& repo_;
  tree_rules& rules_;
  const tree_rewriter_options options_;
  std::vector<level> levels_;
  std::string path_;  // of the current node; "" at the root
  tree_writer writer_;
  std::unordered_map<id, rewritten_tree> remembered_;
};

}  // namespace recoup
