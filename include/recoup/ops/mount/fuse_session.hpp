// A mounted repository in the file system, through libfuse 3. The only header that needs that library, so recoup.hpp does not
// include this: link to recoup::fuse3 and include it where it is wanted.
//
//   recoup::mounted_repository shown(repo, {});
//   recoup::fuse_session session(shown, "/mnt/backup", {.source = "recoup"});
//   session.serve(stop);      // until somebody unmounts it, or asks to stop
//
// Mounting needs root, or the program fusermount3, which is set-user-ID root (Debian: package fuse3).
#pragma once

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 34
#endif
#include <fuse3/fuse_lowlevel.h>
#include <fuse3/fuse_log.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>

#include <recoup/core/error.hpp>
#include <recoup/ops/mount/fuse_answers.hpp>
#include <recoup/ops/mount/mount_point.hpp>
#include <recoup/ops/mount/mounted_repository.hpp>
#include <recoup/ops/mount/options.hpp>

namespace recoup {

namespace fuse_session_parts {

/// libfuse prints why it cannot mount; here that becomes part of an error.
inline std::string& mount_messages() {
  static std::string messages;
  return messages;
}

inline void collect_message(fuse_log_level, const char* format, va_list arguments) {
  char line[1024];
  if (std::vsnprintf(line, sizeof line, format, arguments) > 0) mount_messages() += line;
}

/// Wakes a thread from read(): with a handler that does nothing, unlike without one. By default it is ignored, so that
/// a late one does no harm.
inline constexpr int wake_signal = SIGURG;

}  // namespace fuse_session_parts

class fuse_session {
public:
  /// Told why a mount that is in use could not be removed in the usual way. It is detached then: nobody finds it any more.
  using busy_handler = std::function<void(const std::string& reason)>;

  /// Mounts. Throws if that is not possible; see mount_point.hpp for what to ask before.
  fuse_session(mounted_repository& shown, const std::string& mount_point, const fuse_mount_options& options)
      : place_(resolved_path(mount_point)) {
    auto flags = "ro,fsname=" + options.source;
    if (options.allow_other) flags += ",allow_other";
    if (options.default_permissions) flags += ",default_permissions";
    std::string name = "recoup", option = "-o";
    char* words[] = {name.data(), option.data(), flags.data(), nullptr};
    fuse_args arguments = FUSE_ARGS_INIT(3, words);
    fuse_session_parts::mount_messages().clear();
    ::fuse_set_log_func(fuse_session_parts::collect_message);
    session_ = ::fuse_session_new(&arguments, &fuse_operations(), sizeof(fuse_lowlevel_ops), &shown);
    ::fuse_opt_free_args(&arguments);
    const bool is_mounted = session_ != nullptr && ::fuse_session_mount(session_, place_.c_str()) == 0;
    ::fuse_set_log_func(nullptr);
    if (is_mounted) return;
    if (session_ != nullptr) ::fuse_session_destroy(session_);
    throw error(error_code::failure, "cannot mount at " + place_ + ": " + reason());
  }
  fuse_session(const fuse_session&) = delete;
  fuse_session& operator=(const fuse_session&) = delete;

  ~fuse_session() {
    ::fuse_session_unmount(session_);  // does nothing if that is done
    ::fuse_session_destroy(session_);
  }

  /// Answers until the file system is unmounted, or a stop is requested; unmounts it in that case. Once only.
  void serve(std::stop_token stop, unsigned threads, const busy_handler& on_busy = [](const std::string&) {}) {
    struct sigaction quiet {}, before {};
    quiet.sa_handler = [](int) {};
    ::sigaction(fuse_session_parts::wake_signal, &quiet, &before);
    std::deque<worker> workers;
    for (unsigned i = 0; i < std::max(threads, 1u); ++i) {
      auto& mine = workers.emplace_back();
      mine.thread = std::thread([this, &mine] { answer_requests(mine); });
    }
    {
      std::unique_lock lock(mutex_);
      ended_.wait(lock, stop, [this] { return is_over_; });
    }
    unmount(on_busy);
    ::fuse_session_exit(session_);
    for (auto& each : workers) {
      // A signal that comes just before read() wakes nobody, so it is sent again.
      while (!each.is_done) {
        ::pthread_kill(each.thread.native_handle(), fuse_session_parts::wake_signal);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      each.thread.join();
    }
    ::sigaction(fuse_session_parts::wake_signal, &before, nullptr);
  }

private:
  struct worker {
    std::atomic<bool> is_done{false};
    std::thread thread;
  };

  [[nodiscard]] static std::string reason() {
    auto text = fuse_session_parts::mount_messages();
    while (!text.empty() && text.back() == '\n') text.pop_back();
    if (text.empty()) text = std::generic_category().message(errno);
    if (::access("/dev/fuse", F_OK) != 0)
      text += "; the kernel has no FUSE here: load the module fuse, or give the container /dev/fuse";
    else if (::geteuid() != 0)
      text += "; users other than root need fusermount3 (Debian and Ubuntu: apt-get install fuse3)";
    return text;
  }

  /// What a thread does: one request after the other.
  void answer_requests(worker& mine) {
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, fuse_session_parts::wake_signal);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
    fuse_buf buffer{};
    while (::fuse_session_exited(session_) == 0) {
      const int length = ::fuse_session_receive_buf(session_, &buffer);
      if (length == -EINTR || length == -EAGAIN) continue;
      if (length <= 0) break;
      ::fuse_session_process_buf(session_, &buffer);
    }
    std::free(buffer.mem);
    ::fuse_session_exit(session_);
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    ended_.notify_all();
    mine.is_done = true;
  }

  void unmount(const busy_handler& on_busy) {
    {
      const std::lock_guard lock(mutex_);
      if (is_over_) return;
    }
    const auto problem = ::geteuid() == 0 ? unmount_as_root() : unmount_as_user();
    if (problem.empty()) return;
    on_busy(problem);
    ::fuse_session_unmount(session_);
  }

  [[nodiscard]] std::string unmount_as_root() const {
    if (::umount2(place_.c_str(), UMOUNT_NOFOLLOW) == 0) return {};
    // EINVAL: somebody else has just done it.
    return errno == EINVAL ? std::string() : std::generic_category().message(errno);
  }

  [[nodiscard]] std::string unmount_as_user() const {
    std::string words[] = {"fusermount3", "-u", "-q", "--", place_};
    char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), words[4].data(), nullptr};
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t child = 0;
    const int failed = ::posix_spawnp(&child, arguments[0], nullptr, &attributes, arguments, environ);
    ::posix_spawnattr_destroy(&attributes);
    if (failed != 0) return "cannot run fusermount3: " + std::generic_category().message(failed);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "" : "fusermount3 could not unmount it";
  }

  const std::string place_;
  ::fuse_session* session_ = nullptr;
  std::mutex mutex_;  // guards is_over_
  std::condition_variable_any ended_;
  bool is_over_ = false;
};

}  // namespace recoup
