// Opening and making repositories, finding snapshots, reading trees and files.
#pragma once

#include <pybind11/pybind11.h>

#include <recoup/ops/snapshots.hpp>

#include "live_repository.hpp"

namespace recoup::python {

using repository_class = pybind11::class_<live_repository>;

/// Lists of str, of lists of str, and of paths, which may be relative.
[[nodiscard]] snapshot_filter filter_from(const pybind11::object& hosts, const pybind11::object& tags,
                                          const pybind11::object& paths);

[[nodiscard]] repository_class bind_repository(pybind11::module_& module);

}  // namespace recoup::python
