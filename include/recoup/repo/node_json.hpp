// One node as it stands in a tree, written to the byte as restic does and read with suspicion.
//
// Fields come in this order; those in brackets are left out when zero or empty. Unknown fields are passed over.
//   name type [mode] mtime atime ctime uid gid [user] [group] [inode] [device_id] [size] [links] [linktarget]
//   [linktarget_raw] [extended_attributes] [generic_attributes] [device] content [subtree] [error]
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/json/json_reader.hpp>
#include <recoup/json/json_writer.hpp>
#include <recoup/json/utf8.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

namespace node_json {

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

}  // namespace node_json

/// One node as it stands in a tree. Fields that are zero or empty are left out, but for those that restic always
/// writes.
inline void append_node_json(std::string& to, const node& of) {
  using namespace node_json;
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

namespace node_json {

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

}  // namespace node_json

}  // namespace recoup
