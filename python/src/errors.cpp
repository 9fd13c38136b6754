#include "errors.hpp"

#include <array>
#include <exception>
#include <string>

#include <recoup/core/error.hpp>

#include "conversions.hpp"

namespace recoup::python {

namespace {

struct exception_class {
  error_code code;
  const char* name;
  const char* documentation;
};

constexpr std::array classes{
    exception_class{error_code::invalid_argument, "InvalidArgumentError",
                    "What was asked for makes no sense. Also a ValueError."},
    exception_class{error_code::not_found, "NotFoundError", "A file, snapshot or blob that does not exist."},
    exception_class{error_code::damaged, "DamagedError", "Stored bytes have a wrong hash, MAC, length or syntax."},
    exception_class{error_code::unsupported, "UnsupportedError", "Valid, but of a version or kind not known here."},
    exception_class{error_code::io, "StorageError", "The operating system or the server refused."},
    exception_class{error_code::access_denied, "AccessDeniedError",
                    "The operating system or the server does not allow it to this user."},
    exception_class{error_code::no_space, "NoSpaceError", "The disk or the quota is full."},
    exception_class{error_code::incomplete, "IncompleteError", "Done, but some of the input could not be read."},
    exception_class{error_code::repository_missing, "RepositoryMissingError", "There is no repository at this place."},
    exception_class{error_code::locked, "LockedError", "Somebody else holds a lock that excludes ours."},
    exception_class{error_code::wrong_password, "WrongPasswordError", "No key opens with this password."},
    exception_class{error_code::interrupted, "StoppedError", "The work was asked to stop."},
};

// Owned for as long as the process lives: the translator below may run while the interpreter shuts down.
PyObject* base = nullptr;
std::array<PyObject*, classes.size()> derived{};

PyObject* class_of(error_code code) {
  for (std::size_t i = 0; i < classes.size(); ++i)
    if (classes[i].code == code) return derived[i];
  return base;
}

PyObject* make_class(const char* name, const char* documentation, const py::handle& bases, error_code code) {
  const py::dict attributes;
  attributes["exit_code"] = exit_code(code);
  const auto qualified = std::string("recoup.") + name;
  auto* made = PyErr_NewExceptionWithDoc(qualified.c_str(), documentation, bases.ptr(), attributes.ptr());
  if (made == nullptr) throw py::error_already_set();
  return made;
}

void translate(std::exception_ptr thrown) {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const error& problem) {
    PyErr_SetObject(class_of(problem.code()), to_path_text(problem.what()).ptr());
  }
}

}  // namespace

void bind_errors(py::module_& module) {
  base = make_class("Error", "Something went wrong. `exit_code` is what the command would exit with.", PyExc_Exception,
                    error_code::failure);
  module.attr("Error") = py::handle(base);
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const auto& [code, name, documentation] = classes[i];
    py::object bases = py::reinterpret_borrow<py::object>(base);
    if (code == error_code::invalid_argument) bases = py::make_tuple(py::handle(base), py::handle(PyExc_ValueError));
    derived[i] = make_class(name, documentation, bases, code);
    module.attr(name) = py::handle(derived[i]);
  }
  py::register_local_exception_translator(&translate);
}

}  // namespace recoup::python
