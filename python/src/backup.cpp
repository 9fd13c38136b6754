#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <recoup/fs/exclude.hpp>
#include <recoup/fs/files_from.hpp>
#include <recoup/ops/backup.hpp>
#include <recoup/ops/backup/scan.hpp>

#include "interruptible.hpp"
#include "operations.hpp"

namespace recoup::python {

namespace {

class counting_observer final : public backup_observer {
public:
  void on_bytes_done(std::uint64_t count) override { bytes.fetch_add(count); }
  void on_item_done(const backup_item& item) override {
    if (item.type == node_type::file) files.fetch_add(1);
  }
  void on_error(const std::string& path, const error& problem) override { problems.add(path, problem.what()); }
  void on_file_started(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    current_ = path;
  }

  void set_totals(const scan_totals& totals) {
    const std::lock_guard lock(mutex_);
    totals_ = totals;
  }

  [[nodiscard]] py::dict progress() const {
    py::dict now;
    // The files first: whoever sees a file counted sees its bytes too.
    now["files_done"] = files.load();
    now["bytes_done"] = bytes.load();
    const std::lock_guard lock(mutex_);
    now["total_files"] = totals_.files;
    now["total_bytes"] = totals_.bytes;
    now["current_file"] = to_path_text(current_);
    return now;
  }

  std::atomic<std::uint64_t> files{0}, bytes{0};
  problem_collector problems;

private:
  mutable std::mutex mutex_;  // guards what follows
  std::string current_;
  scan_totals totals_;
};

exclude_options excludes_from(const py::kwargs& chosen) {
  exclude_options excludes;
  excludes.patterns = from_paths(chosen["exclude"]);
  excludes.insensitive_patterns = from_paths(chosen["iexclude"]);
  excludes.pattern_files = from_paths(chosen["exclude_file"]);
  excludes.insensitive_pattern_files = from_paths(chosen["iexclude_file"]);
  excludes.if_present = from_paths(chosen["exclude_if_present"]);
  excludes.caches = chosen_value<bool>(chosen, "exclude_caches");
  excludes.larger_than = chosen_value<std::optional<std::uint64_t>>(chosen, "exclude_larger_than");
  excludes.one_file_system = chosen_value<bool>(chosen, "one_file_system");
  return excludes;
}

/// What backups of files and of streams have in common.
backup_options options_from(const py::kwargs& chosen) {
  backup_options options;
  options.tags = from_texts(chosen["tags"]);
  options.hostname = chosen["hostname"].is_none() ? local_hostname() : from_text(chosen["hostname"]);
  if (!chosen["time"].is_none()) options.time = from_datetime(chosen["time"]);
  options.skip_if_unchanged = chosen_value<bool>(chosen, "skip_if_unchanged");
  return options;
}

/// The parent that was named, or else the newest snapshot that fits.
void choose_parent(repository& repo, backup_options& options, const std::optional<std::string>& named) {
  if (!named || *named == "latest") {
    options.parent = find_parent(repo, options);
    return;
  }
  auto found = find_snapshot(repo, *named);
  options.parent = parent_snapshot{found.id, std::move(found.snapshot)};
}

py::dict to_dict(const backup_result& result, bool dry_run, problem_collector& problems) {
  py::dict made;
  const bool stored = result.snapshot_id && !dry_run;
  made["snapshot_id"] = stored ? py::object(py::str(result.snapshot_id->hex())) : py::none();
  made["tree"] = result.snapshot.tree.hex();
  for (const auto& [name, counter] : snapshot_json::counters) made[name] = result.summary.*counter;
  made["errors"] = problems.list();
  return made;
}

/// Tells `progress` for the last time: what was done is now also all there was to do.
void tell_end(const py::object& progress, counting_observer& observer, const backup_result& result) {
  if (progress.is_none()) return;
  scan_totals all;
  all.files = std::max(observer.files.load(), result.summary.total_files_processed);
  all.bytes = std::max(observer.bytes.load(), result.summary.total_bytes_processed);
  observer.files = all.files;
  observer.bytes = all.bytes;
  observer.set_totals(all);
  progress(observer.progress());
}

py::dict run_backup(live_repository& live, const py::kwargs& chosen) {
  auto options = options_from(chosen);
  const auto parent = chosen_value<std::optional<std::string>>(chosen, "parent");
  const bool force = chosen_value<bool>(chosen, "force");
  const bool dry_run = chosen_value<bool>(chosen, "dry_run");
  const auto progress = py::object(chosen["progress"]);
  const auto excludes = excludes_from(chosen);
  options.excludes = excludes.patterns;
  options.with_atime = chosen_value<bool>(chosen, "with_atime");
  options.ignore_ctime = chosen_value<bool>(chosen, "ignore_ctime");
  options.ignore_inode = chosen_value<bool>(chosen, "ignore_inode");
  options.read_concurrency = chosen_value<unsigned>(chosen, "read_concurrency");

  counting_observer observer;
  options.targets = from_paths(chosen["targets"]);
  if (options.targets.empty()) throw error(error_code::invalid_argument, "nothing to back up: no targets were given");
  options.targets = keep_present(options.targets, [&](const std::string& path, const std::string& text) {
                      observer.problems.add(path, text);
                    }).present;
  const backup_filter filter(excludes, options.targets,
                             [&](const std::string&, const std::string& text) { live.warn(text); });
  options.excludes_path = [&](const std::string& path) { return filter.excludes_path(path); };
  options.excludes_entry = [&](const std::string& path, const struct stat& status) {
    return filter.excludes_entry(path, status);
  };

  const auto result = run_interruptible(
      [&](const std::stop_token& stop) {
        std::jthread scanner;  // walks beside the backup, so that progress has totals
        if (!progress.is_none())
          scanner = std::jthread([&, scanned = options](const std::stop_token& enough) {
            const auto totals = scan_targets(scanned, enough, live.cache_directory());
            if (!enough.stop_requested()) observer.set_totals(totals);
          });
        operation locked(live, dry_run ? lock_mode::none : lock_mode::shared, purpose::writing, stop, dry_run);
        return locked.run([&] {
          options.stop = locked.token();
          options.adopt_unindexed_packs = locked.is_locked();
          if (!force) choose_parent(locked.repo(), options, parent);
          locked.repo().refresh_index();
          return backup(locked.repo(), options, observer);
        });
      },
      [&] {
        if (!progress.is_none()) progress(observer.progress());
      });
  tell_end(progress, observer, result);
  return to_dict(result, dry_run, observer.problems);
}

/// Calls `readinto(buffer)` of a Python file, which sees our memory for the time of the call only.
std::size_t read_from(const py::object& readinto, byte_span into) {
  const py::gil_scoped_acquire acquire;
  const auto window = py::memoryview::from_memory(into.data(), static_cast<py::ssize_t>(into.size()));
  py::object count;
  try {
    count = readinto(window);
  } catch (...) {
    window.attr("release")();
    throw;
  }
  window.attr("release")();
  if (count.is_none()) throw py::value_error("the stream has nothing to read yet: it must be a blocking one");
  const auto got = count.cast<std::size_t>();
  if (got > into.size()) throw py::value_error("readinto() returned more than the buffer holds");
  return got;
}

py::dict run_stream_backup(live_repository& live, const py::object& readinto, const py::kwargs& chosen) {
  auto options = options_from(chosen);
  const auto parent = chosen_value<std::optional<std::string>>(chosen, "parent");
  const auto progress = py::object(chosen["progress"]);
  backup_stream stream;
  stream.path = from_path(chosen["path"]);
  options.targets = {clean_path("/" + stream.path)};
  stream.read = [&](byte_span into) { return read_from(readinto, into); };

  counting_observer observer;
  const auto result = run_interruptible(
      [&](const std::stop_token& stop) {
        operation locked(live, lock_mode::shared, purpose::writing, stop);
        return locked.run([&] {
          options.stop = locked.token();
          options.adopt_unindexed_packs = locked.is_locked();
          choose_parent(locked.repo(), options, parent);
          locked.repo().refresh_index();
          return backup(locked.repo(), options, stream, observer);
        });
      },
      [&] {
        if (!progress.is_none()) progress(observer.progress());
      });
  tell_end(progress, observer, result);
  return to_dict(result, false, observer.problems);
}

}  // namespace

void bind_backup(repository_class& bound) {
  bound.def("backup", &run_backup).def("backup_stream", &run_stream_backup, py::arg("readinto"));
}

}  // namespace recoup::python
