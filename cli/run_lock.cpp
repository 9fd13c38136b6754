#include "run_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>

#include "format.hpp"
#include "global_options.hpp"

namespace recoup::cli {

namespace {

/// The same for a run by the timer and for one by hand, or they would not see each other.
std::string directory_of_locks() {
  if (auto chosen = environment("RECOUP_RUNTIME_DIRECTORY"); !chosen.empty()) return chosen;
  if (::geteuid() == 0) return "/run/recoup";  // RuntimeDirectory= of our units
  if (const auto own = environment("XDG_RUNTIME_DIR"); !own.empty()) return own + "/recoup";
  return "/tmp/recoup-" + std::to_string(::geteuid());
}

std::string holder_of(int descriptor) {
  char text[128] = {};
  const auto length = ::pread(descriptor, text, sizeof text - 1, 0);
  std::string holder(text, length > 0 ? static_cast<std::size_t>(length) : 0);
  while (holder.ends_with('\n')) holder.pop_back();
  return holder.empty() ? "another process" : holder;
}

}  // namespace

run_lock::run_lock(const std::string& schedule) {
  const auto directory = directory_of_locks();
  std::error_code problem;
  std::filesystem::create_directories(directory, problem);
  const auto path = directory + "/" + schedule + ".lock";
  file_ = file_descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file_) throw system_error(errno, "cannot open " + path + ", by which runs of a schedule exclude each other");
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw system_error(errno, "cannot lock " + path);
    throw error(error_code::locked, "schedule " + schedule + " runs already: " + holder_of(file_.get()) +
                                        "; wait until it is done, or stop it with `systemctl stop " + schedule +
                                        ".service`");
  }
  // The file stays when we are done: removing it would let a third take a new one beside the second's.
  auto now = current_time();
  now.nanoseconds = 0;
  const auto text = "PID " + std::to_string(::getpid()) + " since " + to_rfc3339(now) + "\n";
  if (::ftruncate(file_.get(), 0) != 0 || ::pwrite(file_.get(), text.data(), text.size(), 0) < 0)
    throw system_error(errno, "cannot write " + path);
}

}  // namespace recoup::cli
