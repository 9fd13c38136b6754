// Which of several implementations of the same thing runs on this machine.
#pragma once

#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include <recoup/core/error.hpp>

namespace recoup {

/// The entry called `wanted`, or the last that runs here if that is empty. `entries` are in order of speed, slowest first,
/// and have a `name` and `runs_here()`; at least one runs everywhere. `variable` is what gave the name: an environment
/// variable for tests and measurements, where a silent other choice would mislead. Throws invalid_argument, with the names
/// there are, if nothing is called so or this processor cannot run it.
template <class Entry>
[[nodiscard]] const Entry& choose_kernel(std::span<const Entry> entries, const char* variable, std::string_view wanted) {
  const Entry* best = nullptr;
  bool is_known = false;
  std::string names;
  for (const auto& entry : entries) {
    is_known = is_known || entry.name == wanted;
    if (!entry.runs_here()) continue;
    names = std::string(entry.name) + (names.empty() ? "" : ", ") + names;
    if (wanted.empty() || entry.name == wanted) best = &entry;
  }
  if (best == nullptr)
    throw error(error_code::invalid_argument,
                std::string(variable) + "=" + std::string(wanted) +
                    (is_known ? ": this processor cannot run that kernel" : ": there is no such kernel") +
                    "; those that run here are " + names);
  return *best;
}

/// What an environment variable holds; nothing if it is not set.
[[nodiscard]] inline std::string_view kernel_named_by(const char* variable) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? std::string_view() : value;
}

}  // namespace recoup
