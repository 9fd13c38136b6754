// Finding the key that a password opens, and making new ones (restic.md section 2.3).
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/crypto/key_derivation.hpp>
#include <recoup/crypto/secret.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/key_file.hpp>
#include <recoup/storage/backend.hpp>
#include <recoup/storage/load_verified.hpp>

namespace recoup {

/// The master key, and which key file it came from.
struct opened_key {
  recoup::id id;
  box_key master;
};

/// Each try costs half a second and 60 MB by design; restic stops here too.
inline constexpr std::size_t max_keys_to_try = 20;

/// Reads and checks one key file. Throws damaged or not_found.
[[nodiscard]] inline key_file load_key_file(backend& storage, const id& name) {
  const stored_file file{file_type::key, name};
  const auto content = load_verified(storage, file, [&] {
    auto loaded = storage.load_all(file);
    if (sha256(loaded) != name)
      throw error(error_code::damaged,
                  "key " + name.hex() + ": the content does not have the hash that the file is named by");
    return loaded;
  });
  try {
    return decode_key_file(content);
  } catch (const error& problem) {
    throw error(problem.code(), "key " + name.hex() + ": " + problem.what());
  }
}

/// Opens a key file with a password. Throws wrong_password if it is another key's.
[[nodiscard]] inline box_key open_key_file(const key_file& key, std::string_view password) {
  box opener(derive_key(password, key.salt, key.kdf));
  if (key.data.size() < box_overhead) throw error(error_code::damaged, "the sealed master key is too short");
  secret_bytes master(key.data.size() - box_overhead);
  try {
    opener.open(key.data, master.span());
  } catch (const error&) {
    throw error(error_code::wrong_password, "wrong password");
  }
  return decode_master_key(master.view());
}

/// Tries the key files one after another, those whose id begins with `hint` first.
/// Throws wrong_password if none opens, or if there is none.
[[nodiscard]] inline opened_key find_key(backend& storage, std::string_view password, std::string_view hint,
                                         const std::function<void(const std::string&)>& on_warning) {
  std::vector<id> names;
  storage.list(file_type::key, [&](const listed_file& file) { names.push_back(file.name); });
  if (names.empty())
    throw error(error_code::wrong_password, "wrong password or no key found: no file in `keys` is listed at " + storage.location());
  std::ranges::sort(names);
  if (!hint.empty())
    std::stable_partition(names.begin(), names.end(), [&](const id& name) { return name.hex().starts_with(hint); });
  if (names.size() > max_keys_to_try) names.resize(max_keys_to_try);
  std::size_t unreadable = 0;
  std::optional<error> not_loaded;  // by the fault of storage or network: says nothing about the key
  for (const auto& name : names) {
    try {
      const auto key = load_key_file(storage, name);
      return {name, open_key_file(key, password)};
    } catch (const error& problem) {
      if (problem.code() == error_code::wrong_password) continue;
      if (problem.code() == error_code::interrupted) throw;
      ++unreadable;
      if ((problem.code() == error_code::io || problem.code() == error_code::access_denied) && !not_loaded)
        not_loaded.emplace(problem.code(), "key " + name.hex() + " cannot be loaded: " + problem.what());
      on_warning(std::string("key ") + name.hex() + " cannot be used: " + problem.what());
    }
  }
  if (not_loaded) throw *not_loaded;
  if (unreadable != 0 && unreadable == names.size())
    throw error(error_code::damaged,
                "none of the " + std::to_string(unreadable) +
                    " key files of the repository can be read; restore the directory `keys` from a "
                    "copy, without it nothing in the repository can be decrypted");
  throw error(error_code::wrong_password, "wrong password or no key found");
}

/// Seals the master key with a new password and stores the key file. Returns its id.
inline id add_key(backend& storage, const box_key& master, std::string_view password, std::string username,
                  std::string hostname, const scrypt_parameters& parameters) {
  key_file key;
  key.created = current_time();
  key.username = std::move(username);
  key.hostname = std::move(hostname);
  key.kdf = parameters;
  key.salt.resize(64);
  random_bytes(key.salt);
  box sealer(derive_key(password, key.salt, parameters));
  const auto plaintext = encode_master_key(master);
  key.data = sealer.seal(plaintext.view());
  const auto json = encode_key_file(key);
  const auto name = sha256(as_bytes(json));
  storage.save({file_type::key, name}, as_bytes(json));
  return name;
}

}  // namespace recoup
