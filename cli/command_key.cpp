#include <memory>

#include <recoup/json/json_writer.hpp>
#include <recoup/ops/keys.hpp>

#include "command.hpp"
#include "format.hpp"
#include "session.hpp"
#include "text_file.hpp"

namespace recoup::cli {

namespace {

struct new_key_flags {
  std::string password_file, user, host;
  bool insecure_none = false;
};

secret_bytes new_password(context& call, const new_key_flags& flags) {
  if (flags.insecure_none) {
    if (!flags.password_file.empty())
      throw error(error_code::invalid_argument,
                  "only either --new-password-file or --new-insecure-no-password may be specified");
    return {};
  }
  if (flags.password_file.empty()) return ask_new_password(call.screen, call.signals, "enter new password: ");
  auto password = read_secret_file(flags.password_file);
  if (password.empty())
    throw error(error_code::invalid_argument,
                "an empty password is not allowed by default. Pass the flag `--new-insecure-no-password` to "
                "disable this check");
  return password;
}

new_key_options engine_options_of(const new_key_flags& flags) {
  new_key_options options;
  options.username = flags.user;
  options.hostname = flags.host;
  return options;
}

/// restic prints this with --json too: there is no other form.
void print_unless_quiet(const context& call, const std::string& line) {
  if (!call.options.quiet) call.out.result(line);
}

void run_add(context& call, const new_key_flags& flags) {
  expect_no_arguments(call, "key add");
  session open(call, lock_mode::shared);
  const auto password = new_password(call, flags);
  const auto added = add_key(open.repo(), as_text(password.view()), engine_options_of(flags));
  print_unless_quiet(call, "saved new key with ID " + added.hex());
}

void run_passwd(context& call, const new_key_flags& flags) {
  expect_no_arguments(call, "key passwd");
  session open(call, lock_mode::exclusive);
  const auto password = new_password(call, flags);
  const auto added = change_password(open.repo(), as_text(password.view()), engine_options_of(flags));
  print_unless_quiet(call, "saved new key as " + added.hex());
}

void run_remove(context& call) {
  if (call.arguments.size() != 1)
    throw error(error_code::invalid_argument, "key remove expects one argument as the key id");
  session open(call, lock_mode::exclusive);
  const auto key = find_by_prefix(open.repo(), file_type::key, call.arguments[0]);
  remove_key(open.repo(), key);
  call.out.info("removed key " + key.hex());
}

void run_list(context& call) {
  expect_no_arguments(call, "key list");
  session open(call, unless_no_lock(call, lock_mode::shared));
  const auto keys = list_keys(open.repo(), [&](const id&, const error& problem) {
    call.out.error(std::string("LoadKey() failed: ") + problem.what());
  });
  if (call.options.json) {
    json_writer json;
    json.begin_array();
    for (const auto& key : keys)
      json.begin_object()
          .field("current", key.is_current)
          .field("id", key.id)
          .field("userName", key.username)
          .field("hostName", key.hostname)
          .field("created", format_local_time(key.created))
          .end_object();
    return call.out.result(json.end_array().take());
  }
  table rows({" ID", "User", "Host", "Created"});
  for (const auto& key : keys)
    rows.add_row({(key.is_current ? "*" : " ") + key.id.short_hex(), key.username, key.hostname,
                  format_local_time(key.created)});
  call.out.result(rows.text());
}

void add_new_key_flags(CLI::App& app, new_key_flags& flags) {
  add_text(app, "--new-password-file", flags.password_file, "file from which to read the new password", "file");
  add_switch(app, "--new-insecure-no-password", flags.insecure_none,
             "add an empty password for the repository (insecure)");
  add_text(app, "--user", flags.user, "the username for new key");
  add_text(app, "--host", flags.host, "the hostname for new key");
}

}  // namespace

void add_key_command(command_tree& tree) {
  auto& group = *tree.add(tree.root, "key", "[command]", "Manage keys (passwords)").app;

  const auto add_flags = std::make_shared<new_key_flags>();
  auto& add = tree.add(group, "add", "[flags]", "Add a new key (password) to the repository; returns the new key ID");
  add_new_key_flags(*add.app, *add_flags);
  add.run = [add_flags](context& call) { run_add(call, *add_flags); };

  tree.add(group, "list", "[flags]", "List keys (passwords)").run = run_list;

  const auto passwd_flags = std::make_shared<new_key_flags>();
  auto& passwd = tree.add(group, "passwd", "[flags]",
                          "Change key (password); creates a new key ID and removes the old key ID, returns new key ID");
  add_new_key_flags(*passwd.app, *passwd_flags);
  passwd.run = [passwd_flags](context& call) { run_passwd(call, *passwd_flags); };

  tree.add(group, "remove", "[ID] [flags]", "Remove key ID (password) from the repository").run = run_remove;
}

}  // namespace recoup::cli
