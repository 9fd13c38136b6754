// A snapshot: which tree was backed up when, from where, by whom (restic doc/design.rst, "Snapshots").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/json/json_reader.hpp>
#include <recoup/json/json_writer.hpp>

namespace recoup {

/// What the backup that made a snapshot did. Sizes in bytes.
struct snapshot_summary {
  timestamp backup_start, backup_end;
  std::uint64_t files_new = 0, files_changed = 0, files_unmodified = 0;
  std::uint64_t dirs_new = 0, dirs_changed = 0, dirs_unmodified = 0;
  std::uint64_t data_blobs = 0, tree_blobs = 0;  ///< new ones
  std::uint64_t data_added = 0;                  ///< new blobs as they are
  std::uint64_t data_added_packed = 0;           ///< new blobs as stored
  std::uint64_t total_files_processed = 0;
  std::uint64_t total_bytes_processed = 0;

  [[nodiscard]] friend bool operator==(const snapshot_summary&, const snapshot_summary&) = default;
};

struct snapshot {
  timestamp time;
  std::optional<id> parent;  ///< the snapshot that this one was compared with
  id tree;
  std::vector<std::string> paths;  ///< absolute, in the order they were given
  std::string hostname, username;
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::string> excludes, tags;
  std::optional<id> original;   ///< the first ancestor of a snapshot whose tags or tree were changed afterwards
  std::string program_version;  ///< "restic 0.19.1"
  std::optional<snapshot_summary> summary;  ///< not before restic 0.17

  [[nodiscard]] friend bool operator==(const snapshot&, const snapshot&) = default;
};

namespace snapshot_json {

inline constexpr std::pair<const char*, std::uint64_t snapshot_summary::*> counters[] = {
    {"files_new", &snapshot_summary::files_new},
    {"files_changed", &snapshot_summary::files_changed},
    {"files_unmodified", &snapshot_summary::files_unmodified},
    {"dirs_new", &snapshot_summary::dirs_new},
    {"dirs_changed", &snapshot_summary::dirs_changed},
    {"dirs_unmodified", &snapshot_summary::dirs_unmodified},
    {"data_blobs", &snapshot_summary::data_blobs},
    {"tree_blobs", &snapshot_summary::tree_blobs},
    {"data_added", &snapshot_summary::data_added},
    {"data_added_packed", &snapshot_summary::data_added_packed},
    {"total_files_processed", &snapshot_summary::total_files_processed},
    {"total_bytes_processed", &snapshot_summary::total_bytes_processed},
};

inline void write_summary(json_writer& json, const snapshot_summary& summary) {
  json.begin_object().field("backup_start", summary.backup_start).field("backup_end", summary.backup_end);
  for (const auto& [name, counter] : counters) json.field(name, summary.*counter);
  json.end_object();
}

inline void read_summary(json_value& value, std::optional<snapshot_summary>& into) {
  if (is_null(value)) return;
  auto& summary = into.emplace();
  for_each_field(object_of(value), [&summary](std::string_view key, json_value& part) {
    if (key == "backup_start") return read(part, summary.backup_start);
    if (key == "backup_end") return read(part, summary.backup_end);
    for (const auto& [name, counter] : counters)
      if (key == name) return read(part, summary.*counter);
  });
}

}  // namespace snapshot_json

/// The fields of a snapshot, without the braces around them: listings add more to the same object.
inline void write_snapshot_fields(json_writer& json, const snapshot& of) {
  json.field("time", of.time);
  if (of.parent) json.field("parent", *of.parent);
  json.field("tree", of.tree).strings("paths", of.paths);
  if (!of.hostname.empty()) json.field("hostname", of.hostname);
  if (!of.username.empty()) json.field("username", of.username);
  if (of.uid != 0) json.field("uid", of.uid);
  if (of.gid != 0) json.field("gid", of.gid);
  if (!of.excludes.empty()) json.strings("excludes", of.excludes);
  if (!of.tags.empty()) json.strings("tags", of.tags);
  if (of.original) json.field("original", *of.original);
  if (!of.program_version.empty()) json.field("program_version", of.program_version);
  if (of.summary) snapshot_json::write_summary(json.key("summary"), *of.summary);
}

/// The body of a snapshot file. No newline at its end.
[[nodiscard]] inline std::string encode_snapshot(const snapshot& of) {
  json_writer json;
  json.begin_object();
  write_snapshot_fields(json, of);
  json.end_object();
  return json.take();
}

/// Throws damaged if `json` is no snapshot or names no tree. Fields of other programs (rustic's label, say) are passed
/// over.
[[nodiscard]] inline snapshot decode_snapshot(byte_view json) {
  snapshot result;
  std::optional<id> tree;
  read_json(json, "snapshot", [&](json_object root) {
    for_each_field(root, [&](std::string_view key, json_value& value) {
      if (key == "time") return read(value, result.time);
      if (key == "parent") return read(value, result.parent);
      if (key == "tree") return read(value, tree);
      if (key == "paths") return read(value, result.paths);
      if (key == "hostname") return read(value, result.hostname);
      if (key == "username") return read(value, result.username);
      if (key == "uid") return read(value, result.uid);
      if (key == "gid") return read(value, result.gid);
      if (key == "excludes") return read(value, result.excludes);
      if (key == "tags") return read(value, result.tags);
      if (key == "original") return read(value, result.original);
      if (key == "program_version") return read(value, result.program_version);
      if (key == "summary") return snapshot_json::read_summary(value, result.summary);
    });
    if (!tree) throw json_error("it names no tree");
  });
  result.tree = *tree;
  return result;
}

}  // namespace recoup
