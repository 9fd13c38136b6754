// What `-o s3.…` sets: restic's options under restic's names, and two of our own (s3.unsigned-payload, s3.profile).
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <map>
#include <string>
#include <string_view>

#include <recoup/core/error.hpp>
#include <recoup/core/parse_setting.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/s3/location.hpp>

namespace recoup {

enum class s3_bucket_lookup {
  automatic,  ///< in the host's name for the services that want it so, in the path for all others
  dns,        ///< https://bucket.host/key
  path,       ///< https://host/bucket/key
};

struct s3_settings {
  std::string region{};  ///< empty: what the host's name says, or the server does
  s3_bucket_lookup lookup = s3_bucket_lookup::automatic;
  unsigned connections = 0;       ///< requests in flight at most; 0: as many as help
  unsigned retries = 0;           ///< repetitions of one request at most; 0: as many as fit into the time for it
  std::string storage_class{};    ///< for new objects; empty: the bucket's own
  bool list_objects_v1 = false;   ///< for servers without ListObjectsV2
  bool anonymous = false;         ///< requests are not signed
  std::string profile{};          ///< of ~/.aws: before all other credentials if it is named here
  bool unsigned_payload = false;  ///< TLS alone guards what is uploaded: saves a hash of it
  bool enable_restore = false;    ///< bring objects back from an archive class before they are read
  unsigned restore_days = 7;      ///< how long such an object then stays readable
  std::chrono::seconds restore_timeout = std::chrono::hours(24);  ///< how long to wait for it
  std::string restore_tier = "Standard";                          ///< Standard, Bulk or Expedited
};

namespace s3_option {

inline constexpr std::array<std::string_view, 14> names{
    "region",          "bucket-lookup",         "connections",      "retries",        "storage-class",
    "list-objects-v1", "unsafe-anonymous-auth", "unsigned-payload", "enable-restore", "restore-days",
    "restore-timeout", "restore-tier",          "layout",           "profile"};

struct option {
  std::string_view name, value;

  [[nodiscard]] error refusal(const std::string& why) const {
    return {error_code::invalid_argument, "option s3." + std::string(name) + '=' + go_quoted(value) + ": " + why};
  }

  [[nodiscard]] bool as_bool() const {
    if (const auto parsed = parse_bool(value)) return *parsed;
    throw refusal("give true or false");
  }

  [[nodiscard]] unsigned as_number(unsigned least, unsigned most) const {
    unsigned number = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (problem != std::errc{} || end != value.data() + value.size() || number < least || number > most)
      throw refusal("give a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return number;
  }

  /// It goes into a header or a signature as it is.
  [[nodiscard]] std::string as_word() const {
    const auto is_allowed = [](char c) { return uri::is_unreserved(c) && c != '~'; };
    if (!std::ranges::all_of(value, is_allowed))
      throw refusal("only letters, digits, \"-\", \"_\" and \".\" are allowed");
    return std::string(value);
  }
};

inline void apply(const option& given, s3_settings& to) {
  const auto name = given.name;
  if (name == "region") {
    to.region = given.as_word();
  } else if (name == "bucket-lookup") {
    // In any case, as restic takes it.
    std::string style(given.value);
    for (char& c : style)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    if (style.empty() || style == "auto")
      to.lookup = s3_bucket_lookup::automatic;
    else if (style == "dns" || style == "path")
      to.lookup = style == "dns" ? s3_bucket_lookup::dns : s3_bucket_lookup::path;
    else
      throw given.refusal("give auto, dns or path");
  } else if (name == "connections") {
    to.connections = given.as_number(1, 1000);
  } else if (name == "retries") {
    to.retries = given.as_number(0, 1000);
  } else if (name == "storage-class") {
    to.storage_class = given.as_word();
  } else if (name == "list-objects-v1") {
    to.list_objects_v1 = given.as_bool();
  } else if (name == "unsafe-anonymous-auth") {
    to.anonymous = given.as_bool();
  } else if (name == "unsigned-payload") {
    to.unsigned_payload = given.as_bool();
  } else if (name == "enable-restore") {
    to.enable_restore = given.as_bool();
  } else if (name == "restore-days") {
    to.restore_days = given.as_number(1, 36500);
  } else if (name == "restore-timeout") {
    const auto parsed = parse_duration(given.value);
    if (!parsed || *parsed < std::chrono::seconds(1)) throw given.refusal("give a duration such as 24h or 1h30m");
    to.restore_timeout = std::chrono::duration_cast<std::chrono::seconds>(*parsed);
  } else if (name == "restore-tier") {
    constexpr std::array<std::string_view, 3> tiers{"Standard", "Bulk", "Expedited"};
    if (std::ranges::find(tiers, given.value) == tiers.end()) throw given.refusal("give Standard, Bulk or Expedited");
    to.restore_tier = given.value;
  } else if (name == "profile") {
    to.profile = given.value;
  } else if (name == "layout") {
    if (!given.value.empty() && given.value != "default" && given.value != "auto")
      throw given.refusal("only the default layout exists; convert the repository with `restic migrate s3_layout` of "
                          "restic 0.17 or older");
  } else {
    std::string known;
    for (const auto each : names) known += (known.empty() ? "s3." : ", s3.") + std::string(each);
    throw error(error_code::invalid_argument,
                "unknown option s3." + std::string(name) + ": the S3 backend knows " + known);
  }
}

}  // namespace s3_option

/// From all options given, of which those that begin with "s3." count, for one server. A region that no option names
/// comes from AWS_DEFAULT_REGION, as in restic, or from AWS_REGION. Throws invalid_argument.
[[nodiscard]] inline s3_settings parse_s3_settings(const std::map<std::string, std::string>& options,
                                                   const s3_endpoint& endpoint) {
  constexpr std::string_view start = "s3.";
  s3_settings settings;
  for (const auto& [key, value] : options)
    if (key.starts_with(start)) s3_option::apply({std::string_view(key).substr(start.size()), value}, settings);
  for (const char* variable : {"AWS_DEFAULT_REGION", "AWS_REGION"}) {
    if (!settings.region.empty()) break;
    const auto region = environment_variable(variable);
    if (!std::ranges::all_of(region, uri::is_unreserved))
      throw error(error_code::invalid_argument, std::string("environment variable ") + variable + ": \"" +
                                                    go_quoted(region) + "\" is no name of a region");
    settings.region = region;
  }
  if (settings.unsigned_payload && !endpoint.use_tls)
    throw error(error_code::invalid_argument,
                "option s3.unsigned-payload: without TLS nothing would guard what is uploaded to " + endpoint.host +
                    "; leave it out, or use an https:// location");
  return settings;
}

}  // namespace recoup
