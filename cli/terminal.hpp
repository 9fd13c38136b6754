// What is written to stdout and stderr: whole lines, from any thread, and below them status lines that are redrawn in
// place when stdout is a terminal.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>

namespace recoup::cli {

/// Members may be called from any thread. Lines get their line break if they lack one. A write that fails is
/// remembered for `output_problem`, and told once to `on_output_lost`: whoever prints need not check. On a terminal
/// lines show control characters as escapes, for they may come from file names.
class terminal {
public:
  explicit terminal(int input = 0, int output = 1, int errors = 2);
  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;
  ~terminal();

  [[nodiscard]] int input() const noexcept { return input_; }
  [[nodiscard]] bool input_is_tty() const noexcept { return input_is_tty_; }
  [[nodiscard]] bool output_is_tty() const noexcept { return output_is_tty_; }
  /// Whether status lines are redrawn in place: stdout is a terminal that understands cursor movement.
  [[nodiscard]] bool can_update_status() const noexcept { return can_update_status_; }
  /// Cells in a line, 80 if unknown.
  [[nodiscard]] std::size_t width() const;

  /// The name of this program in advice that error lines give.
  void call_program(std::string name) { program_ = std::move(name); }

  void print(std::string_view line);
  void error(std::string_view line);
  /// Replaces the status lines; none removes them. On anything but a terminal they are printed like other lines, but
  /// only if they changed.
  void set_status(std::vector<std::string> lines);

  /// Bytes as they are, for file contents. Throws error_code::io if they cannot be written.
  void write_raw(byte_view content);

  /// Text as it is, without a line break of ours; collected if that is on.
  void write_collected(std::string_view text);

  /// Collects up to 64 KiB before writing, for long lists. Ends with `flush`.
  void collect_output(bool on);
  void flush();

  void on_output_lost(std::function<void()> action) { on_output_lost_ = std::move(action); }
  /// errno of the first write to stdout that failed, or 0.
  [[nodiscard]] int output_problem() const;

private:
  [[nodiscard]] bool in_foreground() const;
  void write_output(std::string_view text);
  [[nodiscard]] std::string erase_status() const;
  [[nodiscard]] std::string draw_status() const;
  void flush_locked();

  const int input_, output_, errors_;
  bool input_is_tty_ = false, output_is_tty_ = false, errors_are_tty_ = false, can_update_status_ = false;
  std::function<void()> on_output_lost_;
  std::string program_ = "recoup";

  mutable std::mutex mutex_;
  std::vector<std::string> status_;
  std::string collected_;
  bool collect_ = false;
  int problem_ = 0;
};

}  // namespace recoup::cli
