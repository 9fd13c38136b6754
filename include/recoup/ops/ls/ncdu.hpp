// A listing in the format that ncdu loads (https://dev.yorhel.nl/ncdu/jsonfmt): [1,2,{snapshot},[{root},…,[{dir},…]]].
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <recoup/json/json_writer.hpp>
#include <recoup/ops/walk.hpp>
#include <recoup/repo/node.hpp>
#include <recoup/repo/snapshot.hpp>

namespace recoup {

/// Give it the nodes of `ls` in the order of names, with `with_leading`; put together, what its members return is the
/// export.
class ncdu_export {
public:
  [[nodiscard]] static std::string begin(const snapshot& of) {
    return "[1, 2, " + encode_snapshot(of) + ", [{\"name\":\"/\"}";
  }

  [[nodiscard]] std::string add(const walked_node& at) {
    std::string text = close_to(at.depth);
    const bool is_directory = at.node.type == node_type::dir;
    text.append(",\n").append(indent(open_ + 1));
    if (is_directory) text.append("[\n").append(indent(open_ + 2));
    append_entry(text, at.node);
    if (is_directory) ++open_;
    return text;
  }

  [[nodiscard]] std::string end() { return close_to(0) + "\n]\n]\n"; }

private:
  [[nodiscard]] static std::string indent(std::size_t levels) { return std::string(2 * levels, ' '); }

  /// Ends directories until `depth` of them are open.
  [[nodiscard]] std::string close_to(std::size_t depth) {
    std::string text;
    for (; open_ > depth; --open_) text.append("\n").append(indent(open_)).append("]");
    return text;
  }

  static void append_entry(std::string& to, const node& of) {
    constexpr std::uint64_t block = 512;
    const std::uint64_t size = of.type == node_type::file ? of.size : 0;
    const std::uint64_t blocks = size / block + (size % block != 0 ? 1 : 0);
    std::uint32_t mode = of.mode & go_mode::permissions;
    if ((of.mode & go_mode::setuid) != 0) mode |= 04000;
    if ((of.mode & go_mode::setgid) != 0) mode |= 02000;
    if ((of.mode & go_mode::sticky) != 0) mode |= 01000;
    json_writer json;
    json.begin_object().field("name", of.name).field("asize", size).field("dsize", blocks * block);
    json.field("dev", of.device_id).field("ino", of.inode).field("nlink", of.links);
    json.field("notreg", of.type != node_type::dir && of.type != node_type::file);
    json.field("uid", of.uid).field("gid", of.gid).field("mode", mode);
    // ncdu knows no times before 1970.
    json.field("mtime", of.mtime.seconds < 0 ? std::int64_t{0} : of.mtime.seconds).end_object();
    to.append(json.text());
  }

  std::size_t open_ = 0;  // directories, without the root
};

}  // namespace recoup
