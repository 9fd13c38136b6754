// What every program that we start has in common (posix_spawn(3)).
#pragma once

#include <spawn.h>

#include <string>
#include <vector>

namespace recoup::cli {

/// How a program is started: with the signals as they are by default, and nothing to read.
class spawn_settings {
public:
  spawn_settings();
  spawn_settings(const spawn_settings&) = delete;
  spawn_settings& operator=(const spawn_settings&) = delete;
  ~spawn_settings();

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
};

/// As C wants a list of words, with a null pointer at its end. They are `words`' own.
[[nodiscard]] std::vector<char*> as_arguments(const std::vector<std::string>& words);

}  // namespace recoup::cli
