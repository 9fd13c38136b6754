// Commands of ours inside of a command: a run of a schedule backs up and checks as `backup` and `check` do.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <recoup/schedule/definition.hpp>

#include "command.hpp"
#include "command_line.hpp"
#include "printer.hpp"

namespace recoup::cli {

/// A command line, read with the environment as it is now, and with what the schedule says of limits and locks.
class inner_command {
public:
  inner_command(context& call, const schedule_definition& definition);

  /// For flags of one's own.
  [[nodiscard]] command_tree& tree() noexcept { return tree_; }

  /// What to run with, after reading `words`, which begin with the command's name. Throws usage_error. Unless somebody
  /// watches or asked for more, it prints errors only: in a journal each step is to be a line.
  [[nodiscard]] context& read(std::vector<std::string> words);

  /// Runs the command that was read.
  void run() { tree_.find(line_.app)->run(*context_); }

private:
  command_tree tree_;
  context& call_;
  const schedule_definition& definition_;
  parsed_command_line line_;
  std::optional<printer> out_;
  std::optional<context> context_;
};

}  // namespace recoup::cli
