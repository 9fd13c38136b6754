// The repositories of `backup --also`, and what opens them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "command.hpp"
#include "global_options.hpp"
#include "session.hpp"

namespace recoup::cli {

struct additional_repository_flags {
  std::vector<std::string> repositories, password_files, password_commands;
  bool insecure_no_password = false;
};

void add_additional_repository_flags(CLI::App& app, additional_repository_flags& flags);

/// All options are those of the first repository but for the place, and what opens it where that is given. Throws if it
/// is not clear which password belongs to which.
[[nodiscard]] std::vector<global_options> options_of_additional(const global_options& first,
                                                                const additional_repository_flags& flags);

/// An open repository with the options that it was opened with.
class additional_session {
public:
  additional_session(context& call, global_options options, lock_request lock, const session::first_reads& read,
                     bool dry_run)
      : options_(std::move(options)),
        call_{options_, call.screen, call.signals, call.out, call.arguments, call.commands},
        open_(call_, lock, read, dry_run) {}

  [[nodiscard]] session& open() noexcept { return open_; }

private:
  const global_options options_;
  context call_;
  session open_;
};

}  // namespace recoup::cli
