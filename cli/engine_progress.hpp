// Progress messages of the machine interface: {"done":n,"total":m}, at most one a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

#include <recoup/json/json_writer.hpp>

#include "engine.hpp"

namespace recoup::cli {

/// Any thread may add to it.
class engine_progress {
public:
  engine_progress(const engine_call& call, std::uint64_t total) : call_(call), total_(total) {}

  void add(std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    done_ += count;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::seconds(1)) return;
    last_ = now;
    call_.progress(json_writer{}.begin_object().field("done", done_).field("total", total_).end_object().take());
  }

private:
  const engine_call& call_;
  const std::uint64_t total_;
  std::mutex mutex_;  // guards what follows, and the order of the messages
  std::uint64_t done_ = 0;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace recoup::cli
