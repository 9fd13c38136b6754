#include <memory>

#include <recoup/json/json_writer.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/storage/open_backend.hpp>

#include "command.hpp"
#include "parse_number.hpp"
#include "second_repository.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

struct init_flags {
  std::string version = "stable";
  bool copy_chunker = false;
  second_repository_flags source;
};

constexpr unsigned stable_version = 2;

unsigned parse_version(const std::string& text) {
  if (text == "latest" || text == "stable" || text.empty()) return stable_version;
  const auto version = parse_number<unsigned>(text);
  if (!version) throw error(error_code::invalid_argument, "invalid repository version");
  if (*version < 1 || *version > 2)
    throw error(error_code::invalid_argument, "only repository versions between 1 and 2 are allowed");
  return *version;
}

/// The polynomial of the other repository: with the same one, a later `copy` finds the chunks that are there already.
std::optional<polynomial> copied_polynomial(context& call, const init_flags& flags) {
  if (!flags.copy_chunker) {
    if (flags.source.has_location())
      throw error(error_code::invalid_argument,
                  "Secondary repository must only be specified when copying the chunker parameters");
    return std::nullopt;
  }
  const auto source = find_second_repository(call, flags.source, "secondary");
  auto source_call = with_options(call, source.options, call.out);
  return session(source_call, lock_mode::none).repo().config().chunker_polynomial;
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
  add_second_repository_flags(app, flags->source, "to copy chunker parameters from");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
