// A key file: the master key, sealed with a key that scrypt makes from a password (restic doc/design.rst, "Keys,
// Encryption and MAC"). It is the one kind of file that is not in a box as a whole:
//
//   {"created":…,"username":…,"hostname":…,"kdf":"scrypt","N":32768,"r":8,"p":1,"salt":<64 bytes>,"data":<box>}
//
// and in the box: {"mac":{"k":<16 bytes>,"r":<16 bytes>},"encrypt":<32 bytes>}, all bytes in base64. Every key file of
// a repository holds the same master key.
#pragma once

#include <sodium.h>

#include <cstring>
#include <string>
#include <string_view>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/crypto/key_derivation.hpp>
#include <recoup/crypto/secret.hpp>
#include <recoup/json/json_reader.hpp>
#include <recoup/json/json_writer.hpp>

namespace recoup {

struct key_file {
  timestamp created;
  std::string username, hostname;  ///< of whoever added the key; for people to tell keys apart
  scrypt_parameters kdf;
  bytes salt;  ///< key_salt_size bytes
  bytes data;  ///< the box with the master key

  [[nodiscard]] friend bool operator==(const key_file&, const key_file&) = default;
};

/// The whole file. No newline at its end.
[[nodiscard]] inline std::string encode_key_file(const key_file& key) {
  json_writer json;
  json.begin_object().field("created", key.created).field("username", key.username).field("hostname", key.hostname);
  json.field("kdf", "scrypt").field("N", key.kdf.n).field("r", key.kdf.r).field("p", key.kdf.p);
  return json.field("salt", key.salt).field("data", key.data).end_object().take();
}

/// Throws unsupported for a way of deriving keys that is not scrypt, damaged if the file cannot be a key: after this
/// the parameters may be given to derive_key and the data to a box.
[[nodiscard]] inline key_file decode_key_file(byte_view json) {
  key_file key;
  std::string kdf;
  read_json(json, "key file", [&](json_object root) {
    for_each_field(root, [&](std::string_view name, json_value& value) {
      if (name == "created") return read(value, key.created);
      if (name == "username") return read(value, key.username);
      if (name == "hostname") return read(value, key.hostname);
      if (name == "kdf") return read(value, kdf);
      if (name == "N") return read(value, key.kdf.n);
      if (name == "r") return read(value, key.kdf.r);
      if (name == "p") return read(value, key.kdf.p);
      if (name == "salt") return read(value, key.salt);
      if (name == "data") return read(value, key.data);
    });
  });
  if (kdf != "scrypt")
    throw error(error_code::unsupported, "the key file asks for the key derivation \"" + go_quoted(kdf) +
                                             "\", this program knows scrypt; use a newer version of recoup or restic");
  check_scrypt(key.kdf);
  if (key.salt.size() != key_salt_size)
    throw error(error_code::damaged, "key file is damaged: its salt has " + std::to_string(key.salt.size()) +
                                         " bytes and must have " + std::to_string(key_salt_size));
  if (key.data.size() < box_overhead)
    throw error(error_code::damaged,
                "key file is damaged: the sealed master key has only " + std::to_string(key.data.size()) + " bytes");
  return key;
}

namespace master_key_json {

inline constexpr std::string_view before_mac_k = "{\"mac\":{\"k\":\"", before_mac_r = "\",\"r\":\"",
                                  before_encrypt = "\"},\"encrypt\":\"", end = "\"}";

[[nodiscard]] constexpr std::size_t base64_size(std::size_t bytes) noexcept { return (bytes + 2) / 3 * 4; }

inline constexpr std::size_t size = before_mac_k.size() + base64_size(16) + before_mac_r.size() + base64_size(16) +
                                    before_encrypt.size() + base64_size(32) + end.size();

/// Decodes a base64 string straight into secret memory, which it must fill.
inline void read_secret(json_value& value, byte_span into) {
  const auto text = raw_string(value);
  std::size_t written = 0;
  if (::sodium_base642bin(into.data(), into.size(), text.data(), text.size(), nullptr, &written, nullptr,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
      written != into.size())
    throw json_error("must be " + std::to_string(into.size()) + " bytes in base64");
}

}  // namespace master_key_json

/// What is sealed in a key file's `data`. The JSON is put together in secret memory: no copy of the key is left behind.
[[nodiscard]] inline secret_bytes encode_master_key(const box_key& key) {
  using namespace master_key_json;
  secret_bytes json(size);
  auto* to = reinterpret_cast<char*>(json.span().data());
  auto* const stop = to + size;
  const auto put = [&to](std::string_view text) {
    std::memcpy(to, text.data(), text.size());
    to += text.size();
  };
  const auto put_base64 = [&to, stop](byte_view secret) {
    // libsodium ends the text with a NUL, onto which the next piece goes.
    ::sodium_bin2base64(to, static_cast<std::size_t>(stop - to), secret.data(), secret.size(),
                        sodium_base64_VARIANT_ORIGINAL);
    to += base64_size(secret.size());
  };
  put(before_mac_k), put_base64(key.mac_k());
  put(before_mac_r), put_base64(key.mac_r());
  put(before_encrypt), put_base64(key.encrypt());
  put(end);
  return json;
}

/// Throws damaged unless `json` holds all three parts of a key in their full length.
[[nodiscard]] inline box_key decode_master_key(byte_view json) {
  using namespace master_key_json;
  secret_bytes raw(box_key::size);
  const auto encrypt = raw.span().first(32), mac_k = raw.span().subspan(32, 16), mac_r = raw.span().last(16);
  bool has_encrypt = false, has_mac_k = false, has_mac_r = false;
  const auto read_part = [](json_value& value, byte_span into, bool& found) {
    read_secret(value, into);
    found = true;
  };
  read_json(
      json, "master key",
      [&](json_object root) {
        for_each_field(root, [&](std::string_view name, json_value& value) {
          if (name == "encrypt") return read_part(value, encrypt, has_encrypt);
          if (name != "mac") return;
          for_each_field(object_of(value), [&](std::string_view part, json_value& secret) {
            if (part == "k") return read_part(secret, mac_k, has_mac_k);
            if (part == "r") return read_part(secret, mac_r, has_mac_r);
          });
        });
        if (!has_encrypt || !has_mac_k || !has_mac_r) throw json_error("a part of the key is missing");
      },
      true);
  return box_key::from(raw.view());
}

}  // namespace recoup
