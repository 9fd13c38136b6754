// A schedule's definition as JSON (docs/schedules.md), strictly: a member that nobody knows would be a wish that nobody
// fulfils, so it is refused, with its path. Members that are left out, or null, are as schedule_definition has them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <recoup/json/indent_json.hpp>
#include <recoup/json/json_reader.hpp>
#include <recoup/json/json_writer.hpp>
#include <recoup/schedule/definition.hpp>

namespace recoup {

namespace schedule_json {

using strings = std::vector<std::string>;

// Each describe() names the members of a part once; reading and writing both go through it.

template <class Part, class Visit>
requires std::is_same_v<std::remove_const_t<Part>, schedule_backup>
void describe(Part& part, Visit&& member) {
  member("paths", part.paths), member("tags", part.tags), member("host", part.host);
  member("exclude", part.exclude), member("iexclude", part.iexclude), member("exclude_files", part.exclude_files);
  member("exclude_if_present", part.exclude_if_present), member("exclude_caches", part.exclude_caches);
  member("exclude_larger_than", part.exclude_larger_than), member("one_file_system", part.one_file_system);
  member("skip_if_unchanged", part.skip_if_unchanged), member("arguments", part.arguments);
}

template <class Part, class Visit>
requires std::is_same_v<std::remove_const_t<Part>, schedule_retention>
void describe(Part& part, Visit&& member) {
  member("keep_last", part.keep_last), member("keep_hourly", part.keep_hourly), member("keep_daily", part.keep_daily);
  member("keep_weekly", part.keep_weekly), member("keep_monthly", part.keep_monthly);
  member("keep_yearly", part.keep_yearly), member("keep_within", part.keep_within);
  member("keep_within_hourly", part.keep_within_hourly), member("keep_within_daily", part.keep_within_daily);
  member("keep_within_weekly", part.keep_within_weekly), member("keep_within_monthly", part.keep_within_monthly);
  member("keep_within_yearly", part.keep_within_yearly), member("keep_tags", part.keep_tags);
  member("group_by", part.group_by), member("prune", part.prune);
}

template <class Part, class Visit>
requires std::is_same_v<std::remove_const_t<Part>, schedule_check>
void describe(Part& part, Visit&& member) { member("read_data_subset", part.read_data_subset); }

template <class Part, class Visit>
requires std::is_same_v<std::remove_const_t<Part>, schedule_limits>
void describe(Part& part, Visit&& member) {
  member("cpu_quota", part.cpu_quota), member("memory_max", part.memory_max), member("io_weight", part.io_weight);
  member("io_class", part.io_class), member("nice", part.nice), member("timeout", part.timeout);
  member("upload_kib", part.upload_kib), member("download_kib", part.download_kib);
}

template <class Part, class Visit>
requires std::is_same_v<std::remove_const_t<Part>, schedule_definition>
void describe(Part& part, Visit&& member) {
  member("name", part.name), member("description", part.description), member("executable", part.executable);
  member("environment_file", part.environment_file), member("environment", part.environment);
  member("backup", part.backup), member("calendar", part.calendar), member("time_zone", part.time_zone);
  member("persistent", part.persistent), member("on_boot", part.on_boot);
  member("randomized_delay", part.randomized_delay), member("retry_lock", part.retry_lock);
  member("retention", part.retention), member("check", part.check);
  member("partial_is_failure", part.partial_is_failure), member("limits", part.limits);
  member("hardening", part.hardening), member("on_failure", part.on_failure);
  member("commands_before", part.commands_before), member("commands_after", part.commands_after);
}

template <class Part>
concept is_part = requires(Part& part) {
  describe(part, [](std::string_view, auto&) {});
};

// --- reading ---

template <is_part Part>
void read_member(json_value& value, Part& into);

inline void read_member(json_value& value, std::string& into) { read(value, into); }
inline void read_member(json_value& value, bool& into) { read(value, into); }
template <std::integral Number>
requires(!std::same_as<Number, bool>) void read_member(json_value& value, Number& into) { read(value, into); }
inline void read_member(json_value& value, strings& into) { read(value, into); }

inline void read_member(json_value& value, std::vector<strings>& into) {
  into.clear();
  for_each_element(value, [&](json_value& element) { read(element, into.emplace_back()); });
}

inline void read_member(json_value& value, std::map<std::string, std::string>& into) {
  into.clear();
  if (is_null(value)) return;
  for_each_field(object_of(value), [&](std::string_view key, json_value& field) {
    const std::string name(key);  // the key does not outlive the value's being read
    read(field, into[name]);
  });
}

template <class Value>
void read_member(json_value& value, std::optional<Value>& into) {
  into.reset();
  if (!is_null(value)) read_member(value, into.emplace());
}

template <is_part Part>
void read_members(json_object object, Part& into) {
  for_each_field(std::move(object), [&](std::string_view key, json_value& value) {
    bool known = false;
    describe(into, [&](std::string_view name, auto& member) {
      if (known || name != key) return;
      known = true;
      read_member(value, member);
    });
    if (known) return;
    if constexpr (std::is_same_v<Part, schedule_definition>) {
      if (key == "v") {
        std::uint32_t version = schedule_definition::version;
        read(value, version);
        if (version == schedule_definition::version) return;
        throw json_error("version " + std::to_string(version) + " of the format is not known here, only " +
                         std::to_string(schedule_definition::version) + ": take a newer recoup");
      }
    }
    std::string names;
    describe(into, [&](std::string_view name, auto&) { (names += names.empty() ? "" : ", ") += name; });
    throw json_error("there is no such member; there are: " + names);
  });
}

template <is_part Part>
void read_member(json_value& value, Part& into) {
  if (!is_null(value)) read_members(object_of(value), into);
}

/// What message() says before the reason.
[[nodiscard]] inline std::string path_of(const json_error& problem) {
  const auto message = problem.message();
  const std::string_view before = "field ", reason = problem.what();
  if (message == reason) return {};
  return message.substr(before.size(), message.size() - before.size() - reason.size() - 2);
}

template <is_part Part>
[[nodiscard]] Part parse(std::string_view text) {
  Part part;
  try {
    json_document document(as_bytes(text));
    json_object root;
    if (document.root().get_object().get(root) != simdjson::SUCCESS) throw json_error("must be a JSON object");
    read_members(root, part);
    if (document.root().current_location().error() != simdjson::OUT_OF_BOUNDS)
      throw json_error("more follows after the end of the JSON object");
  } catch (const json_error& problem) {
    throw schedule_error(path_of(problem), problem.what());
  } catch (const simdjson::simdjson_error& problem) {
    throw schedule_error("", std::string("not valid JSON: ") + problem.what());
  }
  return part;
}

// --- writing: only what is not as it would be anyway, so that one sees what was decided ---

inline void write(json_writer& json, const std::string& value) { json.value(value); }
inline void write(json_writer& json, bool value) { json.value(value); }
template <std::integral Number>
requires(!std::same_as<Number, bool>) void write(json_writer& json, Number value) { json.value(value); }
template <class Value>
void write(json_writer& json, const std::vector<Value>& list);
template <is_part Part>
void write(json_writer& json, const Part& part);

inline void write(json_writer& json, const std::map<std::string, std::string>& values) {
  json.begin_object();
  for (const auto& [name, value] : values) json.field(name, value);
  json.end_object();
}

template <class Value>
void write(json_writer& json, const std::optional<Value>& value) {
  write(json, *value);  // one that is not there is as it would be anyway
}

template <class Value>
void write(json_writer& json, const std::vector<Value>& list) {
  json.begin_array();
  for (const auto& each : list) write(json, each);
  json.end_array();
}

template <is_part Part>
void write(json_writer& json, const Part& part) {
  const Part usual{};
  json.begin_object();
  if constexpr (std::is_same_v<Part, schedule_definition>) json.field("v", schedule_definition::version);
  describe(part, [&](std::string_view name, const auto& member) {
    describe(usual, [&]<class Other>(std::string_view usual_name, const Other& other) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(member)>, Other>) {
        if (name != usual_name || member == other) return;
        json.key(name);
        write(json, member);
      }
    });
  });
  json.end_object();
}

}  // namespace schedule_json

/// Throws schedule_error with the path of the member that is to blame. Whether the values make sense is another
/// question: require_valid().
[[nodiscard]] inline schedule_definition parse_schedule(std::string_view text) {
  return schedule_json::parse<schedule_definition>(text);
}

/// A policy alone, as the member `retention`.
[[nodiscard]] inline schedule_retention parse_schedule_retention(std::string_view text) {
  return schedule_json::parse<schedule_retention>(text);
}

/// In one line.
[[nodiscard]] inline std::string schedule_json_text(const schedule_definition& definition) {
  json_writer json;
  schedule_json::write(json, definition);
  return json.take();
}

/// As it lies in /etc/recoup/schedules.
[[nodiscard]] inline std::string render_schedule(const schedule_definition& definition) {
  return indented_json(schedule_json_text(definition), json_lists::on_one_line) + "\n";
}

}  // namespace recoup
