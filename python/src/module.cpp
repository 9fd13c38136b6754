// The extension module recoup._engine: the engine as the Python package `recoup` needs it. Users import `recoup`.
#include <pybind11/pybind11.h>

#include <recoup/core/version.hpp>
#include <recoup/crypto/secret.hpp>

#include "chunking.hpp"
#include "errors.hpp"
#include "nodes.hpp"
#include "objects.hpp"
#include "operations.hpp"
#include "repository.hpp"

PYBIND11_MODULE(_engine, module) {
  using namespace recoup::python;
  module.doc() = "recoup's C++ engine; use the package `recoup`";
  recoup::initialise_sodium();
  module.attr("version") = recoup::library_version;
  bind_errors(module);
  bind_nodes(module);
  bind_chunking(module);
  bind_objects(module);
  auto repository = bind_repository(module);
  bind_backup(repository);
  bind_restore(repository);
  bind_check(repository);
  bind_copy(repository);
}
