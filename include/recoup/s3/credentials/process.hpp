// A credential_process of ~/.aws/config: a program that prints credentials.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <stop_token>
#include <string>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/crypto/secret.hpp>
#include <recoup/s3/credentials/fetched.hpp>
#include <recoup/s3/credentials/secret_text.hpp>

extern char** environ;

namespace recoup {

/// A shell command in a process group of its own, which ends with this object at the latest. Its stderr is ours, so
/// that what it has to say is seen.
class credential_command {
public:
  credential_command(const std::string& command, const std::string& what) : what_(what) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error(errno, "cannot run " + what_);
    output_ = file_descriptor(ends[0]);
    const file_descriptor input(ends[1]);
    ::posix_spawn_file_actions_t files;
    ::posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, input.get(), STDOUT_FILENO);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    std::string shell = "/bin/sh", option = "-c", text = command;
    char* const arguments[] = {shell.data(), option.data(), text.data(), nullptr};
    const int problem = ::posix_spawn(&process_, shell.c_str(), &files, &attributes, arguments, environ);
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
    if (problem != 0) {
      process_ = -1;
      throw system_error(problem, "cannot run " + what_);
    }
  }
  credential_command(const credential_command&) = delete;
  credential_command& operator=(const credential_command&) = delete;
  ~credential_command() {
    if (process_ < 0) return;
    ::kill(-process_, SIGKILL);
    int ignored = 0;
    while (::waitpid(process_, &ignored, 0) < 0 && errno == EINTR) continue;
  }

  /// What it prints until it ends. Throws io if it fails or takes longer, interrupted if it is asked to stop.
  [[nodiscard]] secret_bytes run(std::chrono::seconds longest, const std::stop_token& stop) {
    constexpr std::size_t most = std::size_t{1} << 16;
    const auto deadline = std::chrono::steady_clock::now() + longest;
    secret_bytes buffer(most + 1);
    std::size_t length = 0;
    for (bool at_end = false; !at_end;) {
      throw_if_stopped(stop);
      if (std::chrono::steady_clock::now() > deadline)
        throw error(error_code::io, what_ + " did not end within " + std::to_string(longest.count()) + " s");
      pollfd waiting{output_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, 100) <= 0) continue;
      const auto got = ::read(output_.get(), buffer.span().data() + length, buffer.size() - length);
      if (got < 0 && errno != EINTR) throw system_error(errno, "cannot read what " + what_ + " prints");
      if (got > 0) length += static_cast<std::size_t>(got);
      at_end = got == 0;
      if (length > most) throw error(error_code::io, what_ + " prints more than 64 KiB, which are no credentials");
    }
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0)
      if (errno != EINTR) throw system_error(errno, "cannot wait for " + what_);
    process_ = -1;
    if (WIFSIGNALED(status))
      throw error(error_code::io, what_ + " was ended by signal " + std::to_string(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
      throw error(error_code::io, what_ + " failed with exit status " + std::to_string(WEXITSTATUS(status)));
    return secret_bytes(buffer.view().first(length));
  }

private:
  std::string what_;
  file_descriptor output_;
  pid_t process_ = -1;
};

class process_credentials final : public fetched_credentials {
public:
  /// `where` says whose setting it is: "profile default of /root/.aws/config".
  process_credentials(std::string command, const std::string& where)
      : command_(std::move(command)), what_("the credential_process of " + where) {}

private:
  [[nodiscard]] s3_credentials fetch(const std::stop_token& stop) override {
    const auto output = credential_command(command_, what_).run(std::chrono::seconds(60), stop);
    return parse_credentials_json(output.view(), what_);
  }

  std::string command_, what_;
};

}  // namespace recoup
