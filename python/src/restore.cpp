#include <pybind11/stl.h>

#include <string>
#include <utility>

#include <recoup/ops/restore.hpp>
#include <recoup/ops/restore/selection.hpp>
#include <recoup/ops/snapshots.hpp>

#include "interruptible.hpp"
#include "operations.hpp"

namespace recoup::python {

namespace {

class collecting_observer final : public restore_observer {
public:
  explicit collecting_observer(const live_repository& repo) : repo_(repo) {}

  [[nodiscard]] bool wants_items() const override { return false; }
  void on_error(const std::string& path, const error& problem) override { problems.add(path, problem.what()); }
  void on_warning(const std::string& path, const std::string& message) override { repo_.warn(path + ": " + message); }

  [[nodiscard]] py::dict progress() const {
    py::dict now;
    now["files_done"] = counters.files_restored.load() + counters.files_skipped.load();
    now["bytes_done"] = counters.bytes_restored.load() + counters.bytes_skipped.load();
    now["total_files"] = counters.total_files.load();
    now["total_bytes"] = counters.total_bytes.load();
    return now;
  }

  problem_collector problems;

private:
  const live_repository& repo_;
};

restore_options options_from(const py::kwargs& chosen) {
  restore_options options;
  options.target = from_path(chosen["target"]);
  selection_patterns patterns;
  patterns.include = from_paths(chosen["include"]);
  patterns.insensitive_include = from_paths(chosen["iinclude"]);
  patterns.exclude = from_paths(chosen["exclude"]);
  patterns.insensitive_exclude = from_paths(chosen["iexclude"]);
  options.select = select_by_patterns(patterns);
  const auto mode = chosen_value<std::string>(chosen, "overwrite");
  const auto parsed = parse_overwrite_mode(mode);
  if (!parsed)
    throw error(error_code::invalid_argument,
                "overwrite \"" + mode + "\" is not one of always, if-changed, if-newer, never");
  options.overwrite = *parsed;
  options.dry_run = chosen_value<bool>(chosen, "dry_run");
  options.sparse = chosen_value<bool>(chosen, "sparse");
  options.delete_extra = chosen_value<bool>(chosen, "delete");
  options.verify = chosen_value<bool>(chosen, "verify");
  return options;
}

py::dict run_restore(live_repository& live, const std::string& tree, const py::object& folder,
                     const py::kwargs& chosen) {
  const auto root = parse_id(tree);
  const auto subfolder = from_path(folder);
  auto options = options_from(chosen);
  const auto progress = py::object(chosen["progress"]);

  collecting_observer observer(live);
  const auto result = run_interruptible(
      [&](const std::stop_token& stop) {
        operation locked(live, live.locks().none ? lock_mode::none : lock_mode::shared, purpose::reading, stop);
        return locked.run([&] {
          options.stop = locked.token();
          locked.repo().load_index();
          return restore(locked.repo(), find_subtree(locked.repo(), root, subfolder), options, observer);
        });
      },
      [&] {
        if (!progress.is_none()) progress(observer.progress());
      });
  if (!progress.is_none()) progress(observer.progress());
  py::dict made;
  made["total_files"] = result.total_files;
  made["files_restored"] = result.files_restored;
  made["files_skipped"] = result.files_skipped;
  made["files_deleted"] = result.files_deleted;
  made["total_bytes"] = result.total_bytes;
  made["bytes_restored"] = result.bytes_restored;
  made["bytes_skipped"] = result.bytes_skipped;
  made["files_verified"] = result.files_verified;
  made["errors"] = observer.problems.list();
  return made;
}

}  // namespace

void bind_restore(repository_class& bound) {
  bound.def("restore", &run_restore, py::arg("tree"), py::arg("subfolder"));
}

}  // namespace recoup::python
