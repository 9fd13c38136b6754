// The chunker over any buffer, without copying it.
#pragma once

#include <pybind11/pybind11.h>

namespace recoup::python {

void bind_chunking(pybind11::module_& module);

}  // namespace recoup::python
