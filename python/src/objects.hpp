// Objects in a bucket as they are, for what is no repository: listing and reading them.
#pragma once

#include <pybind11/pybind11.h>

namespace recoup::python {

void bind_objects(pybind11::module_& module);

}  // namespace recoup::python
