// What a running backup shows: a status line with a bar, or JSON lines, or lines about each item.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <recoup/ops/backup.hpp>
#include <recoup/ops/backup/scan.hpp>

#include "command.hpp"
#include "progress.hpp"

namespace recoup::cli {

class backup_progress : public backup_observer {
public:
  backup_progress(context& call, bool dry_run);
  ~backup_progress() override { finish(); }

  /// Whether anybody will see the totals that a scan finds.
  [[nodiscard]] bool wants_totals() const noexcept { return interval_.count() > 0 || call_.options.verbosity() >= 2; }
  void set_totals(const scan_totals& totals);

  void on_file_started(const std::string& path) override;
  void on_bytes_done(std::uint64_t count) override {
    bytes_done_ += count;
    started_ = true;
  }
  void on_item_done(const backup_item& item) override;
  void on_excluded(const std::string& path) override;
  void on_error(const std::string& path, const error& problem) override;
  void on_resumed(std::uint64_t files) override;
  void on_noted() override;
  void on_not_noted(const error& reason) override;
  void on_repository_failed(const std::string& location, const error& problem) override;

  /// No more status lines after this.
  void finish() { updater_.reset(); }
  /// For the first repository, and then for each of `options.also`.
  void print_summary(const backup_result& result, const backup_options& options) const;
  [[nodiscard]] unsigned failed_repositories() const noexcept { return failed_repositories_; }

private:
  struct figures {
    std::uint64_t files_done, bytes_done, files, directories, bytes, errors, seconds_left;
    double rate;
    std::vector<std::string> current_files;
  };

  void report(std::chrono::nanoseconds elapsed, bool final);
  [[nodiscard]] figures now();
  [[nodiscard]] std::vector<std::string> status_lines(const figures& at, std::chrono::nanoseconds elapsed) const;
  [[nodiscard]] static std::string status_json(const figures& at, std::chrono::nanoseconds elapsed);
  void print_item(const backup_item& item) const;
  void print_item_json(const backup_item& item) const;
  void print_summary_text(const backup_result& result) const;
  void print_summary_json(const repository_result& result, const taken_over& taken, const std::string& location) const;
  void print_also(const repository_result& result, const std::string& location) const;

  context& call_;
  const bool dry_run_;
  const std::chrono::nanoseconds interval_;
  const steady_time start_ = std::chrono::steady_clock::now();
  std::atomic<std::uint64_t> files_done_{0}, bytes_done_{0}, errors_{0};
  std::atomic<unsigned> failed_repositories_{0};
  std::atomic<bool> started_{false}, scanned_{false};
  std::mutex mutex_;
  scan_totals totals_;
  std::vector<std::string> current_files_;
  rate_estimator estimator_;            // used by the updater's thread only
  std::uint64_t bytes_recorded_ = 0;    // the same
  std::unique_ptr<updater> updater_;    // last: its thread uses what is above
};

}  // namespace recoup::cli
