#include "second_repository.hpp"

#include <recoup/core/error.hpp>

#include "flags.hpp"

namespace recoup::cli {

namespace {

void read_environment(second_repository_flags& flags) {
  const auto read = [](second_repository_flags::group& group, const std::string& prefix, const std::string& suffix) {
    const auto value = [&](const std::string& name) { return environment((prefix + name + suffix).c_str()); };
    group.repository = value("REPOSITORY");
    group.repository_file = value("REPOSITORY_FILE");
    group.password_file = value("PASSWORD_FILE");
    group.password_command = value("PASSWORD_COMMAND");
    group.key_hint = value("KEY_HINT");
  };
  read(flags.from, "RESTIC_FROM_", "");
  read(flags.second, "RESTIC_", "2");
}

error refuse(const std::string& why) { return {error_code::invalid_argument, why}; }

}  // namespace

void add_second_repository_flags(CLI::App& app, second_repository_flags& flags, const std::string& use) {
  read_environment(flags);
  add_text(app, "--from-repo", flags.from.repository,
           "source repository " + use + " (default: $RESTIC_FROM_REPOSITORY)", "repository");
  add_text(app, "--from-repository-file", flags.from.repository_file,
           "file to read the location of the source repository from (default: $RESTIC_FROM_REPOSITORY_FILE)", "file");
  add_text(app, "--from-password-file", flags.from.password_file,
           "file to read the password of the source repository from (default: $RESTIC_FROM_PASSWORD_FILE)", "file");
  add_text(app, "--from-password-command", flags.from.password_command,
           "shell command to obtain the password of the source repository from (default: "
           "$RESTIC_FROM_PASSWORD_COMMAND)",
           "command");
  add_text(app, "--from-key-hint", flags.from.key_hint,
           "ID of the source repository's key to try first (default: $RESTIC_FROM_KEY_HINT)", "key");
  add_switch(app, "--from-insecure-no-password", flags.from.insecure_no_password,
             "use an empty password for the source repository (insecure)");

  const auto add_old = [&app](const char* name, std::string& value, bool* given = nullptr) {
    const auto accept = [&value, given](const std::string& text) {
      value = text;
      if (given != nullptr) *given = true;
    };
    hidden(add_parsed(app, name, accept, "the --from-… flags have taken its place", "string"));
  };
  add_old("--repo2", flags.second.repository, &flags.repository2_given);
  add_old("--repository-file2", flags.second.repository_file, &flags.repository_file2_given);
  add_old("--password-file2", flags.second.password_file);
  add_old("--password-command2", flags.second.password_command);
  add_old("--key-hint2", flags.second.key_hint);
}

second_repository find_second_repository(const context& call, const second_repository_flags& flags,
                                         const std::string& old_role) {
  if (flags.repository2_given) call.out.error("Flag --repo2 has been deprecated, use --repo or --from-repo instead");
  if (flags.repository_file2_given)
    call.out.error(
        "Flag --repository-file2 has been deprecated, use --repository-file or --from-repository-file instead");
  if (!flags.has_location())
    throw refuse("Please specify a source repository location (--from-repo or --from-repository-file)");
  if (flags.from.any() && flags.second.any())
    throw refuse("Option groups repo2 and from-repo are mutually exclusive, please specify only one");

  second_repository found{call.options, flags.from.any()};
  const auto& chosen = found.is_source ? flags.from : flags.second;
  if (!chosen.repository.empty() && !chosen.repository_file.empty())
    throw refuse(found.is_source
                     ? "Options --from-repo and --from-repository-file are mutually exclusive, please specify only one"
                     : "Options --repo2 and --repository-file2 are mutually exclusive, please specify only one");
  auto& options = found.options;
  options.repository = chosen.repository;
  options.repository_file = chosen.repository_file;
  options.password_file = chosen.password_file;
  options.password_command = chosen.password_command;
  options.password_variable = found.is_source ? "RESTIC_FROM_PASSWORD" : "RESTIC_PASSWORD2";
  options.password_prompt = "enter password for " + (found.is_source ? "source" : old_role) + " repository: ";
  options.key_hint = chosen.key_hint;
  options.insecure_no_password = chosen.insecure_no_password;
  return found;
}

}  // namespace recoup::cli
