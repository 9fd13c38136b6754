// Backup, restore, check and copy: the long operations, with progress.
#pragma once

#include <pybind11/pybind11.h>

#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "conversions.hpp"
#include "repository.hpp"

namespace recoup::python {

void bind_backup(repository_class& bound);
void bind_restore(repository_class& bound);
void bind_check(repository_class& bound);
void bind_copy(repository_class& bound);

/// Problems with single items, gathered from many threads: each once, and in an order that does not depend on them.
class problem_collector {
public:
  void add(const std::string& path, const std::string& message) {
    const std::lock_guard lock(mutex_);
    problems_.emplace(path, message);
  }

  /// A list of (path, message).
  [[nodiscard]] py::list list() {
    const std::lock_guard lock(mutex_);
    py::list items;
    for (const auto& [path, message] : problems_)
      items.append(py::make_tuple(to_path_text(path), to_path_text(message)));
    return items;
  }

private:
  std::mutex mutex_;
  std::set<std::pair<std::string, std::string>> problems_;
};

}  // namespace recoup::python
