#include <fstream>
#include <iterator>
#include <memory>

#include <recoup/s3/bucket/lifecycle_json.hpp>

#include "bucket.hpp"
#include "flags.hpp"
#include "format.hpp"
#include "lifecycle_danger.hpp"

namespace recoup::cli {

namespace {

struct rule_flags {
  std::string id, prefix;
  std::vector<std::string> tags;
  unsigned expire_days = 0, noncurrent_days = 0, keep_versions = 0, abort_upload_days = 0;
  bool remove_delete_markers = false, disabled = false, force = false;
};

std::string describe(const lifecycle_rule& rule) {
  std::vector<std::string> parts;
  const auto days = [](unsigned count) { return std::to_string(count) + (count == 1 ? " day" : " days"); };
  if (rule.expire_days) parts.push_back("expire objects after " + days(*rule.expire_days));
  if (!rule.expire_date.empty()) parts.push_back("expire objects from " + rule.expire_date + " on");
  if (rule.remove_lone_delete_markers) parts.push_back("remove lone delete markers");
  if (rule.noncurrent_days || rule.noncurrent_keep) {
    auto text = "remove old versions after " + days(rule.noncurrent_days.value_or(0));
    if (rule.noncurrent_keep) text += ", but the newest " + std::to_string(*rule.noncurrent_keep);
    parts.push_back(text);
  }
  if (rule.abort_upload_days) parts.push_back("abort uploads after " + days(*rule.abort_upload_days));
  for (const auto& each : rule.transitions)
    parts.push_back("move to " + each.storage_class +
                    (each.days ? " after " + days(*each.days) : " from " + each.date));
  for (const auto& each : rule.noncurrent_transitions) parts.push_back("move old versions to " + each.storage_class);
  for (const auto* others : {&rule.others, &rule.expiration_others, &rule.noncurrent_others})
    for (const auto& each : *others) parts.push_back(each.name + (each.text.empty() ? "" : '=' + each.text));
  return join(parts, "\n");
}

std::string describe(const lifecycle_filter& filter) {
  std::vector<std::string> parts;
  if (!filter.prefix.empty()) parts.push_back(filter.prefix);
  for (const auto& tag : filter.tags) parts.push_back("tag " + tag.key + '=' + tag.value);
  if (filter.larger_than) parts.push_back("larger than " + format_bytes(*filter.larger_than));
  if (filter.smaller_than) parts.push_back("smaller than " + format_bytes(*filter.smaller_than));
  for (const auto& each : filter.others) parts.push_back(each.name);
  return parts.empty() ? "all" : join(parts, "\n");
}

void print(const context& call, const bucket_lifecycle& lifecycle) {
  if (call.options.json) return call.out.result(to_json(lifecycle));
  if (lifecycle.rules.empty()) return call.out.result("no lifecycle rules");
  table rows({"ID", "Status", "Objects", "What happens"});
  for (const auto& rule : lifecycle.rules)
    rows.add_row({rule.id, rule.is_enabled ? "enabled" : "disabled", describe(rule.filter), describe(rule)});
  call.out.result(rows.text());
}

/// Rules that would destroy backups are said loudly, and set only if that is insisted on.
void check_repositories(context& call, const bucket_end& end, const bucket_lifecycle& wanted, bool force) {
  const auto dangers = find_dangers(*end.client, end.bucket(), wanted);
  for (const auto& each : dangers.found) call.out.error("Warning: " + each);
  if (!dangers.looked_everywhere)
    call.out.error("Warning: the bucket has too many directories to look for restic repositories in all of them");
  if (!dangers.found.empty() && !force)
    throw error(error_code::invalid_argument,
                "these rules would destroy backups, and are not set (old snapshots are removed with `recoup forget`; "
                "--force sets the rules all the same)");
}

void store(context& call, const bucket_end& end, const bucket_lifecycle& wanted, bool force) {
  check_repositories(call, end, wanted, force);
  put_lifecycle(*end.client, end.bucket(), wanted);
  const auto stored = get_lifecycle(*end.client, end.bucket());
  for (const auto& part : parts_not_kept(wanted, stored))
    call.out.error("Warning: the server took the rules, but does not keep this: " + part);
  print(call, stored);
}

void run_show(context& call) {
  const auto end = open_bucket(call);
  print(call, get_lifecycle(*end.client, end.bucket()));
}

void run_set(context& call, bool force) {
  if (call.arguments.empty()) throw usage_error("bucket lifecycle set expects a file with rules, and a location");
  const auto& path = call.arguments[0];
  std::ifstream file(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file) throw error(error_code::not_found, "cannot read the rules in " + path);
  auto wanted = parse_lifecycle_json(text, path);
  const auto end = open_bucket(call, 1);
  wanted.default_minimum_size = get_lifecycle(*end.client, end.bucket()).default_minimum_size;
  store(call, end, wanted, force);
}

void run_add(context& call, const rule_flags& flags) {
  const auto end = open_bucket(call);
  lifecycle_rule rule;
  rule.id = flags.id;
  rule.is_enabled = !flags.disabled;
  rule.filter.prefix = flags.prefix;
  for (const auto& tag : flags.tags) {
    const auto equals = tag.find('=');
    if (equals == std::string::npos) throw usage_error("--tag " + tag + ": write key=value");
    rule.filter.tags.push_back({tag.substr(0, equals), tag.substr(equals + 1)});
  }
  if (flags.expire_days != 0) rule.expire_days = flags.expire_days;
  if (flags.noncurrent_days != 0) rule.noncurrent_days = flags.noncurrent_days;
  if (flags.keep_versions != 0) rule.noncurrent_keep = flags.keep_versions;
  if (flags.abort_upload_days != 0) rule.abort_upload_days = flags.abort_upload_days;
  rule.remove_lone_delete_markers = flags.remove_delete_markers;
  auto lifecycle = get_lifecycle(*end.client, end.bucket());
  set_rule(lifecycle, std::move(rule));
  store(call, end, lifecycle, flags.force);
}

void run_remove(context& call, const std::vector<std::string>& ids, bool all) {
  if (ids.empty() != all) throw usage_error("bucket lifecycle remove expects --id or --all, one of the two");
  const auto end = open_bucket(call);
  auto lifecycle = get_lifecycle(*end.client, end.bucket());
  for (const auto& id : ids)
    if (std::erase_if(lifecycle.rules, [&](const lifecycle_rule& rule) { return rule.id == id; }) == 0)
      throw error(error_code::not_found, "there is no lifecycle rule with the id \"" + id + '"');
  if (all) lifecycle.rules.clear();
  put_lifecycle(*end.client, end.bucket(), lifecycle);
  print(call, get_lifecycle(*end.client, end.bucket()));
}

void add_rule_flags(CLI::App& app, rule_flags& flags) {
  add_text(app, "--id", flags.id, "name of the rule; one of the same name is replaced (default: the server's choice)",
           "id");
  add_text(app, "--prefix", flags.prefix, "only objects whose keys begin so", "prefix");
  add_list(app, "--tag", flags.tags, "only objects with this tag (can be specified multiple times)", "key=value");
  add_number(app, "--expire-days", flags.expire_days, "remove objects so many days after they were made", "days");
  add_number(app, "--noncurrent-days", flags.noncurrent_days,
             "remove old versions so many days after they were overwritten or deleted", "days");
  add_number(app, "--keep-versions", flags.keep_versions, "but keep the newest old versions of each object", "n");
  add_number(app, "--abort-upload-days", flags.abort_upload_days,
             "remove the parts of uploads that were not completed after so many days", "days");
  add_switch(app, "--remove-delete-markers", flags.remove_delete_markers,
             "remove delete markers that no version is left under");
  add_switch(app, "--disabled", flags.disabled, "keep the rule, but do not go by it");
  add_switch(app, "--force", flags.force, "set it even if it destroys backups");
}

}  // namespace

void add_bucket_lifecycle_command(command_tree& tree, CLI::App& bucket) {
  auto& group =
      *tree.add(bucket, "lifecycle", "[command]", "Rules by which the server removes or moves objects itself").app;
  const auto rule = std::make_shared<rule_flags>();
  auto& add = tree.add(group, "add", "[flags] [location]", "Add a rule beside those that there are");
  add.details =
      "Adds one rule. For a bucket with backups and versioning, --noncurrent-days 30 --abort-upload-days 7\n"
      "--remove-delete-markers is what keeps it from growing. Rules that would remove the files of a restic\n"
      "repository are refused.\n";
  add_rule_flags(*add.app, *rule);
  add.run = [rule](context& call) { run_add(call, *rule); };

  const auto ids = std::make_shared<std::vector<std::string>>();
  const auto all = std::make_shared<bool>(false);
  auto& remove = tree.add(group, "remove", "[flags] [location]", "Remove rules");
  add_list(*remove.app, "--id", *ids, "the rule to remove (can be specified multiple times)", "id");
  add_switch(*remove.app, "--all", *all, "remove all rules");
  remove.run = [ids, all](context& call) { run_remove(call, *ids, *all); };

  const auto force = std::make_shared<bool>(false);
  auto& set = tree.add(group, "set", "[flags] file [location]", "Replace all rules by those in a JSON file");
  set.details =
      "The file has the form that `recoup bucket lifecycle show --json` prints, which is that of AWS:\n"
      "{\"Rules\":[{\"ID\":\"…\",\"Status\":\"Enabled\",\"Filter\":{\"Prefix\":\"\"},\"AbortIncompleteMultipartUpload\":\n"
      "{\"DaysAfterInitiation\":7}}]}. What `mc ilm rule export` writes is read too.\n";
  add_switch(*set.app, "--force", *force, "set them even if they destroy backups");
  set.run = [force](context& call) { run_set(call, *force); };

  tree.add(group, "show", "[flags] [location]", "Show the rules").run = run_show;
}

}  // namespace recoup::cli
