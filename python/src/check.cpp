#include <pybind11/stl.h>

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <recoup/ops/check.hpp>

#include "interruptible.hpp"
#include "operations.hpp"

namespace recoup::python {

namespace {

/// Texts in the order in which they came: a check tells of causes before their consequences.
class text_collector {
public:
  void add(const std::string& text) {
    const std::lock_guard lock(mutex_);
    texts_.push_back(text);
  }
  [[nodiscard]] py::list list() {
    const std::lock_guard lock(mutex_);
    py::list items;
    for (const auto& text : texts_) items.append(to_path_text(text));
    return items;
  }

private:
  std::mutex mutex_;
  std::vector<std::string> texts_;
};

class collecting_observer final : public check_observer {
public:
  void on_progress(check_phase phase, std::uint64_t done, std::uint64_t total) override {
    const std::lock_guard lock(mutex_);
    phase_ = phase, done_ = done, total_ = total;
  }
  void on_error(const std::string& text) override { errors.add(text); }
  void on_hint(const std::string& text) override { hints.add(text); }

  [[nodiscard]] py::dict progress() const {
    constexpr const char* names[] = {"index", "snapshots", "packs"};
    py::dict now;
    const std::lock_guard lock(mutex_);
    now["phase"] = names[static_cast<std::size_t>(phase_)];
    now["done"] = done_;
    now["total"] = total_;
    return now;
  }

  text_collector errors, hints;

private:
  mutable std::mutex mutex_;  // guards what follows
  check_phase phase_ = check_phase::index;
  std::uint64_t done_ = 0, total_ = 0;
};

py::list hex_list(const std::set<id>& ids) {
  py::list list;
  for (const auto& each : ids) list.append(each.hex());
  return list;
}

/// `fraction` of the packs is read: from 0 to 1.
py::dict run_check(live_repository& live, double fraction, const std::optional<std::vector<found_snapshot>>& snapshots,
                   const py::object& progress) {
  check_options options;
  if (!(fraction >= 0 && fraction <= 1))
    throw error(error_code::invalid_argument, "read_data is True, False, or a fraction from 0 to 1 such as 0.1");
  if (fraction == 1)
    options.read_data = all_packs{};
  else if (fraction > 0)
    options.read_data = pack_percentage{fraction * 100};
  options.snapshots = snapshots;

  collecting_observer observer;
  const auto result = run_interruptible(
      [&](const std::stop_token& stop) {
        operation locked(live, live.another_to_check(), live.locks().none ? lock_mode::none : lock_mode::exclusive,
                         purpose::reading, stop);
        return locked.run([&] {
          options.stop = locked.token();
          return check(locked.repo(), options, observer);
        });
      },
      [&] {
        if (!progress.is_none()) progress(observer.progress());
      });
  if (!progress.is_none()) progress(observer.progress());
  py::dict made;
  made["errors"] = observer.errors.list();
  made["hints"] = observer.hints.list();
  made["broken_packs"] = hex_list(result.broken_packs);
  made["broken_snapshots"] = hex_list(result.broken_snapshots);
  made["damaged_indexes"] = hex_list(result.damaged_indexes);
  made["unreferenced_packs"] = result.unreferenced_packs;
  made["suggest_repair_index"] = result.suggest_repair_index;
  made["suggest_prune"] = result.suggest_prune;
  return made;
}

}  // namespace

void bind_check(repository_class& bound) {
  bound.def("check", &run_check, py::arg("read_data"), py::arg("snapshots"), py::arg("progress"));
}

}  // namespace recoup::python
