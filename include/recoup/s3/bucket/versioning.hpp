// Whether a bucket keeps what is overwritten and deleted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/s3/bucket/setting.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

enum class versioning_state : std::uint8_t {
  never,  ///< nothing is kept, and never was
  enabled,
  suspended,  ///< nothing more is kept; the versions that there are stay. There is no way back to `never`
};

[[nodiscard]] constexpr const char* name_of(versioning_state state) noexcept {
  switch (state) {
    case versioning_state::never: return "never";
    case versioning_state::enabled: return "enabled";
    case versioning_state::suspended: return "suspended";
  }
  return "never";
}

struct bucket_versioning {
  versioning_state state = versioning_state::never;
  bool mfa_delete = false;  ///< only AWS's root account can change it, so it is read only here
  /// MinIO's own: prefixes whose objects get no versions, and folder markers that get none. Lost when it is suspended.
  std::vector<std::string> excluded_prefixes{};
  bool excludes_folders = false;

  [[nodiscard]] friend bool operator==(const bucket_versioning&, const bucket_versioning&) = default;
};

[[nodiscard]] inline bucket_versioning parse_versioning(std::string_view document) {
  const auto root = parse_xml(document, "the versioning of a bucket", "VersioningConfiguration");
  bucket_versioning found;
  const auto status = root.text_of("Status");
  if (status == "Enabled") found.state = versioning_state::enabled;
  if (status == "Suspended") found.state = versioning_state::suspended;
  found.mfa_delete = root.text_of("MfaDelete") == "Enabled" || root.text_of("MFADelete") == "Enabled";
  for (const auto& each : root.all("ExcludedPrefixes")) found.excluded_prefixes.emplace_back(each.text_of("Prefix"));
  found.excludes_folders = root.text_of("ExcludeFolders") == "true";
  return found;
}

[[nodiscard]] inline bucket_versioning get_versioning(s3_client& client, const std::string& bucket) {
  const auto answer = bucket_setting(client, bucket, "versioning", "the versioning").get();
  return answer ? parse_versioning(answer->body) : bucket_versioning{};
}

/// Throws invalid_argument for `never`, which no bucket can be set back to.
inline void put_versioning(s3_client& client, const std::string& bucket, const bucket_versioning& wanted) {
  if (wanted.state == versioning_state::never)
    throw error(error_code::invalid_argument,
                "the versioning of a bucket cannot be set back to never: suspend it, and remove the old versions");
  xml_writer document("VersioningConfiguration");
  document.element("Status", wanted.state == versioning_state::enabled ? "Enabled" : "Suspended");
  const bool is_enabled =
      wanted.state == versioning_state::enabled;  // MinIO refuses the rest where nothing is kept anyway
  for (const auto& prefix : wanted.excluded_prefixes)
    if (is_enabled) document.begin("ExcludedPrefixes").element("Prefix", prefix).end();
  if (is_enabled && wanted.excludes_folders) document.element("ExcludeFolders", "true");
  bucket_setting(client, bucket, "versioning", "the versioning").put(document.take());
}

/// Changes the state alone: what else is set stays as far as it can.
inline void set_versioning(s3_client& client, const std::string& bucket, versioning_state state) {
  auto wanted = get_versioning(client, bucket);
  if (wanted.state == state) return;
  wanted.state = state;
  put_versioning(client, bucket, wanted);
}

}  // namespace recoup
