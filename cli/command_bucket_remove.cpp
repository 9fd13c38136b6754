#include <algorithm>
#include <atomic>
#include <memory>

#include <recoup/ops/remove_bucket.hpp>
#include <recoup/s3/bucket.hpp>

#include "bucket.hpp"
#include "flags.hpp"
#include "format.hpp"

namespace recoup::cli {

namespace {

struct remove_flags {
  bool delete_all_objects = false, bypass_governance = false, dry_run = false;
  std::string confirm;
  std::vector<std::string> repositories;
};

/// "backups/restic", as --delete-repository names it.
std::string name_of_repository(const std::string& bucket, const std::string& prefix) {
  return prefix.empty() ? bucket : bucket + '/' + prefix.substr(0, prefix.size() - 1);
}

std::string describe_counts(const usage_counts& counts) {
  const auto number = [](std::uint64_t count) { return static_cast<unsigned long long>(count); };
  return formatted("%llu objects (%s), %llu old versions (%s), %llu delete markers, %llu incomplete uploads",
                   number(counts.objects), format_bytes(counts.bytes).c_str(), number(counts.old_versions),
                   format_bytes(counts.old_bytes).c_str(), number(counts.delete_markers), number(counts.uploads));
}

void check(const bucket_removal_plan& plan, const remove_flags& flags) {
  if (plan.is_empty()) return;
  const auto contents = "bucket " + plan.bucket + " is not empty: " + describe_counts(plan.counts);
  if (!flags.delete_all_objects || flags.confirm != plan.bucket)
    throw error(
        error_code::invalid_argument,
        contents + ". To remove all that for good, say so twice: --delete-all-objects --confirm " + plan.bucket);
  std::string missing;
  for (const auto& prefix : plan.repositories) {
    const auto name = name_of_repository(plan.bucket, prefix);
    if (std::ranges::find(flags.repositories, name) == flags.repositories.end())
      missing += " --delete-repository " + name;
  }
  if (!missing.empty())
    throw error(error_code::invalid_argument,
                contents +
                    ". There are restic repositories in it, whose backups would be gone; to remove them too, name "
                    "them:" +
                    missing);
}

/// Says what stays, until when.
[[noreturn]] void fail_stuck(const context& call, const bucket_removal& done, const std::string& bucket) {
  lock_totals locked;
  std::uint64_t held = 0;
  constexpr std::size_t shown = 10;
  for (std::size_t at = 0; at < done.stuck.size(); ++at) {
    const auto& each = done.stuck[at];
    if (each.retention) locked.add(0, each.retention->until);
    held += each.is_held ? 1 : 0;
    if (at < shown) {
      auto why = each.reason;
      if (each.retention)
        why = std::string("locked (") + name_of(each.retention->mode) + ") until " +
              format_local_time(local_timestamp(each.retention->until.seconds, 0));
      if (each.is_held) why += ", under a legal hold";
      call.out.error("cannot remove " + each.object.key + ": " + why);
    }
  }
  if (done.stuck.size() > shown) call.out.error("… and " + std::to_string(done.stuck.size() - shown) + " more");
  auto text = "bucket " + bucket + " stays: " + std::to_string(done.stuck.size()) + " versions in it cannot be removed";
  if (locked.last_until)
    text += ", the last of them before " + format_local_time(local_timestamp(locked.last_until->seconds, 0));
  if (held != 0) text += "; " + std::to_string(held) + " are under a legal hold";
  throw error(error_code::incomplete, text +
                                          "; try again then (locks of mode GOVERNANCE can be overridden with "
                                          "--bypass-governance by whoever has the right to)");
}

void print_json(const context& call, const bucket_removal_plan& plan, const bucket_removal& done, bool dry_run) {
  json_writer json;
  json.begin_object().field("bucket", plan.bucket).field("removed", done.bucket_is_gone).field("dry_run", dry_run);
  json.key("contents").begin_object();
  write_counts(json, plan.counts);
  json.end_object();
  std::vector<std::string> names;
  for (const auto& prefix : plan.repositories) names.push_back(name_of_repository(plan.bucket, prefix));
  json.strings("repositories", names);
  json.field("removed_versions", done.removed).field("aborted_uploads", done.aborted_uploads);
  json.key("stuck").begin_array();
  for (const auto& each : done.stuck) {
    json.begin_object().field("key", each.object.key).field("version_id", each.object.version_id);
    json.field("reason", each.reason).field("legal_hold", each.is_held);
    if (each.retention) json.field("mode", name_of(each.retention->mode)).field("until", each.retention->until);
    json.end_object();
  }
  call.out.result(json.end_array().end_object().take());
}

void run(context& call, const remove_flags& flags) {
  if (call.arguments.size() != 1)
    throw usage_error(
        "bucket remove expects one location; it does not go by --repo, so that nothing is removed by accident");
  const auto end = open_bucket(call);
  if (!end.where.prefix.empty())
    throw usage_error("bucket remove removes a whole bucket, and this location has a prefix: write " +
                      recoup::describe(end.client->endpoint(), end.bucket()));
  if (!bucket_exists(*end.client, end.bucket()))
    throw error(error_code::not_found, "there is no bucket " + end.bucket() + " on " + end.client->endpoint().url());
  const auto plan = plan_bucket_removal(*end.client, end.bucket());
  bucket_removal done;
  if (flags.dry_run) {
    if (call.options.json) return print_json(call, plan, done, true);
    call.out.result("would remove bucket " + plan.bucket + ": " + describe_counts(plan.counts));
    for (const auto& prefix : plan.repositories)
      call.out.result("  with the restic repository " + name_of_repository(plan.bucket, prefix));
    return;
  }
  check(plan, flags);
  {
    std::atomic<std::uint64_t> removed{0};
    const auto total = plan.counts.objects + plan.counts.old_versions + plan.counts.delete_markers;
    live_line line(call, [&] {
      return format_percent(removed, total) + "  " + std::to_string(removed) + " / " + std::to_string(total) +
             " versions";
    });
    bucket_removal_options options;
    options.bypass_governance = flags.bypass_governance;
    options.on_progress = [&](std::uint64_t count) { removed += count; };
    done = execute_bucket_removal(*end.client, plan, options);
  }
  if (call.options.json) print_json(call, plan, done, false);
  if (!done.bucket_is_gone) fail_stuck(call, done, plan.bucket);
  if (!call.options.json) call.out.info("removed bucket " + plan.bucket);
}

}  // namespace

void add_bucket_remove_command(command_tree& tree, CLI::App& group) {
  auto& command = tree.add(group, "remove", "[flags] location", "Remove a bucket");
  command.details =
      "Removes an empty bucket. One that is not empty is removed, with all versions, delete markers and incomplete\n"
      "uploads, only if you say so twice: --delete-all-objects --confirm BUCKET. Restic repositories in it have to\n"
      "be named one by one besides. What is locked stays, and the bucket with it: exit code 3.\n";
  const auto flags = std::make_shared<remove_flags>();
  add_switch(*command.app, "--delete-all-objects", flags->delete_all_objects, "remove all that is in the bucket too");
  add_text(*command.app, "--confirm", flags->confirm, "the bucket's name once more", "bucket");
  add_list(*command.app, "--delete-repository", flags->repositories,
           "a restic repository in the bucket that may go (can be specified multiple times)", "bucket[/prefix]");
  add_switch(*command.app, "--bypass-governance", flags->bypass_governance,
             "remove what is locked in mode GOVERNANCE too");
  add_switch(*command.app, "-n,--dry-run", flags->dry_run, "say what would be removed, and do nothing");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
