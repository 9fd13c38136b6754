#include "restore_progress.hpp"

#include <recoup/json/json_writer.hpp>

#include "format.hpp"
#include "json_output.hpp"

namespace recoup::cli {

using std::chrono::nanoseconds;

namespace {

std::uint64_t whole_seconds(nanoseconds duration) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

/// Both JSON messages of a restore have these, and leave out what is 0.
template <class Counts>
void write_counts(json_writer& json, const Counts& counts) {
  field_unless_zero(json, "total_files", std::uint64_t{counts.total_files});
  field_unless_zero(json, "files_restored", std::uint64_t{counts.files_restored});
  field_unless_zero(json, "files_skipped", std::uint64_t{counts.files_skipped});
  field_unless_zero(json, "files_deleted", std::uint64_t{counts.files_deleted});
  field_unless_zero(json, "total_bytes", std::uint64_t{counts.total_bytes});
  field_unless_zero(json, "bytes_restored", std::uint64_t{counts.bytes_restored});
  field_unless_zero(json, "bytes_skipped", std::uint64_t{counts.bytes_skipped});
}

template <class Counts>
std::string skipped_and_deleted(const Counts& counts) {
  std::string text;
  if (const std::uint64_t skipped = counts.files_skipped; skipped > 0)
    text += ", skipped " + std::to_string(skipped) + " files/dirs " + format_bytes(counts.bytes_skipped);
  if (const std::uint64_t deleted = counts.files_deleted; deleted > 0)
    text += ", deleted " + std::to_string(deleted) + " files/dirs";
  return text;
}

}  // namespace

restore_progress::restore_progress(context& call, std::string target) : call_(call), target_(std::move(target)) {
  const auto interval = progress_interval(!call.options.quiet, call.options.json, call.screen.can_update_status());
  updater_ = std::make_unique<updater>(call.signals, interval,
                                       [this](nanoseconds elapsed, bool final) { report(elapsed, final); });
}

void restore_progress::on_phase(restore_phase phase) {
  if (phase != restore_phase::verifying) return;
  verify_start_ = std::chrono::steady_clock::now();
  verifying_ = true;
}

void restore_progress::on_item(restore_action action, const std::string& path, std::uint64_t size) {
  if (call_.options.json) {
    call_.out.result(json_writer{}
                         .begin_object()
                         .field("message_type", "verbose_status")
                         .field("action", name_of(action))
                         .field("item", path)
                         .field("size", size)
                         .end_object()
                         .take());
    return;
  }
  auto line = formatted("%-9s ", std::string(name_of(action)).c_str()) + quoted_if_needed(path);
  const bool is_file = action == restore_action::file_restored || action == restore_action::file_updated ||
                       action == restore_action::file_unchanged;
  if (is_file) line += " with size " + format_bytes(size);
  call_.out.trace(line);
}

void restore_progress::on_error(const std::string& path, const error& problem) {
  if (!call_.options.json)
    return call_.out.error("ignoring error for " + quoted_if_needed(path) + ": " + problem.what());
  call_.out.error(item_error_json(problem.what(), "restore", path));
}

void restore_progress::on_warning(const std::string&, const std::string& message) {
  call_.out.error("Warning: " + message);
}

void restore_progress::report(nanoseconds elapsed, bool final) {
  if (final || finished_) return;
  if (call_.options.json)
    call_.screen.print(status_json(elapsed));
  else
    call_.screen.set_status({verifying_ ? verify_line(elapsed) : status_line(elapsed)});
}

std::string restore_progress::status_line(nanoseconds elapsed) {
  constexpr std::size_t bar_width = 20, least_width_for_bar = 100;
  const std::uint64_t restored = counters.bytes_restored, total = counters.total_bytes;
  const auto now = std::chrono::steady_clock::now();
  estimator_.record(now, restored - bytes_recorded_);
  bytes_recorded_ = restored;
  const auto rate = estimator_.rate(now);

  std::string line = "[" + format_duration(elapsed) + "] ";
  if (total > 0 && call_.screen.can_update_status() && call_.screen.width() >= least_width_for_bar)
    line += "[" + progress_bar(restored, total, bar_width) + "] ";
  line += format_percent(restored, total) + "  " + std::to_string(counters.files_restored) + " files/dirs " +
          format_bytes(restored) + ", total " + std::to_string(counters.total_files) + " files/dirs " +
          format_bytes(total);
  line += skipped_and_deleted(counters);
  if (rate >= 1) line += ", " + format_bytes(static_cast<std::uint64_t>(rate)) + "/s";
  if (rate > 1024 && total > restored)
    line += " ETA " + format_seconds(static_cast<std::uint64_t>(static_cast<double>(total - restored) / rate));
  return line;
}

std::string restore_progress::verify_line(nanoseconds elapsed) const {
  const std::uint64_t done = counters.files_verified, total = counters.files_to_verify;
  return "[" + format_duration(elapsed) + "] " + format_percent(done, total) + "  " + std::to_string(done) + " / " +
         std::to_string(total) + " files verified";
}

std::string restore_progress::status_json(nanoseconds elapsed) const {
  json_writer json;
  json.begin_object().field("message_type", "status");
  field_unless_zero(json, "seconds_elapsed", whole_seconds(elapsed));
  const auto total = static_cast<double>(counters.total_bytes);
  json.field("percent_done", total > 0 ? static_cast<double>(counters.bytes_restored) / total : 0.0);
  write_counts(json, counters);
  return json.end_object().take();
}

void restore_progress::print_summary(const restore_result& result, nanoseconds elapsed) const {
  if (call_.options.json) {
    json_writer json;
    json.begin_object().field("message_type", "summary");
    field_unless_zero(json, "seconds_elapsed", whole_seconds(elapsed));
    write_counts(json, result);
    return call_.out.result(json.end_object().take());
  }
  const bool whole = result.files_restored == result.total_files && result.bytes_restored == result.total_bytes;
  auto line = "Summary: Restored " + (whole ? std::string{} : std::to_string(result.files_restored) + " / ") +
              std::to_string(result.total_files) + " files/dirs (" +
              (whole ? std::string{} : format_bytes(result.bytes_restored) + " / ") + format_bytes(result.total_bytes) +
              ") in " + format_duration(elapsed);
  call_.out.info(line + skipped_and_deleted(result));
}

void restore_progress::finish(const restore_result& result, bool verified) {
  finished_ = true;
  updater_.reset();
  call_.screen.set_status({});
  const auto now = std::chrono::steady_clock::now();
  print_summary(result, (verified ? verify_start_ : now) - start_);
  if (!verified || result.errors != 0) return;
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now - verify_start_).count();
  call_.out.info("finished verifying " + std::to_string(result.files_verified) + " files in " + target_ + " (took " +
                 formatted("%.3fs", static_cast<double>(milliseconds) / 1000) + ")");
}

}  // namespace recoup::cli
