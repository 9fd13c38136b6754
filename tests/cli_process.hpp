// Runs the real `recoup` executable (CMake passes its path in RECOUP_COMMAND), in an environment of its own.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace cli_test {

struct outcome {
  int code = -1;  ///< exit code, or 128 + signal
  std::string out, err;
};

using variables = std::map<std::string, std::string>;

inline std::string command_path() {
  const char* path = std::getenv("RECOUP_COMMAND");
  if (path == nullptr) throw std::runtime_error("RECOUP_COMMAND does not say where the executable is");
  return path;
}

/// A running command with pipes on stdin, stdout and stderr.
class process {
public:
  process(const std::vector<std::string>& arguments, const variables& environment,
          std::string executable = command_path()) {
    int in[2], out[2], err[2];
    for (auto* ends : {in, out, err})
      if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    std::vector<std::string> words{executable}, settings;
    words.insert(words.end(), arguments.begin(), arguments.end());
    for (const auto& [name, value] : environment) settings.push_back(name + "=" + value);
    const auto pointers = [](std::vector<std::string>& list) {
      std::vector<char*> raw;
      for (auto& each : list) raw.push_back(each.data());
      raw.push_back(nullptr);
      return raw;
    };
    auto argv = pointers(words);
    auto envp = pointers(settings);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(in[0], 0), ::dup2(out[1], 1), ::dup2(err[1], 2);
      ::execve(executable.c_str(), argv.data(), envp.data());
      ::_exit(99);
    }
    ::close(in[0]), ::close(out[1]), ::close(err[1]);
    input_ = in[1], output_ = out[0], errors_ = err[0];
  }
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  ~process() {
    close_input();
    close_output();
    ::close(errors_);
    if (child_ > 0) ::kill(child_, SIGKILL), ::waitpid(child_, nullptr, 0);
  }

  void send(const std::string& text) const { (void)!::write(input_, text.data(), text.size()); }
  void close_input() {
    if (input_ >= 0) ::close(std::exchange(input_, -1));
  }
  void close_output() {
    if (output_ >= 0) ::close(std::exchange(output_, -1));
  }
  void signal(int number) const { ::kill(child_, number); }

  /// Reads until `text` has come on stdout or stderr; false after two minutes.
  bool wait_for(const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while ((result_.out + result_.err).find(text) == std::string::npos)
      if (std::chrono::steady_clock::now() > deadline || !read_some()) return false;
    return true;
  }

  /// The next line on stdout, without its line break; throws if the process has ended, or after two minutes.
  std::string read_line() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    for (;;) {
      if (const auto end = result_.out.find('\n', read_); end != std::string::npos) {
        auto line = result_.out.substr(read_, end - read_);
        read_ = end + 1;
        return line;
      }
      if (std::chrono::steady_clock::now() > deadline || !read_some())
        throw std::runtime_error("no more lines; on stderr: " + result_.err);
    }
  }

  outcome finish() {
    close_input();
    while (read_some()) {
    }
    int status = 0;
    ::waitpid(std::exchange(child_, -1), &status, 0);
    result_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return std::move(result_);
  }

private:
  /// False once both pipes are at their end.
  bool read_some() {
    pollfd waiting[2] = {{output_, POLLIN, 0}, {errors_, POLLIN, 0}};
    if (ended_[0]) waiting[0].fd = -1;
    if (ended_[1]) waiting[1].fd = -1;
    if (output_ < 0) ended_[0] = true;
    if (ended_[0] && ended_[1]) return false;
    ::poll(waiting, 2, 1000);
    for (int i = 0; i < 2; ++i) {
      if (waiting[i].fd < 0 || waiting[i].revents == 0) continue;
      char buffer[65536];
      const auto got = ::read(waiting[i].fd, buffer, sizeof buffer);
      if (got <= 0)
        ended_[i] = true;
      else
        (i == 0 ? result_.out : result_.err).append(buffer, static_cast<std::size_t>(got));
    }
    return true;
  }

  pid_t child_ = -1;
  int input_ = -1, output_ = -1, errors_ = -1;
  bool ended_[2] = {false, false};
  std::size_t read_ = 0;  ///< how much of stdout read_line() has given
  outcome result_;
};

inline outcome run(const std::vector<std::string>& arguments, const variables& environment,
                   const std::string& input = {}) {
  process child(arguments, environment);
  child.send(input);
  return child.finish();
}

}  // namespace cli_test
