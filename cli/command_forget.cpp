#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <recoup/json/json_writer.hpp>
#include <recoup/ops/forget.hpp>

#include "command.hpp"
#include "format.hpp"
#include "json_output.hpp"
#include "progress.hpp"
#include "prune_run.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"
#include "snapshot_table.hpp"

namespace recoup::cli {

namespace {

struct forget_flags {
  snapshot_flags choice;
  bool hostname_given = false;
  forget_options options;
  prune_flags prune_how;
  bool compact = false, dry_run = false, prune = false;
};

template <class List, class Write>
void write_list_or_null(json_writer& json, const char* name, const List& list, Write&& write) {
  json.key(name);
  if (list.empty()) {
    json.null();
    return;
  }
  json.begin_array();
  for (const auto& each : list) {
    json.begin_object();
    write(each);
    json.end_object();
  }
  json.end_array();
}

std::string json_of(const std::vector<forget_group>& groups) {
  json_writer json;
  json.begin_array();
  for (const auto& [key, decision] : groups) {
    json.begin_object();
    strings_or_null(json, "tags", key.tags);
    json.field("host", key.hostname);
    strings_or_null(json, "paths", key.paths);
    write_list_or_null(json, "keep", decision.keep,
                       [&](const kept_snapshot& each) { write_snapshot_with_id(json, each.found); });
    write_list_or_null(json, "remove", decision.remove,
                       [&](const found_snapshot& each) { write_snapshot_with_id(json, each); });
    write_list_or_null(json, "reasons", decision.keep, [&](const kept_snapshot& each) {
      json.key("snapshot").begin_object();
      write_snapshot_with_id(json, each.found);
      json.end_object().strings("matches", each.reasons);
    });
    json.end_object();
  }
  return json.end_array().take();
}

void print_groups(const printer& out, const std::vector<forget_group>& groups, bool compact) {
  const auto print = [&](const char* what, const auto& list) {
    if (list.empty()) return;
    out.info(what + (" " + std::to_string(list.size())) + " snapshots:");
    out.info(snapshot_table(list, compact));
    out.info("");
  };
  for (const auto& [key, decision] : groups) {
    if (const auto header = group_header(key); !header.empty()) out.detail(header);
    print("keep", decision.keep);
    print("remove", decision.remove);
  }
}

std::string short_names(const std::vector<id>& ids) {
  std::vector<std::string> names;
  for (const auto& each : ids) names.push_back(each.short_hex());
  return "{" + join(names, " ") + "}";
}

/// Returns how many could not be removed.
std::size_t remove_snapshots(context& call, session& open, const forget_plan& plan) {
  counter files(call.signals, call.screen, call.out.level() > 0, "files deleted");
  files.set_total(plan.remove.size());
  removal_observer observer;
  observer.on_removed = [&](const id& name) {
    files.add(1);
    call.out.trace("removed snapshot/" + name.hex());
  };
  observer.on_failed = [&](const id& name, const error& problem) {
    call.out.error("unable to remove snapshot/" + name.hex() + " from the repository: " + problem.what());
  };
  const auto left = execute_forget(open.repo(), plan, observer, open.token());
  files.finish();
  return left.size();
}

/// In a dry run the snapshots of the plan are still there, and are taken for gone.
void prune_after_forget(context& call, session& open, const forget_plan& plan, const forget_flags& flags) {
  const auto count = std::to_string(plan.remove.size());
  call.out.info(count + (flags.dry_run ? " snapshots would be removed, running prune dry run"
                                       : " snapshots have been removed, running prune"));
  auto options = prune_options_of(flags.prune_how);
  options.ignored_snapshots.insert(plan.remove.begin(), plan.remove.end());
  // Snapshots are removed by who is alone; what only they needed, need not be.
  if (options.two_phase && !flags.dry_run) open.exchange_lock(prune_lock(flags.prune_how));
  run_prune(call, open, std::move(options), flags.dry_run);
}

forget_plan make_plan(std::vector<found_snapshot> found, const forget_options& options) {
  sort_paths_and_tags(found, options.group_by);
  try {
    return plan_forget(std::move(found), options);
  } catch (const error& problem) {
    throw plain_error(problem.code(), problem.what());
  }
}

void run(context& call, forget_flags flags) {
  auto& options = flags.options;
  options.snapshots = call.arguments;
  options.filter = flags.choice.filter();
  if (flags.hostname_given) call.out.error("Flag --hostname has been deprecated, use --host");
  options.policy.require_valid();
  (void)prune_options_of(flags.prune_how);  // refused before anything is removed
  if (call.options.no_lock && !flags.dry_run)
    throw error(error_code::invalid_argument,
                "--no-lock is only applicable in combination with --dry-run for forget command");

  std::vector<found_snapshot> found;
  const auto read = [&](session& opened) {
    found = find_snapshots(opened.repo(), options.snapshots, options.filter);
  };
  const auto lock = call.options.no_lock ? lock_mode::none : lock_mode::exclusive;
  session open(call, {lock, flags.dry_run}, read);
  require_policy(options);
  if (options.snapshots.empty()) call.out.info("Applying Policy: " + options.policy.text());
  const auto plan = make_plan(std::move(found), options);
  print_groups(call.out, plan.groups, flags.compact);

  std::size_t left = 0;
  if (flags.dry_run && !plan.remove.empty())
    call.out.info("Would have removed the following snapshots:\n" + short_names(plan.remove) + "\n\n");
  else if (!plan.remove.empty())
    left = remove_snapshots(call, open, plan);
  if (call.options.json && !plan.groups.empty()) call.out.result(json_of(plan.groups));
  if (left != 0) throw plain_error(error_code::incomplete, "failed to remove one or more snapshots");
  if (flags.prune && !plan.remove.empty()) prune_after_forget(call, open, plan, flags);
}

void add_policy_flags(CLI::App& app, retention_policy& policy) {
  const auto add_count = [&](const char* names, std::int64_t& count, const std::string& kind) {
    add_parsed(
        app, names, [&count](const std::string& text) { count = retention_policy::parse_count(text); },
        "keep the last n " + kind + "snapshots (use 'unlimited' to keep all " + kind + "snapshots)", "n");
  };
  add_count("-l,--keep-last", policy.last, "");
  add_count("-H,--keep-hourly", policy.hourly, "hourly ");
  add_count("-d,--keep-daily", policy.daily, "daily ");
  add_count("-w,--keep-weekly", policy.weekly, "weekly ");
  add_count("-m,--keep-monthly", policy.monthly, "monthly ");
  add_count("-y,--keep-yearly", policy.yearly, "yearly ");
  const auto add_span = [&](const char* names, calendar_duration& span, const std::string& kind) {
    add_parsed(
        app, names, [&span](const std::string& text) { span = calendar_duration::parse(text); },
        "keep " + kind + "snapshots that are newer than duration (eg. 1y5m7d2h) relative to the latest snapshot",
        "duration");
  };
  add_span("--keep-within", policy.within, "");
  add_span("--keep-within-hourly", policy.within_hourly, "hourly ");
  add_span("--keep-within-daily", policy.within_daily, "daily ");
  add_span("--keep-within-weekly", policy.within_weekly, "weekly ");
  add_span("--keep-within-monthly", policy.within_monthly, "monthly ");
  add_span("--keep-within-yearly", policy.within_yearly, "yearly ");
  add_parsed(
      app, "--keep-tag", [&policy](const std::string& text) { policy.tags.push_back(split_tags(text)); },
      "keep snapshots with this taglist (can be specified multiple times)", "taglist");
}

}  // namespace

void add_forget_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "forget", "[flags] [snapshot ID] [...]", "Remove snapshots from the repository");
  command.details =
      "Removes the given snapshots, or those that a policy does not keep. For that the snapshots are divided into groups\n"
      "by --group-by, and the --keep-* flags are applied to each group of its own; what one of them keeps is kept. Where\n"
      "there are fewer snapshots than one of them would keep, the oldest of the group is kept too.\n"
      "\n"
      "Only the snapshots are removed. What they alone needed is removed by `prune`.\n"
      "\n"
      "The exit code is 3 if some snapshots could not be removed.\n";
  const auto flags = std::make_shared<forget_flags>();
  auto& app = *command.app;
  auto& options = flags->options;
  add_policy_flags(app, options.policy);
  add_switch(app, "--unsafe-allow-remove-all", options.allow_remove_all,
             "allow deleting all snapshots of a snapshot group");
  hidden(add_parsed(
      app, "--hostname",
      [flags = flags.get()](const std::string& host) {
        flags->choice.hosts.push_back(host);
        flags->choice.host_given = flags->hostname_given = true;
      },
      "use --host", "hostname"));
  add_snapshot_flags(app, flags->choice, snapshot_choice::many, "--host");
  add_switch(app, "-c,--compact", flags->compact, "use compact output format");
  add_parsed(
      app, "-g,--group-by",
      [&options](const std::string& text) { options.group_by = snapshot_grouping::parse(text); },
      "group snapshots by host, paths and/or tags, separated by comma (disable grouping with '') (default host,paths)",
      "group");
  add_switch(app, "-n,--dry-run", flags->dry_run, "do not delete anything, just print what would be done");
  add_switch(app, "--prune", flags->prune, "automatically run the 'prune' command if snapshots have been removed");
  add_prune_flags(app, flags->prune_how);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
