// From format version 1 to 2, in which blobs are compressed: only the config changes, what is stored stays as it is.
#pragma once

#include <string>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/repo/config.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Replaces the config, in one step wherever storage can do that. If it fails, the old config is put back; the message
/// says so if that fails too. Throws invalid_argument unless the version is 1. Open the repository anew afterwards.
/// Whoever calls this holds an exclusive lock.
inline void upgrade_repository(repository& repo) {
  if (repo.config().version != 1)
    throw error(error_code::invalid_argument, "repository has version " + std::to_string(repo.config().version) +
                                                  ", only upgrades from version 1 are supported");
  const stored_file file{file_type::config};
  auto& storage = repo.storage();
  const auto old = storage.load_all(file);
  auto config = repo.config();
  config.version = 2;
  box sealer(repo.master_key());
  try {
    storage.save(file, sealer.seal(as_bytes(encode_config(config))));
    if (decode_config(sealer.open(storage.load_all(file))) != config)
      throw error(error_code::damaged, "what was stored is not what comes back");
  } catch (const error& problem) {
    try {
      storage.save(file, old);
    } catch (const error& second) {
      throw error(problem.code(), std::string("the new config could not be stored (") + problem.what() +
                                      "), nor could the old one be put back (" + second.what() +
                                      "); look whether the repository opens, and run the migration again");
    }
    throw error(problem.code(),
                std::string("the new config could not be stored: ") + problem.what() + "; the old one is in its place");
  }
}

}  // namespace recoup
