// Values that Python and the engine see differently: text that may not be UTF-8, times, ids.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>

namespace recoup::python {

namespace py = pybind11;

/// File names and messages that hold some, as os.fsdecode has them: bytes that are no text become lone surrogates, and
/// come back unchanged through `from_path`.
[[nodiscard]] py::str to_path_text(std::string_view text);

/// Text that was stored as JSON (hosts, tags), so UTF-8, with the same escape for what is not.
[[nodiscard]] py::str to_text(std::string_view text);

/// The reverse of to_text.
[[nodiscard]] std::string from_text(const py::handle& text);
[[nodiscard]] std::vector<std::string> from_texts(const py::handle& texts);

/// From str, bytes or os.PathLike.
[[nodiscard]] std::string from_path(const py::handle& path);
[[nodiscard]] std::vector<std::string> from_paths(const py::handle& paths);

[[nodiscard]] py::bytes to_bytes(byte_view content);

/// An aware datetime in the zone that was stored, cut to microseconds. Years that a datetime cannot have become the
/// first or last moment it can.
[[nodiscard]] py::object to_datetime(const timestamp& stamp);

/// From a datetime; a naive one is in local time.
[[nodiscard]] timestamp from_datetime(const py::object& time);

/// Since 1970. Of any size: 64 bits end in 2262, stored years do not.
[[nodiscard]] py::int_ to_nanoseconds(const timestamp& stamp);

/// Throws invalid_argument unless it is 64 hexadecimal digits.
[[nodiscard]] id parse_id(const std::string& text);

/// The argument `name` of a call. That it is there is up to our own Python; of which type it is, to our users.
template <class Value>
[[nodiscard]] Value chosen_value(const py::kwargs& chosen, const char* name) {
  const py::object given = chosen[name];
  try {
    return given.cast<Value>();
  } catch (const py::cast_error&) {
    throw py::type_error(std::string(name) + ": a value of type " + Py_TYPE(given.ptr())->tp_name + " does not fit");
  }
}

/// A password as the bytes of a Python str or bytes object, where they lie: our own copy would have to be wiped.
class password_view {
public:
  explicit password_view(const py::object& password);
  [[nodiscard]] std::string_view text() const noexcept { return text_; }

private:
  py::object held_;
  std::string_view text_;
};

/// A contiguous view of a Python object's memory, held until destruction. To be made and destroyed with the GIL.
class buffer_view {
public:
  enum class access { read, write };
  buffer_view(const py::handle& object, access wanted);
  buffer_view(const buffer_view&) = delete;
  buffer_view& operator=(const buffer_view&) = delete;
  ~buffer_view() { PyBuffer_Release(&view_); }

  [[nodiscard]] byte_span span() const noexcept {
    return {static_cast<std::uint8_t*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }

private:
  Py_buffer view_{};
};

}  // namespace recoup::python
