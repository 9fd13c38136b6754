#include "interrupt.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <recoup/core/error.hpp>

namespace recoup::cli {

namespace {

sigset_t watched_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) ::sigaddset(&set, signal);
#ifdef SIGINFO
  ::sigaddset(&set, SIGINFO);
#endif
  return set;
}

}  // namespace

interrupt::interrupt() {
  if (::pipe(pipe_) != 0) throw system_error(errno, "cannot make a pipe");
  for (const int end : pipe_) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  const auto set = watched_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // restic asks by SIGHUP whether the process of a lock still lives, which must not end it. A handler rather than
  // SIG_IGN, because programs that we start would inherit that.
  struct sigaction survive {};
  survive.sa_handler = [](int) {};
  survive.sa_flags = SA_RESTART;
  ::sigaction(SIGHUP, &survive, nullptr);
  thread_ = std::thread([this] { watch(); });
}

interrupt::~interrupt() {
  leaving_ = true;
  ::pthread_kill(thread_.native_handle(), SIGUSR1);
  thread_.join();
  for (const int end : pipe_) ::close(end);
  const auto set = watched_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void interrupt::request_stop() {
  if (!stop_.request_stop()) return;
  const char byte = 0;
  (void)!::write(pipe_[1], &byte, 1);
}

void interrupt::wait_readable(int other) const {
  for (;;) {
    pollfd waiting[2] = {{other, POLLIN, 0}, {pipe_[0], POLLIN, 0}};
    if (::poll(waiting, 2, -1) < 0) {
      if (errno == EINTR) continue;
      throw system_error(errno, "cannot wait for input");
    }
    if (waiting[1].revents != 0) throw error(error_code::interrupted, "interrupted");
    if (waiting[0].revents != 0) return;
  }
}

void interrupt::on_stop(std::function<void(int)> action) {
  const std::lock_guard lock(mutex_);
  on_stop_ = std::move(action);
}

void interrupt::on_kill(std::function<void()> action) {
  const std::lock_guard lock(mutex_);
  on_kill_ = std::move(action);
}

void interrupt::on_status_request(std::function<void()> action) {
  const std::lock_guard lock(mutex_);
  on_status_request_ = std::move(action);
}

void interrupt::watch() {
  const auto set = watched_signals();
  for (;;) {
    int signal = 0;
    if (::sigwait(&set, &signal) != 0) continue;
    if (leaving_) return;
    if (signal == SIGINT || signal == SIGTERM) {
      stop_or_end(signal);
    } else {
      const std::lock_guard lock(mutex_);
      if (on_status_request_) on_status_request_();
    }
  }
}

void interrupt::stop_or_end(int signal) {
  const std::lock_guard lock(mutex_);
  if (stop_.stop_requested()) {
    if (on_kill_) on_kill_();
    ::_exit(interrupted_exit_code);
  }
  if (on_stop_) on_stop_(signal);
  request_stop();
}

}  // namespace recoup::cli
