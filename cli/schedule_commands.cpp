#include "schedule_commands.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include <recoup/core/interrupt.hpp>

#include "format.hpp"

namespace recoup::cli {

namespace {

using std::chrono::milliseconds;

std::vector<char*> as_arguments(const std::vector<std::string>& words) {
  std::vector<char*> raw;
  for (const auto& word : words) raw.push_back(const_cast<char*>(word.c_str()));
  raw.push_back(nullptr);
  return raw;
}

pid_t start(const schedule_command& command, const std::vector<std::string>& environment) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  // We block some signals and ignore SIGPIPE; a child must not inherit either.
  sigset_t none, defaults;
  ::sigemptyset(&none);
  ::sigemptyset(&defaults);
  ::sigaddset(&defaults, SIGPIPE);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t process = -1;
  const auto arguments = as_arguments(command), variables = as_arguments(environment);
  const int problem = ::posix_spawn(&process, arguments[0], &files, &attributes, arguments.data(), variables.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (problem != 0) throw system_error(problem, "command " + command.front() + " could not be started");
  return process;
}

/// Its status, or nothing while it runs.
std::optional<int> ended(pid_t process) {
  int status = 0;
  const auto got = ::waitpid(process, &status, WNOHANG);
  if (got < 0 && errno != EINTR) throw system_error(errno, "the end of a command could not be waited for");
  return got == process ? std::optional<int>(status) : std::nullopt;
}

[[noreturn]] void stop_and_leave(pid_t process) {
  ::kill(process, SIGTERM);
  constexpr int most_tenths_of_a_second = 100;
  for (int i = 0; i < most_tenths_of_a_second && !ended(process); ++i) ::usleep(100'000);
  if (::kill(process, SIGKILL) == 0) ::waitpid(process, nullptr, 0);
  throw error(error_code::interrupted, "interrupted");
}

}  // namespace

void run_schedule_command(const context& call, const schedule_command& command,
                          const std::vector<std::string>& environment, bool to_the_end) {
  call.out.info("run " + quoted_if_needed(join(command, " ")));
  call.screen.flush();
  const auto process = start(command, environment);
  std::optional<int> status;
  // Most take long, so that a pause between looks, which never grows above a tenth of a second, is nothing.
  for (auto pause = milliseconds{1}; !(status = ended(process)); pause = std::min(2 * pause, milliseconds{100}))
    if (!sleep_unless_stopped(to_the_end ? std::stop_token{} : call.signals.token(), pause)) stop_and_leave(process);
  if (WIFSIGNALED(*status))
    throw error(error_code::failure, command.front() + " was ended by a signal: " + ::strsignal(WTERMSIG(*status)));
  if (WEXITSTATUS(*status) != 0)
    throw error(error_code::failure,
                command.front() + " failed with exit status " + std::to_string(WEXITSTATUS(*status)));
}

}  // namespace recoup::cli
