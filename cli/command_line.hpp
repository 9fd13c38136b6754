// Reading argv as restic does (its flags are pflag's), so that command lines in scripts mean the same here:
// flags stand anywhere, before and after arguments and of the command or global; `--flag=value`, `--flag value`,
// `-f value`, `-fvalue`, `-f=value`, `-abc`; a value may begin with a dash; `--` ends the flags.
//
// CLI11's own parser differs in ways that matter: it takes `--flag=` for a flag whose value follows, removes brackets
// around a value, and reads a second word that is a command's name as that command.
#pragma once

#include <string>
#include <vector>

#include "command.hpp"

namespace recoup::cli {

struct parsed_command_line {
  CLI::App* app = nullptr;             ///< the command that was named, or the root
  std::vector<std::string> arguments;  ///< what is neither flag nor command
  bool help = false;
  /// Not a command of ours: the name, and where it stands in argv. The flags from there on have not been read.
  std::string unknown_command;
  std::size_t unknown_position = 0;
};

/// Reads `arguments` (argv without the program's name) and puts the flags' values where they belong. Throws
/// usage_error.
[[nodiscard]] parsed_command_line parse_command_line(command_tree& tree, const std::vector<std::string>& arguments);

/// `program`, then the words that name the command below it: "recoup bucket lock".
[[nodiscard]] std::string full_name(const CLI::App& app, const std::string& program);

/// What --help prints for a command, or for the program.
[[nodiscard]] std::string help_text(const command_tree& tree, const CLI::App& app);

}  // namespace recoup::cli
