// Entries of trees and snapshots, as read-only Python objects.
#pragma once

#include <pybind11/pybind11.h>

namespace recoup::python {

void bind_nodes(pybind11::module_& module);

}  // namespace recoup::python
