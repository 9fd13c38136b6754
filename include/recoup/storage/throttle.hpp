// Holds a backend to a rate of bytes per second: `--limit-upload` and `--limit-download` for storage that has no network
// of its own to slow down, such as a directory on a mount.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>

#include <recoup/core/interrupt.hpp>
#include <recoup/http/rate_limit.hpp>
#include <recoup/storage/forwarding.hpp>

namespace recoup {

/// Whole files pass at once and are paid for afterwards: the rate holds over time, not from one moment to the next.
class throttled_backend : public forwarding_backend {
public:
  /// Bytes per second, 0 for no limit. Waiting ends, with interrupted, when a stop is requested; removals do not wait.
  throttled_backend(std::shared_ptr<backend> inner, std::uint64_t upload, std::uint64_t download,
                    std::stop_token stop = {})
      : forwarding_backend(std::move(inner)), stop_(std::move(stop)), upload_(upload), download_(download) {}

  void save(const stored_file& file, byte_view content) override {
    upload_.pass(content.size(), stop_);
    inner_->save(file, content);
  }
  void load(const stored_file& file, std::uint64_t offset, byte_span into) override {
    download_.pass(into.size(), stop_);
    inner_->load(file, offset, into);
  }
  using backend::load_all;
  void load_all(const stored_file& file, bytes& content) override {
    download_.pass(0, stop_);
    inner_->load_all(file, content);
    download_.take(content.size());
  }

private:
  class gate {
  public:
    explicit gate(std::uint64_t rate) : limit_(rate) {}

    /// Waits for its turn, then counts so many bytes.
    void pass(std::uint64_t moved, const std::stop_token& stop) {
      for (;;) {
        std::chrono::milliseconds wait{0};
        {
          const std::lock_guard lock(mutex_);
          wait = limit_.wait(rate_limit::clock::now());
          if (wait.count() == 0) return limit_.take(moved);
        }
        if (!sleep_unless_stopped(stop, wait)) throw_if_stopped(stop);
      }
    }
    void take(std::uint64_t moved) {
      const std::lock_guard lock(mutex_);
      limit_.take(moved);
    }

  private:
    std::mutex mutex_;
    rate_limit limit_;
  };

  const std::stop_token stop_;
  gate upload_, download_;
};

}  // namespace recoup
