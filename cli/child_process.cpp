#include "child_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include <recoup/core/error.hpp>

#include "format.hpp"
#include "spawn.hpp"

extern "C" char** environ;

namespace recoup::cli {

std::vector<std::string> split_command(std::string_view text) {
  std::vector<std::string> words;
  constexpr std::string_view white = " \t\n\v\f\r";
  char quote = 0, last = 0;
  std::size_t start = std::string_view::npos;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    bool separates = i == text.size();
    if (!separates) {
      const char c = text[i];
      // After a backslash a quote counts as any other character, and `last` moves on. Quotes that open or close do not
      // become `last`.
      if (last != '\\' && quote != 0 && c == quote) {
        quote = 0;
        separates = true;
      } else if (last != '\\' && quote == 0 && (c == '"' || c == '\'')) {
        quote = c;
        separates = true;
      } else {
        last = c;
        separates = quote == 0 && (c == '\\' || white.find(c) != std::string_view::npos);
      }
    }
    if (separates && start != std::string_view::npos) {
      words.emplace_back(text.substr(start, i - start));
      start = std::string_view::npos;
    } else if (!separates && start == std::string_view::npos) {
      start = i;
    }
  }
  if (quote == '\'') throw error(error_code::invalid_argument, "single-quoted string not terminated");
  if (quote == '"') throw error(error_code::invalid_argument, "double-quoted string not terminated");
  if (words.empty()) throw error(error_code::invalid_argument, "command string is empty");
  return words;
}

std::string find_in_path(const std::string& name) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : "";
  const char* path = std::getenv("PATH");
  if (path == nullptr) return {};
  for (const auto& directory : split(path, ':')) {
    const auto candidate = (directory.empty() ? "." : directory) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

child_process::child_process(const std::vector<std::string>& arguments) {
  if (arguments.empty()) throw error(error_code::invalid_argument, "no command was specified as argument");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error(errno, "cannot make a pipe");
  output_ = file_descriptor(ends[0]);
  const file_descriptor write_end(ends[1]);

  spawn_settings settings;
  ::posix_spawn_file_actions_adddup2(&settings.files, write_end.get(), STDOUT_FILENO);
  const auto raw = as_arguments(arguments);
  const int problem =
      ::posix_spawnp(&process_, raw[0], &settings.files, &settings.attributes, raw.data(), environ);
  if (problem != 0) {
    process_ = -1;
    throw system_error(problem, "command " + arguments[0] + " could not be started");
  }
}

child_process::~child_process() {
  if (process_ < 0) return;
  ::kill(process_, SIGTERM);
  // A child that ignores SIGTERM would otherwise keep us here; its pipe closes now.
  (void)output_.close();
  int status = 0;
  for (int i = 0; i < 50; ++i) {
    if (::waitpid(process_, &status, WNOHANG) != 0) return;
    ::usleep(10'000);
  }
  ::kill(process_, SIGKILL);
  ::waitpid(process_, &status, 0);
}

std::string child_process::wait() {
  if (process_ < 0) return problem_;
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0)
    if (errno != EINTR) return problem_ = "its end could not be waited for";
  process_ = -1;
  if (WIFSIGNALED(status))
    problem_ = std::string("signal: ") + ::strsignal(WTERMSIG(status));
  else if (WEXITSTATUS(status) != 0)
    problem_ = "exit status " + std::to_string(WEXITSTATUS(status));
  return problem_;
}

}  // namespace recoup::cli
