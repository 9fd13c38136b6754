// A lock as others see it: who holds the repository, and whether alone (restic doc/design.rst, "Locks").
#pragma once

#include <cstdint>
#include <string>

#include <recoup/core/bytes.hpp>
#include <recoup/core/time.hpp>
#include <recoup/json/json_reader.hpp>
#include <recoup/json/json_writer.hpp>
#include <recoup/repo/pack_mark.hpp>

namespace recoup {

struct lock_file {
  timestamp time;  ///< when it was made or refreshed
  bool exclusive = false;
  std::string hostname, username;
  int pid = 0;
  std::uint32_t uid = 0, gid = 0;
  bool two_phase_prune = false;  ///< ours: keeps other such prunes out, but nobody else

  [[nodiscard]] friend bool operator==(const lock_file&, const lock_file&) = default;
};

[[nodiscard]] inline lock_holder holder_of(const lock_file& lock) { return {lock.hostname, lock.username, lock.pid}; }

/// The body of a lock file. No newline at its end.
[[nodiscard]] inline std::string encode_lock_file(const lock_file& lock) {
  json_writer json;
  json.begin_object().field("time", lock.time).field("exclusive", lock.exclusive);
  json.field("hostname", lock.hostname).field("username", lock.username).field("pid", lock.pid);
  if (lock.uid != 0) json.field("uid", lock.uid);
  if (lock.gid != 0) json.field("gid", lock.gid);
  if (lock.two_phase_prune) json.field("two_phase_prune", true);
  return json.end_object().take();
}

/// Throws damaged if `json` is no lock. restic passes over lock files of no bytes at all, which interrupted uploads
/// leave behind on some servers: callers do so before they come here.
[[nodiscard]] inline lock_file decode_lock_file(byte_view json) {
  lock_file lock;
  read_json(json, "lock", [&lock](json_object root) {
    for_each_field(root, [&lock](std::string_view key, json_value& value) {
      if (key == "time") return read(value, lock.time);
      if (key == "exclusive") return read(value, lock.exclusive);
      if (key == "hostname") return read(value, lock.hostname);
      if (key == "username") return read(value, lock.username);
      if (key == "pid") return read(value, lock.pid);
      if (key == "uid") return read(value, lock.uid);
      if (key == "gid") return read(value, lock.gid);
      if (key == "two_phase_prune") return read(value, lock.two_phase_prune);
    });
  });
  return lock;
}

}  // namespace recoup
