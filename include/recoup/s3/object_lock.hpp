// Object lock: versions of objects that nobody can remove before a day, or while they are held.
//
// A lock is on a version. A DELETE that names no version is let through all the same: it lays a delete marker over the
// object, which hides it and frees nothing.
//
//     GOVERNANCE   whoever has s3:BypassGovernanceRetention can shorten it and remove the version
//     COMPLIANCE   nobody can, not even the account's owner
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/s3/bucket/setting.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/object.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

/// Ordered by strength.
enum class retention_mode : std::uint8_t { governance, compliance };

/// As S3 spells it.
[[nodiscard]] constexpr const char* name_of(retention_mode mode) noexcept {
  return mode == retention_mode::compliance ? "COMPLIANCE" : "GOVERNANCE";
}

/// In either case. Nothing if it is neither.
[[nodiscard]] inline std::optional<retention_mode> parse_retention_mode(std::string_view text) {
  if (text == "GOVERNANCE" || text == "governance") return retention_mode::governance;
  if (text == "COMPLIANCE" || text == "compliance") return retention_mode::compliance;
  return std::nullopt;
}

/// What each new version in a bucket gets. One of the two is not 0.
struct default_retention {
  retention_mode mode = retention_mode::governance;
  unsigned days = 0, years = 0;

  [[nodiscard]] friend bool operator==(const default_retention&, const default_retention&) = default;
};

struct bucket_object_lock {
  bool enabled = false;
  std::optional<default_retention> retention{};

  [[nodiscard]] friend bool operator==(const bucket_object_lock&, const bucket_object_lock&) = default;
};

struct object_retention {
  retention_mode mode = retention_mode::governance;
  timestamp until{};

  [[nodiscard]] friend bool operator==(const object_retention&, const object_retention&) = default;
};

namespace object_lock {

[[nodiscard]] inline retention_mode read_mode(std::string_view text) {
  if (const auto mode = parse_retention_mode(text)) return *mode;
  throw error(error_code::unsupported, "the server locks objects in a mode \"" + go_quoted(text.substr(0, 40)) +
                                           "\", which this program does not know");
}

[[nodiscard]] inline timestamp read_time(std::string_view text) {
  if (auto time = parse_rfc3339(text)) {
    time->zone_offset = 0;
    return *time;
  }
  throw error(error_code::io, "the server gives \"" + go_quoted(text.substr(0, 40)) + "\" as the end of a lock");
}

/// S3 reads UTC in whole seconds everywhere, and not everywhere anything else.
[[nodiscard]] inline std::string write_time(timestamp time) {
  time.zone_offset = 0;
  if (time.nanoseconds != 0) time = {time.seconds + 1, 0, 0};  // never shorter than asked for
  return to_rfc3339(time);
}

[[nodiscard]] inline unsigned read_number(std::string_view text) {
  const auto number = s3_object::parse_size(text, "cannot read the object lock of a bucket");
  if (number > 1'000'000) throw error(error_code::io, "the server locks objects for " + std::string(text) + " days");
  return static_cast<unsigned>(number);
}

}  // namespace object_lock

[[nodiscard]] inline bucket_object_lock parse_bucket_object_lock(std::string_view document) {
  const auto root = parse_xml(document, "the object lock of a bucket", "ObjectLockConfiguration");
  bucket_object_lock found;
  found.enabled = root.text_of("ObjectLockEnabled") == "Enabled";
  const auto* rule = root.first("Rule", "DefaultRetention");
  if (rule == nullptr) return found;
  default_retention retention;
  retention.mode = object_lock::read_mode(rule->text_of("Mode"));
  if (rule->child("Days") != nullptr) retention.days = object_lock::read_number(rule->text_of("Days"));
  if (rule->child("Years") != nullptr) retention.years = object_lock::read_number(rule->text_of("Years"));
  found.retention = retention;
  return found;
}

[[nodiscard]] inline bucket_object_lock get_object_lock(s3_client& client, const std::string& bucket) {
  const auto answer = bucket_setting(client, bucket, "object-lock", "the object lock").get();
  return answer ? parse_bucket_object_lock(answer->body) : bucket_object_lock{};
}

/// Sets what new versions get; nothing: no lock unless it is asked for. Those that there are keep theirs.
inline void put_object_lock(s3_client& client, const std::string& bucket,
                            const std::optional<default_retention>& retention) {
  xml_writer document("ObjectLockConfiguration");
  document.element("ObjectLockEnabled", "Enabled");
  if (retention) {
    if ((retention->days == 0) == (retention->years == 0))
      throw error(error_code::invalid_argument, "a default retention is a number of days or of years, one of the two");
    document.begin("Rule").begin("DefaultRetention").element("Mode", name_of(retention->mode));
    if (retention->days != 0) document.element("Days", std::to_string(retention->days));
    if (retention->years != 0) document.element("Years", std::to_string(retention->years));
  }
  bucket_setting(client, bucket, "object-lock", "the object lock").put(document.take());
}

namespace object_lock {

[[nodiscard]] inline s3_request make_request(const object_name& object, const std::string& version_id, const char* word,
                                             const char* method, const char* what) {
  auto request = s3_object::make_request(method, object, what);
  request.query.emplace_back(word, "");
  if (!version_id.empty()) request.query.emplace_back("versionId", version_id);
  return request;
}

/// A version without a lock, or a bucket that has none.
[[nodiscard]] inline bool is_unlocked(const s3_refusal& refusal) {
  return refusal.code == "NoSuchObjectLockConfiguration" || refusal.code == "ObjectLockConfigurationNotFoundError" ||
         (refusal.code == "InvalidRequest" && refusal.message.find("Object Lock") != std::string::npos);
}

}  // namespace object_lock

/// Nothing if the version is not locked until a day. Without `version_id` the current version.
[[nodiscard]] inline std::optional<object_retention> get_object_retention(s3_client& client, const object_name& object,
                                                                          const std::string& version_id = {}) {
  try {
    const auto answer =
        client.send(object_lock::make_request(object, version_id, "retention", "GET", "read the lock of an object"));
    const auto root = parse_xml(answer.body, "the lock of an object", "Retention");
    if (root.text_of("Mode").empty()) return std::nullopt;
    return object_retention{object_lock::read_mode(root.text_of("Mode")),
                            object_lock::read_time(root.text_of("RetainUntilDate"))};
  } catch (const s3_error& problem) {
    if (object_lock::is_unlocked(problem.refusal())) return std::nullopt;
    throw;
  }
}

/// Locks a version. Nothing lifts the lock, which only GOVERNANCE allows, and shortening one is allowed there only,
/// too; both with `bypass_governance` alone.
inline void put_object_retention(s3_client& client, const object_name& object, const std::string& version_id,
                                 const std::optional<object_retention>& retention, bool bypass_governance = false) {
  xml_writer document("Retention");
  if (retention)
    document.element("Mode", name_of(retention->mode))
        .element("RetainUntilDate", object_lock::write_time(retention->until));
  const auto body = document.take();
  auto request = object_lock::make_request(object, version_id, "retention", "PUT", "lock an object");
  request.body = as_bytes(body);
  request.headers.push_back({"content-type", "application/xml"});
  if (bypass_governance) request.headers.push_back({"x-amz-bypass-governance-retention", "true"});
  request.needs_md5 = true;
  client.send(request);
}

/// A legal hold locks a version without an end, beside any retention.
[[nodiscard]] inline bool get_legal_hold(s3_client& client, const object_name& object,
                                         const std::string& version_id = {}) {
  try {
    const auto answer = client.send(
        object_lock::make_request(object, version_id, "legal-hold", "GET", "read the legal hold of an object"));
    return parse_xml(answer.body, "the legal hold of an object", "LegalHold").text_of("Status") == "ON";
  } catch (const s3_error& problem) {
    if (object_lock::is_unlocked(problem.refusal())) return false;
    throw;
  }
}

inline void put_legal_hold(s3_client& client, const object_name& object, const std::string& version_id, bool on) {
  const auto body = xml_writer("LegalHold").element("Status", on ? "ON" : "OFF").take();
  auto request = object_lock::make_request(object, version_id, "legal-hold", "PUT", "set the legal hold of an object");
  request.body = as_bytes(body);
  request.headers.push_back({"content-type", "application/xml"});
  request.needs_md5 = true;
  client.send(request);
}

/// The lock as HEAD and GET tell it. Nothing if there is none, or the caller may not see it.
[[nodiscard]] inline std::optional<object_retention> retention_in(const object_info& info) {
  const std::string *mode = nullptr, *until = nullptr;
  for (const auto& header : info.headers) {
    if (same_header_name(header.name, "x-amz-object-lock-mode")) mode = &header.value;
    if (same_header_name(header.name, "x-amz-object-lock-retain-until-date")) until = &header.value;
  }
  if (mode == nullptr || until == nullptr) return std::nullopt;
  return object_retention{object_lock::read_mode(*mode), object_lock::read_time(*until)};
}

[[nodiscard]] inline bool has_legal_hold(const object_info& info) {
  return std::ranges::any_of(info.headers, [](const http_header& header) {
    return same_header_name(header.name, "x-amz-object-lock-legal-hold") && header.value == "ON";
  });
}

}  // namespace recoup
