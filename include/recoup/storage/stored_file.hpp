// The files that a repository consists of, as storage knows them.
#pragma once

#include <cstdint>
#include <string>

#include <recoup/core/id.hpp>

namespace recoup {

enum class file_type : std::uint8_t { config, key, lock, snapshot, index, pack };

[[nodiscard]] constexpr const char* name_of(file_type type) noexcept {
  switch (type) {
    case file_type::config: return "config";
    case file_type::key: return "key";
    case file_type::lock: return "lock";
    case file_type::snapshot: return "snapshot";
    case file_type::index: return "index";
    case file_type::pack: return "pack";
  }
  return "file";
}

/// Which file of a repository. `name` is not used for the config, of which there is one.
struct stored_file {
  file_type type = file_type::config;
  id name{};
  /// A pack of trees rather than file contents: caches keep these, cold storage classes do not take them.
  bool holds_trees = false;

  /// "pack 1a2b3c4d", for messages.
  [[nodiscard]] std::string describe() const {
    return type == file_type::config ? "config" : std::string(name_of(type)) + " " + name.short_hex();
  }
};

struct listed_file {
  id name;
  std::uint64_t size;
};

}  // namespace recoup
