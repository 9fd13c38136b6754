#include "repository.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <recoup/ops/file_reader.hpp>
#include <recoup/ops/find.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/tree.hpp>
#include <recoup/storage/open_backend.hpp>

#include "conversions.hpp"
#include "interruptible.hpp"
#include "storage_settings.hpp"

namespace recoup::python {

namespace {

repository_options options_from(const py::kwargs& chosen) {
  repository_options options;
  const auto mode = chosen_value<std::string>(chosen, "compression");
  const auto parsed = parse_compression(mode);
  if (!parsed)
    throw error(error_code::invalid_argument,
                "compression \"" + mode + "\" is not one of auto, off, fastest, better, max");
  options.mode = *parsed;
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  options.pack_size = chosen_value<std::size_t>(chosen, "pack_size");
  if (options.pack_size < 4 * mebibyte || options.pack_size > 128 * mebibyte)
    throw error(error_code::invalid_argument,
                "a pack has 4 to 128 MiB, not " + std::to_string(options.pack_size) + " bytes");
  options.extra_verify = chosen_value<bool>(chosen, "extra_verify");
  options.key_hint = chosen_value<std::string>(chosen, "key_hint");
  options.on_warning = warning_sink(chosen["warn"]);
  return options;
}

lock_settings locks_from(const py::kwargs& chosen) {
  lock_settings locks;
  locks.retry_for = std::chrono::seconds(chosen_value<std::int64_t>(chosen, "retry_lock"));
  locks.none = chosen_value<bool>(chosen, "no_lock");
  return locks;
}

cache_choice cache_from(const py::kwargs& chosen) {
  cache_choice cache;
  cache.use = chosen_value<bool>(chosen, "cache") ? cache_use::shared : cache_use::none;
  if (!chosen["cache_dir"].is_none()) cache.directory = from_path(chosen["cache_dir"]);
  cache.on_warning = warning_sink(chosen["warn"]);
  return cache;
}

/// What `open(std::shared_ptr<backend>)` opens or makes, with what is chosen for its use.
template <class Open>
std::unique_ptr<live_repository> connected(const py::kwargs& chosen, const std::string& place, Open&& open) {
  const auto connections =
      std::make_shared<storage_connections>([place, settings = storage_settings_from(chosen)](std::stop_token stop) {
        auto with_stop = settings;
        with_stop.stop = std::move(stop);
        return open_backend(place, with_stop);
      });
  auto locks = locks_from(chosen);
  auto cache = cache_from(chosen);
  const auto first = connections->take();
  return run_stopping(first->stop, [&] {
    return std::make_unique<live_repository>(connections, first, open(first->storage), locks, std::move(cache));
  });
}

std::unique_ptr<live_repository> init(const py::object& location, const py::object& password,
                                      const py::kwargs& chosen) {
  const auto place = from_path(location);
  const password_view secret(password);
  const auto options = options_from(chosen);
  create_options choice;
  choice.version = chosen_value<unsigned>(chosen, "version");
  choice.username = local_username();
  choice.hostname = local_hostname();
  if (const auto text = chosen_value<std::optional<std::string>>(chosen, "chunker_polynomial")) {
    choice.chunker_polynomial = polynomial::parse(*text);
    if (!choice.chunker_polynomial || !choice.chunker_polynomial->is_irreducible())
      throw error(error_code::invalid_argument, "\"" + *text + "\" is not an irreducible polynomial in hexadecimal");
  }
  // For tests only, which cannot spend half a second on each repository.
  if (chosen.contains("scrypt")) {
    const auto [n, r, p] = chosen_value<std::tuple<std::uint64_t, std::uint32_t, std::uint32_t>>(chosen, "scrypt");
    choice.kdf = scrypt_parameters{n, r, p};
  }
  return connected(chosen, place, [&](const std::shared_ptr<backend>& storage) {
    return repository::create(storage, secret.text(), choice, options);
  });
}

std::unique_ptr<live_repository> open(const py::object& location, const py::object& password,
                                      const py::kwargs& chosen) {
  const auto place = from_path(location);
  const password_view secret(password);
  const auto options = options_from(chosen);
  return connected(chosen, place, [&](const std::shared_ptr<backend>& storage) {
    return repository::open(storage, secret.text(), options);
  });
}

// --- snapshots ---

std::vector<found_snapshot> snapshots(live_repository& live, const py::object& hosts, const py::object& tags,
                                      const py::object& paths) {
  const auto filter = filter_from(hosts, tags, paths);
  return live.run([&](repository& repo) {
    std::vector<found_snapshot> found;
    for (auto& [name, value] : repo.load_snapshots([&](const id&unreadable, const error&problem) {
           repo.warn("snapshot " + unreadable.short_hex() + " is passed over: " + problem.what());
         }))
      if (filter.matches(value)) found.push_back({name, std::move(value), {}});
    live.expect_news();
    return found;
  });
}

found_snapshot snapshot_named(live_repository& live, const std::string& text, const py::object& hosts,
                              const py::object& tags, const py::object& paths) {
  const auto filter = filter_from(hosts, tags, paths);
  if (text.find(':') != text.npos)
    throw error(error_code::invalid_argument,
                "\"" + text + "\" names a folder too; give it apart, where a path or a subfolder is asked for");
  return live.run([&](repository& repo) {
    auto found = find_snapshot(repo, text, filter);
    live.expect_news();
    return found;
  });
}

// --- trees ---

std::vector<node> tree_of(live_repository& live, const std::string& tree) {
  const auto name = parse_id(tree);
  return live.read([&](const auto& repo, const auto&) { return decode_tree(repo->load_blob(blob_type::tree, name)); });
}

std::string subtree(live_repository& live, const std::string& tree, const py::object& folder) {
  const auto name = parse_id(tree);
  const auto path = from_path(folder);
  return live.read([&](const auto& repo, const auto&) { return find_subtree(*repo, name, path).hex(); });
}

/// The node that a path in a tree leads to.
node lookup(live_repository& live, const std::string& tree, const py::object& path) {
  const auto root = parse_id(tree);
  const auto cleaned = clean_path("/" + from_path(path));
  if (cleaned == "/") throw error(error_code::invalid_argument, "the root of a snapshot has no node");
  const auto slash = cleaned.rfind('/');
  const auto name = cleaned.substr(slash + 1);
  return live.read([&](const auto& repo, const auto&) {
    const auto directory = find_subtree(*repo, root, std::string_view(cleaned).substr(0, slash));
    auto nodes = decode_tree(repo->load_blob(blob_type::tree, directory));
    const auto at = std::ranges::find(nodes, name, &node::name);
    if (at == nodes.end()) throw error(error_code::not_found, "path " + cleaned + ": not found in the snapshot");
    return std::move(*at);
  });
}

py::list find(live_repository& live, const std::string& tree, const py::object& patterns, bool ignore_case,
              const py::object& oldest, const py::object& newest) {
  find_options options;
  options.patterns = from_paths(patterns);
  options.ignore_case = ignore_case;
  if (!oldest.is_none()) options.oldest = from_datetime(oldest);
  if (!newest.is_none()) options.newest = from_datetime(newest);
  const auto root = parse_id(tree);
  auto matches = live.search([&](const auto& repo, const auto& connection) {
    options.stop = connection->stop.get_token();
    std::vector<std::pair<std::string, node>> found;
    file_search(options).run(*repo, root, [&](walked_node& at) { found.emplace_back(at.path, std::move(at.node)); });
    return found;
  });
  py::list list;
  for (auto& [path, entry] : matches) list.append(py::make_tuple(to_path_text(path), std::move(entry)));
  return list;
}

// --- contents ---

py::bytes load_blob(live_repository& live, const std::string& type, const std::string& name) {
  if (type != "data" && type != "tree")
    throw error(error_code::invalid_argument, "a blob is of type data or tree, not \"" + type + "\"");
  const blob_handle handle{type == "data" ? blob_type::data : blob_type::tree, parse_id(name)};
  return to_bytes(live.read([&](const auto& repo, const auto&) { return repo->load_blob(handle); }));
}

/// Reads a file of a repository's, over another connection after one was cut off. Threads may share one.
class node_reader {
public:
  node_reader(live_repository& live, node entry) : live_(live), entry_(std::move(entry)) {
    static_cast<void>(opened());
  }

  [[nodiscard]] std::uint64_t size() { return opened().file->size(); }

  /// To be called with the GIL, which it reads without. Between pieces, and while storage does not answer, Ctrl-C gets
  /// its chance. Fewer bytes only at the end of the file.
  std::size_t read(std::uint64_t offset, byte_span into) {
    constexpr std::size_t piece = std::size_t{16} << 20;
    const auto [connection, file] = opened();
    std::size_t filled = 0;
    for (;;) {
      const auto wanted = into.subspan(filled, std::min(piece, into.size() - filled));
      const auto got = run_briefly_on(connection, [&] { return file->read(offset + filled, wanted); });
      filled += got;
      if (got < wanted.size() || filled == into.size()) return filled;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    }
  }

private:
  struct opened_file {
    std::shared_ptr<storage_connection> connection;
    std::shared_ptr<file_reader> file;
  };

  [[nodiscard]] opened_file opened() {
    {
      const std::lock_guard lock(mutex_);
      if (opened_.file && !opened_.connection->stop.stop_requested()) return opened_;
    }
    auto fresh = live_.read([&](const auto& repo, const auto& connection) {
      return opened_file{connection, std::make_shared<file_reader>(repo, entry_)};
    });
    const std::lock_guard lock(mutex_);
    return opened_ = std::move(fresh);
  }

  live_repository& live_;
  const node entry_;
  std::mutex mutex_;  // guards what follows; never held for long
  opened_file opened_;
};

std::unique_ptr<node_reader> open_node(live_repository& live, const node& entry) {
  return std::make_unique<node_reader>(live, entry);
}

std::size_t read_into(node_reader& file, std::uint64_t offset, const py::object& into) {
  const buffer_view target(into, buffer_view::access::write);
  return file.read(offset, target.span());
}

/// Up to `count` bytes, fewer only at the end of the file: straight into the object that is returned.
py::bytes read_bytes(node_reader& file, std::uint64_t offset, std::uint64_t count) {
  const auto size = file.size();
  const auto length = offset >= size ? 0 : std::min(count, size - offset);
  PyObject* made = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(length));
  if (made == nullptr) throw py::error_already_set();
  auto content = py::reinterpret_steal<py::bytes>(made);
  file.read(offset, {reinterpret_cast<std::uint8_t*>(PyBytes_AS_STRING(made)), length});
  return content;
}

}  // namespace

snapshot_filter filter_from(const py::object& hosts, const py::object& tags, const py::object& paths) {
  snapshot_filter filter;
  filter.hosts = from_texts(hosts);
  for (const auto& list : tags) filter.tags.push_back(from_texts(list));
  for (const auto& path : from_paths(paths)) filter.paths.push_back(absolute_path(path));
  return filter;
}

repository_class bind_repository(py::module_& module) {
  py::class_<node_reader>(module, "FileReader", "Random access to a file in a snapshot. Threads may share one.")
      .def_property_readonly("size", &node_reader::size)
      .def("readinto", &read_into, py::arg("offset"), py::arg("buffer"))
      .def("read", &read_bytes, py::arg("offset"), py::arg("count"));

  repository_class bound(module, "Repository", "An open repository.");
  const auto config = [](const live_repository& live) -> const repository_config& { return live.config(); };
  bound.def_property_readonly("id", [=](const live_repository& live) { return config(live).id; })
      .def_property_readonly("version", [=](const live_repository& live) { return config(live).version; })
      .def_property_readonly("chunker_polynomial",
                             [=](const live_repository& live) { return config(live).chunker_polynomial.hex(); })
      .def_property_readonly("location", [](const live_repository& live) { return to_path_text(live.location()); })
      .def_property_readonly("key_id", [](const live_repository& live) { return live.key_id().hex(); })
      .def("snapshots", &snapshots, py::arg("hosts"), py::arg("tags"), py::arg("paths"))
      .def("snapshot", &snapshot_named, py::arg("name"), py::arg("hosts"), py::arg("tags"), py::arg("paths"))
      .def("tree", &tree_of, py::arg("tree"))
      .def("subtree", &subtree, py::arg("tree"), py::arg("folder"))
      .def("lookup", &lookup, py::arg("tree"), py::arg("path"))
      .def("find", &find, py::arg("tree"), py::arg("patterns"), py::arg("ignore_case"), py::arg("oldest"),
           py::arg("newest"))
      .def("load_blob", &load_blob, py::arg("type"), py::arg("id"))
      .def("open_node", &open_node, py::arg("node"), py::keep_alive<0, 1>())
      .def(
          "unlock",
          [](live_repository& live, bool all) {
            return live.run([&](repository& repo) { return remove_locks(repo, all).removed; });
          },
          py::arg("all"));

  module.def("init", &init, py::arg("location"), py::arg("password"));
  module.def("open", &open, py::arg("location"), py::arg("password"));
  return bound;
}

}  // namespace recoup::python
