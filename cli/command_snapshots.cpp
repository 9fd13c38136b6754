#include <algorithm>
#include <cstdlib>
#include <memory>

#include <recoup/json/json_writer.hpp>
#include <recoup/ops/snapshot_groups.hpp>

#include "command.hpp"
#include "format.hpp"
#include "listed_snapshots.hpp"
#include "json_output.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

struct snapshots_flags {
  snapshot_flags choice;
  bool compact = false, last = false;
  unsigned latest = 0;
  snapshot_grouping group_by;
};

/// What Go calls the local zone: the name in $TZ, or nothing better than "local time".
std::string zone_name() {
  const char* name = std::getenv("TZ");
  if (name == nullptr) return "local time";
  const std::string zone = name[0] == ':' ? name + 1 : name;
  return zone.empty() || !names_zone_file(name) ? "UTC" : zone;
}

std::string snapshot_table(const std::vector<found_snapshot>& list, bool compact) {
  const bool has_size =
      std::any_of(list.begin(), list.end(), [](const auto& each) { return each.snapshot.summary.has_value(); });
  std::vector<std::string> headers{"ID", "Time", compact ? "Host" : "Host      ", compact ? "Tags  " : "Tags      "};
  if (!compact) headers.push_back("Paths");
  if (has_size) headers.push_back("Size");

  table rows(std::move(headers));
  bool several_lines = false;
  for (const auto& [id, snapshot, subfolder] : list) {
    std::vector<std::string> cells{id.short_hex(), format_local_time(snapshot.time), snapshot.hostname,
                                   join(snapshot.tags, compact ? "\n" : ",")};
    if (!compact) cells.push_back(join(snapshot.paths, "\n"));
    if (has_size) cells.push_back(snapshot.summary ? format_bytes(snapshot.summary->total_bytes_processed) : "");
    several_lines = several_lines || (!compact && snapshot.paths.size() > 1);
    rows.add_row(std::move(cells));
  }
  rows.separate_rows(several_lines);
  rows.add_footer("Timestamps shown in " + zone_name());
  rows.add_footer(std::to_string(list.size()) + " snapshots");
  return rows.text();
}

std::string group_header(const snapshot_group_key& key) {
  std::vector<std::string> parts;
  if (!key.hostname.empty()) parts.push_back("host [" + key.hostname + "]");
  if (key.tags) parts.push_back("tags [" + join(*key.tags, ", ") + "]");
  if (key.paths) parts.push_back("paths [" + join(*key.paths, ", ") + "]");
  return parts.empty() ? "" : "snapshots for (" + join(parts, ", ") + "):";
}

void write_list(json_writer& json, const std::vector<found_snapshot>& list) {
  json.begin_array();
  for (const auto& each : list) {
    json.begin_object();
    write_snapshot_with_id(json, each);
    json.end_object();
  }
  json.end_array();
}

void write_group(json_writer& json, const snapshot_group& group) {
  const auto strings_or_null = [&](const char* name, const std::optional<std::vector<std::string>>& list) {
    list ? json.strings(name, *list) : json.key(name).null();
  };
  json.begin_object().key("group_key").begin_object().field("hostname", group.key.hostname);
  strings_or_null("paths", group.key.paths);
  strings_or_null("tags", group.key.tags);
  json.end_object().key("snapshots");
  write_list(json, group.snapshots);
  json.end_object();
}

void run(context& call, const snapshots_flags& flags) {
  std::vector<found_snapshot> found;
  const session open(call, unless_no_lock(call, lock_mode::shared), [&](session& opened) {
    found = find_listed_snapshots(opened.repo(), call.arguments, flags.choice.filter(), call.out);
  });
  for (auto& each : found) {
    std::sort(each.snapshot.paths.begin(), each.snapshot.paths.end());
    if (flags.group_by.tags) std::sort(each.snapshot.tags.begin(), each.snapshot.tags.end());
  }
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
      write_list(json, groups.empty() ? std::vector<found_snapshot>{} : groups.front().snapshots);
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
