#include "conversions.hpp"

#include <datetime.h>

#include <chrono>

#include <recoup/core/error.hpp>

namespace recoup::python {

namespace {

template <class Object>
[[nodiscard]] Object owned(PyObject* made) {
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<Object>(made);
}

/// PyDateTimeAPI is a static of this file.
void import_datetime() {
  if (PyDateTimeAPI == nullptr) PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) throw py::error_already_set();
}

template <class Convert>
[[nodiscard]] std::vector<std::string> convert_all(const py::handle& items, Convert&& convert) {
  std::vector<std::string> converted;
  for (const auto& item : items) converted.push_back(convert(item));
  return converted;
}

}  // namespace

py::str to_path_text(std::string_view text) {
  return owned<py::str>(PyUnicode_DecodeFSDefaultAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

py::str to_text(std::string_view text) {
  return owned<py::str>(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape"));
}

std::string from_text(const py::handle& text) {
  if (!PyUnicode_Check(text.ptr()))
    throw py::type_error("expected str, not " + std::string(Py_TYPE(text.ptr())->tp_name));
  return owned<py::bytes>(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogateescape"));
}

std::vector<std::string> from_texts(const py::handle& texts) { return convert_all(texts, from_text); }

std::string from_path(const py::handle& path) {
  PyObject* encoded = nullptr;
  if (PyUnicode_FSConverter(path.ptr(), &encoded) == 0) throw py::error_already_set();
  return py::reinterpret_steal<py::bytes>(encoded);
}

std::vector<std::string> from_paths(const py::handle& paths) { return convert_all(paths, from_path); }

py::bytes to_bytes(byte_view content) { return {reinterpret_cast<const char*>(content.data()), content.size()}; }

py::object to_datetime(const timestamp& stamp) {
  using namespace std::chrono;
  import_datetime();
  constexpr std::int32_t day = 86400;
  // A zone of a day or more is not one; what was stored is the instant all the same.
  const auto offset = stamp.zone_offset > -day && stamp.zone_offset < day ? stamp.zone_offset : 0;
  const auto delta = owned<py::object>(PyDelta_FromDSU(0, offset, 0));
  const auto zone = owned<py::object>(PyTimeZone_FromOffset(delta.ptr()));
  const auto make = [&](int year, unsigned month, unsigned day_of_month, std::int64_t second, int microsecond) {
    return owned<py::object>(PyDateTimeAPI->DateTime_FromDateAndTime(
        year, static_cast<int>(month), static_cast<int>(day_of_month), static_cast<int>(second / 3600),
        static_cast<int>(second / 60 % 60), static_cast<int>(second % 60), microsecond, zone.ptr(),
        PyDateTimeAPI->DateTimeType));
  };
  const auto shown = stamp.seconds + offset;
  const auto days_since = (shown >= 0 ? shown : shown - day + 1) / day;
  const year_month_day date{sys_days{days{days_since}}};
  const int year = static_cast<int>(date.year());
  if (year < 1) return make(1, 1, 1, 0, 0);
  if (year > 9999) return make(9999, 12, 31, day - 1, 999'999);
  return make(year, static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), shown - days_since * day,
              stamp.nanoseconds / 1000);
}

timestamp from_datetime(const py::object& time) {
  import_datetime();
  if (!PyDateTime_Check(time.ptr()))
    throw py::type_error("expected datetime.datetime, not " + std::string(Py_TYPE(time.ptr())->tp_name));
  const auto aware = time.attr("utcoffset")().is_none() ? time.attr("astimezone")() : time;
  const auto utc = py::reinterpret_borrow<py::object>(PyDateTime_TimeZone_UTC);
  const auto epoch = owned<py::object>(
      PyDateTimeAPI->DateTime_FromDateAndTime(1970, 1, 1, 0, 0, 0, 0, utc.ptr(), PyDateTimeAPI->DateTimeType));
  const py::object since = aware - epoch;
  const py::object offset = aware.attr("utcoffset")();
  const auto seconds_of = [](const py::object& delta) {
    return std::int64_t{PyDateTime_DELTA_GET_DAYS(delta.ptr())} * 86400 + PyDateTime_DELTA_GET_SECONDS(delta.ptr());
  };
  timestamp stamp;
  stamp.seconds = seconds_of(since);
  stamp.nanoseconds = PyDateTime_DELTA_GET_MICROSECONDS(since.ptr()) * 1000;
  stamp.zone_offset = static_cast<std::int32_t>(seconds_of(offset));
  return stamp;
}

py::int_ to_nanoseconds(const timestamp& stamp) {
  return py::int_(py::int_(stamp.seconds) * py::int_(1'000'000'000) + py::int_(stamp.nanoseconds));
}

id parse_id(const std::string& text) {
  const auto parsed = id::parse(text);
  if (!parsed) throw error(error_code::invalid_argument, "\"" + text + "\" is not an id of 64 hexadecimal digits");
  return *parsed;
}

password_view::password_view(const py::object& password) : held_(password) {
  Py_ssize_t length = 0;
  if (PyUnicode_Check(password.ptr())) {
    const char* text = PyUnicode_AsUTF8AndSize(password.ptr(), &length);
    if (text == nullptr) throw py::error_already_set();
    text_ = {text, static_cast<std::size_t>(length)};
  } else if (PyBytes_Check(password.ptr())) {
    text_ = {PyBytes_AS_STRING(password.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(password.ptr()))};
  } else {
    throw py::type_error("a password is str or bytes, not " + std::string(Py_TYPE(password.ptr())->tp_name));
  }
}

buffer_view::buffer_view(const py::handle& object, access wanted) {
  if (PyObject_GetBuffer(object.ptr(), &view_, wanted == access::write ? PyBUF_WRITABLE : PyBUF_SIMPLE) != 0)
    throw py::error_already_set();
}

}  // namespace recoup::python
