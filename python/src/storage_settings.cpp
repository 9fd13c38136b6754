#include "storage_settings.hpp"

#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "conversions.hpp"

namespace recoup::python {

/// The last copy of the function may also go on a thread of the engine's.
std::function<void(const std::string&)> warning_sink(const py::object& warn) {
  const auto shared = std::shared_ptr<py::object>(new py::object(warn), [](py::object* held) {
    const py::gil_scoped_acquire acquire;
    delete held;
  });
  return [shared](const std::string& message) {
    const py::gil_scoped_acquire acquire;
    try {
      (*shared)(to_path_text(message));
    } catch (py::error_already_set& problem) {
      problem.discard_as_unraisable("recoup's warnings");
    }
  };
}

backend_settings storage_settings_from(const py::kwargs& chosen) {
  backend_settings settings;
  settings.options = chosen_value<backend_options>(chosen, "options");
  settings.on_warning = warning_sink(chosen["warn"]);
  const auto network = chosen_value<py::kwargs>(chosen, "network");
  auto& http = settings.http;
  http.root_certificates = chosen_value<std::vector<std::string>>(network, "root_certificates");
  http.client_certificate = chosen_value<std::string>(network, "client_certificate");
  http.insecure_tls = chosen_value<bool>(network, "insecure_tls");
  http.upload_limit = chosen_value<std::uint64_t>(network, "upload_limit");
  http.download_limit = chosen_value<std::uint64_t>(network, "download_limit");
  http.stall_timeout = std::chrono::milliseconds(
      static_cast<std::int64_t>(chosen_value<double>(network, "stall_timeout") * 1000));
  if (auto name = chosen_value<std::string>(network, "user_agent"); !name.empty()) http.user_agent = std::move(name);
  return settings;
}

}  // namespace recoup::python
