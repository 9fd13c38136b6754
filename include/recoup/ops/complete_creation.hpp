// A repository whose creation was interrupted: its key is stored, its config is not. repository::create() refuses such a
// place, for it could be the rest of a repository that lost its config; here that is told apart.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/repo/keys.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/backend.hpp>

namespace recoup {

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
  storage->create();
  return repository::create_config(std::move(storage), std::move(key), choice, options);
}

}  // namespace recoup
