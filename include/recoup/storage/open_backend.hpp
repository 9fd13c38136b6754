// From the location a user gives (`/srv/backup`, `local:a:b`, `s3:https://host/bucket`) to a backend, in restic's
// spelling.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include <recoup/core/error.hpp>
#include <recoup/http/options.hpp>
#include <recoup/s3/settings.hpp>
#include <recoup/storage/backend.hpp>
#include <recoup/storage/local.hpp>
#include <recoup/storage/s3.hpp>
#include <recoup/storage/throttle.hpp>

namespace recoup {

/// The options of all backends, as `-o` gives them: "local.connections" -> "4".
using backend_options = std::map<std::string, std::string>;

/// What decides how a location is opened, beside the location. The defaults are right for most.
struct backend_settings {
  backend_options options{};  ///< as `-o` gives them
  /// Certificates and time limits of storage behind HTTP. Its limits on the rate hold for every kind of storage.
  http_options http{};
  std::stop_token stop{};  ///< ends waiting, for an answer or between attempts; what is then locked can still be unlocked
  /// Something went wrong that does not stop the work, such as a request that has to be repeated. Called from any thread,
  /// and from several at once.
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
};

/// The location with the user part of a URL replaced by `***`, fit for messages and logs.
[[nodiscard]] inline std::string location_without_secrets(std::string_view location) {
  const auto scheme = location.find("://");
  if (scheme == std::string_view::npos) return std::string(location);
  const auto start = scheme + 3;
  auto end = std::min(location.find('/', start), location.size());
  const auto colon = location.substr(start, end - start).rfind(':');
  // An unescaped slash in a password splits it. Then what follows the colon is no port, and the `@` comes later.
  if (colon != std::string_view::npos && location.substr(start, end - start).rfind('@') == std::string_view::npos &&
      location.substr(start + colon + 1, end - start - colon - 1).find_first_not_of("0123456789]") !=
          std::string_view::npos)
    end = location.size();
  const auto at = location.substr(start, end - start).rfind('@');
  if (at == std::string_view::npos) return std::string(location);
  return std::string(location.substr(0, start)) + "***" + std::string(location.substr(start + at));
}

namespace backend_option {

/// Every scheme restic has. Options for another backend than the one in use are allowed, so that one set of settings
/// can serve several repositories; options for none of these are a mistake.
inline constexpr std::array<std::string_view, 10> schemes{"local", "s3",    "sftp", "rest",  "rclone",
                                                          "b2",    "azure", "gs",   "swift", "mem"};

[[nodiscard]] inline bool is_scheme(std::string_view name) {
  return std::find(schemes.begin(), schemes.end(), name) != schemes.end();
}

/// A whole number from 1 to 1000; restic's connections have no upper limit, but thousands of threads help nobody.
[[nodiscard]] inline unsigned parse_connections(std::string_view key, std::string_view value) {
  unsigned number = 0;
  const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (problem != std::errc{} || end != value.data() + value.size() || number < 1 || number > 1000)
    throw error(error_code::invalid_argument, "option " + std::string(key) + "=" + std::string(value) +
                                                  ": give a whole number from 1 to 1000");
  return number;
}

/// Throws invalid_argument for an option that no backend can know.
inline void check_names(const backend_options& options) {
  for (const auto& [key, value] : options) {
    const auto dot = key.find('.');
    if (dot == std::string::npos || !is_scheme(std::string_view(key).substr(0, dot)))
      throw error(error_code::invalid_argument,
                  "unknown option " + key + ": options are named <backend>.<name>, for example local.connections=4");
    if (key.starts_with("local.") && key != "local.connections")
      throw error(error_code::invalid_argument,
                  "unknown option " + key + ": the local backend knows local.connections only");
  }
}

}  // namespace backend_option

[[nodiscard]] inline local_options parse_local_options(const backend_options& options) {
  local_options parsed;
  if (const auto found = options.find("local.connections"); found != options.end())
    parsed.connections = backend_option::parse_connections(found->first, found->second);
  return parsed;
}

[[nodiscard]] inline std::shared_ptr<backend> open_local_backend(std::string_view path,
                                                                 const backend_settings& settings) {
  std::shared_ptr<backend> opened = std::make_shared<local_backend>(path, parse_local_options(settings.options));
  const auto& http = settings.http;
  if (http.upload_limit == 0 && http.download_limit == 0) return opened;
  return std::make_shared<throttled_backend>(std::move(opened), http.upload_limit, http.download_limit, settings.stop);
}

/// A client for the server of an S3 location, for repositories and for the administration of buckets alike.
[[nodiscard]] inline std::shared_ptr<s3_client> open_s3_client(const s3_endpoint& endpoint,
                                                               const backend_settings& settings) {
  auto chosen = parse_s3_settings(settings.options, endpoint);
  if (chosen.enable_restore)
    throw error(error_code::unsupported,
                "option s3.enable-restore: bringing packs back from an archive class is not supported; restore the objects "
                "below data/ with the provider's own means first, then leave the option out");
  return std::make_shared<s3_client>(endpoint, std::move(chosen), settings.http,
                                     s3_environment{settings.stop, settings.on_warning});
}

/// Opens the backend for a location. Nothing is read or made yet. Throws invalid_argument for a location or an option
/// that makes no sense, unsupported for a kind of storage this program does not have.
[[nodiscard]] inline std::shared_ptr<backend> open_backend(std::string_view location,
                                                           const backend_settings& settings = {}) {
  backend_option::check_names(settings.options);
  if (location.empty())
    throw error(error_code::invalid_argument,
                "no repository given: name one with --repo or the environment variable RESTIC_REPOSITORY");

  const auto colon = location.find(':');
  const bool is_path = location.starts_with('/') || location.starts_with("./") || location.starts_with("../");
  const auto scheme = colon == std::string_view::npos || is_path ? std::string_view{} : location.substr(0, colon);
  if (scheme.empty() && (is_path || colon == std::string_view::npos))
    return open_local_backend(location, settings);
  if (scheme == "local") return open_local_backend(location.substr(colon + 1), settings);
  if (scheme == "s3") {
    const auto place = parse_s3_location(location);
    return std::make_shared<s3_backend>(open_s3_client(place, settings), place);
  }

  const auto shown = location_without_secrets(location);
  if (backend_option::is_scheme(scheme))
    throw error(error_code::unsupported,
                "repository " + shown + ": storage of the kind " + std::string(scheme) +
                    " is not supported; use S3 (s3:https://host/bucket), or a local directory, which may be a mount "
                    "(NFS, SMB, sshfs, rclone mount)");
  throw error(error_code::invalid_argument, "repository " + shown + ": unknown kind of storage \"" +
                                                std::string(scheme) +
                                                "\"; for a directory whose name has a colon write local:" + shown);
}

}  // namespace recoup
