// A tree: the listing of one directory, as JSON. Its id is the SHA-256 of these very bytes, final newline included, so a
// directory gets the id that restic gives it only if every byte is the same (restic doc/design.rst, "Trees and Data").
//
//   {"nodes":[{"name":…,"type":…,…},…]}\n        ascending by raw name, no blanks
//
// A tree that another program wrote may differ from what we would write for the same nodes (old restic versions, rustic).
// Whoever copies a tree copies its bytes; whoever changes one asks `encodes_the_same` first.
#pragma once

#include <algorithm>
#include <cstring>
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
#include <recoup/json/json_writer.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

/// Whether a name read from a tree can be one entry of a directory. What is not must never reach the file system.
[[nodiscard]] constexpr bool is_safe_name(std::string_view name) noexcept {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

namespace tree_json {

inline void append_field(std::string& to, std::string_view key_with_colon, std::uint64_t value) {
  if (value == 0) return;
  to.append(key_with_colon);
  append_json_number(to, value);
}

inline void append_field(std::string& to, std::string_view key_with_colon, const std::string& value) {
  if (value.empty()) return;
  to.append(key_with_colon);
  append_json_string(to, value);
}

inline void append_times(std::string& to, const node& of) {
  to.append(",\"mtime\":");
  const auto start = to.size();
  append_json_time(to, of.mtime);
  const auto length = to.size() - start;
  // restic stores the mtime as atime unless told otherwise, so mostly it is there already.
  to.append(",\"atime\":");
  if (of.atime == of.mtime)
    to.append(to, start, length);
  else
    append_json_time(to, of.atime);
  to.append(",\"ctime\":");
  append_json_time(to, of.ctime);
}

inline void append_extended_attributes(std::string& to, const std::vector<extended_attribute>& attributes) {
  if (attributes.empty()) return;
  to.append(",\"extended_attributes\":[");
  for (const auto& attribute : attributes) {
    to.append("{\"name\":");
    append_json_string(to, attribute.name);
    to.append(",\"value\":");
    if (attribute.value)
      append_json_base64(to, *attribute.value);
    else
      to.append("null");
    to.append("},");
  }
  to.back() = ']';
}

inline void append_content(std::string& to, const std::optional<std::vector<id>>& content) {
  to.append(",\"content\":");
  if (!content) {
    to.append("null");
    return;
  }
  to.push_back('[');
  for (const auto& blob : *content) {
    append_json_id(to, blob);
    to.push_back(',');
  }
  if (content->empty())
    to.push_back(']');
  else
    to.back() = ']';
}

}  // namespace tree_json

/// One node as it stands in a tree. Fields that are zero or empty are left out, but for those that restic always writes.
inline void append_node_json(std::string& to, const node& of) {
  using namespace tree_json;
  to.append("{\"name\":");
  append_json_name(to, of.name);
  to.append(",\"type\":\"");
  to.append(name_of(of.type));
  to.push_back('"');
  append_field(to, ",\"mode\":", of.mode);
  append_times(to, of);
  to.append(",\"uid\":");
  append_json_number(to, of.uid);
  to.append(",\"gid\":");
  append_json_number(to, of.gid);
  append_field(to, ",\"user\":", of.user);
  append_field(to, ",\"group\":", of.group);
  append_field(to, ",\"inode\":", of.inode);
  append_field(to, ",\"device_id\":", of.device_id);
  append_field(to, ",\"size\":", of.size);
  append_field(to, ",\"links\":", of.links);
  append_field(to, ",\"linktarget\":", of.link_target);
  if (!is_valid_utf8(of.link_target)) {  // what "linktarget" says is then only nearly right
    to.append(",\"linktarget_raw\":");
    append_json_base64(to, as_bytes(of.link_target));
  }
  append_extended_attributes(to, of.extended_attributes);
  if (!of.generic_attributes.empty()) {
    to.append(",\"generic_attributes\":");
    to.append(of.generic_attributes);
  }
  append_field(to, ",\"device\":", of.device);
  append_content(to, of.content);
  if (of.subtree) {
    to.append(",\"subtree\":");
    append_json_id(to, *of.subtree);
  }
  append_field(to, ",\"error\":", of.error);
  to.push_back('}');
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

namespace tree_json {

[[nodiscard]] inline node_type type_of(std::string_view text) noexcept {
  for (auto type = node_type::file; type != node_type::unknown;
       type = static_cast<node_type>(static_cast<std::uint8_t>(type) + 1))
    if (text == name_of(type)) return type;
  return node_type::unknown;
}

inline void read_name(json_value& value, std::string& into) {
  if (is_null(value)) return;
  const auto quoted = string_of(value);
  if (quoted.find_first_of("\\\"\n") == std::string_view::npos) {
    into = quoted;
    return;
  }
  auto raw = go_unquote(quoted);
  if (!raw) throw json_error("bad escape in \"" + go_quoted(quoted.substr(0, 200)) + "\"");
  into = std::move(*raw);
}

inline void read_extended_attributes(json_value& value, std::vector<extended_attribute>& into) {
  into.clear();
  for_each_element(value, [&into](json_value& element) {
    auto& attribute = into.emplace_back();
    for_each_field(object_of(element), [&attribute](std::string_view key, json_value& part) {
      if (key == "name") {
        read(part, attribute.name);
      } else if (key == "value") {
        if (!is_null(part)) read(part, attribute.value.emplace());
      }
    });
  });
}

/// Keeps the object's text, checked to be JSON, without blanks. An empty one counts as none, as in Go.
inline void read_generic_attributes(json_value& value, std::string& into) {
  if (is_null(value)) return;
  const std::string_view raw = object_of(value).raw_json();
  const simdjson::padded_string padded(raw);
  simdjson::dom::parser parser;
  simdjson::dom::object checked;
  if (parser.parse(padded).get_object().get(checked) != simdjson::SUCCESS) throw json_error("not valid JSON");
  into.clear();
  if (checked.size() == 0) return;
  into.resize(raw.size() + simdjson::SIMDJSON_PADDING);
  std::size_t length = 0;
  if (simdjson::minify(raw.data(), raw.size(), into.data(), length) != simdjson::SUCCESS)
    throw json_error("not valid JSON");
  into.resize(length);
}

inline void read_content(json_value& value, std::optional<std::vector<id>>& into) {
  if (is_null(value)) return;
  auto& blobs = into ? *into : into.emplace();
  blobs.clear();
  for_each_element(value, [&blobs](json_value& element) { blobs.push_back(id_of(element)); });
}

/// A key of up to seven bytes as one number, so that a switch can tell keys apart; 0 for longer ones.
[[nodiscard]] constexpr std::uint64_t short_key(std::string_view key) noexcept {
  if (key.size() > 7) return 0;
  std::uint64_t number = key.size() << 56;
  for (std::size_t i = 0; i < key.size(); ++i) number |= std::uint64_t{static_cast<unsigned char>(key[i])} << 8 * i;
  return number;
}

/// Puts the fields of one node together.
class node_reader {
public:
  explicit node_reader(node& into) : into_(into) {}

  void read_field(std::string_view key, json_value& value) {
    switch (short_key(key)) {
      case short_key("name"): return read_name(value, into_.name);
      case short_key("type"): return read_type(value);
      case short_key("mode"): return read(value, into_.mode);
      case short_key("mtime"): return read_time(value, into_.mtime);
      case short_key("atime"): return read_time(value, into_.atime);
      case short_key("ctime"): return read_time(value, into_.ctime);
      case short_key("uid"): return read(value, into_.uid);
      case short_key("gid"): return read(value, into_.gid);
      case short_key("user"): return read(value, into_.user);
      case short_key("group"): return read(value, into_.group);
      case short_key("inode"): return read(value, into_.inode);
      case short_key("size"): return read(value, into_.size);
      case short_key("links"): return read(value, into_.links);
      case short_key("device"): return read(value, into_.device);
      case short_key("content"): return read_content(value, into_.content);
      case short_key("subtree"): return read(value, into_.subtree);
      case short_key("error"): return read(value, into_.error);
      case short_key(long_key): return read_long_field(key, value);
      default: return;
    }
  }

private:
  static constexpr std::string_view long_key = "longer than seven bytes";

  void read_long_field(std::string_view key, json_value& value) {
    if (key == "device_id") return read(value, into_.device_id);
    if (key == "linktarget") {
      if (!has_raw_target_) read(value, into_.link_target);
      return;
    }
    if (key == "linktarget_raw") return read_raw_target(value);
    if (key == "extended_attributes") return read_extended_attributes(value, into_.extended_attributes);
    if (key == "generic_attributes") return read_generic_attributes(value, into_.generic_attributes);
  }

  void read_type(json_value& value) {
    if (!is_null(value)) into_.type = type_of(string_of(value));
  }

  /// Mostly a node's times are the same, and comparing is cheaper than reading once more.
  void read_time(json_value& value, timestamp& time) {
    const auto text = raw_token(value);
    if (!last_time_text_.empty() && text == last_time_text_) {
      time = last_time_;
      return;
    }
    if (is_null(value)) return;
    read(value, time);
    last_time_text_ = text;
    last_time_ = time;
  }

  void read_raw_target(json_value& value) {
    if (is_null(value)) return;
    bytes raw;
    read(value, raw);
    into_.link_target = as_text(raw);
    has_raw_target_ = true;
  }

  node& into_;
  bool has_raw_target_ = false;
  std::string_view last_time_text_;
  timestamp last_time_;
};

/// Go's zero time, year 1, which stands for a time that a tree does not mention.
inline constexpr timestamp no_time{-62135596800, 0, 0};

[[nodiscard]] inline node blank_node() {
  node blank;
  blank.type = node_type::unknown;
  blank.mtime = blank.atime = blank.ctime = no_time;
  return blank;
}

}  // namespace tree_json

/// Calls `visit(node&)` for each node in the order of the tree; it may move the node away. If it returns bool, false
/// ends the reading. Throws damaged if `json` is no tree. Names are as stored: neither safe (`is_safe_name`) nor
/// necessarily ascending (`names_ascend`).
template <class Visitor>
  requires std::is_invocable_v<Visitor, node&>
void decode_tree(byte_view json, Visitor&& visit) {
  struct stopped {};
  bool found = false;
  const auto read_node = [&visit](json_value& element) {
    node entry = tree_json::blank_node();
    tree_json::node_reader reader(entry);
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
