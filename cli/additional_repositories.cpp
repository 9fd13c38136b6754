#include "additional_repositories.hpp"

#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/storage/open_backend.hpp>

#include "flags.hpp"

namespace recoup::cli {

namespace {

/// The value for each repository: one that is given is for all of them.
std::string value_for(const std::vector<std::string>& values, std::size_t number, std::size_t repositories,
                      const char* flag) {
  if (values.empty()) return {};
  if (values.size() == 1) return values.front();
  if (values.size() == repositories) return values[number];
  throw error(error_code::invalid_argument,
              std::string("give ") + flag + " once for all repositories of --also, or once for each in their order");
}

}  // namespace

void add_additional_repository_flags(CLI::App& app, additional_repository_flags& flags) {
  add_list(app, "--also", flags.repositories,
           "back up into this repository too, from one reading (can be specified multiple times) (default: "
           "$RESTIC_ALSO_REPOSITORY)",
           "repository");
  add_list(app, "--also-password-file", flags.password_files,
           "file to read the password of the --also repository from; once for all of them, or once for each (default: "
           "$RESTIC_ALSO_PASSWORD_FILE, or what opens the first repository)",
           "file");
  add_list(app, "--also-password-command", flags.password_commands,
           "shell command to obtain the password of the --also repository from, likewise (default: "
           "$RESTIC_ALSO_PASSWORD_COMMAND)",
           "command");
  add_switch(app, "--also-insecure-no-password", flags.insecure_no_password,
             "use an empty password for the --also repositories (insecure)");
}

std::vector<global_options> options_of_additional(const global_options& first,
                                                  const additional_repository_flags& flags) {
  auto given = flags;
  const auto read = [](std::vector<std::string>& values, const char* variable) {
    if (auto value = environment(variable); values.empty() && !value.empty()) values.push_back(std::move(value));
  };
  read(given.repositories, "RESTIC_ALSO_REPOSITORY");
  if (given.repositories.empty()) {
    if (!given.password_files.empty() || !given.password_commands.empty() || given.insecure_no_password)
      throw error(error_code::invalid_argument,
                  "--also-password-… says what opens a repository of --also; there is none");
    return {};
  }
  if (given.password_files.empty() && given.password_commands.empty()) {
    read(given.password_files, "RESTIC_ALSO_PASSWORD_FILE");
    read(given.password_commands, "RESTIC_ALSO_PASSWORD_COMMAND");
  }
  const auto count = given.repositories.size();
  const bool has_own_password = !given.password_files.empty() || !given.password_commands.empty() ||
                                given.insecure_no_password || !environment("RESTIC_ALSO_PASSWORD").empty();
  std::vector<global_options> all;
  for (std::size_t i = 0; i < count; ++i) {
    auto options = first;
    options.repository = given.repositories[i];
    options.repository_file.clear();
    options.key_hint.clear();
    options.password_prompt = "enter password for repository " + location_without_secrets(options.repository) + ": ";
    if (has_own_password) {
      options.password_file = value_for(given.password_files, i, count, "--also-password-file");
      options.password_command = value_for(given.password_commands, i, count, "--also-password-command");
      options.password_variable = "RESTIC_ALSO_PASSWORD";
      options.insecure_no_password = given.insecure_no_password;
    }
    all.push_back(std::move(options));
  }
  return all;
}

}  // namespace recoup::cli
