#include "backup_progress.hpp"

#include <algorithm>

#include <recoup/json/json_writer.hpp>

#include "format.hpp"
#include "json_output.hpp"

namespace recoup::cli {

using std::chrono::nanoseconds;

namespace {

double seconds_of(nanoseconds duration) { return std::chrono::duration<double>(duration).count(); }

std::uint64_t whole_seconds(nanoseconds duration) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

const char* action_of(item_change change) {
  switch (change) {
    case item_change::added: return "new";
    case item_change::modified: return "modified";
    default: return "unchanged";
  }
}

double summary_seconds(const snapshot_summary& summary) {
  return static_cast<double>(summary.backup_end.seconds - summary.backup_start.seconds) +
         static_cast<double>(summary.backup_end.nanoseconds - summary.backup_start.nanoseconds) / 1e9;
}

}  // namespace

backup_progress::backup_progress(context& call, bool dry_run)
    : call_(call), dry_run_(dry_run),
      interval_(progress_interval(!call.options.quiet, call.options.json, call.screen.can_update_status())),
      estimator_(start_) {
  updater_ = std::make_unique<updater>(call.signals, interval_,
                                       [this](nanoseconds elapsed, bool final) { report(elapsed, final); });
}

void backup_progress::set_totals(const scan_totals& totals) {
  {
    const std::lock_guard lock(mutex_);
    totals_ = totals;
  }
  started_ = scanned_ = true;
  const auto elapsed = seconds_of(std::chrono::steady_clock::now() - start_);
  if (call_.options.json && call_.options.verbosity() >= 2)
    call_.out.result(json_writer{}
                         .begin_object()
                         .field("message_type", "verbose_status")
                         .field("action", "scan_finished")
                         .field("item", "")
                         .field("duration", elapsed)
                         .field("data_size", totals.bytes)
                         .field("data_size_in_repo", 0)
                         .field("metadata_size", 0)
                         .field("metadata_size_in_repo", 0)
                         .field("total_files", totals.files)
                         .end_object()
                         .take());
  else
    call_.out.detail(formatted("scan finished in %.3fs: %llu files, %s", elapsed,
                               static_cast<unsigned long long>(totals.files), format_bytes(totals.bytes).c_str()));
}

void backup_progress::on_file_started(const std::string& path) {
  started_ = true;
  const std::lock_guard lock(mutex_);
  current_files_.push_back(path);
}

void backup_progress::on_item_done(const backup_item& item) {
  started_ = true;
  if (item.type != node_type::dir) {
    ++files_done_;
    const std::lock_guard lock(mutex_);
    // There are at most as many as threads that read.
    if (const auto at = std::find(current_files_.begin(), current_files_.end(), item.path);
        at != current_files_.end()) {
      std::swap(*at, current_files_.back());
      current_files_.pop_back();
    }
  }
  if (item.change == item_change::none) return;
  if (call_.options.json) {
    if (call_.options.verbosity() >= 2) print_item_json(item);
  } else if (call_.out.level() >= 3) {
    print_item(item);
  }
}

void backup_progress::on_excluded(const std::string& path) {
  if (!call_.options.json) return call_.out.trace("excluded " + quoted_if_needed(path));
  if (call_.options.verbosity() >= 2)
    call_.out.result(
        json_writer{}.begin_object().field("message_type", "excluded_item").field("item", path).end_object().take());
}

void backup_progress::on_error(const std::string& path, const error& problem) {
  started_ = true;
  ++errors_;
  if (!call_.options.json) return call_.out.error(std::string("error: ") + problem.what());
  call_.out.error(item_error_json(problem.what(), "archival", path));
}

void backup_progress::on_resumed(std::uint64_t files) {
  call_.out.detail("an interrupted backup has read " + std::to_string(files) +
                   " files, which are not read again unless they have changed");
}

void backup_progress::on_noted() {
  call_.out.info("what was read so far is noted: the next backup of the same goes on from there");
}

void backup_progress::on_repository_failed(const std::string& location, const error& problem) {
  ++failed_repositories_;
  const auto text = "the backup into " + location + " has failed, and goes on without it: " + problem.what() +
                    "; once it works again, back up into it, or `recoup copy` the snapshot from another repository";
  if (!call_.options.json) return call_.out.error("error: " + text);
  call_.out.error(item_error_json(text, "archival", location));
}

void backup_progress::on_not_noted(const error& reason) {
  call_.out.detail(std::string("what is read is not noted for the case of an interruption: ") + reason.what());
}

void backup_progress::report(nanoseconds elapsed, bool final) {
  if (final) {
    if (!call_.options.json && call_.screen.can_update_status()) call_.screen.set_status({});
    return;
  }
  if (!started_) return;
  const auto at = now();
  if (call_.options.json)
    call_.screen.print(status_json(at, elapsed));
  else
    call_.screen.set_status(status_lines(at, elapsed));
}

backup_progress::figures backup_progress::now() {
  figures at{};
  at.files_done = files_done_;
  at.bytes_done = bytes_done_;
  at.errors = errors_;
  const auto time = std::chrono::steady_clock::now();
  estimator_.record(time, at.bytes_done - bytes_recorded_);
  bytes_recorded_ = at.bytes_done;
  at.rate = estimator_.rate(time);
  {
    const std::lock_guard lock(mutex_);
    at.current_files = current_files_;
    at.files = totals_.files;
    at.directories = totals_.directories;
    at.bytes = totals_.bytes;
  }
  std::sort(at.current_files.begin(), at.current_files.end());
  // Below a KiB per second nothing sensible can be said.
  if (scanned_ && at.rate > 1024 && at.bytes > at.bytes_done)
    at.seconds_left = static_cast<std::uint64_t>(static_cast<double>(at.bytes - at.bytes_done) / at.rate);
  return at;
}

std::vector<std::string> backup_progress::status_lines(const figures& at, nanoseconds elapsed) const {
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  std::string line = "[" + format_duration(elapsed) + "] ";
  if (at.files == 0 && at.directories == 0) {
    line += number(at.files_done) + " files, " + format_bytes(at.bytes_done) + ", " + number(at.errors) + " errors";
  } else {
    constexpr std::size_t bar_width = 20, least_width_for_bar = 100;
    if (at.bytes > 0) {
      if (call_.screen.can_update_status() && call_.screen.width() >= least_width_for_bar)
        line += "[" + progress_bar(at.bytes_done, at.bytes, bar_width) + "] ";
      line += format_percent(at.bytes_done, at.bytes) + "  ";
    }
    line += number(at.files_done) + " files " + format_bytes(at.bytes_done) + ", total " + number(at.files) +
            " files " + format_bytes(at.bytes) + ", " + number(at.errors) + " errors";
  }
  if (at.rate >= 1) line += ", " + format_bytes(static_cast<std::uint64_t>(at.rate)) + "/s";
  if (at.seconds_left > 0) line += " ETA " + format_seconds(at.seconds_left);
  std::vector<std::string> lines{std::move(line)};
  lines.insert(lines.end(), at.current_files.begin(), at.current_files.end());
  return lines;
}

std::string backup_progress::status_json(const figures& at, nanoseconds elapsed) {
  json_writer json;
  json.begin_object().field("message_type", "status");
  field_unless_zero(json, "seconds_elapsed", whole_seconds(elapsed));
  field_unless_zero(json, "seconds_remaining", at.seconds_left);
  json.field("percent_done",
             at.bytes == 0 ? 0.0 : static_cast<double>(at.bytes_done) / static_cast<double>(at.bytes));
  field_unless_zero(json, "total_files", at.files);
  field_unless_zero(json, "files_done", at.files_done);
  field_unless_zero(json, "total_bytes", at.bytes);
  field_unless_zero(json, "bytes_done", at.bytes_done);
  field_unless_zero(json, "error_count", at.errors);
  if (!at.current_files.empty()) json.strings("current_files", at.current_files);
  return json.end_object().take();
}

void backup_progress::print_item(const backup_item& item) const {
  const auto path = quoted_if_needed(item.path);
  if (item.change == item_change::unchanged) return call_.out.trace("unchanged " + path);
  const auto& stats = item.stats;
  auto line = formatted("%-9s %s, saved in %.3fs (%s added, %s stored", action_of(item.change), path.c_str(),
                        seconds_of(item.duration), format_bytes(stats.data_size).c_str(),
                        format_bytes(stats.data_size_in_repo).c_str());
  if (item.type == node_type::dir) line += ", " + format_bytes(stats.tree_size_in_repo) + " metadata";
  call_.out.trace(line + ")");
}

void backup_progress::print_item_json(const backup_item& item) const {
  const bool unchanged = item.change == item_change::unchanged;
  const auto stats = unchanged ? item_stats{} : item.stats;
  call_.out.result(json_writer{}
                       .begin_object()
                       .field("message_type", "verbose_status")
                       .field("action", action_of(item.change))
                       .field("item", item.path)
                       .field("duration", unchanged ? 0.0 : seconds_of(item.duration))
                       .field("data_size", stats.data_size)
                       .field("data_size_in_repo", stats.data_size_in_repo)
                       .field("metadata_size", stats.tree_size)
                       .field("metadata_size_in_repo", stats.tree_size_in_repo)
                       .field("total_files", 0)
                       .end_object()
                       .take());
}

void backup_progress::print_summary(const backup_result& result, const backup_options& options) const {
  if (!result.failure)
    call_.options.json ? print_summary_json(result, result.taken_over, {}) : print_summary_text(result);
  for (std::size_t i = 0; i < result.also.size(); ++i) {
    const auto location = options.also[i].repo->storage().location();
    if (result.also[i].failure) continue;
    if (!call_.options.json)
      print_also(result.also[i], location);
    else if (call_.commands.program != "restic")  // which knows one summary only
      print_summary_json(result.also[i], {}, location);
  }
}

void backup_progress::print_also(const repository_result& result, const std::string& location) const {
  const auto& summary = result.summary;
  const auto size = format_bytes(summary.data_added) + " (" + format_bytes(summary.data_added_packed) + " stored)";
  if (dry_run_) return call_.out.info("Would add " + size + " to " + location);
  call_.out.info((result.snapshot_id ? "snapshot " + result.snapshot_id->short_hex() + " saved"
                                     : std::string("skipped creating snapshot")) +
                 " in " + location + ", added " + size);
}

void backup_progress::print_summary_json(const repository_result& result, const taken_over& taken,
                                         const std::string& location) const {
  json_writer json;
  json.begin_object().field("message_type", "summary");
  field_unless_empty(json, "repository", location);
  for (const auto& [name, counter] : snapshot_json::counters) json.field(name, result.summary.*counter);
  json.field("total_duration", summary_seconds(result.summary))
      .field("backup_start", result.summary.backup_start)
      .field("backup_end", result.summary.backup_end);
  if (call_.commands.program != "restic") {
    field_unless_zero(json, "files_taken_over", taken.files);
    field_unless_zero(json, "bytes_taken_over", taken.bytes);
  }
  if (result.snapshot_id) json.field("snapshot_id", *result.snapshot_id);
  if (dry_run_) json.field("dry_run", true);
  call_.out.result(json.end_object().take());
}

void backup_progress::print_summary_text(const backup_result& result) const {
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  const auto& out = call_.out;
  const auto& summary = result.summary;
  out.info("");
  out.info(formatted("Files:       %5llu new, %5llu changed, %5llu unmodified", number(summary.files_new),
                     number(summary.files_changed), number(summary.files_unmodified)));
  out.info(formatted("Dirs:        %5llu new, %5llu changed, %5llu unmodified", number(summary.dirs_new),
                     number(summary.dirs_changed), number(summary.dirs_unmodified)));
  out.detail(formatted("Data Blobs:  %5llu new", number(summary.data_blobs)));
  out.detail(formatted("Tree Blobs:  %5llu new", number(summary.tree_blobs)));
  out.info(formatted("%s to the repository: %-5s (%-5s stored)", dry_run_ ? "Would add" : "Added",
                     format_bytes(summary.data_added).c_str(), format_bytes(summary.data_added_packed).c_str()));
  out.info("");
  const auto seconds = summary_seconds(summary);
  out.info(formatted("processed %llu files, %s in %s", number(summary.total_files_processed),
                     format_bytes(summary.total_bytes_processed).c_str(),
                     format_seconds(static_cast<std::uint64_t>(std::max(seconds, 0.0))).c_str()));
  if (result.taken_over.bytes != 0 || result.taken_over.files != 0)
    out.info(formatted("taken over from an interrupted backup, not read again: %llu files, %s",
                       number(result.taken_over.files), format_bytes(result.taken_over.bytes).c_str()));
  if (dry_run_) return;
  out.info(result.snapshot_id ? "snapshot " + result.snapshot_id->short_hex() + " saved" : "skipped creating snapshot");
}

}  // namespace recoup::cli
