#include <pybind11/stl.h>

#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/ops/copy.hpp>

#include "interruptible.hpp"
#include "operations.hpp"

namespace recoup::python {

namespace {

class collecting_observer final : public copy_observer {
public:
  void on_progress(copy_phase phase, std::uint64_t done, std::uint64_t total) override {
    const std::lock_guard lock(mutex_);
    phase_ = phase, done_ = done, total_ = total;
  }
  void on_error(const id& source, const error& problem) override { errors.add(source.hex(), problem.what()); }

  [[nodiscard]] py::dict progress() const {
    constexpr const char* names[] = {"source index", "destination index", "trees", "packs"};
    py::dict now;
    const std::lock_guard lock(mutex_);
    now["phase"] = names[static_cast<std::size_t>(phase_)];
    now["done"] = done_;
    now["total"] = total_;
    return now;
  }

  problem_collector errors;

private:
  mutable std::mutex mutex_;  // guards what follows
  copy_phase phase_ = copy_phase::source_index;
  std::uint64_t done_ = 0, total_ = 0;
};

/// Between two repositories, each under a lock of its own.
copy_result copy_locked(live_repository& from, live_repository& to, copy_options& options, copy_observer& observer,
                        const std::stop_token& stop) {
  operation source(from, from.locks().none ? lock_mode::none : lock_mode::shared, purpose::reading, stop);
  operation destination(to, lock_mode::shared, purpose::writing, stop);
  std::stop_source either;
  const std::function<void()> request_stop = [&either] { either.request_stop(); };
  const std::stop_callback with_source(source.token(), request_stop);
  const std::stop_callback with_destination(destination.token(), request_stop);
  options.stop = either.get_token();
  return source.run(
      [&] { return destination.run([&] { return copy(source.repo(), destination.repo(), options, observer); }); });
}

py::list pairs(const std::vector<copied_snapshot>& snapshots) {
  py::list list;
  for (const auto& each : snapshots) list.append(py::make_tuple(each.source.hex(), each.copy.hex()));
  return list;
}

py::dict run_copy(live_repository& from, live_repository& to, const std::vector<std::string>& snapshots,
                  const py::object& hosts, const py::object& tags, const py::object& paths, bool recompress,
                  const py::object& progress) {
  copy_options options;
  options.snapshots = snapshots;
  options.filter = filter_from(hosts, tags, paths);
  options.reuse_compressed = !recompress;
  options.adopt_unindexed_packs = true;

  collecting_observer observer;
  const auto result = run_interruptible(
      [&](const std::stop_token& stop) { return copy_locked(from, to, options, observer, stop); },
      [&] {
        if (!progress.is_none()) progress(observer.progress());
      });
  if (!progress.is_none()) progress(observer.progress());
  {
    const py::gil_scoped_release release;
    to.expect_news();
  }
  py::dict made;
  made["copied"] = pairs(result.copied);
  made["skipped"] = pairs(result.skipped);
  made["blobs"] = result.blobs;
  made["bytes_stored"] = result.bytes_stored;
  made["errors"] = observer.errors.list();
  return made;
}

}  // namespace

void bind_copy(repository_class& bound) {
  bound.def("copy", &run_copy, py::arg("destination"), py::arg("snapshots"), py::arg("hosts"), py::arg("tags"),
            py::arg("paths"), py::arg("recompress"), py::arg("progress"));
}

}  // namespace recoup::python
