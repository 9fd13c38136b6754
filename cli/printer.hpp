// Lines by importance: what -q, -v and --json let through.
#pragma once

#include <string_view>

#include "terminal.hpp"

namespace recoup::cli {

class printer {
public:
  /// `verbosity` as global_options::verbosity; with --json no text but results and errors is printed.
  printer(terminal& screen, int verbosity, bool json) : screen_(screen), level_(json ? 0 : verbosity) {}

  void error(std::string_view line) const { screen_.error(line); }
  /// What was asked for: printed with -q too.
  void result(std::string_view line) const { screen_.print(line); }
  void info(std::string_view line) const { at(1, line); }
  void info_on_terminal(std::string_view line) const {
    if (screen_.output_is_tty()) at(1, line);
  }
  void detail(std::string_view line) const { at(2, line); }
  void trace(std::string_view line) const { at(3, line); }

  [[nodiscard]] int level() const noexcept { return level_; }

private:
  void at(int level, std::string_view line) const {
    if (level_ >= level) screen_.print(line);
  }

  terminal& screen_;
  const int level_;
};

}  // namespace recoup::cli
