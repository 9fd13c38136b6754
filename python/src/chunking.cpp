#include "chunking.hpp"

#include <string>

#include <recoup/chunker/chunker.hpp>
#include <recoup/core/error.hpp>
#include <recoup/hash/sha256.hpp>

#include "conversions.hpp"

namespace recoup::python {

namespace {

chunker make_chunker(const std::string& polynomial_text) {
  const auto parsed = polynomial::parse(polynomial_text);
  if (!parsed)
    throw error(error_code::invalid_argument, "\"" + polynomial_text + "\" is not a polynomial in hexadecimal");
  return chunker(*parsed);
}

std::size_t next_length(const chunker& cutter, const py::object& data, std::size_t offset) {
  const buffer_view view(data, buffer_view::access::read);
  if (offset > view.span().size())
    throw error(error_code::invalid_argument, "offset " + std::to_string(offset) + " is behind the end of the buffer");
  std::size_t scanned = 0;
  const py::gil_scoped_release release;
  return cutter.first_cut(view.span().subspan(offset), scanned, true);
}

std::string sha256_hex(const py::object& data) {
  const buffer_view view(data, buffer_view::access::read);
  const py::gil_scoped_release release;
  return sha256(view.span()).hex();
}

}  // namespace

void bind_chunking(py::module_& module) {
  py::class_<chunker>(module, "Chunker", "Cuts where restic does. Immutable: threads may share one.")
      .def(py::init(&make_chunker), py::arg("polynomial"))
      .def("next_length", &next_length, py::arg("data"), py::arg("offset"),
           "Length of the chunk that begins at an offset of a contiguous buffer, 0 at its end.");
  module.def("sha256", &sha256_hex, py::arg("data"));
}

}  // namespace recoup::python
