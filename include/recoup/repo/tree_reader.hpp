// Reads a tree of any length some nodes at a time, in memory that does not grow with it.
//
//   recoup::tree_reader reader(*repo, tree);
//   while (auto* node = reader.next()) …
//
// Trees are read whole as long as they are short, which is nearly always and takes half of the time.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/blob_stream.hpp>
#include <recoup/repo/node.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree.hpp>
#include <recoup/repo/tree_parts.hpp>

namespace recoup {

/// Not thread-safe.
class tree_reader {
public:
  /// Bytes of JSON that are decoded at once; longer trees are read twice, once to verify them. While it is read, text takes
  /// some fifteen times its length.
  static constexpr std::size_t usual_length = std::size_t{512} << 10;

  /// Throws as repository::load_blob() does, and damaged if what was read first is no tree.
  tree_reader(repository& repo, const id& tree) {
    const blob_handle blob{blob_type::tree, tree};
    const auto length = repo.index().plaintext_length(blob);
    if (length && *length > usual_length) {
      long_tree_ = std::make_unique<long_tree>(repo, blob);
      read_on();
    } else {
      nodes_ = decode_tree(repo.load_blob(blob));
    }
  }

  /// The next node, which may be moved from and is good until the next call; null at the end. Throws damaged.
  [[nodiscard]] node* next() {
    while (next_ == nodes_.size()) {
      if (!long_tree_) return nullptr;
      read_on();
    }
    return &nodes_[next_++];
  }

private:
  struct long_tree {
    long_tree(repository& repo, const blob_handle& blob) : stream(repo, blob) {}
    blob_stream stream;
    tree_parts parts{usual_length};
  };

  void read_on() {
    nodes_.clear();
    next_ = 0;
    auto& [stream, parts] = *long_tree_;
    for (;;) {
      if (const auto part = parts.next()) {
        nodes_ = decode_tree(as_bytes(*part));
        return;
      }
      const auto piece = stream.next();
      if (piece.empty()) break;
      parts.add(piece);
    }
    nodes_ = decode_tree(as_bytes(parts.rest()));
    long_tree_.reset();
  }

  std::unique_ptr<long_tree> long_tree_;  ///< while there is more of it
  std::vector<node> nodes_;
  std::size_t next_ = 0;
};

/// Calls `visit(node&)`, which may move the node away, for each node of a tree of any length. Throws as tree_reader does; by then some nodes may
/// have been visited.
template <class Visitor>
void for_each_node(repository& repo, const id& tree, Visitor&& visit) {
  const blob_handle blob{blob_type::tree, tree};
  if (const auto length = repo.index().plaintext_length(blob); length && *length > tree_reader::usual_length) {
    tree_reader reader(repo, tree);
    while (auto* const entry = reader.next()) visit(*entry);
  } else {
    decode_tree(repo.load_blob(blob), [&visit](node& entry) { visit(entry); });
  }
}

/// The entry of a directory with this name; of several the first. Throws as tree_reader does.
[[nodiscard]] inline std::optional<node> find_in_tree(repository& repo, const id& tree, std::string_view name) {
  tree_reader reader(repo, tree);
  while (auto* const entry = reader.next())
    if (entry->name == name) return std::move(*entry);
  return std::nullopt;
}

}  // namespace recoup
