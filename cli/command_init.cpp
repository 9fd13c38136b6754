#include <charconv>
#include <memory>

#include <recoup/json/json_writer.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/storage/open_backend.hpp>

#include "command.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

/// The variable RESTIC_FROM_<name>, or RESTIC_<name>2 as it was called before restic 0.14.
std::string from_variable(const std::string& name) {
  auto value = environment(("RESTIC_FROM_" + name).c_str());
  return value.empty() ? environment(("RESTIC_" + name + "2").c_str()) : value;
}

struct init_flags {
  std::string version = "stable";
  bool copy_chunker = false;
  std::string from_repository = from_variable("REPOSITORY");
  std::string from_repository_file = from_variable("REPOSITORY_FILE");
  std::string from_password_file = from_variable("PASSWORD_FILE");
  std::string from_password_command = from_variable("PASSWORD_COMMAND");
  std::string from_key_hint = from_variable("KEY_HINT");
  bool from_insecure_no_password = false;
};

constexpr unsigned stable_version = 2;

unsigned parse_version(const std::string& text) {
  if (text == "latest" || text == "stable" || text.empty()) return stable_version;
  unsigned version = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (problem != std::errc{} || end != text.data() + text.size())
    throw error(error_code::invalid_argument, "invalid repository version");
  if (version < 1 || version > 2)
    throw error(error_code::invalid_argument, "only repository versions between 1 and 2 are allowed");
  return version;
}

/// The polynomial of the other repository: with the same one, a later `copy` finds the chunks that are there already.
std::optional<polynomial> copied_polynomial(context& call, const init_flags& flags) {
  const bool has_source = !flags.from_repository.empty() || !flags.from_repository_file.empty();
  if (!flags.copy_chunker) {
    if (has_source)
      throw error(error_code::invalid_argument,
                  "Secondary repository must only be specified when copying the chunker parameters");
    return std::nullopt;
  }
  if (!has_source)
    throw error(error_code::invalid_argument,
                "Please specify a source repository location (--from-repo or --from-repository-file)");
  global_options source = call.options;
  source.repository = flags.from_repository;
  source.repository_file = flags.from_repository_file;
  source.key_hint = flags.from_key_hint;
  password_source password;
  password.file = flags.from_password_file;
  password.command = flags.from_password_command;
  password.variable = environment("RESTIC_FROM_PASSWORD").empty() ? "RESTIC_PASSWORD2" : "RESTIC_FROM_PASSWORD";
  password.insecure_none = flags.from_insecure_no_password;
  auto choice = engine_options(call);
  choice.key_hint = flags.from_key_hint;
  std::optional<polynomial> found;
  with_password(password, call.screen, call.signals, [&](const secret_bytes& secret) {
    found = repository::open(open_storage(call, source), as_text(secret.view()), choice)->config().chunker_polynomial;
  });
  return found;
}

void run(context& call, const init_flags& flags) {
  expect_no_arguments(call, "init");
  create_options choice;
  choice.version = parse_version(flags.version);
  choice.chunker_polynomial = copied_polynomial(call, flags);
  choice.username = local_username();
  choice.hostname = local_hostname();

  const auto shown = location_without_secrets(call.options.location());
  const auto storage = open_storage(call, call.options);
  const auto given = given_password(call.options.password());
  const auto password =
      given ? secret_bytes(given->view())
            : ask_new_password(call.screen, call.signals, "enter password for new repository: ");
  std::shared_ptr<repository> made;
  try {
    made = repository::create(storage, as_text(password.view()), choice, engine_options(call));
  } catch (const error& problem) {
    throw error(problem.code(), "create repository at " + shown + " failed: " + problem.what());
  }

  const auto& id = made->config().id;
  if (call.options.json) {
    call.out.result(json_writer{}
                        .begin_object()
                        .field("message_type", "initialized")
                        .field("id", id)
                        .field("repository", shown)
                        .end_object()
                        .take());
    return;
  }
  call.out.info("created restic repository " + id.substr(0, 10) + " at " + shown);
  if (choice.chunker_polynomial) call.out.info(" with chunker parameters copied from secondary repository");
  call.out.info("");
  call.out.info("Please note that knowledge of your password is required to access");
  call.out.info("the repository. Losing your password means that your data is");
  call.out.info("irrecoverably lost.");
}

}  // namespace

void add_init_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "init", "[flags]", "Initialize a new repository");
  const auto flags = std::make_shared<init_flags>();
  auto& app = *command.app;
  add_text(
      app, "--repository-version", flags->version,
      "repository format version to use, allowed values are a format version, 'latest' and 'stable' (default: stable)");
  add_switch(app, "--copy-chunker-params", flags->copy_chunker,
             "copy chunker parameters from the secondary repository (useful with the copy command)");
  add_text(app, "--from-repo", flags->from_repository,
           "repository to copy chunker parameters from (default: $RESTIC_FROM_REPOSITORY)", "repository");
  add_text(app, "--from-repository-file", flags->from_repository_file,
           "file with the location of that repository (default: $RESTIC_FROM_REPOSITORY_FILE)", "file");
  add_text(app, "--from-password-file", flags->from_password_file,
           "file with the password of that repository (default: $RESTIC_FROM_PASSWORD_FILE)", "file");
  add_text(app, "--from-password-command", flags->from_password_command,
           "command that prints the password of that repository (default: $RESTIC_FROM_PASSWORD_COMMAND)", "command");
  add_text(app, "--from-key-hint", flags->from_key_hint,
           "key of that repository to try first (default: $RESTIC_FROM_KEY_HINT)", "key");
  add_switch(app, "--from-insecure-no-password", flags->from_insecure_no_password,
             "that repository has an empty password (insecure)");
  // What these were called before restic 0.14.
  hidden(add_text(app, "--repo2", flags->from_repository, "use --from-repo"));
  hidden(add_text(app, "--repository-file2", flags->from_repository_file, "use --from-repository-file"));
  hidden(add_text(app, "--password-file2", flags->from_password_file, "use --from-password-file"));
  hidden(add_text(app, "--password-command2", flags->from_password_command, "use --from-password-command"));
  hidden(add_text(app, "--key-hint2", flags->from_key_hint, "use --from-key-hint"));
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
