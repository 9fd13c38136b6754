#include "global_options.hpp"

#include <cctype>
#include <cstdlib>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/fs/pattern_file.hpp>

#include "flags.hpp"
#include "format.hpp"
#include "parse_number.hpp"
#include "text_file.hpp"

namespace recoup::cli {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

namespace {

compression compression_named(const std::string& name) {
  const auto mode = parse_compression(name);
  if (!mode)
    throw error(error_code::invalid_argument,
                "invalid compression mode \"" + name + "\", must be one of (auto|off|fastest|better|max)");
  return *mode;
}

void append_all(std::vector<std::string>& to, const std::string& list) {
  for (auto& part : split(list, ',')) to.push_back(std::move(part));
}

unsigned number_of(std::string_view text, const char* what) {
  const auto value = parse_number<unsigned>(text);
  if (!value)
    throw error(error_code::invalid_argument,
                std::string("invalid value for ") + what + " \"" + std::string(text) + "\": give a whole number");
  return *value;
}

// Variables come first, so that a flag writes over them. Those that need checking are left to finish(), so that
// commands which have no use for them work all the same.
void read_environment(global_options& options) {
  options.repository = environment("RESTIC_REPOSITORY");
  options.repository_file = environment("RESTIC_REPOSITORY_FILE");
  options.password_file = environment("RESTIC_PASSWORD_FILE");
  options.password_command = environment("RESTIC_PASSWORD_COMMAND");
  options.key_hint = environment("RESTIC_KEY_HINT");
  options.client_certificate = environment("RESTIC_TLS_CLIENT_CERT");
  options.user_agent = environment("RESTIC_HTTP_USER_AGENT");
  options.cache_directory = environment("RESTIC_CACHE_DIR");
  if (const auto list = environment("RESTIC_CACERT"); !list.empty()) append_all(options.root_certificates, list);
}

void add_repository_options(CLI::App& app, global_options& options) {
  add_text(app, "-r,--repo", options.repository,
           "repository to backup to or restore from (default: $RESTIC_REPOSITORY)", "repository");
  add_text(app, "--repository-file", options.repository_file,
           "file to read the repository location from (default: $RESTIC_REPOSITORY_FILE)", "file");
  add_text(app, "-p,--password-file", options.password_file,
           "file to read the repository password from (default: $RESTIC_PASSWORD_FILE)", "file");
  add_text(app, "--password-command", options.password_command,
           "shell command to obtain the repository password from (default: $RESTIC_PASSWORD_COMMAND)", "command");
  add_text(app, "--key-hint", options.key_hint, "ID of the key to try first (default: $RESTIC_KEY_HINT)", "key");
  add_switch(app, "--insecure-no-password", options.insecure_no_password,
             "use an empty password for the repository, must be passed to every command (insecure)");
  add_switch(app, "--no-lock", options.no_lock,
             "do not lock the repository, this allows some operations on read-only repositories");
  add_duration(app, "--retry-lock", options.retry_lock,
               "keep trying to lock a repository that is locked, for as long as 5m or 2h (default: no retries)");
  add_parsed(
      app, "-o,--option", [&options](const std::string& text) { append_all(options.settings, text); },
      "set extended option (can be specified multiple times)", "key=value");
}

void add_storage_options(CLI::App& app, global_options& options) {
  add_parsed(
      app, "--compression",
      [&options](const std::string& text) {
        options.compression_mode = compression_named(text);
        options.compression_given = true;
      },
      "compression mode (only for repository format version 2) (default: "
      "$RESTIC_COMPRESSION or auto)",
      "auto|off|fastest|better|max");
  add_parsed(
      app, "--pack-size",
      [&options](const std::string& text) {
        options.pack_size_mib = number_of(text, "--pack-size");
        options.pack_size_given = true;
      },
      "target pack size in MiB, created packs may be larger (default: $RESTIC_PACK_SIZE or 16)", "size");
  add_switch(app, "--no-extra-verify", options.no_extra_verify,
             "skip additional verification of data before it is stored");
  add_text(app, "--cache-dir", options.cache_directory,
           "the cache directory (default: $RESTIC_CACHE_DIR or the system's cache directory)", "directory");
  add_switch(app, "--no-cache", options.no_cache, "do not use a local cache");
  add_switch(app, "--cleanup-cache", options.cleanup_cache, "remove old cache directories");
}

void add_network_options(CLI::App& app, global_options& options) {
  // The first --cacert replaces what the environment gave; further ones add to it.
  add_parsed(
      app, "--cacert",
      [&options, first = true](const std::string& text) mutable {
        if (std::exchange(first, false)) options.root_certificates.clear();
        append_all(options.root_certificates, text);
      },
      "file to load root certificates from (default: the system's certificates or $RESTIC_CACERT)", "file");
  add_text(app, "--tls-client-cert", options.client_certificate,
           "file with the PEM encoded TLS client certificate and private key (default: $RESTIC_TLS_CLIENT_CERT)",
           "file");
  add_switch(app, "--insecure-tls", options.insecure_tls,
             "skip TLS certificate verification when connecting to the repository (insecure)");
  add_text(app, "--http-user-agent", options.user_agent, "user agent of outgoing http requests (default: "
           "$RESTIC_HTTP_USER_AGENT)");
  add_number(app, "--limit-upload", options.limit_upload, "limit uploads to a rate in KiB/s (default: unlimited)",
             "rate");
  add_number(app, "--limit-download", options.limit_download,
             "limit downloads to a rate in KiB/s (default: unlimited)", "rate");
  add_duration(app, "--stuck-request-timeout", options.stuck_request_timeout,
               "time after which to retry stuck requests (default: 5m)");
}

}  // namespace

void add_global_options(CLI::App& app, global_options& options) {
  read_environment(options);
  add_repository_options(app, options);
  add_storage_options(app, options);
  add_network_options(app, options);
  add_switch(app, "-q,--quiet", options.quiet, "print errors and results only");
  add_count(app, "-v,--verbose", options.verbose,
            "be verbose (specify multiple times or a level using --verbose=n, max level/times is 2)");
  add_switch(app, "--json", options.json, "print JSON, in commands that support it");
}

std::string global_options::location() const {
  if (repository.empty() && repository_file.empty())
    throw error(error_code::invalid_argument, "Please specify repository location (-r or --repository-file)");
  if (repository_file.empty()) return repository;
  if (!repository.empty())
    throw error(error_code::invalid_argument,
                "Options -r and --repository-file are mutually exclusive, please specify only one");
  return std::string(as_text(read_secret_file(repository_file).view()));
}

password_source global_options::password() const {
  password_source source;
  source.file = password_file;
  source.command = password_command;
  source.variable = password_variable;
  source.prompt = password_prompt;
  source.insecure_none = insecure_no_password;
  return source;
}

void global_options::finish() {
  if (quiet && verbose > 0)
    throw error(error_code::invalid_argument, "--quiet and --verbose cannot be specified at the same time");
  if (const auto text = environment("RESTIC_PACK_SIZE"); !text.empty() && !pack_size_given)
    pack_size_mib = number_of(text, "RESTIC_PACK_SIZE");
  if (const auto text = environment("RESTIC_COMPRESSION"); !text.empty() && !compression_given) {
    try {
      compression_mode = compression_named(text);
    } catch (const error& problem) {
      throw error(problem.code(), "invalid value for RESTIC_COMPRESSION \"" + text + "\": " + problem.what());
    }
  }
  for (const auto& setting : settings) {
    const auto equals = setting.find('=');
    std::string key(trim_space(std::string_view(setting).substr(0, equals)));
    for (auto& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const std::string value(
        equals == std::string::npos ? std::string_view{} : trim_space(std::string_view(setting).substr(equals + 1)));
    if (key.empty()) throw error(error_code::invalid_argument, "empty key is not a valid option");
    const auto [place, added] = backend_options.emplace(key, value);
    if (!added && place->second != value)
      throw error(error_code::invalid_argument, "key \"" + key + "\" present more than once");
  }
}

}  // namespace recoup::cli
