#include "terminal.hpp"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <recoup/core/error.hpp>

#include "format.hpp"
#include "program_name.hpp"

namespace recoup::cli {

namespace {

constexpr std::string_view clear_line = "\r\x1b[2K";
constexpr std::size_t collect_limit = 64 << 10;

/// 0, or the errno of the write that failed.
int write_all(int descriptor, const void* data, std::size_t size) {
  const auto* next = static_cast<const char*>(data);
  while (size > 0) {
    const auto written = ::write(descriptor, next, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    next += written;
    size -= static_cast<std::size_t>(written);
  }
  return 0;
}

bool understands_cursor_movement() {
  const char* kind = std::getenv("TERM");
  return kind != nullptr && *kind != '\0' && std::string_view(kind) != "dumb";
}

/// True if systemd's journal reads what is written there: $JOURNAL_STREAM is "device:inode" of what it gave the service.
bool is_journal(int descriptor) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(descriptor, &status) != 0) return false;
  char text[64];
  std::snprintf(text, sizeof text, "%llu:%llu", static_cast<unsigned long long>(status.st_dev),
                static_cast<unsigned long long>(status.st_ino));
  return std::string_view(stream) == text;
}

/// Each line with its priority before it, as sd-daemon(3) says: the journal takes that off, and shows errors as such.
std::string with_priorities(std::string_view text) {
  const bool is_warning = text.starts_with("Warning:") || text.starts_with("warning:");
  std::string result;
  while (!text.empty()) {
    const auto length = std::min(text.find('\n'), text.size() - 1) + 1;
    ((result += is_warning ? "<4>" : "<3>")) += text.substr(0, length);
    text.remove_prefix(length);
  }
  return result;
}

std::string with_line_break(std::string_view line) {
  std::string text(line);
  if (text.empty() || text.back() != '\n') text += '\n';
  return text;
}

}  // namespace

terminal::terminal(int input, int output, int errors) : input_(input), output_(output), errors_(errors) {
  input_is_tty_ = ::isatty(input_) != 0;
  output_is_tty_ = ::isatty(output_) != 0;
  errors_are_tty_ = ::isatty(errors_) != 0;
  can_update_status_ = output_is_tty_ && understands_cursor_movement();
}

terminal::~terminal() {
  set_status({});
  flush();
}

std::size_t terminal::width() const {
  winsize size{};
  if (!output_is_tty_ || ::ioctl(output_, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

// A job in the background must not draw: it would write over the shell's prompt, or be stopped (stty tostop).
bool terminal::in_foreground() const {
  const auto group = ::tcgetpgrp(output_);
  return group < 0 || group == ::getpgrp();
}

void terminal::write_output(std::string_view text) {
  if (problem_ != 0) return;
  problem_ = write_all(output_, text.data(), text.size());
  if (problem_ != 0 && on_output_lost_) on_output_lost_();
}

std::string terminal::erase_status() const {
  if (status_.empty()) return {};
  std::string text;
  for (std::size_t i = 0; i < status_.size(); ++i) (text += clear_line) += i + 1 < status_.size() ? "\n" : "";
  if (status_.size() > 1) text += "\x1b[" + std::to_string(status_.size() - 1) + "A";
  return text += '\r';
}

std::string terminal::draw_status() const {
  if (status_.empty()) return {};
  std::string text;
  for (std::size_t i = 0; i < status_.size(); ++i)
    ((text += clear_line) += status_[i]) += i + 1 < status_.size() ? "\n" : "";
  if (status_.size() > 1) text += "\x1b[" + std::to_string(status_.size() - 1) + "A";
  return text += '\r';
}

void terminal::print(std::string_view line) {
  std::string clean;
  if (output_is_tty_) line = clean = without_control_characters(line);
  const std::lock_guard lock(mutex_);
  if (can_update_status_ && !status_.empty() && in_foreground())
    return write_output(erase_status() + with_line_break(line) + draw_status());
  collected_ += line;
  if (collected_.empty() || collected_.back() != '\n' || line.empty()) collected_ += '\n';
  if (!collect_ || collected_.size() >= collect_limit) flush_locked();
}

void terminal::error(std::string_view line) {
  const std::lock_guard lock(mutex_);
  flush_locked();
  const bool redraw = can_update_status_ && !status_.empty() && in_foreground();
  if (redraw) write_output(erase_status());
  auto text = in_own_words(
      with_line_break(errors_are_tty_ ? without_control_characters(line) : std::string(line)), program_);
  if (!errors_are_tty_ && is_journal(errors_)) text = with_priorities(text);
  (void)write_all(errors_, text.data(), text.size());
  if (redraw) write_output(draw_status());
}

void terminal::set_status(std::vector<std::string> lines) {
  const auto room = can_update_status_ ? width() : 0;
  for (auto& line : lines) {
    line = quoted_if_needed(line);
    // One cell stays free: writing into the last one makes some terminals wrap.
    if (can_update_status_ && room > 1) line = std::string(truncated(line, room - 1));
  }
  const std::lock_guard lock(mutex_);
  if (lines == status_) return;
  flush_locked();
  if (!can_update_status_) {
    status_ = std::move(lines);
    std::string text;
    for (const auto& line : status_) text += with_line_break(line);
    return write_output(text);
  }
  if (!in_foreground()) {
    status_.clear();
    return;
  }
  auto text = lines.size() < status_.size() ? erase_status() : std::string{};
  status_ = std::move(lines);
  write_output(text += draw_status());
}

void terminal::write_raw(byte_view content) {
  const std::lock_guard lock(mutex_);
  flush_locked();
  if (problem_ == 0) problem_ = write_all(output_, content.data(), content.size());
  if (problem_ != 0) throw system_error(problem_, "cannot write to stdout");
}

void terminal::write_collected(std::string_view text) {
  const std::lock_guard lock(mutex_);
  collected_ += text;
  if (!collect_ || collected_.size() >= collect_limit) flush_locked();
}

void terminal::collect_output(bool on) {
  const std::lock_guard lock(mutex_);
  collect_ = on && !output_is_tty_;
}

void terminal::flush() {
  const std::lock_guard lock(mutex_);
  flush_locked();
}

void terminal::flush_locked() {
  if (collected_.empty()) return;
  write_output(collected_);
  collected_.clear();
}

int terminal::output_problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

}  // namespace recoup::cli
