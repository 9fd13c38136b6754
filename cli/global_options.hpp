// The flags that every command has, and the environment variables behind them (restic doc/040_backup.rst). A flag beats
// its variable.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <recoup/compress/zstd.hpp>

#include "features.hpp"
#include "password.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace recoup::cli {

struct global_options {
  std::string repository, repository_file;
  std::string password_file, password_command, key_hint;
  bool insecure_no_password = false;
  std::string password_variable = "RESTIC_PASSWORD";  ///< the environment variable with the password itself
  std::string password_prompt = "enter password for repository: ";
  bool quiet = false;
  int verbose = 0;
  bool json = false;
  bool no_lock = false;
  std::chrono::nanoseconds retry_lock{0};
  std::string cache_directory;
  bool no_cache = false, cleanup_cache = false;
  compression compression_mode = compression::automatic;
  bool compression_given = false;  ///< by a flag
  unsigned pack_size_mib = 0;      ///< 0: the engine's own choice
  bool pack_size_given = false;    ///< by a flag
  bool no_extra_verify = false;
  feature_choice features;  ///< $RESTIC_FEATURES
  std::vector<std::string> settings;                   ///< -o key=value, as given
  std::map<std::string, std::string> backend_options;  ///< the same, taken apart by finish()

  // What follows is about network storage; a local repository has no use for it.
  std::vector<std::string> root_certificates;
  std::string client_certificate, user_agent;
  bool insecure_tls = false;
  unsigned limit_upload = 0, limit_download = 0;  ///< KiB/s, 0: unlimited
  std::chrono::nanoseconds stuck_request_timeout = std::chrono::minutes{5};

  /// 0: errors only, 1: what matters, 2: more (-v), 3: everything (-vv).
  [[nodiscard]] int verbosity() const noexcept { return verbose >= 2 ? 3 : verbose == 1 ? 2 : quiet ? 0 : 1; }

  /// The place given by -r or --repository-file. Throws if there is none, or both.
  [[nodiscard]] std::string location() const;
  [[nodiscard]] password_source password() const;

  /// Checks what one flag alone cannot, and takes -o apart. Call it after parsing.
  void finish();
};

/// Adds the flags to `app`. `options` must outlive it.
void add_global_options(CLI::App& app, global_options& options);

/// Value of an environment variable, "" if unset.
[[nodiscard]] std::string environment(const char* name);

}  // namespace recoup::cli
