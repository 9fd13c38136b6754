// Ways to a repository's storage that can be cut off: a stop ends what waits for an answer of a server that gives none.
//
// A backend is told of a stop once and for all. So each operation has a connection of its own while it runs, and the
// next one takes it over; one that was stopped is thrown away.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>
#include <vector>

#include <recoup/storage/backend.hpp>

#include "interruptible.hpp"

namespace recoup::python {

struct storage_connection {
  std::stop_source stop{};
  std::shared_ptr<backend> storage{};
};

/// Members may be called from any thread.
class storage_connections : public std::enable_shared_from_this<storage_connections> {
public:
  using opener = std::function<std::shared_ptr<backend>(std::stop_token)>;
  explicit storage_connections(opener open) : open_(std::move(open)) {}

  /// One that nobody else uses. It comes back when it is used no longer, unless it was stopped.
  [[nodiscard]] std::shared_ptr<storage_connection> take() {
    auto taken = idle();
    if (!taken) {
      taken = std::make_unique<storage_connection>();
      taken->storage = open_(taken->stop.get_token());
    }
    return {taken.release(), [pool = shared_from_this()](storage_connection* used) {
              pool->give_back(std::unique_ptr<storage_connection>(used));
            }};
  }

private:
  [[nodiscard]] std::unique_ptr<storage_connection> idle() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return {};
    auto last = std::move(idle_.back());
    idle_.pop_back();
    return last;
  }

  void give_back(std::unique_ptr<storage_connection> used) {
    if (used->stop.stop_requested()) return;
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(used));
  }

  const opener open_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<storage_connection>> idle_;
};

/// As run_stopping(), for what is done in no time unless a server keeps it waiting. Another thread, which is what
/// hearing of signals takes, would cost more than the work: without a server there is none, nor where Python delivers
/// no signals.
template <class Work>
auto run_briefly_on(const std::shared_ptr<storage_connection>& connection, Work&& work) {
  if (connection->storage->is_worth_caching() && is_main_thread())
    return run_stopping(connection->stop, std::forward<Work>(work));
  const pybind11::gil_scoped_release release;
  return work();
}

}  // namespace recoup::python
