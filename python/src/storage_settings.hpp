// How storage is reached, as Python's callers say it: options as the command's -o, certificates, limits, and where warnings go.
#pragma once

#include <pybind11/pybind11.h>

#include <functional>
#include <string>

#include <recoup/storage/open_backend.hpp>

namespace recoup::python {

/// Calls a Python function from any thread of the engine's, where nothing may be thrown.
[[nodiscard]] std::function<void(const std::string&)> warning_sink(const pybind11::object& warn);

/// From the arguments `options`, `network` (of recoup.Network.settings) and `warn`.
[[nodiscard]] backend_settings storage_settings_from(const pybind11::kwargs& chosen);

}  // namespace recoup::python
