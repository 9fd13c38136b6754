// Lifecycle rules as JSON, in the form that AWS's own tools read and write
// ({"Rules":[{"ID":…,"Status":…,"Filter":…}]}), which is that of the XML but for lists, whose names are in the plural.
// Files from `mc ilm rule export` are read too: there the lists have one element and no plural.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/json/json_tree.hpp>
#include <recoup/json/json_writer.hpp>
#include <recoup/s3/bucket/lifecycle.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

namespace lifecycle_json {

struct list_name {
  std::string_view in, xml, json;  ///< the parent in XML, the element, the list
};
inline constexpr std::array<list_name, 4> lists{
    {{"LifecycleConfiguration", "Rule", "Rules"},
     {"Rule", "Transition", "Transitions"},
     {"Rule", "NoncurrentVersionTransition", "NoncurrentVersionTransitions"},
     {"And", "Tag", "Tags"}}};

[[nodiscard]] inline std::string_view list_of(std::string_view parent, std::string_view element) {
  for (const auto& each : lists)
    if (each.in == parent && each.xml == element) return each.json;
  return {};
}

[[nodiscard]] inline std::string_view element_of(std::string_view parent, std::string_view list) {
  for (const auto& each : lists)
    if (each.in == parent && each.json == list) return each.xml;
  return list;
}

/// Numbers and truth values have no quotation marks in JSON; which elements hold them cannot be seen in XML.
[[nodiscard]] inline bool is_bare(std::string_view name) {
  constexpr std::array<std::string_view, 9> names{"Days",
                                                  "DaysAfterInitiation",
                                                  "ExpiredObjectAllVersions",
                                                  "ExpiredObjectDeleteMarker",
                                                  "MaxNoncurrentVersions",
                                                  "NoncurrentDays",
                                                  "NewerNoncurrentVersions",
                                                  "ObjectSizeGreaterThan",
                                                  "ObjectSizeLessThan"};
  return std::ranges::find(names, name) != names.end();
}

[[nodiscard]] inline bool is_json_token(std::string_view text) {
  return text == "true" || text == "false" ||
         (!text.empty() && text.size() < 16 && text.find_first_not_of("0123456789") == std::string_view::npos &&
          (text.size() == 1 || text.front() != '0'));
}

inline void write(json_writer& to, const xml_element& element);

inline void write_children(json_writer& to, const xml_element& element) {
  to.begin_object();
  std::vector<std::string_view> done;
  for (const auto& child : element.children) {
    if (std::ranges::find(done, child.name) != done.end()) continue;
    done.push_back(child.name);
    const auto count = std::ranges::count(element.children, child.name, &xml_element::name);
    const auto list = list_of(element.name, child.name);
    to.key(list.empty() ? std::string_view(child.name) : list);
    if (list.empty() && count == 1) {
      write(to, child);
      continue;
    }
    to.begin_array();
    for (const auto& each : element.all(child.name)) write(to, each);
    to.end_array();
  }
  to.end_object();
}

inline void write(json_writer& to, const xml_element& element) {
  if (!element.children.empty())
    write_children(to, element);
  else if (is_bare(element.name) && is_json_token(element.text))
    to.raw(element.text);
  else
    to.value(element.text);
}

inline void read_value(const simdjson::dom::element& from, std::string_view parent, std::string_view name,
                       xml_element& to, int depth) {
  const auto fail = [&](const char* why) {
    return error(error_code::invalid_argument, "\"" + go_quoted(name) + "\" " + why);
  };
  if (depth > 16) throw fail("lies too deep in other objects");
  if (from.is_null()) return;
  if (from.is_array()) {
    for (const auto each : simdjson::dom::array(from))
      read_value(each, parent, element_of(parent, name), to, depth + 1);
    return;
  }
  xml_element made{std::string(name), {}, {}};
  if (from.is_object()) {
    for (const auto [key, value] : simdjson::dom::object(from)) read_value(value, made.name, key, made, depth + 1);
  } else if (from.is_string()) {
    made.text = std::string_view(from);
  } else if (from.is_bool() || from.is_uint64()) {
    made.text = simdjson::minify(from);
  } else {
    throw fail("must be a text, a whole number, true or false");
  }
  to.children.push_back(std::move(made));
}

/// A name or text that no XML can hold would fail only when it is sent, without saying where it stands.
inline void check_names(const xml_element& element) {
  const auto is_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  for (const auto& child : element.children) {
    if (child.name.empty() || !std::ranges::all_of(child.name, is_name) ||
        (child.name[0] >= '0' && child.name[0] <= '9'))
      throw error(error_code::invalid_argument,
                  "\"" + go_quoted(child.name) + "\" cannot be a part of a lifecycle rule");
    check_names(child);
  }
}

}  // namespace lifecycle_json

/// {"Rules":[…]}
[[nodiscard]] inline std::string to_json(const bucket_lifecycle& lifecycle) {
  json_writer json;
  auto root = to_xml(lifecycle);
  if (root.children.empty()) return R"({"Rules":[]})";
  lifecycle_json::write(json, root);
  return json.take();
}

/// `what` names the text in messages. Throws invalid_argument for what is no set of rules.
[[nodiscard]] inline bucket_lifecycle parse_lifecycle_json(std::string_view text, const std::string& what) {
  xml_element root{"LifecycleConfiguration", {}, {}};
  json_tree tree(text, what);
  for (const auto [key, value] : tree.object()) {
    if (key == "Rules" && !value.is_null() && !value.is_array())
      throw error(error_code::invalid_argument, what + ": \"Rules\" must be a list");
    // What `aws s3api get-bucket-lifecycle-configuration` adds is no part of the rules.
    if (key == "TransitionDefaultMinimumObjectSize" || key == "ResponseMetadata") continue;
    if (key != "Rules")
      throw error(error_code::invalid_argument, what + ": \"" + go_quoted(key) + "\" stands where only \"Rules\" can");
    try {
      lifecycle_json::read_value(value, root.name, key, root, 0);
    } catch (const error& problem) {
      throw error(problem.code(), what + ": " + problem.what());
    }
  }
  lifecycle_json::check_names(root);
  auto found = lifecycle_from(root);
  for (const auto& rule : found.rules)
    for (const auto& other : rule.others)
      if (other.name == "Status" || other.name == "Filter")
        throw error(error_code::invalid_argument, what + ": a rule has a " + other.name + " that makes no sense");
  return found;
}

}  // namespace recoup
