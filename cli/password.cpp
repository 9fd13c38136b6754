#include "password.hpp"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>

#include <recoup/core/error.hpp>

#include "child_process.hpp"
#include "text_file.hpp"

namespace recoup::cli {

namespace {

constexpr std::size_t longest_line = 64 << 10;

// The one terminal whose echo is off, and how it was before: restore_echo() needs it when the process is ended.
std::atomic<int> silent_descriptor{-1};
termios echoing_state{};

class echo_off {
public:
  explicit echo_off(int descriptor) {
    if (::tcgetattr(descriptor, &echoing_state) != 0) throw system_error(errno, "unable to read password");
    auto silent = echoing_state;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ICANON | ISIG;
    silent.c_iflag |= ICRNL;
    silent_descriptor = descriptor;
    ::tcsetattr(descriptor, TCSAFLUSH, &silent);
  }
  echo_off(const echo_off&) = delete;
  echo_off& operator=(const echo_off&) = delete;
  ~echo_off() { restore_echo(); }
};

/// One line without its line break; what comes after it stays unread.
secret_bytes read_line(int descriptor, const interrupt& signals) {
  secret_bytes buffer(longest_line);
  std::size_t length = 0;
  while (length < buffer.size()) {
    signals.wait_readable(descriptor);
    const auto got = ::read(descriptor, buffer.span().data() + length, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "unable to read password");
    if (got == 0 || buffer.view()[length] == '\n') break;
    ++length;
  }
  if (length > 0 && buffer.view()[length - 1] == '\r') --length;
  return secret_bytes(buffer.view().first(length));
}

secret_bytes run_password_command(const std::string& command) {
  child_process child(split_command(command));
  const auto output = read_secret(child.output(), "the output of the password command");
  if (const auto problem = child.wait(); !problem.empty())
    throw error(error_code::failure, problem + " (of the password command " + command + ")");
  return trimmed_secret(output.view());
}

}  // namespace

void restore_echo() noexcept {
  const int descriptor = silent_descriptor.exchange(-1);
  if (descriptor >= 0) ::tcsetattr(descriptor, TCSAFLUSH, &echoing_state);
}

std::optional<secret_bytes> given_password(const password_source& source) {
  std::optional<secret_bytes> given;
  try {
    if (!source.file.empty() && !source.command.empty())
      throw error(error_code::invalid_argument, "Password file and command are mutually exclusive options");
    if (!source.command.empty())
      given = run_password_command(source.command);
    else if (!source.file.empty())
      given = read_secret_file(source.file);
    else if (const char* text = std::getenv(source.variable.c_str()); text != nullptr)
      given = secret_bytes(as_bytes(text));
  } catch (const error& problem) {
    throw error(problem.code() == error_code::interrupted ? problem.code() : error_code::failure,
                std::string("Resolving password failed: ") + problem.what());
  }
  // Empty counts as not given, as in restic: an empty password has to be asked for by its own flag.
  if (given && given->empty()) given.reset();
  if (source.insecure_none) {
    if (given)
      throw error(error_code::invalid_argument,
                  "--insecure-no-password must not be specified together with providing a password via a cli option or "
                  "environment variable");
    return secret_bytes{};
  }
  return given;
}

secret_bytes ask_password(terminal& screen, interrupt& signals, const std::string& prompt) {
  secret_bytes password;
  if (screen.input_is_tty()) {
    screen.flush();
    (void)!::write(STDERR_FILENO, prompt.data(), prompt.size());
    {
      const echo_off silent(screen.input());
      password = read_line(screen.input(), signals);
    }
    (void)!::write(STDERR_FILENO, "\n", 1);
  } else {
    if (screen.output_is_tty()) screen.print("reading repository password from stdin");
    password = read_line(screen.input(), signals);
  }
  if (password.empty())
    throw error(error_code::invalid_argument,
                "an empty password is not allowed by default. Pass the flag `--insecure-no-password` to "
                "disable this check");
  return password;
}

secret_bytes ask_new_password(terminal& screen, interrupt& signals, const std::string& prompt) {
  auto first = ask_password(screen, signals, prompt);
  if (!screen.input_is_tty()) return first;
  const auto second = ask_password(screen, signals, "enter password again: ");
  if (!std::ranges::equal(first.view(), second.view()))
    throw error(error_code::invalid_argument, "passwords do not match");
  return first;
}

void with_password(const password_source& source, terminal& screen, interrupt& signals,
                   const std::function<void(const secret_bytes&)>& open) {
  if (const auto given = given_password(source)) return open(*given);
  for (int tries_left = screen.input_is_tty() ? 3 : 1;; --tries_left) {
    try {
      return open(ask_password(screen, signals, source.prompt));
    } catch (const error& problem) {
      const bool wrong = problem.code() == error_code::wrong_password || problem.code() == error_code::invalid_argument;
      if (!wrong || tries_left <= 1) throw;
      screen.error(std::string(problem.what()) + ". Try again");
    }
  }
}

}  // namespace recoup::cli
