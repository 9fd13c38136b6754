#include "objects.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <recoup/core/time.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/location.hpp>
#include <recoup/s3/object.hpp>
#include <recoup/storage/open_backend.hpp>

#include "conversions.hpp"
#include "interruptible.hpp"
#include "storage_settings.hpp"

namespace recoup::python {

namespace {

/// A client and what ends all that is under way through it.
struct connection {
  std::stop_source stop{};
  std::shared_ptr<s3_client> client{};
};

// --- one read ---

struct object_piece {
  bytes content{};
  std::uint64_t total = 0;  ///< of the whole object
  std::string etag{};       ///< as the server writes it, "" if it does not
};

/// "bytes 0-99/1000" -> 1000.
std::uint64_t total_of(const http_response& response, const std::string& where) {
  const auto* range = response.header("content-range");
  const auto slash = range == nullptr ? std::string::npos : range->rfind('/');
  if (slash == std::string::npos)
    throw error(error_code::io, where + ": the server gives a part of the object and does not say of how many bytes");
  return s3_object::parse_size(std::string_view(*range).substr(slash + 1), where);
}

/// A server may know no such names at all, so there can be no such object.
bool is_impossible_name(const s3_refusal& refusal) noexcept {
  constexpr std::array<std::string_view, 3> codes{"XMinioInvalidObjectName", "XMinioInvalidResourceName", "KeyTooLongError"};
  return is_one_of(refusal.code, codes);
}

/// Up to `count` bytes from `offset` on: fewer only at the object's end. With an `etag`, of that very object or not at all.
object_piece read_piece(s3_client& client, const object_name& object, std::uint64_t offset, std::uint64_t count,
                        const std::string& etag) {
  const auto where = "cannot read an object (" + describe(client.endpoint(), object.bucket, object.key) + ')';
  const auto replaced = [&] {
    return error(error_code::io, where + ": it was replaced while it was read; read it again from its beginning");
  };
  // A server that reads the last byte's number into 64 bits with a sign ignores a range beyond, and sends everything.
  constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();
  const auto last = offset + std::min(count - 1, std::max(offset, largest) - offset);
  object_piece found;
  auto request = s3_object::make_request("GET", object, "read an object");
  request.headers.push_back({"range", "bytes=" + std::to_string(offset) + '-' + std::to_string(last)});
  // Weak ones match nothing here (RFC 9110 section 13.1.1); then the answer's is compared all the same.
  if (!etag.empty() && !etag.starts_with("W/")) request.headers.push_back({"if-match", etag});
  request.content = &found.content;
  request.check = [&](const http_response& response) {
    const auto* tag = response.header("etag");
    found.etag = tag == nullptr ? std::string() : *tag;
    if (!etag.empty() && found.etag != etag) throw replaced();
    const bool is_part = response.status == 206;
    if (!is_part && (offset != 0 || response.received > count))
      throw error(error_code::unsupported, where + ": the server ignores ranges and sends whole objects only");
    found.total = is_part ? total_of(response, where) : response.received;
    const auto due = found.total <= offset ? 0 : std::min(last - offset + 1, found.total - offset);
    if (response.received == due) return std::string();
    return std::to_string(response.received) + " of " + std::to_string(due) + " bytes arrived";
  };
  try {
    client.send(request);
  } catch (const s3_error& problem) {
    const auto& refusal = problem.refusal();
    if (refusal.status == 412) throw replaced();
    if (is_impossible_name(refusal)) throw error(error_code::not_found, problem.what());
    if (refusal.status != 416) throw;
    // It begins after the end. How far that is off the answer says only where even the first byte is missing.
    return {{}, offset, {}};
  }
  return found;
}

// --- listing ---

void list_if_possible(s3_client& client, const std::string& bucket, const list_options& options,
                      const std::function<void(const listed_object&)>& visit,
                      const std::function<void(const std::string&)>& visit_prefix = {}) {
  try {
    list_objects(client, bucket, options, visit, visit_prefix);
  } catch (const s3_error& problem) {
    if (!is_impossible_name(problem.refusal())) throw;
  }
}

struct listing_entry {
  std::string key;
  std::uint64_t size;
  timestamp modified;
  std::string etag;
};

/// Hands over a listing a thousand objects at a time, and asks the server for no page before it is wanted. The engine's
/// loop over the pages stands still in between, on a thread of its own.
class object_listing {
public:
  /// `cut` is how much of each key belongs to the place.
  object_listing(std::shared_ptr<connection> through, std::string bucket, list_options options, std::size_t cut)
      : through_(std::move(through)), bucket_(std::move(bucket)), options_(std::move(options)), cut_(cut) {}
  object_listing(const object_listing&) = delete;
  object_listing& operator=(const object_listing&) = delete;

  ~object_listing() {
    {
      const std::lock_guard lock(mutex_);
      is_abandoned_ = true;
    }
    changed_.notify_all();
    // A request may be under way if the last wait was interrupted; its warnings need the GIL.
    const py::gil_scoped_release release;
    if (loop_.joinable()) loop_.join();
  }

  [[nodiscard]] const std::shared_ptr<connection>& through() const noexcept { return through_; }

  /// Empty at the end. Without the GIL.
  [[nodiscard]] std::vector<listing_entry> next() {
    std::unique_lock lock(mutex_);
    if (!loop_.joinable()) loop_ = std::thread([this] { run(); });
    is_wanted_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !is_wanted_ || is_over_; });
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    return std::exchange(batch_, {});
  }

private:
  struct abandoned {};

  void run() {
    std::exception_ptr failure;
    try {
      list_if_possible(*through_->client, bucket_, options_, [this](const listed_object& object) { take(object); });
    } catch (const abandoned&) {
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    is_over_ = true;
    failure_ = std::move(failure);
    changed_.notify_all();
  }

  void take(const listed_object& object) {
    // The marker of the place itself is no object in it.
    if (!object.key.starts_with(options_.prefix) || object.key.size() == cut_) return;
    const auto modified = parse_rfc3339(object.info.last_modified);
    if (!modified)
      throw error(error_code::io, "cannot list objects (" + describe(through_->client->endpoint(), bucket_, object.key) +
                                      "): the server gives \"" + object.info.last_modified + "\" as its time");
    std::unique_lock lock(mutex_);
    batch_.push_back({object.key.substr(cut_), object.info.size, *modified, object.info.etag});
    if (batch_.size() < most_at_once) return;
    is_wanted_ = false;
    changed_.notify_all();
    changed_.wait(lock, [this] { return is_wanted_ || is_abandoned_; });
    if (is_abandoned_) throw abandoned{};
  }

  static constexpr std::size_t most_at_once = 1000;  // a page of S3's

  const std::shared_ptr<connection> through_;
  const std::string bucket_;
  const list_options options_;
  const std::size_t cut_;
  std::thread loop_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<listing_entry> batch_;
  bool is_wanted_ = false, is_over_ = false, is_abandoned_ = false;
  std::exception_ptr failure_;
};

// --- a place in a bucket ---

/// Threads may share one: they share its connections, and as many requests are in flight as help.
class s3_objects {
public:
  s3_objects(const std::string& location, backend_settings settings)
      : where_(parse_s3_location(location)), settings_(std::move(settings)) {
    backend_option::check_names(settings_.options);
    through_ = connect();
  }

  [[nodiscard]] std::string location() const { return where_.to_string(); }

  /// Calls `work(s3_client&)` without the GIL. Ctrl-C ends everything that is under way in this place, in all threads: the
  /// engine's client stops as a whole. What comes afterwards begins with a new client.
  template <class Work>
  auto run(Work&& work) {
    const auto through = current();
    return run_stopping(through->stop, [&] { return work(*through->client); });
  }

  [[nodiscard]] std::unique_ptr<object_listing> list(const py::object& prefix) {
    auto options = options_for(from_text(prefix));
    return std::make_unique<object_listing>(current(), where_.bucket, std::move(options), where_.key({}).size());
  }

  [[nodiscard]] std::vector<std::string> directories(const std::string& prefix) {
    auto options = options_for(prefix);
    options.delimiter = "/";
    return run([&](s3_client& client) {
      std::vector<std::string> found;
      const auto start = options.prefix.size();
      const auto visit = [&](const std::string& directory) {
        if (directory.starts_with(options.prefix) && directory.size() > start)
          found.push_back(directory.substr(start, directory.size() - start - 1));
      };
      list_if_possible(client, where_.bucket, options, [](const listed_object&) {}, visit);
      return found;
    });
  }

  [[nodiscard]] object_piece read(const std::string& key, std::uint64_t offset, std::uint64_t count, const std::string& etag) {
    // Without a key the request would be one for the bucket's listing.
    if (key.empty()) throw error(error_code::invalid_argument, "an object's key is not empty");
    if (count == 0) throw error(error_code::invalid_argument, "read at least one byte");
    return run([&](s3_client& client) {
      return read_piece(client, {where_.bucket, where_.key(key)}, offset, count, etag);
    });
  }

  [[nodiscard]] std::string repository_location(const std::string& prefix) const {
    auto inside = where_;
    inside.prefix = where_.key(prefix);
    while (inside.prefix.ends_with('/')) inside.prefix.pop_back();
    auto text = inside.to_string();
    if (parse_s3_location(text) == inside) return text;
    throw error(error_code::invalid_argument, "no repository can lie below \"" + go_quoted(prefix) +
                                                  "\": in a repository's location // and segments . and .. are resolved");
  }

  /// Ends what is under way, in all threads; nothing more can be asked for.
  void close() {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    through_->stop.request_stop();
  }

private:
  [[nodiscard]] list_options options_for(const std::string& prefix) const {
    list_options options;
    options.prefix = where_.key(prefix);
    options.use_version_1 = parse_s3_settings(settings_.options, where_).list_objects_v1;
    return options;
  }

  [[nodiscard]] std::shared_ptr<connection> connect() const {
    auto made = std::make_shared<connection>();
    auto settings = settings_;
    settings.stop = made->stop.get_token();
    made->client = open_s3_client(where_, settings);
    return made;
  }

  [[nodiscard]] std::shared_ptr<connection> current() {
    const py::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    if (is_closed_) throw error(error_code::invalid_argument, "the objects of " + location() + " cannot be read: closed");
    if (through_->stop.stop_requested()) through_ = connect();
    return through_;
  }

  const s3_location where_;
  const backend_settings settings_;

  std::mutex mutex_;  // guards what follows
  std::shared_ptr<connection> through_;
  bool is_closed_ = false;
};

std::unique_ptr<s3_objects> open_objects(const py::object& location, const py::kwargs& chosen) {
  return std::make_unique<s3_objects>(from_path(location), storage_settings_from(chosen));
}

py::list next_of(object_listing& listing) {
  const auto entries = run_stopping(listing.through()->stop, [&] { return listing.next(); });
  py::list found;
  for (const auto& [key, size, modified, etag] : entries)
    found.append(py::make_tuple(to_text(key), size, to_datetime(modified), etag.empty() ? py::object(py::none()) : to_text(etag)));
  return found;
}

py::list directories_of(s3_objects& objects, const py::object& prefix) {
  py::list found;
  for (const auto& name : objects.directories(from_text(prefix))) found.append(to_text(name));
  return found;
}

py::tuple read_of(s3_objects& objects, const py::object& key, std::uint64_t offset, std::uint64_t count,
                  const py::object& etag) {
  const auto found = objects.read(from_text(key), offset, count, from_text(etag));
  return py::make_tuple(to_bytes(found.content), found.total, to_text(found.etag));
}

}  // namespace

void bind_objects(py::module_& module) {
  py::class_<object_listing>(module, "ObjectListing", "A listing under way. Not for several threads at once.")
      .def("next", &next_of, "(key, size, modified, etag) of the next objects; empty at the end.");

  py::class_<s3_objects>(module, "S3Objects", "A place in a bucket. Threads may share one.")
      .def_property_readonly("location", [](const s3_objects& objects) { return to_text(objects.location()); })
      .def("list", &s3_objects::list, py::arg("prefix"))
      .def("directories", &directories_of, py::arg("prefix"))
      .def("read", &read_of, py::arg("key"), py::arg("offset"), py::arg("count"), py::arg("etag"),
           "(bytes, size of the whole object, its ETag); at or after the end: no bytes, and at most the offset as size.")
      .def(
          "repository_location",
          [](const s3_objects& objects, const py::object& prefix) {
            return to_text(objects.repository_location(from_text(prefix)));
          },
          py::arg("prefix"))
      .def("close", [](s3_objects& objects) {
        const py::gil_scoped_release release;
        objects.close();
      });

  module.def("open_objects", &open_objects, py::arg("location"));
}

}  // namespace recoup::python
