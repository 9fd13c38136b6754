#include "schedule_commands.hpp"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include <recoup/core/interrupt.hpp>

#include "format.hpp"
#include "spawn.hpp"

namespace recoup::cli {

namespace {

using std::chrono::milliseconds;

pid_t start(const schedule_command& command, const std::vector<std::string>& environment) {
  const spawn_settings settings;
  pid_t process = -1;
  const auto arguments = as_arguments(command), variables = as_arguments(environment);
  const int problem = ::posix_spawn(&process, arguments[0], &settings.files, &settings.attributes, arguments.data(), variables.data());
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
