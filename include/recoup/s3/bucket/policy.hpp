// Who may do what with a bucket and its objects, as the JSON document that S3 has for it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/json/json_tree.hpp>
#include <recoup/json/json_writer.hpp>
#include <recoup/s3/bucket/setting.hpp>

namespace recoup {

/// One statement, as far as it is understood. Conditions and what else there is stay as they are.
struct policy_statement {
  bool allows = false;
  bool is_for_everyone = false;  ///< the principal is "*", so nobody has to sign
  std::vector<std::string> actions{}, resources{};
  /// The members in their order and their JSON, without Action and Resource.
  std::vector<std::pair<std::string, std::string>> others{};

  /// Its JSON; empty if there is no such member.
  [[nodiscard]] std::string_view other(std::string_view name) const noexcept {
    for (const auto& [key, json] : others)
      if (key == name) return json;
    return {};
  }
};

struct bucket_policy {
  std::vector<policy_statement> statements{};
  std::vector<std::pair<std::string, std::string>> others{};  ///< Version, Id
};

namespace policy_json {

/// Policies have one text where a list of one would do.
[[nodiscard]] inline std::vector<std::string> texts(const simdjson::dom::element& from) {
  std::vector<std::string> found;
  if (from.is_string()) found.emplace_back(std::string_view(from));
  if (from.is_array())
    for (const auto each : simdjson::dom::array(from))
      if (each.is_string()) found.emplace_back(std::string_view(each));
  return found;
}

/// Whether texts() has all of it.
[[nodiscard]] inline bool is_texts(const simdjson::dom::element& from) {
  if (from.is_string()) return true;
  if (!from.is_array()) return false;
  const auto list = simdjson::dom::array(from);
  bool all = list.size() != 0;
  for (const auto each : list) all = all && each.is_string();
  return all;
}

[[nodiscard]] inline bool is_everyone(const simdjson::dom::element& principal) {
  auto names = texts(principal);
  if (principal.is_object())
    for (const auto [key, value] : simdjson::dom::object(principal))
      if (key == "AWS") names = texts(value);
  return std::ranges::find(names, "*") != names.end();
}

[[nodiscard]] inline policy_statement read_statement(const simdjson::dom::object& from) {
  policy_statement found;
  for (const auto [key, value] : from) {
    if (key == "Action" && is_texts(value)) {
      found.actions = texts(value);
      continue;
    }
    if (key == "Resource" && is_texts(value)) {
      found.resources = texts(value);
      continue;
    }
    if (key == "Effect") found.allows = value.is_string() && std::string_view(value) == "Allow";
    if (key == "Principal") found.is_for_everyone = is_everyone(value);
    found.others.emplace_back(std::string(key), simdjson::minify(value));
  }
  return found;
}

}  // namespace policy_json

/// Throws invalid_argument for what is no policy.
[[nodiscard]] inline bucket_policy parse_policy(std::string_view document,
                                                const std::string& what = "a bucket policy") {
  const json_tree tree(document, what);
  bucket_policy found;
  const auto add = [&](const simdjson::dom::element& statement) {
    if (!statement.is_object()) throw error(error_code::invalid_argument, what + ": a statement must be an object");
    found.statements.push_back(policy_json::read_statement(simdjson::dom::object(statement)));
  };
  for (const auto [key, value] : tree.object()) {
    if (key != "Statement") {
      found.others.emplace_back(std::string(key), simdjson::minify(value));
    } else if (value.is_array()) {
      for (const auto each : simdjson::dom::array(value)) add(each);
    } else {
      add(value);
    }
  }
  return found;
}

[[nodiscard]] inline std::string to_json(const bucket_policy& policy) {
  json_writer json;
  json.begin_object();
  for (const auto& [key, value] : policy.others) json.key(key).raw(value);
  json.key("Statement").begin_array();
  for (const auto& statement : policy.statements) {
    json.begin_object();
    for (const auto& [key, value] : statement.others) json.key(key).raw(value);
    if (!statement.actions.empty()) json.strings("Action", statement.actions);
    if (!statement.resources.empty()) json.strings("Resource", statement.resources);
    json.end_object();
  }
  return json.end_array().end_object().take();
}

/// The document as the server has it; empty if there is none.
[[nodiscard]] inline std::string get_policy(s3_client& client, const std::string& bucket) {
  const auto answer = bucket_setting(client, bucket, "policy", "the policy").get();
  return answer ? answer->body : std::string();
}

/// Replaces the policy. Throws invalid_argument before anything is sent if the document is no JSON object with
/// statements.
inline void put_policy(s3_client& client, const std::string& bucket, std::string_view document) {
  if (parse_policy(document).statements.empty())
    throw error(error_code::invalid_argument, "the bucket policy has no statements: to have none, remove it");
  bucket_setting(client, bucket, "policy", "the policy").put(document, {}, "application/json");
}

inline void delete_policy(s3_client& client, const std::string& bucket) {
  bucket_setting(client, bucket, "policy", "the policy").remove();
}

}  // namespace recoup
