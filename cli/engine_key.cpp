// The methods key.… of the machine interface.
#include <recoup/ops/keys.hpp>

#include "engine_repository.hpp"

namespace recoup::cli {

namespace {

std::string_view read_new_password(const engine_parameters& params) { return params.required_text("new_password"); }

new_key_options read_options(const engine_parameters& params) {
  new_key_options options;
  options.username = params.text("user").value_or("");
  options.hostname = params.text("host").value_or("");
  return options;
}

std::string add(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "repository", "new_password", "user", "host"});
  const auto password = read_new_password(params);
  const auto options = read_options(params);
  const auto repo = open_repository(call, engine_target(call, params));
  const engine_lock lock(call, *repo, false);
  return json_writer{}.begin_object().field("id", add_key(*repo, password, options)).end_object().take();
}

std::string remove(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "repository", "id"});
  const auto key = id::parse(params.required_text("id"));
  if (!key) throw params.problem("id", "it must be the 64 hexadecimal digits of a key's id");
  const auto repo = open_repository(call, engine_target(call, params));
  if (*key == repo->key_id())
    throw params.problem("id", "it is the key of the password in use, which is not removed: open the repository with the "
                               "password of another key");
  const engine_lock lock(call, *repo, true);
  // Object stores do not tell whether what was removed was there.
  bool is_there = false;
  for (const auto& file : repo->list(file_type::key)) is_there = is_there || file.name == *key;
  if (is_there) remove_key(*repo, *key);
  return json_writer{}.begin_object().field("removed", is_there).end_object().take();
}

/// Opens with the new password if the old one is gone: the change was made, and its answer was lost.
std::shared_ptr<repository> open_changed(const engine_call& call, engine_target& target, std::string_view password) {
  try {
    target.place.password.emplace(as_bytes(password));
    return open_repository(call, target);
  } catch (const error& problem) {
    if (problem.code() != error_code::wrong_password) throw;
    throw engine_parameter_error(target.place.password_path, problem.code(),
                                 "neither the password nor new_password opens a key of the repository");
  }
}

std::string change_password(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "repository", "new_password", "user", "host"});
  const auto password = read_new_password(params);
  const auto options = read_options(params);
  engine_target target(call, params);
  const auto answer = [](const id& key, bool changed) {
    return json_writer{}.begin_object().field("id", key).field("changed", changed).end_object().take();
  };
  std::shared_ptr<repository> repo;
  try {
    repo = open_repository(call, target);
  } catch (const error& problem) {
    if (problem.code() != error_code::wrong_password) throw;
    return answer(open_changed(call, target, password)->key_id(), false);
  }
  const engine_lock lock(call, *repo, true);
  return answer(recoup::change_password(*repo, password, options), true);
}

}  // namespace

void add_key_methods(engine_methods& to) {
  to["key.add"] = add;
  to["key.change_password"] = change_password;
  to["key.remove"] = remove;
}

}  // namespace recoup::cli
