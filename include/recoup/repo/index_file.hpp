// An index file: which pack holds which blobs, and where (restic doc/design.rst, "Indexing"):
//
//   {"packs":[{"id":…,"blobs":[{"id":…,"type":"data","offset":0,"length":38,"uncompressed_length":12}]}]}\n
//
// "uncompressed_length" is left out for blobs that are stored uncompressed. Old files have "supersedes", rustic's have
// "packs_to_delete": both are passed over, as restic does. The union of all index files counts, in any order; a blob
// may be in several packs.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/json/json_reader.hpp>
#include <recoup/json/json_writer.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/index_scan.hpp>
#include <recoup/repo/indexed_pack.hpp>

namespace recoup {

/// Blobs in one index file, at most: where restic begins the next one.
inline constexpr std::size_t most_blobs_per_index_file = 50'000;

[[nodiscard]] inline std::string encode_index(std::span<const indexed_pack> packs) {
  // A string that grows has half of its memory in hand a second time.
  constexpr std::size_t usual_pack = 90, usual_blob = 152;
  std::string json;
  std::size_t blobs = 0;
  for (const auto& entry : packs) blobs += entry.blobs.size();
  json.reserve(packs.size() * usual_pack + blobs * usual_blob);
  json.append("{\"packs\":[");
  for (const auto& entry : packs) {
    if (json.back() != '[') json.push_back(',');
    json.append("{\"id\":");
    append_json_id(json, entry.pack);
    json.append(",\"blobs\":[");
    for (const auto& blob : entry.blobs) {
      if (json.back() != '[') json.push_back(',');
      json.append("{\"id\":");
      append_json_id(json, blob.handle.id);
      json.append(blob.handle.type == blob_type::data ? ",\"type\":\"data\",\"offset\":"
                                                      : ",\"type\":\"tree\",\"offset\":");
      append_json_number(json, blob.offset);
      json.append(",\"length\":");
      append_json_number(json, blob.length);
      if (blob.is_compressed()) {
        json.append(",\"uncompressed_length\":");
        append_json_number(json, blob.uncompressed_length);
      }
      json.push_back('}');
    }
    json.append("]}");
  }
  json.append("]}\n");
  return json;
}

namespace index_json {

inline void read_blob(json_value& element, packed_blob& blob) {
  bool has_id = false, has_type = false, has_length = false;
  for_each_field(object_of(element), [&](std::string_view key, json_value& value) {
    if (key == "id") {
      blob.handle.id = id_of(value);
      has_id = true;
    } else if (key == "type") {
      const auto type = raw_string(value);
      if (type != "data" && type != "tree") throw json_error("must be \"data\" or \"tree\"");
      blob.handle.type = type == "data" ? blob_type::data : blob_type::tree;
      has_type = true;
    } else if (key == "offset") {
      read(value, blob.offset);
    } else if (key == "length") {
      read(value, blob.length);
      has_length = true;
    } else if (key == "uncompressed_length") {
      read(value, blob.uncompressed_length);
    }
  });
  if (!has_id || !has_type || !has_length) throw json_error("id, type or length is missing");
  if (blob.length < 32) throw json_error("length is less than the 32 bytes that encryption adds");
  if (blob.length > std::numeric_limits<std::uint32_t>::max() - blob.offset)
    throw json_error("offset and length lead beyond 4 GiB");
}

inline void read_pack(json_value& element, indexed_pack& entry) {
  bool has_id = false;
  entry.blobs.clear();
  for_each_field(object_of(element), [&](std::string_view key, json_value& value) {
    if (key == "id") {
      entry.pack = id_of(value);
      has_id = true;
    } else if (key == "blobs") {
      entry.blobs.clear();
      for_each_element(value, [&entry](json_value& blob) { read_blob(blob, entry.blobs.emplace_back()); });
    }
  });
  if (!has_id) throw json_error("id is missing");
}

}  // namespace index_json

/// The same by the JSON parser alone, without the first `skip` packs.
template <class Visitor>
void parse_index(byte_view json, std::size_t skip, Visitor&& visit) {
  indexed_pack entry;
  read_json(json, "index", [&](json_object root) {
    for_each_field(root, [&](std::string_view key, json_value& value) {
      if (key != "packs") return;
      for_each_element(value, [&](json_value& element) {
        index_json::read_pack(element, entry);
        if (skip == 0) return visit(std::as_const(entry));
        --skip;
      });
    });
  });
}

/// Calls `visit(const indexed_pack&)` for each pack; the same variable serves for all. Throws damaged if `json` is no
/// index: by then some packs may have been visited.
template <class Visitor>
  requires std::is_invocable_v<Visitor, const indexed_pack&>
void decode_index(byte_view json, Visitor&& visit) {
  if (!json.empty() && json.front() == '[')
    throw error(error_code::unsupported,
                "this index has the oldest format, a bare list, which restic reads no longer either; restic 0.16 can "
                "rebuild it: `restic repair index`");
  indexed_pack entry;
  const auto [visited, is_complete] = index_scan(json).run(entry, visit);
  if (!is_complete) parse_index(json, visited, visit);
}

}  // namespace recoup
