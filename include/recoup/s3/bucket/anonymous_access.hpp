// What everyone may do without signing: policies of one of four kinds, for a bucket or a prefix in it. The statements
// are those that `mc anonymous set` writes, so that either program understands what the other did.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/json/json_writer.hpp>
#include <recoup/s3/bucket/policy.hpp>

namespace recoup {

enum class anonymous_access : std::uint8_t {
  none,      ///< "private": only who signs, and may
  download,  ///< list and read
  upload,    ///< write and delete, but not read
  full,      ///< "public": all of it
};

[[nodiscard]] constexpr const char* name_of(anonymous_access access) noexcept {
  switch (access) {
    case anonymous_access::none: return "private";
    case anonymous_access::download: return "download";
    case anonymous_access::upload: return "upload";
    case anonymous_access::full: return "public";
  }
  return "private";
}

[[nodiscard]] inline std::optional<anonymous_access> parse_anonymous_access(std::string_view text) {
  for (const auto each :
       {anonymous_access::none, anonymous_access::download, anonymous_access::upload, anonymous_access::full})
    if (text == name_of(each)) return each;
  return std::nullopt;
}

namespace anonymous_policy {

inline constexpr std::string_view location_action = "s3:GetBucketLocation", list_action = "s3:ListBucket",
                                  uploads_action = "s3:ListBucketMultipartUploads", read_action = "s3:GetObject";

[[nodiscard]] inline const std::vector<std::string>& write_actions() {
  static const std::vector<std::string> actions{"s3:AbortMultipartUpload", "s3:DeleteObject",
                                                "s3:ListMultipartUploadParts", "s3:PutObject"};
  return actions;
}

[[nodiscard]] inline policy_statement make_statement(std::vector<std::string> actions, std::string resource,
                                                     const std::string& listed_prefix = {}) {
  policy_statement made{true, true, std::move(actions), {std::move(resource)}, {}};
  made.others = {{"Effect", R"("Allow")"}, {"Principal", R"({"AWS":["*"]})"}};
  if (!listed_prefix.empty()) {
    json_writer condition;
    condition.begin_object().key("StringEquals").begin_object();
    condition.strings("s3:prefix", std::vector<std::string>{listed_prefix});
    made.others.emplace_back("Condition", condition.end_object().end_object().take());
  }
  return made;
}

[[nodiscard]] inline bool only_has(const policy_statement& statement, const std::vector<std::string>& allowed) {
  return !statement.actions.empty() && std::ranges::all_of(statement.actions, [&](const std::string& action) {
    return std::ranges::find(allowed, action) != allowed.end();
  });
}

[[nodiscard]] inline bool has(const policy_statement& statement, std::string_view action) {
  return std::ranges::any_of(statement.actions,
                             [&](const std::string& each) { return each == action || each == "*" || each == "s3:*"; });
}

/// About objects, and nothing but what one of the kinds allows.
[[nodiscard]] inline bool is_object_statement(const policy_statement& statement) {
  auto allowed = write_actions();
  allowed.emplace_back(read_action);
  return statement.allows && statement.is_for_everyone && statement.other("Condition").empty() &&
         only_has(statement, allowed);
}

[[nodiscard]] inline bool is_bucket_statement(const policy_statement& statement) {
  return statement.allows && statement.is_for_everyone &&
         only_has(statement, {std::string(location_action), std::string(list_action), std::string(uploads_action)});
}

}  // namespace anonymous_policy

/// Prefix -> what everyone may do with the objects below it, as far as plain statements say so. Statements with
/// conditions, or for other principals, are not judged.
[[nodiscard]] inline std::map<std::string, anonymous_access> anonymous_access_in(const bucket_policy& policy,
                                                                                 const std::string& bucket) {
  using namespace anonymous_policy;
  const auto start = "arn:aws:s3:::" + bucket + '/';
  std::map<std::string, std::pair<bool, bool>> found;
  for (const auto& statement : policy.statements) {
    if (!statement.allows || !statement.is_for_everyone || !statement.other("Condition").empty()) continue;
    for (const auto& resource : statement.resources) {
      if (!resource.starts_with(start) || !resource.ends_with('*')) continue;
      auto& [reads, writes] = found[resource.substr(start.size(), resource.size() - start.size() - 1)];
      reads = reads || has(statement, read_action);
      writes = writes || has(statement, "s3:PutObject");
    }
  }
  std::map<std::string, anonymous_access> access;
  for (const auto& [prefix, can] : found)
    if (can.first || can.second)
      access[prefix] = can.first && can.second ? anonymous_access::full
                       : can.first             ? anonymous_access::download
                                               : anonymous_access::upload;
  return access;
}

/// Statements that open the bucket to everyone in ways that are none of the kinds.
[[nodiscard]] inline std::size_t count_other_public_statements(const bucket_policy& policy) {
  return static_cast<std::size_t>(std::ranges::count_if(policy.statements, [](const policy_statement& each) {
    return each.allows && each.is_for_everyone && !anonymous_policy::is_object_statement(each) &&
           !anonymous_policy::is_bucket_statement(each);
  }));
}

/// Changes what everyone may do with the keys that begin with `prefix`; other statements stay.
inline void set_anonymous_access(bucket_policy& policy, const std::string& bucket, const std::string& prefix,
                                 anonymous_access wanted) {
  using namespace anonymous_policy;
  auto access = anonymous_access_in(policy, bucket);
  access[prefix] = wanted;
  // All statements of the kinds are taken out and written anew: `mc` joins those of several prefixes.
  std::erase_if(policy.statements, [&](const policy_statement& each) {
    if (is_bucket_statement(each)) return true;
    if (!is_object_statement(each)) return false;
    const auto start = "arn:aws:s3:::" + bucket + '/';
    return std::ranges::all_of(each.resources, [&](const std::string& resource) {
      return resource.starts_with(start) && resource.ends_with('*');
    });
  });
  const auto root = "arn:aws:s3:::" + bucket;
  bool any = false;
  for (const auto& [place, kind] : access) {
    if (kind == anonymous_access::none) continue;
    const bool reads = kind != anonymous_access::upload, writes = kind != anonymous_access::download;
    if (!std::exchange(any, true)) policy.statements.push_back(make_statement({std::string(location_action)}, root));
    if (reads) policy.statements.push_back(make_statement({std::string(list_action)}, root, place));
    if (writes) policy.statements.push_back(make_statement({std::string(uploads_action)}, root));
    auto actions = writes ? write_actions() : std::vector<std::string>{};
    if (reads) actions.emplace_back(read_action);
    policy.statements.push_back(make_statement(std::move(actions), root + '/' + place + '*'));
  }
  if (std::ranges::find(policy.others, "Version", [](const auto& each) { return each.first; }) == policy.others.end())
    policy.others.emplace_back("Version", R"("2012-10-17")");
}

/// The same on the server. A policy that has no statement left is removed.
inline void set_anonymous_access(s3_client& client, const std::string& bucket, const std::string& prefix,
                                 anonymous_access wanted) {
  const auto document = get_policy(client, bucket);
  auto policy = document.empty() ? bucket_policy{} : parse_policy(document);
  set_anonymous_access(policy, bucket, prefix, wanted);
  if (policy.statements.empty()) return delete_policy(client, bucket);
  put_policy(client, bucket, to_json(policy));
}

}  // namespace recoup
