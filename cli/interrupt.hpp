// Signals: SIGINT and SIGTERM ask the running operation to stop, a second one ends the process at once; SIGUSR1 (and
// SIGINFO where there is one) asks for a line of status.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace recoup::cli {

/// The exit code of a process that was asked to stop.
inline constexpr int interrupted_exit_code = 130;

/// Make it before any other thread is started: it blocks the signals in its own thread, which others inherit, and one
/// thread waits for them. So nothing here runs inside a signal handler. Children must get an empty signal mask.
class interrupt {
public:
  interrupt();
  interrupt(const interrupt&) = delete;
  interrupt& operator=(const interrupt&) = delete;
  ~interrupt();

  [[nodiscard]] std::stop_token token() const noexcept { return stop_.get_token(); }
  void request_stop();

  /// Readable once a stop was requested, for poll().
  [[nodiscard]] int descriptor() const noexcept { return pipe_[0]; }

  /// Waits until `other` can be read, or has ended. Throws error_code::interrupted if a stop is requested first.
  void wait_readable(int other) const;

  /// Told of the signal that asks to stop.
  void on_stop(std::function<void(int signal)> action);
  /// Called just before the process is ended by a second signal.
  void on_kill(std::function<void()> action);
  /// Called, from the signal thread, for each request for status. Nothing is called any more once another action, or
  /// none, has been set.
  void on_status_request(std::function<void()> action);

private:
  void watch();
  void stop_or_end(int signal);

  std::stop_source stop_;
  int pipe_[2] = {-1, -1};
  std::atomic<bool> leaving_{false};
  std::mutex mutex_;
  std::function<void(int)> on_stop_;
  std::function<void()> on_kill_;
  std::function<void()> on_status_request_;
  std::thread thread_;
};

}  // namespace recoup::cli
