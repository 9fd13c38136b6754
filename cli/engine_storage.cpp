#include "engine_storage.hpp"

#include <chrono>

#include <recoup/http/client.hpp>
#include <recoup/s3/retry.hpp>
#include <recoup/storage/open_backend.hpp>
#include <recoup/storage/s3.hpp>

#include "password.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

/// A server that has not answered yet is given up after two attempts: nine seconds for an address behind which nothing
/// is, three where connections are refused. One that stops answering in the middle of something is waited for as ever.
constexpr std::chrono::seconds connect_timeout{4};
constexpr std::chrono::seconds longest_unreached{3};
constexpr std::chrono::seconds stall_timeout{30};

std::shared_ptr<credential_provider> read_credentials(const engine_parameters& from) {
  const auto id = from.text("access_key"), secret = from.text("secret_key"), token = from.text("session_token");
  const bool has_id = id && !id->empty(), has_secret = secret && !secret->empty();
  if (has_id != has_secret)
    throw from.problem(has_id ? "secret_key" : "access_key", "the other half of the credentials is given without it");
  if (!has_id && token && !token->empty())
    throw from.problem("session_token", "it is given without access_key and secret_key");
  if (!has_id) return nullptr;
  s3_credentials given;
  given.access_key_id = *id;
  given.secret_access_key = make_secret(*secret);
  given.session_token = token.value_or("");
  given.source = "the request";
  return std::make_shared<fixed_credentials>(std::move(given));
}

backend_settings settings_of(const engine_call& call, const engine_s3& s3) {
  auto settings = storage_settings(call.command, s3.options);
  settings.http.connect_timeout = connect_timeout;
  // What the command line says of it stands; what it does not say is not meant for somebody who waits.
  if (s3.options.stuck_request_timeout == global_options{}.stuck_request_timeout)
    settings.http.stall_timeout = stall_timeout;
  return settings;
}

std::shared_ptr<s3_client> make_client(const engine_call& call, const s3_endpoint& server, const engine_s3& s3) {
  auto settings = settings_of(call, s3);
  backend_option::check_names(settings.options);
  retry_policy patience;
  patience.longest_unreached = longest_unreached;
  auto chosen = parse_s3_settings(settings.options, server);
  return blaming("s3.access_key", [&] {
    return std::make_shared<s3_client>(server, std::move(chosen), settings.http,
                                       s3_environment{settings.stop, settings.on_warning}, s3.credentials, patience);
  });
}

/// The server of the location that the command itself would take.
s3_endpoint own_server(const engine_call& call) {
  try {
    return parse_s3_endpoint(call.command.options.location());
  } catch (const error&) {
    throw engine_parameter_error("s3.endpoint", "s3.endpoint: it is missing, and RESTIC_REPOSITORY names no S3 server "
                                                "either; give the server's address, such as http://10.0.0.3:9000");
  }
}

s3_endpoint parse_endpoint(const std::string& endpoint) {
  const auto found = parse_s3_endpoint("s3:" + endpoint);
  if (!found.bucket.empty())
    throw engine_parameter_error("s3.endpoint", "s3.endpoint: it must be the address of a server alone, without a "
                                                "bucket: " + found.url());
  return found;
}

}  // namespace

engine_s3 read_s3(const engine_call& call, const engine_parameters& from, std::string_view name) {
  const auto s3 = from.part(name, {"endpoint", "region", "access_key", "secret_key", "session_token", "bucket_lookup",
                                   "ca_file", "insecure_tls"});
  engine_s3 found{call.command.options};
  found.endpoint = s3.text("endpoint").value_or("");
  found.credentials = read_credentials(s3);
  auto& options = found.options.backend_options;
  if (const auto region = s3.text("region"); region && !region->empty()) {
    s3_settings checked;
    blaming(s3.path_of("region"), [&] { s3_option::apply({"region", *region}, checked); });
    options["s3.region"] = checked.region;
  }
  if (const auto lookup = s3.text("bucket_lookup"); lookup && !lookup->empty()) {
    if (*lookup != "auto" && *lookup != "path" && *lookup != "dns")
      throw s3.problem("bucket_lookup", "it must be auto, path or dns");
    options["s3.bucket-lookup"] = *lookup;
  }
  if (const auto file = s3.text("ca_file"); file && !file->empty()) {
    found.options.root_certificates = {std::string(*file)};
    blaming(s3.path_of("ca_file"), [&] { (void)read_root_certificates(found.options.root_certificates); });
  }
  found.options.insecure_tls = s3.flag("insecure_tls", found.options.insecure_tls);
  return found;
}

std::shared_ptr<s3_client> open_client(const engine_call& call, const engine_s3& s3) {
  const auto server = s3.endpoint.empty() ? own_server(call)
                                          : blaming("s3.endpoint", [&] { return parse_endpoint(s3.endpoint); });
  return make_client(call, server, s3);
}

engine_place read_place(const engine_call& call, const engine_parameters& from, std::string_view name) {
  const auto given = from.part(
      name, {"location", "password", "password_file", "password_command", "no_cache", "cache_directory"});
  engine_place found;
  found.path = from.path_of(name);
  found.location = given.required_text("location");
  found.no_cache = given.flag("no_cache", call.command.options.no_cache);
  found.cache_directory = given.text("cache_directory").value_or(call.command.options.cache_directory);

  int sources = 0;
  for (const auto* each : {"password", "password_file", "password_command"}) {
    if (!given.has(each)) continue;
    if (given.text(each)->empty())
      throw given.problem(each, "it is empty; leave it out if another parameter or the environment has the password");
    if (++sources > 1) throw given.problem(each, "another parameter gives the password already; give one of them");
    found.password_path = given.path_of(each);
  }
  if (const auto password = given.text("password")) {
    found.password.emplace(as_bytes(*password));
    return found;
  }
  auto source = call.command.options.password();
  if (sources != 0) {
    source.file = given.text("password_file").value_or("");
    source.command = given.text("password_command").value_or("");
  } else {
    found.password_path = given.path_of("password");
  }
  try {
    found.password = given_password(source);
  } catch (const error& problem) {
    if (problem.code() == error_code::interrupted) throw;
    throw engine_parameter_error(found.password_path, problem.code(), problem.what());
  }
  return found;
}

std::shared_ptr<backend> open_place(const engine_call& call, const engine_s3& s3, const engine_place& place) {
  return blaming(place.path + ".location", [&]() -> std::shared_ptr<backend> {
    if (!place.location.starts_with("s3:")) return open_backend(place.location, settings_of(call, s3));
    const auto where = parse_s3_location(place.location);
    return std::make_shared<s3_backend>(make_client(call, where, s3), where);
  });
}

}  // namespace recoup::cli
