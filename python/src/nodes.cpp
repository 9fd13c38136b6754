#include "nodes.hpp"

#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/node.hpp>
#include <recoup/repo/snapshot.hpp>

#include "conversions.hpp"

namespace recoup::python {

namespace {

py::object hex_or_none(const std::optional<id>& of) { return of ? py::object(py::str(of->hex())) : py::none(); }

py::list hex_ids(const node& entry) {
  py::list list;
  if (entry.content)
    for (const auto& each : *entry.content) list.append(each.hex());
  return list;
}

py::dict attributes_of(const node& entry) {
  py::dict attributes;
  for (const auto& each : entry.extended_attributes)
    attributes[to_path_text(each.name)] = each.value ? py::object(to_bytes(*each.value)) : py::none();
  return attributes;
}

/// The mode as os.stat has it, not as Go has it.
std::uint32_t posix_mode(const node& entry) {
  std::uint32_t mode = entry.mode & go_mode::permissions;
  if (entry.mode & go_mode::setuid) mode |= S_ISUID;
  if (entry.mode & go_mode::setgid) mode |= S_ISGID;
  if (entry.mode & go_mode::sticky) mode |= S_ISVTX;
  switch (entry.type) {
    case node_type::file: return mode | S_IFREG;
    case node_type::dir: return mode | S_IFDIR;
    case node_type::symlink: return mode | S_IFLNK;
    case node_type::dev: return mode | S_IFBLK;
    case node_type::chardev: return mode | S_IFCHR;
    case node_type::fifo: return mode | S_IFIFO;
    case node_type::socket: return mode | S_IFSOCK;
    default: return mode;
  }
}

py::object summary_of(const snapshot& of) {
  if (!of.summary) return py::none();
  py::dict summary;
  summary["backup_start"] = to_datetime(of.summary->backup_start);
  summary["backup_end"] = to_datetime(of.summary->backup_end);
  for (const auto& [name, counter] : snapshot_json::counters) summary[name] = *of.summary.*counter;
  return summary;
}

template <class Convert>
py::list texts(const std::vector<std::string>& from, Convert&& convert) {
  py::list list;
  for (const auto& text : from) list.append(convert(text));
  return list;
}

}  // namespace

void bind_nodes(py::module_& module) {
  py::class_<node>(module, "Node", "An entry of a directory in a snapshot: what the tree says about it.")
      .def_property_readonly("name", [](const node& n) { return to_path_text(n.name); })
      .def_property_readonly(
          "type", [](const node& n) { return name_of(n.type); },
          "\"file\", \"dir\", \"symlink\", \"dev\", \"chardev\", \"fifo\", \"socket\" or \"irregular\".")
      .def_property_readonly("mode", &posix_mode, "Type and permissions as in os.stat_result.st_mode.")
      .def_property_readonly(
          "mtime", [](const node& n) { return to_datetime(n.mtime); },
          "Cut to microseconds and to the years 1 to 9999; mtime_ns is exact.")
      .def_property_readonly("mtime_ns", [](const node& n) { return to_nanoseconds(n.mtime); })
      .def_property_readonly("atime_ns", [](const node& n) { return to_nanoseconds(n.atime); })
      .def_property_readonly("ctime_ns", [](const node& n) { return to_nanoseconds(n.ctime); })
      .def_readonly("uid", &node::uid)
      .def_readonly("gid", &node::gid)
      .def_property_readonly("user", [](const node& n) { return to_text(n.user); })
      .def_property_readonly("group", [](const node& n) { return to_text(n.group); })
      .def_readonly("inode", &node::inode)
      .def_readonly("device_id", &node::device_id, "Of the file system that the entry was on.")
      .def_readonly("device", &node::device, "Of a device node, as os.stat_result.st_rdev.")
      .def_readonly("size", &node::size, "Bytes; 0 unless it is a file.")
      .def_readonly("links", &node::links)
      .def_property_readonly(
          "link_target", [](const node& n) { return to_path_text(n.link_target); }, "Of a symlink.")
      .def_property_readonly("extended_attributes", &attributes_of)
      .def_property_readonly("content", &hex_ids, "Ids of a file's data blobs, in order.")
      .def_property_readonly(
          "subtree", [](const node& n) { return hex_or_none(n.subtree); }, "Id of a directory's tree.")
      .def(
          "__eq__", [](const node& a, const node& b) { return a == b; }, py::is_operator())
      .def("__hash__",
           [](const node& n) { return py::hash(py::make_tuple(py::bytes(n.name), n.inode, n.mtime.seconds)); })
      .def("__repr__", [](const node& n) {
        return py::str("<recoup.Node {} {!r}>").format(name_of(n.type), to_path_text(n.name));
      });

  py::class_<found_snapshot>(module, "SnapshotRecord", "A snapshot file's content, and its name.")
      .def_property_readonly("id", [](const found_snapshot& s) { return s.id.hex(); })
      .def_property_readonly("time", [](const found_snapshot& s) { return to_datetime(s.snapshot.time); })
      .def_property_readonly("tree", [](const found_snapshot& s) { return s.snapshot.tree.hex(); })
      .def_property_readonly("parent", [](const found_snapshot& s) { return hex_or_none(s.snapshot.parent); })
      .def_property_readonly("original", [](const found_snapshot& s) { return hex_or_none(s.snapshot.original); })
      .def_property_readonly("paths", [](const found_snapshot& s) { return texts(s.snapshot.paths, to_path_text); })
      .def_property_readonly("hostname", [](const found_snapshot& s) { return to_text(s.snapshot.hostname); })
      .def_property_readonly("username", [](const found_snapshot& s) { return to_text(s.snapshot.username); })
      .def_property_readonly("tags", [](const found_snapshot& s) { return texts(s.snapshot.tags, to_text); })
      .def_property_readonly("excludes",
                             [](const found_snapshot& s) { return texts(s.snapshot.excludes, to_path_text); })
      .def_property_readonly("program_version",
                             [](const found_snapshot& s) { return to_text(s.snapshot.program_version); })
      .def_property_readonly("summary", [](const found_snapshot& s) { return summary_of(s.snapshot); });
}

}  // namespace recoup::python
