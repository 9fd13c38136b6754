// A repository whose creation was interrupted: its key is stored, its config is not. repository::create() refuses such a
// place, for it could be the rest of a repository that lost its config; here that is told apart.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/crypto/secret.hpp>
#include <recoup/repo/config.hpp>
#include <recoup/repo/keys.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/backend.hpp>

namespace recoup {

[[nodiscard]] inline bool holds_any(backend& storage, file_type type) {
  bool any = false;
  storage.list(type, [&](const listed_file&) { any = true; });
  return any;
}

/// Makes a new repository, with repository::create(), or goes on where an earlier attempt with the same password ended:
/// its key is used, so that two who do this at once make one repository. Throws damaged if there is data without a config,
/// wrong_password if there are keys without a config which the password does not open.
[[nodiscard]] inline std::shared_ptr<repository> create_or_complete(std::shared_ptr<backend> storage,
                                                                    std::string_view password,
                                                                    const create_options& choice,
                                                                    const repository_options& options) {
  for (const auto type : {file_type::snapshot, file_type::index, file_type::pack})
    if (holds_any(*storage, type))
      throw error(error_code::damaged,
                  std::string("at ") + storage->location() + " there is a repository that has lost its config: it has a " +
                      name_of(type) + ". Restore the file `config` from a copy, or choose another place");
  if (!holds_any(*storage, file_type::key)) return repository::create(std::move(storage), password, choice, options);
  auto key = [&] {
    try {
      return find_key(*storage, password, options.key_hint, options.on_warning);
    } catch (const error& problem) {
      if (problem.code() != error_code::wrong_password) throw;
      throw error(error_code::wrong_password,
                  std::string("at ") + storage->location() +
                      " the creation of a repository was interrupted, and was begun with another password: give that "
                      "one, or remove the files below keys/ there");
    }
  }();
  repository_config config;
  config.version = choice.version;
  std::array<std::uint8_t, id::size> random{};
  random_bytes(random);
  config.id = to_hex(random);
  config.chunker_polynomial = choice.chunker_polynomial ? *choice.chunker_polynomial : polynomial::random();
  storage->create();
  box sealer(key.master);
  storage->save({file_type::config}, sealer.seal(as_bytes(encode_config(config))));
  return std::make_shared<repository>(std::move(storage), std::move(key), std::move(config), options);
}

}  // namespace recoup
