// What a running verification shows: a status line with a bar, or JSON lines, and a line for each thing that is wrong.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <recoup/ops/verify/live_options.hpp>
#include <recoup/ops/verify/options.hpp>

#include "command.hpp"
#include "progress.hpp"

namespace recoup::cli {

class verify_progress : public live_observer {
public:
  verify_progress(context& call, bool with_live_files);
  ~verify_progress() override { updater_.reset(); }

  void on_phase(verify_phase phase) override { phase_ = phase; }
  void on_damaged(const std::string& path, const error& problem) override;
  void on_difference(const live_difference& found) override;

  /// Ends the status lines and prints the summary. `sample`: what was chosen from, if not all.
  void finish(const verify_result& result, const std::optional<file_sample>& sample);
  void finish(const live_result& result, const std::optional<file_sample>& sample);

private:
  void report(std::chrono::nanoseconds elapsed, bool final);
  [[nodiscard]] std::string status_line(std::chrono::nanoseconds elapsed);
  [[nodiscard]] std::string status_json(std::chrono::nanoseconds elapsed) const;
  [[nodiscard]] std::string rate_and_time_left(std::uint64_t done, std::uint64_t total);
  std::chrono::nanoseconds end();

  context& call_;
  const bool live_;
  const steady_time start_ = std::chrono::steady_clock::now();
  std::atomic<verify_phase> phase_{verify_phase::trees};
  std::atomic<bool> finished_{false};
  rate_estimator estimator_{start_};  // used by the updater's thread only
  std::uint64_t bytes_recorded_ = 0;  // the same
  std::unique_ptr<updater> updater_;  // last: its thread uses what is above
};

}  // namespace recoup::cli
