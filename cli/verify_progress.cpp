#include "verify_progress.hpp"

#include <utility>

#include <recoup/json/json_writer.hpp>

#include "format.hpp"
#include "json_output.hpp"

namespace recoup::cli {

using std::chrono::nanoseconds;

namespace {

std::uint64_t whole_seconds(nanoseconds duration) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

std::string counted(std::uint64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

/// "100 files", or of a sample "10 of 100 files".
std::string files_of(std::uint64_t files, std::uint64_t all, const std::optional<file_sample>& sample) {
  return (sample ? std::to_string(files) + " of " : "") + counted(all, "file");
}

std::string seed_of(const std::optional<file_sample>& sample) {
  return sample ? ", chosen with --seed " + std::to_string(sample->seed) : "";
}

void write_sample(json_writer& json, const std::optional<file_sample>& sample) {
  if (sample) json.field("seed", sample->seed);
}

std::string describe(const property_difference& of) {
  auto text = std::string(name_of(of.property));
  if (of.recorded.empty() && of.live.empty()) return text;
  return text + " " + quoted_if_needed(of.recorded.empty() ? "none" : of.recorded) + " -> " +
         quoted_if_needed(of.live.empty() ? "none" : of.live);
}

std::string difference_line(const live_difference& of) {
  auto line = formatted("%-10s  ", std::string(name_of(of.state)).c_str()) + quoted_if_needed(of.path);
  std::string separator = ": ";
  for (const auto& each : of.properties) line += std::exchange(separator, ", ") + describe(each);
  if (!of.problem.empty()) line += ": " + of.problem;
  return line;
}

std::string difference_json(const live_difference& of) {
  json_writer json;
  json.begin_object().field("message_type", "difference").field("state", name_of(of.state)).field("item", of.path);
  if (of.state == live_state::changed) {
    json.key("properties").begin_array();
    for (const auto& each : of.properties) {
      json.begin_object().field("property", name_of(each.property));
      if (!each.recorded.empty() || !each.live.empty()) json.field("snapshot", each.recorded).field("live", each.live);
      json.end_object();
    }
    json.end_array();
  }
  field_unless_empty(json, "problem", of.problem);
  return json.end_object().take();
}

}  // namespace

verify_progress::verify_progress(context& call, bool with_live_files) : call_(call), live_(with_live_files) {
  const auto interval = progress_interval(!call.options.quiet, call.options.json, call.screen.can_update_status());
  updater_ = std::make_unique<updater>(call.signals, interval,
                                       [this](nanoseconds elapsed, bool final) { report(elapsed, final); });
}

void verify_progress::on_damaged(const std::string& path, const error& problem) {
  if (!call_.options.json) return call_.out.error("damaged: " + quoted_if_needed(path) + ": " + problem.what());
  call_.out.error(item_error_json(problem.what(), "verify", path));
}

void verify_progress::on_difference(const live_difference& found) {
  call_.out.result(call_.options.json ? difference_json(found) : difference_line(found));
}

void verify_progress::report(nanoseconds elapsed, bool final) {
  if (final || finished_) return;
  if (call_.options.json)
    call_.screen.print(status_json(elapsed));
  else
    call_.screen.set_status({status_line(elapsed)});
}

std::string verify_progress::rate_and_time_left(std::uint64_t done, std::uint64_t total) {
  const auto now = std::chrono::steady_clock::now();
  estimator_.record(now, done - bytes_recorded_);
  bytes_recorded_ = done;
  const auto rate = estimator_.rate(now);
  std::string text;
  if (rate >= 1) text += ", " + format_bytes(static_cast<std::uint64_t>(rate)) + "/s";
  if (rate > 1024 && total > done)
    text += " ETA " + format_seconds(static_cast<std::uint64_t>(static_cast<double>(total - done) / rate));
  return text;
}

std::string verify_progress::status_line(nanoseconds elapsed) {
  constexpr std::size_t bar_width = 20, least_width_for_bar = 100;
  const std::uint64_t done = counters.bytes_read, total = counters.blob_bytes, damaged = counters.damaged;
  std::string line = "[" + format_duration(elapsed) + "] ";
  if (live_) {
    const std::uint64_t differing = differences.missing + differences.extra + differences.changed;
    line += std::to_string(counters.entries) + " entries compared, " + format_bytes(done) + " read";
    if (differing > 0) line += ", " + std::to_string(differing) + " differ";
    line += rate_and_time_left(done, 0);
  } else if (phase_ == verify_phase::trees) {
    line += counted(counters.total_files, "file") + " found";
  } else if (phase_ == verify_phase::naming) {
    line += "looking for the files that are damaged";
  } else {
    if (total > 0 && call_.screen.can_update_status() && call_.screen.width() >= least_width_for_bar)
      line += "[" + progress_bar(done, total, bar_width) + "] ";
    line += format_percent(done, total) + "  " + format_bytes(done) + " / " + format_bytes(total) + " of " +
            counted(counters.files, "file") + rate_and_time_left(done, total);
  }
  return damaged > 0 ? line + ", " + std::to_string(damaged) + " damaged" : line;
}

std::string verify_progress::status_json(nanoseconds elapsed) const {
  json_writer json;
  json.begin_object().field("message_type", "status");
  field_unless_zero(json, "seconds_elapsed", whole_seconds(elapsed));
  const auto total = static_cast<double>(counters.blob_bytes);
  if (!live_) json.field("percent_done", total > 0 ? static_cast<double>(counters.bytes_read) / total : 0.0);
  json.field("total_files", std::uint64_t{counters.total_files}).field("files", std::uint64_t{counters.files});
  if (!live_) json.field("total_bytes", std::uint64_t{counters.blob_bytes});
  json.field("bytes_read", std::uint64_t{counters.bytes_read});
  field_unless_zero(json, "num_damaged", std::uint64_t{counters.damaged});
  return json.end_object().take();
}

nanoseconds verify_progress::end() {
  finished_ = true;
  updater_.reset();
  call_.screen.set_status({});
  return std::chrono::steady_clock::now() - start_;
}

void verify_progress::finish(const verify_result& result, const std::optional<file_sample>& sample) {
  const auto elapsed = end();
  if (!call_.options.json) {
    auto line = "Summary: Verified " + files_of(result.files, result.total_files, sample) + " (" +
                format_bytes(result.bytes) + ") in " + counted(result.blobs, "blob") + " (" +
                format_bytes(result.blob_bytes) + ") in " + format_duration(elapsed) + seed_of(sample);
    if (result.damaged > 0) line += ", " + std::to_string(result.damaged) + " damaged";
    return call_.out.info(line);
  }
  json_writer json;
  json.begin_object().field("message_type", "summary");
  field_unless_zero(json, "seconds_elapsed", whole_seconds(elapsed));
  json.field("total_files", result.total_files).field("files_verified", result.files);
  json.field("bytes_verified", result.bytes).field("blobs_verified", result.blobs);
  json.field("blob_bytes_verified", result.blob_bytes);
  write_sample(json, sample);
  call_.out.result(json.field("num_damaged", result.damaged).end_object().take());
}

void verify_progress::finish(const live_result& result, const std::optional<file_sample>& sample) {
  const auto elapsed = end();
  if (!call_.options.json) {
    auto line = "Summary: Compared " + counted(result.entries, "file") + " and directories, and the content of " +
                files_of(result.files, result.total_files, sample) + " (" + format_bytes(result.bytes) + ") in " +
                format_duration(elapsed) + seed_of(sample) + ": ";
    line += result.differences() == 0
                ? "no differences"
                : std::to_string(result.missing) + " missing, " + std::to_string(result.changed) + " changed (" +
                      std::to_string(result.content_changed) + " in content), " + std::to_string(result.extra) +
                      " extra";
    if (result.unreadable > 0) line += ", " + std::to_string(result.unreadable) + " unreadable";
    if (result.damaged > 0) line += ", " + std::to_string(result.damaged) + " damaged in the repository";
    return call_.out.info(line);
  }
  json_writer json;
  json.begin_object().field("message_type", "summary");
  field_unless_zero(json, "seconds_elapsed", whole_seconds(elapsed));
  json.field("entries_compared", result.entries).field("total_files", result.total_files);
  json.field("files_compared", result.files).field("bytes_compared", result.bytes);
  write_sample(json, sample);
  json.field("num_missing", result.missing).field("num_changed", result.changed);
  json.field("num_content_changed", result.content_changed).field("num_extra", result.extra);
  json.field("num_unreadable", result.unreadable).field("num_damaged", result.damaged);
  call_.out.result(json.end_object().take());
}

}  // namespace recoup::cli
