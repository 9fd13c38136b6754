// Completion scripts and manual pages, made from the tree of commands itself, so that they cannot go stale.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "command.hpp"

namespace recoup::cli {

[[nodiscard]] std::string bash_completion(const command_tree& tree);
[[nodiscard]] std::string zsh_completion(const command_tree& tree);
[[nodiscard]] std::string fish_completion(const command_tree& tree);
[[nodiscard]] std::string powershell_completion(const command_tree& tree);

/// File names ("recoup-key-add.1") and contents, one for the program and one for each command.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> manual_pages(const command_tree& tree);

}  // namespace recoup::cli
