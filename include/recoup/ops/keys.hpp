// Passwords of a repository: each opens one key file, and every key file holds the same master key.
#pragma once

#include <sodium.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/crypto/key_derivation.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/keys.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

struct listed_key {
  recoup::id id;
  bool is_current = false;  ///< the repository was opened with it
  std::string username, hostname;
  timestamp created;
};

/// All keys, by id. One that cannot be read goes to `on_unreadable`; without that it is an error.
[[nodiscard]] inline std::vector<listed_key> list_keys(
    repository& repo, const std::function<void(const id&, const error&)>& on_unreadable = {}) {
  std::vector<listed_key> keys;
  for (const auto& file : repo.list(file_type::key)) {
    try {
      auto key = load_key_file(repo.storage(), file.name);
      keys.push_back(
          {file.name, file.name == repo.key_id(), std::move(key.username), std::move(key.hostname), key.created});
    } catch (const error& problem) {
      if (!on_unreadable) throw;
      on_unreadable(file.name, problem);
    }
  }
  return keys;
}

struct new_key_options {
  std::string username, hostname;        ///< noted in the key file; this user's and this host's if empty
  std::optional<scrypt_parameters> kdf;  ///< calibrated to this machine unless given
};

/// Adds a key that opens with `password`. It is read back and opened before this returns: one that does not work is
/// taken away again, and that is an error.
[[nodiscard]] inline id add_key(repository& repo, std::string_view password, const new_key_options& options = {}) {
  const auto& username = options.username.empty() ? local_username() : options.username;
  const auto& hostname = options.hostname.empty() ? local_hostname() : options.hostname;
  const auto added = add_key(repo.storage(), repo.master_key(), password, username, hostname,
                             options.kdf ? *options.kdf : calibrated());
  try {
    const auto opened = open_key_file(load_key_file(repo.storage(), added), password);
    if (::sodium_memcmp(opened.raw().data(), repo.master_key().raw().data(), box_key::size) != 0)
      throw error(error_code::damaged, "it holds another master key");
  } catch (const error& problem) {
    try {
      repo.remove(file_type::key, added);
    } catch (const error& second) {
      repo.warn("key " + added.hex() + " does not work and could not be removed: " + second.what());
    }
    throw error(problem.code(), std::string("failed to access repository with new key: ") + problem.what());
  }
  return added;
}

/// Takes a key away. Throws invalid_argument for the one that is in use, so one key is always left.
inline void remove_key(repository& repo, const id& key) {
  if (key == repo.key_id())
    throw error(error_code::invalid_argument, "refusing to remove key currently used to access repository");
  repo.remove(file_type::key, key);
}

/// Replaces the key in use: the new one is added and proved to work, then the old one is removed. Returns the new one's
/// id. `repo` stays usable, but its key_id() is gone.
[[nodiscard]] inline id change_password(repository& repo, std::string_view password,
                                        const new_key_options& options = {}) {
  const auto added = add_key(repo, password, options);
  repo.remove(file_type::key, repo.key_id());
  return added;
}

}  // namespace recoup
