// recoup::error as Python exceptions, one class for each code that a caller can act on.
#pragma once

#include <pybind11/pybind11.h>

namespace recoup::python {

void bind_errors(pybind11::module_& module);

}  // namespace recoup::python
