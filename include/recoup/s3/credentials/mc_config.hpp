// Keys from ~/.mc/config.json, where MinIO's client `mc` keeps its aliases.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/core/parse_setting.hpp>
#include <recoup/json/json_reader.hpp>
#include <recoup/s3/credentials/provider.hpp>
#include <recoup/s3/credentials/secret_text.hpp>
#include <recoup/s3/location.hpp>

namespace recoup {

namespace mc_config {

struct alias {
  std::string url{}, access_key{}, session_token{};
  std::shared_ptr<const secret_bytes> secret_key{};

  /// `mc` writes placeholders for its own examples.
  [[nodiscard]] bool is_given() const noexcept {
    return !access_key.empty() && access_key != "YOUR-ACCESS-KEY-HERE" && secret_key && !secret_key->empty();
  }

  [[nodiscard]] bool is_for(const s3_endpoint& endpoint) const {
    try {
      return parse_s3_endpoint("s3:" + url) == s3_location{endpoint, {}, {}};
    } catch (const error&) {
      return false;
    }
  }
};

using aliases = std::map<std::string, alias>;

[[nodiscard]] inline std::string path() {
  if (auto named = environment_variable("MINIO_SHARED_CREDENTIALS_FILE"); !named.empty()) return named;
  const auto home = home_directory();
  return home.empty() ? std::string() : home + "/.mc/config.json";
}

inline void read_alias(json_value& value, alias& into) {
  for_each_field(object_of(value), [&](std::string_view key, json_value& field) {
    if (key == "url")
      read(field, into.url);
    else if (key == "accessKey")
      read(field, into.access_key);
    else if (key == "secretKey" && !is_null(field))
      into.secret_key = secret_of(field);
    else if (key == "sessionToken")
      read(field, into.session_token);
  });
}

/// Version 10 calls them aliases, earlier ones hosts.
[[nodiscard]] inline aliases parse(byte_view text, const std::string& what) {
  aliases found;
  read_json(
      text, what,
      [&](json_object root) {
        for_each_field(root, [&](std::string_view key, json_value& value) {
          if (key == "aliases" || key == "hosts")
            for_each_field(object_of(value), [&](std::string_view name, json_value& each) {
              read_alias(each, found[std::string(name)]);
            });
        });
      },
      true);
  return found;
}

}  // namespace mc_config

/// The alias that MINIO_ALIAS names; without it the first one for this server, or else, as minio-go has it, the one
/// called "s3". Nothing if there is no such file or alias. Throws if the file cannot be read or makes no sense, and
/// invalid_argument if MINIO_ALIAS names an alias without keys.
[[nodiscard]] inline std::optional<s3_credentials> credentials_from_mc_config(const s3_endpoint& endpoint) {
  const auto path = mc_config::path();
  const auto wanted = environment_variable("MINIO_ALIAS");
  const auto text = path.empty() ? std::nullopt : read_secret_file(path, "the configuration of mc");
  const auto aliases = text ? mc_config::parse(text->view(), path) : mc_config::aliases{};
  auto at = aliases.end();
  if (!wanted.empty()) {
    at = aliases.find(wanted);
    if (at == aliases.end() || !at->second.is_given())
      throw error(error_code::invalid_argument, "MINIO_ALIAS is " + wanted + ", but " + path +
                                                    " has no keys for an alias of this name: unset it, or see "
                                                    "`mc alias list`");
  } else {
    at = std::ranges::find_if(
        aliases, [&](const auto& each) { return each.second.is_given() && each.second.is_for(endpoint); });
    if (at == aliases.end()) at = aliases.find("s3");
    if (at == aliases.end() || !at->second.is_given()) return std::nullopt;
  }
  s3_credentials found;
  found.access_key_id = at->second.access_key;
  found.secret_access_key = at->second.secret_key;
  found.session_token = at->second.session_token;
  found.source = "alias " + at->first + " of " + path;
  return found;
}

}  // namespace recoup
