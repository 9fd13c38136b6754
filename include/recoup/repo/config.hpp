// The config: what all users of a repository must agree on (restic doc/design.rst, "Repository Format"). It lies in a
// box, uncompressed: {"version":2,"id":"<64 digits>","chunker_polynomial":"3da3358b4dc173"}
#pragma once

#include <optional>
#include <string>

#include <recoup/chunker/polynomial.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/json/json_reader.hpp>
#include <recoup/json/json_writer.hpp>

namespace recoup {

struct repository_config {
  unsigned version = 2;
  std::string id;  ///< 64 hexadecimal digits, random; names the cache directory
  polynomial chunker_polynomial{};

  [[nodiscard]] friend bool operator==(const repository_config&, const repository_config&) = default;
};

[[nodiscard]] inline std::string encode_config(const repository_config& config) {
  json_writer json;
  json.begin_object().field("version", config.version).field("id", config.id);
  return json.field("chunker_polynomial", config.chunker_polynomial.hex()).end_object().take();
}

/// Throws unsupported for versions other than 1 and 2, damaged for everything else that cannot be right. What rustic
/// adds is passed over: it has no bearing on reading, and restic drops it too.
[[nodiscard]] inline repository_config decode_config(byte_view json) {
  repository_config config;
  config.version = 0;
  std::string hex;
  read_json(json, "config", [&](json_object root) {
    for_each_field(root, [&](std::string_view key, json_value& value) {
      if (key == "version") return read(value, config.version);
      if (key == "id") return read(value, config.id);
      if (key == "chunker_polynomial") return read(value, hex);
    });
  });
  if (config.version < 1 || config.version > 2)
    throw error(error_code::unsupported, "the repository has format version " + std::to_string(config.version) +
                                             ", this program knows 1 and 2; use a newer version of recoup or restic");
  // The id becomes part of a path, so it is checked here once and for all.
  if (!id::parse(config.id)) throw error(error_code::damaged, "config is damaged: id must be 64 hexadecimal digits");
  const auto parsed = polynomial::parse(hex);
  if (!parsed || parsed->degree() != polynomial::required_degree || !parsed->is_irreducible())
    throw error(error_code::damaged, "config is damaged: chunker_polynomial is not irreducible of degree 53");
  config.chunker_polynomial = *parsed;
  return config;
}

}  // namespace recoup
