#include <algorithm>
#include <memory>

#include <recoup/json/json_writer.hpp>
#include <recoup/ops/snapshot_groups.hpp>

#include "command.hpp"
#include "json_output.hpp"
#include "listed_snapshots.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"
#include "snapshot_table.hpp"

namespace recoup::cli {

namespace {

struct snapshots_flags {
  snapshot_flags choice;
  bool compact = false, last = false;
  unsigned latest = 0;
  snapshot_grouping group_by;
};

void write_group(json_writer& json, const snapshot_group& group) {
  json.begin_object().key("group_key").begin_object().field("hostname", group.key.hostname);
  strings_or_null(json, "paths", group.key.paths);
  strings_or_null(json, "tags", group.key.tags);
  json.end_object().key("snapshots");
  write_snapshots(json, group.snapshots);
  json.end_object();
}

void run(context& call, const snapshots_flags& flags) {
  std::vector<found_snapshot> found;
  const session open(call, unless_no_lock(call, lock_mode::shared), [&](session& opened) {
    found = find_listed_snapshots(opened.repo(), call.arguments, flags.choice.filter(), call.out);
  });
  sort_paths_and_tags(found, flags.group_by);
  auto groups = group_snapshots(std::move(found), flags.group_by);
  const bool grouped = flags.group_by.any();
  for (auto& group : groups) {
    const auto count = flags.latest != 0 ? flags.latest : flags.last ? 1u : 0u;
    if (count != 0) group.snapshots = newest_snapshots(std::move(group.snapshots), count, !grouped);
    std::stable_sort(group.snapshots.begin(), group.snapshots.end(),
                     [](const auto& a, const auto& b) { return earlier(a.snapshot.time, b.snapshot.time); });
  }

  if (call.options.json) {
    json_writer json;
    if (grouped) {
      json.begin_array();
      for (const auto& group : groups) write_group(json, group);
      json.end_array();
    } else {
      write_snapshots(json, groups.empty() ? std::vector<found_snapshot>{} : groups.front().snapshots);
    }
    return call.out.result(json.take());
  }
  for (const auto& group : groups) {
    if (const auto header = group_header(group.key); grouped && !header.empty()) call.out.result(header);
    call.out.result(snapshot_table(group.snapshots, flags.compact));
  }
}

}  // namespace

void add_snapshots_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "snapshots", "[flags] [snapshotID ...]", "List all snapshots");
  const auto flags = std::make_shared<snapshots_flags>();
  auto& app = *command.app;
  add_snapshot_flags(app, flags->choice, snapshot_choice::many);
  add_switch(app, "-c,--compact", flags->compact, "use compact output format");
  hidden(add_switch(app, "--last", flags->last, "use --latest 1"));
  add_number(app, "--latest", flags->latest, "only show the last n snapshots for each host and path", "n");
  add_parsed(
      app, "-g,--group-by",
      [flags](const std::string& text) { flags->group_by = snapshot_grouping::parse(text); },
      "group snapshots by host, paths and/or tags, separated by comma", "group");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
