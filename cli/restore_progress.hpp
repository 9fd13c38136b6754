// What a running restore shows: a status line with a bar, or JSON lines, or lines about each item.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include <recoup/ops/restore/options.hpp>

#include "command.hpp"
#include "progress.hpp"

namespace recoup::cli {

class restore_progress : public restore_observer {
public:
  restore_progress(context& call, std::string target);
  ~restore_progress() override { updater_.reset(); }

  [[nodiscard]] bool wants_items() const override { return call_.options.verbosity() >= 3; }
  void on_phase(restore_phase phase) override;
  void on_item(restore_action action, const std::string& path, std::uint64_t size) override;
  void on_error(const std::string& path, const error& problem) override;
  void on_warning(const std::string& path, const std::string& message) override;

  /// Ends the status lines and prints the summary.
  void finish(const restore_result& result, bool verified);

private:
  void report(std::chrono::nanoseconds elapsed, bool final);
  [[nodiscard]] std::string status_line(std::chrono::nanoseconds elapsed);
  [[nodiscard]] std::string verify_line(std::chrono::nanoseconds elapsed) const;
  [[nodiscard]] std::string status_json(std::chrono::nanoseconds elapsed) const;
  void print_summary(const restore_result& result, std::chrono::nanoseconds elapsed) const;

  context& call_;
  const std::string target_;
  const steady_time start_ = std::chrono::steady_clock::now();
  steady_time verify_start_ = start_;
  std::atomic<bool> verifying_{false}, finished_{false};
  rate_estimator estimator_{start_};  // used by the updater's thread only
  std::uint64_t bytes_recorded_ = 0;  // the same
  std::unique_ptr<updater> updater_;  // last: its thread uses what is above
};

}  // namespace recoup::cli
