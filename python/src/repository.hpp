// Opening and making repositories, finding snapshots, reading trees and files.
#pragma once

#include <pybind11/pybind11.h>

#include "live_repository.hpp"

namespace recoup::python {

using repository_class = pybind11::class_<live_repository>;

[[nodiscard]] repository_class bind_repository(pybind11::module_& module);

}  // namespace recoup::python
