// How snapshots and nodes are printed, as JSON and as text, for all commands that print them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/json/json_writer.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/ops/walk.hpp>
#include <recoup/repo/node.hpp>

namespace recoup::cli {

/// The fields of a snapshot and its id; the braces are the caller's.
inline void write_snapshot_with_id(json_writer& json, const found_snapshot& of) {
  write_snapshot_fields(json, of.snapshot);
  json.field("id", of.id).field("short_id", of.id.short_hex());
}

inline void write_snapshots(json_writer& json, const std::vector<found_snapshot>& list) {
  json.begin_array();
  for (const auto& each : list) {
    json.begin_object();
    write_snapshot_with_id(json, each);
    json.end_object();
  }
  json.end_array();
}

/// Go writes null for a list that was never made.
inline void strings_or_null(json_writer& json, std::string_view name,
                            const std::optional<std::vector<std::string>>& list) {
  list ? json.strings(name, *list) : json.key(name).null();
}

/// Leaves a field out where Go's omitempty does.
inline void field_unless_zero(json_writer& json, std::string_view name, std::uint64_t value) {
  if (value != 0) json.field(name, value);
}
inline void field_unless_zero(json_writer& json, std::string_view name, double value) {
  if (value > 0 || value < 0) json.field(name, value);
}
inline void field_unless_empty(json_writer& json, std::string_view name, std::string_view value) {
  if (!value.empty()) json.field(name, value);
}

/// The message "error": what went wrong with one item, and what was being done ("archival", "restore", "verify").
[[nodiscard]] std::string item_error_json(std::string_view message, std::string_view during, std::string_view item);

/// A node as `ls --json` prints it.
[[nodiscard]] std::string node_json(const walked_node& at);

/// "-rw-r--r--     0     0      3 2026-11-23 21:10:59 /a", or the path alone.
[[nodiscard]] std::string node_line(const std::string& path, const node& of, bool long_format, bool human_readable);

/// "snapshot 34f1997a of [/srv] at 2026-11-23 21:11:03 +0000 UTC by root@nas"
[[nodiscard]] std::string describe(const found_snapshot& of);

}  // namespace recoup::cli
