// The repository beside that of -r which `copy` and `init` know: --from-repo, and what opens it.
#pragma once

#include <string>

#include "command.hpp"
#include "global_options.hpp"

namespace recoup::cli {

struct second_repository_flags {
  struct group {
    std::string repository, repository_file, password_file, password_command, key_hint;
    bool insecure_no_password = false;

    [[nodiscard]] bool has_location() const noexcept { return !repository.empty() || !repository_file.empty(); }
    [[nodiscard]] bool any() const noexcept {
      return has_location() || !password_file.empty() || !password_command.empty() || !key_hint.empty() ||
             insecure_no_password;
    }
  };
  group from;    ///< --from-repo and the others, RESTIC_FROM_…
  group second;  ///< what it was called before restic 0.14: --repo2, RESTIC_REPOSITORY2, …
  bool repository2_given = false, repository_file2_given = false;  ///< by a flag

  [[nodiscard]] bool has_location() const noexcept { return from.has_location() || second.has_location(); }
};

/// `use` is what the repository is for: "to copy snapshots from".
void add_second_repository_flags(CLI::App& app, second_repository_flags& flags, const std::string& use);

struct second_repository {
  global_options options;
  /// In the old spelling of `copy`, -r names the source and --repo2 the destination.
  bool is_source = true;
};

/// All options are those of the first repository but for the place and what opens it. `old_role` is what the repository
/// of --repo2 is to the command. Throws if there is none, or several.
[[nodiscard]] second_repository find_second_repository(const context& call, const second_repository_flags& flags,
                                                       const std::string& old_role);

/// The same call with the options of the other repository.
[[nodiscard]] inline context with_options(const context& call, const global_options& options, const printer& out) {
  return {options, call.screen, call.signals, out, call.arguments, call.commands};
}

}  // namespace recoup::cli
