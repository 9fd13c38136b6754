// A tree: the listing of one directory, as JSON. Its id is the SHA-256 of these very bytes, final newline included, so
// a directory gets the id that restic gives it only if every byte is the same (restic doc/design.rst, "Trees and
// Data").
//
//   {"nodes":[{"name":…,"type":…,…},…]}\n        ascending by raw name, no blanks
//
// A tree that another program wrote may differ from what we would write for the same nodes (old restic versions,
// rustic). Whoever copies a tree copies its bytes; whoever changes one asks `encodes_the_same` first.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/json/json_reader.hpp>
#include <recoup/repo/node.hpp>
#include <recoup/repo/node_json.hpp>

namespace recoup {

/// Whether a name read from a tree can be one entry of a directory. What is not must never reach the file system.
[[nodiscard]] constexpr bool is_safe_name(std::string_view name) noexcept {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

/// Puts a tree together, node by node. Keeps its memory, so one writer serves many trees.
class tree_writer {
public:
  /// Names must ascend strictly, byte by byte; throws invalid_argument otherwise.
  void add(const node& entry) {
    if (entry.name <= last_name_)
      throw error(error_code::invalid_argument, "cannot write a tree: node \"" + go_quoted(entry.name) +
                                                    "\" comes after \"" + go_quoted(last_name_) +
                                                    "\", but names must ascend and differ");
    text_.append(last_name_.empty() ? "{\"nodes\":[" : ",");
    append_node_json(text_, entry);
    last_name_ = entry.name;
  }

  /// Bytes written so far.
  [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }

  /// Ends the tree; the view is valid until the next `add`, which starts another one.
  [[nodiscard]] byte_view finish_view() {
    text_.append(last_name_.empty() ? "{\"nodes\":[]}\n" : "]}\n");
    finished_.swap(text_);
    text_.clear();
    last_name_.clear();
    return as_bytes(finished_);
  }

  [[nodiscard]] bytes finish() {
    const auto view = finish_view();
    return {view.begin(), view.end()};
  }

private:
  std::string text_, finished_, last_name_;
};

/// A tree from nodes that append_node_json wrote already, in ascending order of their names; empty texts are left out.
/// For who makes the nodes of a directory in parallel.
[[nodiscard]] inline std::string join_encoded_nodes(std::span<const std::string> nodes) {
  std::size_t length = 16;
  for (const auto& each : nodes) length += each.size() + 1;
  std::string text;
  text.reserve(length);
  text.append("{\"nodes\":[");
  for (const auto& each : nodes) {
    if (each.empty()) continue;
    if (text.back() != '[') text += ',';
    text.append(each);
  }
  text.append("]}\n");
  return text;
}

/// Calls `visit(node&)` for each node in the order of the tree; it may move the node away. If it returns bool, false
/// ends the reading. Throws damaged if `json` is no tree. Names are as stored: neither safe (`is_safe_name`) nor
/// necessarily ascending (`names_ascend`).
template <class Visitor>
  requires std::is_invocable_v<Visitor, node&>
void decode_tree(byte_view json, Visitor&& visit) {
  struct stopped {};
  bool found = false;
  const auto read_node = [&visit](json_value& element) {
    node entry = node_json::blank_node();
    node_json::node_reader reader(entry);
    for_each_field(object_of(element),
                   [&reader](std::string_view key, json_value& value) { reader.read_field(key, value); });
    if constexpr (std::is_same_v<std::invoke_result_t<Visitor, node&>, bool>) {
      if (!visit(entry)) throw stopped{};
    } else {
      visit(entry);
    }
  };
  try {
    read_json(json, "tree", [&](json_object root) {
      for_each_field(root, [&](std::string_view key, json_value& value) {
        if (key != "nodes") return;
        if (found) throw json_error("appears twice");
        found = true;
        for_each_element(value, read_node);
      });
      if (!found) throw json_error("there is no field nodes");
    });
  } catch (const stopped&) {
  }
}

[[nodiscard]] inline std::vector<node> decode_tree(byte_view json) {
  std::vector<node> nodes;
  nodes.reserve(json.size() / 400 + 1);  // a file of one chunk takes about that much
  decode_tree(json, [&nodes](node& entry) { nodes.push_back(std::move(entry)); });
  return nodes;
}

/// Whether names ascend strictly, as every tree must that restic or this program writes.
[[nodiscard]] inline bool names_ascend(std::span<const node> nodes) noexcept {
  return std::adjacent_find(nodes.begin(), nodes.end(),
                            [](const node& a, const node& b) { return a.name >= b.name; }) == nodes.end();
}

/// Whether decoding and encoding a tree gives the same bytes again, so that a changed copy loses nothing that it should
/// have kept.
[[nodiscard]] inline bool encodes_the_same(byte_view json) {
  const auto nodes = decode_tree(json);
  if (!names_ascend(nodes) || (!nodes.empty() && nodes.front().name.empty())) return false;
  tree_writer writer;
  for (const auto& entry : nodes) writer.add(entry);
  return as_text(writer.finish_view()) == as_text(json);
}

}  // namespace recoup
