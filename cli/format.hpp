// How numbers, times and lists look on the screen, and the same things read from the command line. Scripts read these
// lines, so they are spelled as restic spells them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/parse_setting.hpp>
#include <recoup/core/time.hpp>

namespace recoup::cli {

/// printf into a string; the compiler checks the arguments.
[[gnu::format(printf, 1, 2)]] [[nodiscard]] std::string formatted(const char* format, ...);

/// "12 B", "1.234 MiB".
[[nodiscard]] std::string format_bytes(std::uint64_t count);

/// "45.20%", at most 100%; empty if `whole` is 0.
[[nodiscard]] std::string format_percent(std::uint64_t part, std::uint64_t whole);

/// "1:02", "1:02:03".
[[nodiscard]] std::string format_seconds(std::uint64_t seconds);
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

/// "2024-01-02 03:04:05" in the process's zone.
[[nodiscard]] std::string format_local_time(const timestamp& time);

/// The same read: an instant in the process's zone. Nothing if it is spelled in another way.
[[nodiscard]] std::optional<timestamp> parse_local_time(const std::string& text);

/// A day, or a day and a time, in one of the spellings that `find` takes: "2024-01-02", "2024-01-02 15:04",
/// "02.01.2006 15:04:05", with " -0700" behind or as `date` prints it. The process's zone unless one is given.
[[nodiscard]] std::optional<timestamp> parse_any_time(const std::string& text);

/// Go's time.Time.String: "2024-01-02 03:04:05.6 +0100 CET".
[[nodiscard]] std::string format_full_time(const timestamp& time);

/// "drwxr-xr-x": Go's os.FileMode.String of a node's mode.
[[nodiscard]] std::string format_mode(std::uint32_t go_mode);

[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);
[[nodiscard]] std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// "[a b c]", as Go prints a list.
[[nodiscard]] std::string bracketed(const std::vector<std::string>& parts);

/// Cells that `text` takes on a terminal: wide East Asian characters take two.
[[nodiscard]] std::size_t display_width(std::string_view text);

/// The longest beginning that fits into `width` cells.
[[nodiscard]] std::string_view truncated(std::string_view text, std::size_t width);

/// The text itself, or quoted if it holds anything that could upset a terminal.
[[nodiscard]] std::string quoted_if_needed(std::string_view text);

/// For a terminal: control characters but line breaks and tabs become escapes such as "\x1b", so that a name in a
/// repository cannot move the cursor or type for the user.
[[nodiscard]] std::string without_control_characters(std::string_view text);

/// Columns under headers between two rules, as `restic snapshots` prints them. A cell may have several lines.
class table {
public:
  explicit table(std::vector<std::string> headers) : headers_(std::move(headers)) {}

  void add_row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void add_footer(std::string line) { footer_.push_back(std::move(line)); }
  /// A blank line between rows, for tables whose cells have several lines.
  void separate_rows(bool on) { separate_rows_ = on; }

  [[nodiscard]] std::string text() const;

private:
  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::string> footer_;
  bool separate_rows_ = false;
};

}  // namespace recoup::cli
