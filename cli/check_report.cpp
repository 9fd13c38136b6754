#include "check_report.hpp"

#include <map>
#include <string>

#include <recoup/json/json_writer.hpp>

#include "format.hpp"

namespace recoup::cli {

namespace {

constexpr std::uint64_t usually_shown = 10;

std::string name_of_snapshot(const found_snapshot& of) {
  return "snapshot " + of.id.short_hex() + " (" + format_local_time(of.snapshot.time) + ", " + of.snapshot.hostname +
         ")";
}

std::string counted(std::uint64_t items) {
  return std::to_string(items) + (items == 1 ? " file or directory" : " files and directories");
}

void write_snapshot(json_writer& json, const found_snapshot& of) {
  json.field("snapshot", of.id).field("time", of.snapshot.time).field("hostname", of.snapshot.hostname);
}

std::string snapshot_json(const affected_snapshot& of) {
  json_writer json;
  json.begin_object().field("message_type", "affected_snapshot");
  write_snapshot(json, of.snapshot);
  return json.strings("paths", of.snapshot.snapshot.paths).field("num_items", of.items).end_object().take();
}

std::string item_json(const affected_snapshot& in, const affected_item& item) {
  json_writer json;
  json.begin_object().field("message_type", "affected").field("snapshot", in.snapshot.id).field("item", item.path);
  json.field("type", name_of(item.type)).key("needs").begin_array();
  for (const auto* cause : item.causes) {
    json.begin_object();
    if (cause->blob) json.field("blob", cause->blob->id).field("blob_type", name_of(cause->blob->type));
    if (cause->pack) json.field("pack", *cause->pack);
    json.field("problem", cause->problem).end_object();
  }
  return json.end_array().end_object().take();
}

void report_as_json(const context& call, const affected_items& affected) {
  call.screen.collect_output(true);
  for (const auto& each : affected.snapshots()) {
    call.out.result(snapshot_json(each));
    affected.for_each(each, [&](const affected_item& item) {
      call.out.result(item_json(each, item));
      return !call.signals.token().stop_requested();
    });
  }
  call.screen.collect_output(false);
}

void print_items(const context& call, const affected_items& affected, const affected_snapshot& in) {
  const bool with_all = call.options.verbosity() >= 2;
  std::uint64_t shown = 0;
  affected.for_each(in, [&](const affected_item& item) {
    if (!with_all && shown == usually_shown) return false;
    ++shown;
    call.out.error("  " + quoted_if_needed(item.path) + (item.type == node_type::dir ? " and all that is in it" : ""));
    if (with_all)
      for (const auto* cause : item.causes) call.out.error("      " + cause->text());
    return !call.signals.token().stop_requested();
  });
  if (shown < in.items) call.out.error("  and " + std::to_string(in.items - shown) + " more, which -v shows");
}

}  // namespace

void report_affected(const context& call, const affected_items& affected) {
  if (call.options.json) return report_as_json(call, affected);
  const auto all = affected.snapshots_searched();
  if (affected.snapshots().empty())
    return call.out.error("\nNone of the " + std::to_string(all) +
                          " snapshots that were checked needs what is damaged.");
  call.out.error("\n" + std::to_string(affected.snapshots().size()) + " of " + std::to_string(all) +
                 " snapshots cannot be restored whole:\n");
  std::map<std::uint32_t, const found_snapshot*> told;
  for (const auto& each : affected.snapshots()) {
    const auto [first, is_new] = told.emplace(each.tree, &each.snapshot);
    const auto begin = "affected: " + name_of_snapshot(each.snapshot) + ": " + counted(each.items);
    if (!is_new) {
      call.out.error(begin + ", the same as in snapshot " + first->second->id.short_hex());
      continue;
    }
    call.out.error(begin);
    print_items(call, affected, each);
  }
}

}  // namespace recoup::cli
