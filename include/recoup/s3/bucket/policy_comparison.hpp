// Whether two bucket policies say the same. Servers do not give back the text that they were given: MinIO writes lists
// where a text stood, orders them anew and spells "everyone" out.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/json/json_tree.hpp>
#include <recoup/json/json_writer.hpp>

namespace recoup {

namespace policy_json {

[[nodiscard]] inline std::string canonical(const simdjson::dom::element& value);

/// The order of a policy's lists means nothing, and a list of one is the same as that one.
[[nodiscard]] inline std::string canonical_list(const simdjson::dom::array& list) {
  std::vector<std::string> items;
  for (const auto each : list) items.push_back(canonical(each));
  std::ranges::sort(items);
  const auto repeated = std::ranges::unique(items);
  items.erase(repeated.begin(), repeated.end());
  if (items.size() == 1) return items.front();
  json_writer json;
  json.begin_array();
  for (const auto& each : items) json.raw(each);
  return json.end_array().take();
}

[[nodiscard]] inline std::string canonical_object(const simdjson::dom::object& object) {
  std::vector<std::pair<std::string, std::string>> members;
  for (const auto [key, value] : object) {
    auto text = canonical(value);
    if (key == "Principal" && text == R"("*")") text = R"({"AWS":"*"})";
    const bool is_empty_name = (key == "Sid" || key == "Id" || key == "ID") && text == R"("")";
    if (!is_empty_name && !value.is_null()) members.emplace_back(std::string(key), std::move(text));
  }
  std::ranges::sort(members);
  json_writer json;
  json.begin_object();
  for (const auto& [key, text] : members) json.key(key).raw(text);
  return json.end_object().take();
}

/// Conditions are given as texts or bare, `"true"` or `true`.
[[nodiscard]] inline std::string canonical(const simdjson::dom::element& value) {
  if (value.is_object()) return canonical_object(simdjson::dom::object(value));
  if (value.is_array()) return canonical_list(simdjson::dom::array(value));
  std::string text;
  append_json_string(text, value.is_string() ? std::string(std::string_view(value)) : simdjson::minify(value));
  return text;
}

}  // namespace policy_json

/// A text that is the same for all policies that say the same in other words. Throws invalid_argument for what is no JSON
/// object.
[[nodiscard]] inline std::string canonical_policy(std::string_view document, const std::string& what = "a bucket policy") {
  const json_tree tree(document, what);
  return policy_json::canonical_object(tree.object());
}

}  // namespace recoup
