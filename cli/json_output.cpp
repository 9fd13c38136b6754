#include "json_output.hpp"

#include "format.hpp"

namespace recoup::cli {

namespace {

std::uint32_t type_bits(node_type type) {
  switch (type) {
    case node_type::dir: return go_mode::dir;
    case node_type::symlink: return go_mode::symlink;
    case node_type::dev: return go_mode::device;
    case node_type::chardev: return go_mode::device | go_mode::char_device;
    case node_type::fifo: return go_mode::named_pipe;
    case node_type::socket: return go_mode::socket;
    default: return 0;
  }
}

}  // namespace

std::string item_error_json(std::string_view message, std::string_view during, std::string_view item) {
  json_writer json;
  json.begin_object().field("message_type", "error");
  json.key("error").begin_object().field("message", message).end_object();
  return json.field("during", during).field("item", item).end_object().take();
}

std::string node_json(const walked_node& at) {
  const auto& of = at.node;
  json_writer json;
  json.begin_object().field("name", of.name).field("type", name_of(of.type)).field("path", at.path);
  json.field("uid", of.uid).field("gid", of.gid);
  if (of.type == node_type::file) json.field("size", of.size);
  if (of.mode != 0) json.field("mode", of.mode);
  json.field("permissions", format_mode(of.mode));
  json.field("mtime", of.mtime).field("atime", of.atime).field("ctime", of.ctime);
  if (of.inode != 0) json.field("inode", of.inode);
  return json.field("message_type", "node").field("struct_type", "node").end_object().take();
}

std::string node_line(const std::string& path, const node& of, bool long_format, bool human_readable) {
  if (!long_format) return path;
  const auto size = of.type == node_type::file ? of.size : 0;
  const auto shown = human_readable ? format_bytes(size) : formatted("%6llu", static_cast<unsigned long long>(size));
  auto line = formatted("%s %5u %5u %s %s ", format_mode(type_bits(of.type) | of.mode).c_str(), of.uid, of.gid,
                        shown.c_str(), format_local_time(of.mtime).c_str());
  line += path;
  if (of.type == node_type::symlink) line += " -> " + of.link_target;
  return line;
}

std::string describe(const found_snapshot& of) {
  return "snapshot " + of.id.short_hex() + " of " + bracketed(of.snapshot.paths) + " at " +
         format_full_time(of.snapshot.time) + " by " + of.snapshot.username + "@" + of.snapshot.hostname;
}

}  // namespace recoup::cli
