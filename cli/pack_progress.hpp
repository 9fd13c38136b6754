// How far packs are read: their number as restic counts them, on a terminal the bytes too, and how long it will take.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "command.hpp"
#include "progress.hpp"

namespace recoup::cli {

class pack_progress {
public:
  explicit pack_progress(context& call) : call_(call) {}
  ~pack_progress() { finish(); }

  /// Counts from now on, unless -q or --json was given.
  void start();
  void set(std::uint64_t done, std::uint64_t total) noexcept { done_ = done, total_ = total; }
  void set_bytes(std::uint64_t done, std::uint64_t total) noexcept { bytes_ = done, total_bytes_ = total; }
  /// Leaves a line with the last state, which is restic's.
  void finish() { updater_.reset(); }

private:
  void report(std::chrono::nanoseconds elapsed, bool final);

  context& call_;
  std::atomic<std::uint64_t> done_{0}, total_{0}, bytes_{0}, total_bytes_{0};
  std::unique_ptr<updater> updater_;  // last: its thread uses what is above
};

}  // namespace recoup::cli
