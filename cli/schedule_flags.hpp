// A whole definition by flags, so that nobody has to write JSON by hand.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <recoup/schedule/definition.hpp>

#include "command.hpp"
#include "schedule_store.hpp"

namespace recoup::cli {

/// Flags are kept as what they change, in their order, because what they change may first be read from a file.
struct schedule_flags {
  std::string file, root;
  std::vector<std::function<void(schedule_definition&)>> changes;

  [[nodiscard]] schedule_store store() const { return schedule_store(root); }
};

/// --root alone.
void add_root_flag(CLI::App& app, schedule_flags& flags);
/// All of them, --root and --file too. `flags` must outlive `app`.
void add_definition_flags(CLI::App& app, schedule_flags& flags);

/// What the flags, --file and the arguments (a name, and with it what is installed under that name, if anything is)
/// make together. It is valid. Throws schedule_error.
[[nodiscard]] schedule_definition definition_of(const context& call, const schedule_flags& flags);

/// The one argument of a command that takes a schedule's name.
[[nodiscard]] const std::string& name_argument(const context& call, const char* command);

}  // namespace recoup::cli
