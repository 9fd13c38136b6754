#include <functional>
#include <memory>
#include <optional>

#include <recoup/ops/bucket_repositories.hpp>
#include <recoup/s3/bucket.hpp>
#include <recoup/s3/bucket/anonymous_access.hpp>
#include <recoup/s3/bucket/lifecycle_json.hpp>
#include <recoup/s3/bucket/list.hpp>
#include <recoup/s3/bucket/versioning.hpp>
#include <recoup/s3/object_lock.hpp>
#include <recoup/s3/tags.hpp>

#include "bucket.hpp"
#include "format.hpp"

namespace recoup::cli {

namespace {

/// A thing that can be asked for, or why it could not be.
template <class Value>
struct asked {
  std::optional<Value> value{};
  std::string problem{};
  bool is_unsupported = false;
};

/// What one server does not have, or one user may not see, must not hide the rest.
template <class Ask>
[[nodiscard]] auto ask_for(Ask&& question) {
  asked<decltype(question())> answer;
  try {
    answer.value = question();
  } catch (const error& problem) {
    answer.is_unsupported = problem.code() == error_code::unsupported;
    if (!answer.is_unsupported && problem.code() != error_code::access_denied) throw;
    answer.problem = problem.what();
  }
  return answer;
}

struct bucket_view {
  asked<std::string> region;
  asked<bucket_versioning> versioning;
  asked<bucket_object_lock> lock;
  asked<bucket_lifecycle> lifecycle;
  asked<std::string> policy;
  asked<std::vector<s3_tag>> tags;
  asked<found_repositories> repositories;
};

bucket_view look_at(s3_client& client, const std::string& bucket) {
  return {ask_for([&] { return get_bucket_region(client, bucket); }),
          ask_for([&] { return get_versioning(client, bucket); }),
          ask_for([&] { return get_object_lock(client, bucket); }),
          ask_for([&] { return get_lifecycle(client, bucket); }),
          ask_for([&] { return get_policy(client, bucket); }),
          ask_for([&] { return get_bucket_tags(client, bucket); }),
          ask_for([&] { return find_repositories(client, bucket); })};
}

void write_lock(json_writer& json, const bucket_object_lock& lock) {
  json.begin_object().field("enabled", lock.enabled);
  if (lock.retention)
    json.field("mode", name_of(lock.retention->mode))
        .field("days", lock.retention->days)
        .field("years", lock.retention->years);
  json.end_object();
}

void write_access(json_writer& json, const std::string& policy, const std::string& bucket) {
  json.begin_array();
  if (!policy.empty())
    for (const auto& [prefix, access] : anonymous_access_in(parse_policy(policy), bucket))
      json.begin_object().field("prefix", prefix).field("access", name_of(access)).end_object();
  json.end_array();
}

void print_json(const context& call, const bucket_end& end, const bucket_view& view) {
  json_writer json, problems;
  problems.begin_object();
  const auto field = [&](const char* name, const auto& answer, const auto& write) {
    json.key(name);
    if (answer.value)
      write(*answer.value);
    else
      json.null(), problems.field(name, answer.problem);
  };
  json.begin_object()
      .field("bucket", end.bucket())
      .field("location", recoup::describe(end.client->endpoint(), end.bucket()));
  field("region", view.region, [&](const std::string& region) { json.value(region); });
  field("versioning", view.versioning, [&](const bucket_versioning& found) { json.value(name_of(found.state)); });
  field("object_lock", view.lock, [&](const bucket_object_lock& found) { write_lock(json, found); });
  field("lifecycle", view.lifecycle, [&](const bucket_lifecycle& found) { json.raw(to_json(found)); });
  field("policy", view.policy, [&](const std::string& found) {
    if (found.empty())
      json.null();
    else
      json.raw(to_json(parse_policy(found)));
  });
  field("anonymous_access", view.policy, [&](const std::string& found) { write_access(json, found, end.bucket()); });
  field("tags", view.tags, [&](const std::vector<s3_tag>& found) {
    json.begin_object();
    for (const auto& tag : found) json.field(tag.key, tag.value);
    json.end_object();
  });
  field("repositories", view.repositories, [&](const found_repositories& found) {
    json.begin_array();
    for (const auto& prefix : found.prefixes) json.value(prefix);
    json.end_array();
  });
  json.key("problems").raw(problems.end_object().take());
  call.out.result(json.end_object().take());
}

std::string describe(const bucket_object_lock& lock) {
  if (!lock.enabled) return "no";
  if (!lock.retention) return "yes; new objects are not locked unless asked for";
  const bool years = lock.retention->years != 0;
  return "yes; new objects are locked for " + std::to_string(years ? lock.retention->years : lock.retention->days) +
         (years ? " years" : " days") + " (" + name_of(lock.retention->mode) + ')';
}

std::string describe_access(const std::string& document, const std::string& bucket) {
  if (document.empty()) return "none";
  const auto policy = parse_policy(document);
  auto text = std::to_string(policy.statements.size()) + " statements";
  for (const auto& [prefix, access] : anonymous_access_in(policy, bucket))
    text += std::string("; everyone: ") + name_of(access) + (prefix.empty() ? "" : " below " + prefix);
  if (count_other_public_statements(policy) != 0) text += "; some more statements are for everyone";
  return text;
}

void print_text(const context& call, const bucket_end& end, const bucket_view& view) {
  const auto row = [&](const char* name, const auto& answer, const auto& text) {
    const auto shown = answer.value ? text(*answer.value)
                                    : std::string(answer.is_unsupported ? "the server has no such thing"
                                                                        : "these credentials may not see it");
    call.out.result(formatted("%-16s", name) + shown);
  };
  call.out.result(formatted("%-16s", "Bucket") + recoup::describe(end.client->endpoint(), end.bucket()));
  row("Region", view.region, [](const std::string& region) { return region; });
  row("Versioning", view.versioning, [](const bucket_versioning& found) { return std::string(name_of(found.state)); });
  row("Object lock", view.lock, [](const bucket_object_lock& found) { return describe(found); });
  row("Lifecycle", view.lifecycle, [](const bucket_lifecycle& found) {
    return found.rules.empty() ? std::string("no rules")
                               : std::to_string(found.rules.size()) + " rules (bucket lifecycle show)";
  });
  row("Policy", view.policy, [&](const std::string& found) { return describe_access(found, end.bucket()); });
  row("Tags", view.tags, [](const std::vector<s3_tag>& found) {
    std::string text;
    for (const auto& tag : found) text += (text.empty() ? "" : ", ") + tag.key + '=' + tag.value;
    return text.empty() ? std::string("none") : text;
  });
  row("Repositories", view.repositories, [](const found_repositories& found) {
    std::string text;
    for (const auto& prefix : found.prefixes)
      text += (text.empty() ? "" : ", ") + (prefix.empty() ? std::string("at the top") : quoted_if_needed(prefix));
    if (!found.is_complete) text += " (not all of the bucket was looked into)";
    return text.empty() ? std::string("none") : text;
  });
}

void run(context& call) {
  const auto end = open_bucket(call);
  if (!bucket_exists(*end.client, end.bucket()))
    throw error(error_code::not_found, "there is no bucket " + end.bucket() + " on " + end.client->endpoint().url());
  const auto view = look_at(*end.client, end.bucket());
  if (call.options.json)
    print_json(call, end, view);
  else
    print_text(call, end, view);
}

}  // namespace

void add_bucket_show_command(command_tree& tree, CLI::App& group) {
  auto& command = tree.add(group, "show", "[flags] [location]", "Show all that is set on a bucket");
  command.details =
      "Shows region, versioning, object lock, lifecycle rules, policy, tags and restic repositories of a bucket at\n"
      "once. What lies in it is counted by `recoup bucket usage`.\n";
  command.run = run;
}

}  // namespace recoup::cli
