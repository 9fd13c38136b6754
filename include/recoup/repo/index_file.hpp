// An index file: which pack holds which blobs, and where (restic doc/design.rst, "Indexing"):
//
//   {"packs":[{"id":…,"blobs":[{"id":…,"type":"data","offset":0,"length":38,"uncompressed_length":12}]}]}\n
//
// "uncompressed_length" is left out for blobs that are stored uncompressed. Old files have "supersedes", which is passed
// over. The union of all index files counts, in any order; a blob may be in several packs.
//
// Packs that are marked for deletion follow those that count; restic passes over them (pack_mark.hpp):
//
//   "packs_to_delete":[{"id":…,"blobs":[…],"time":"2026-05-06T07:08:09Z","size":…,
//                       "holders":[{"hostname":…,"username":…,"pid":…}]}]
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
#include <recoup/repo/pack_mark.hpp>

namespace recoup {

/// Blobs in one index file, at most: where restic begins the next one.
inline constexpr std::size_t most_blobs_per_index_file = 50'000;

namespace index_json {

/// Without the brace at its end.
inline void append_pack(std::string& json, const indexed_pack& entry) {
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
  json.push_back(']');
}

inline void append_mark(std::string& json, const pack_mark& mark) {
  if (mark.time) {
    json.append(",\"time\":");
    append_json_time(json, *mark.time);
  }
  if (mark.size) {
    json.append(",\"size\":");
    append_json_number(json, *mark.size);
  }
  if (!mark.holders) return;
  json.append(",\"holders\":[");
  for (const auto& holder : *mark.holders) {
    if (json.back() != '[') json.push_back(',');
    json.append("{\"hostname\":");
    append_json_string(json, holder.hostname);
    json.append(",\"username\":");
    append_json_string(json, holder.username);
    json.append(",\"pid\":");
    append_json_number(json, holder.pid);
    json.push_back('}');
  }
  json.push_back(']');
}

}  // namespace index_json

[[nodiscard]] inline std::string encode_index(std::span<const indexed_pack> packs,
                                              std::span<const marked_pack> marked = {}) {
  // A string that grows has half of its memory in hand a second time.
  constexpr std::size_t usual_pack = 90, usual_mark = 150, usual_blob = 152;
  std::string json;
  std::size_t blobs = 0;
  for (const auto& entry : packs) blobs += entry.blobs.size();
  for (const auto& entry : marked) blobs += entry.listing.blobs.size();
  json.reserve(packs.size() * usual_pack + marked.size() * usual_mark + blobs * usual_blob);
  json.append("{\"packs\":[");
  for (const auto& entry : packs) {
    index_json::append_pack(json, entry);
    json.push_back('}');
  }
  if (!marked.empty()) json.append("],\"packs_to_delete\":[");
  for (const auto& entry : marked) {
    index_json::append_pack(json, entry.listing);
    index_json::append_mark(json, entry.mark);
    json.push_back('}');
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

inline void read_holder(json_value& element, lock_holder& holder) {
  for_each_field(object_of(element), [&](std::string_view key, json_value& value) {
    if (key == "hostname") return read(value, holder.hostname);
    if (key == "username") return read(value, holder.username);
    if (key == "pid") return read(value, holder.pid);
  });
}

inline void read_mark(std::string_view key, json_value& value, pack_mark& mark) {
  if (key == "time") {
    if (!is_null(value)) read(value, mark.time.emplace());
  } else if (key == "size") {
    if (!is_null(value)) read(value, mark.size.emplace());
  } else if (key == "holders") {
    mark.holders.emplace();
    for_each_element(value, [&mark](json_value& holder) { read_holder(holder, mark.holders->emplace_back()); });
  }
}

/// `mark`: nothing for packs that count.
inline void read_pack(json_value& element, indexed_pack& entry, pack_mark* mark = nullptr) {
  bool has_id = false;
  entry.blobs.clear();
  for_each_field(object_of(element), [&](std::string_view key, json_value& value) {
    if (key == "id") {
      entry.pack = id_of(value);
      has_id = true;
    } else if (key == "blobs") {
      entry.blobs.clear();
      for_each_element(value, [&entry](json_value& blob) { read_blob(blob, entry.blobs.emplace_back()); });
    } else if (mark != nullptr) {
      read_mark(key, value, *mark);
    }
  });
  if (!has_id) throw json_error("id is missing");
}

}  // namespace index_json

/// For those whom marked packs do not concern.
struct passed_over {
  void operator()(const marked_pack&) const noexcept {}
};

/// The same by the JSON parser alone, without the first `skip` packs that count.
template <class Visitor, class MarkVisitor = passed_over>
void parse_index(byte_view json, std::size_t skip, Visitor&& visit, MarkVisitor&& visit_marked = {}) {
  indexed_pack entry;
  read_json(json, "index", [&](json_object root) {
    for_each_field(root, [&](std::string_view key, json_value& value) {
      if (key == "packs")
        return (void)for_each_element(value, [&](json_value& element) {
          index_json::read_pack(element, entry);
          if (skip == 0) return visit(std::as_const(entry));
          --skip;
        });
      if constexpr (!std::is_same_v<std::remove_cvref_t<MarkVisitor>, passed_over>) {
        if (key == "packs_to_delete")
          return (void)for_each_element(value, [&](json_value& element) {
            marked_pack marked;
            index_json::read_pack(element, marked.listing, &marked.mark);
            visit_marked(std::as_const(marked));
          });
      }
    });
  });
}

/// Calls `visit(const indexed_pack&)` for each pack that counts, the same variable serves for all; then
/// `visit_marked(const marked_pack&)` for each that is marked for deletion. Throws damaged if `json` is no index: by then
/// some packs may have been visited.
template <class Visitor, class MarkVisitor = passed_over>
  requires std::is_invocable_v<Visitor, const indexed_pack&> && std::is_invocable_v<MarkVisitor, const marked_pack&>
void decode_index(byte_view json, Visitor&& visit, MarkVisitor&& visit_marked = {}) {
  if (!json.empty() && json.front() == '[')
    throw error(error_code::unsupported,
                "this index has the oldest format, a bare list, which restic reads no longer either; restic 0.16 can "
                "rebuild it: `restic repair index`");
  indexed_pack entry;
  const auto [visited, is_complete] = index_scan(json).run(entry, visit);
  if (!is_complete) parse_index(json, visited, visit, visit_marked);
}

}  // namespace recoup
