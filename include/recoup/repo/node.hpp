// One entry of a directory listing, as trees store it (restic doc/design.rst, "Trees and Data").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>

namespace recoup {

enum class node_type : std::uint8_t { file, dir, symlink, dev, chardev, fifo, socket, irregular, unknown };

/// "file", "dir", …; "" for unknown.
[[nodiscard]] constexpr const char* name_of(node_type type) noexcept {
  constexpr const char* names[] = {"file", "dir", "symlink", "dev", "chardev", "fifo", "socket", "irregular", ""};
  return names[static_cast<std::size_t>(type)];
}

/// Bits of Go's os.FileMode, which is what trees hold; the low nine are the permissions.
namespace go_mode {
inline constexpr std::uint32_t dir = 1u << 31, symlink = 1u << 27, device = 1u << 26, named_pipe = 1u << 25,
                               socket = 1u << 24, setuid = 1u << 23, setgid = 1u << 22, char_device = 1u << 21,
                               sticky = 1u << 20, irregular = 1u << 19, permissions = 0777;
}

struct extended_attribute {
  std::string name;
  std::optional<bytes> value;  ///< JSON null and the empty string are different

  [[nodiscard]] friend bool operator==(const extended_attribute&, const extended_attribute&) = default;
};

struct node {
  std::string name;  ///< raw bytes, not necessarily UTF-8
  node_type type = node_type::file;
  std::uint32_t mode = 0;  ///< go_mode bits
  timestamp mtime{}, atime{}, ctime{};
  std::uint32_t uid = 0, gid = 0;
  std::string user, group;
  std::uint64_t inode = 0, device_id = 0;
  std::uint64_t size = 0;  ///< bytes; files only
  std::uint64_t links = 0;
  std::string link_target;  ///< raw bytes; symlinks only
  std::vector<extended_attribute> extended_attributes;  ///< in the order the kernel listed them
  std::string generic_attributes;  ///< the JSON object as it stood, "" if there was none
  std::uint64_t device = 0;        ///< st_rdev; devices only
  std::optional<std::vector<id>> content;  ///< the file's data blobs in order; absent is JSON null
  std::optional<id> subtree;               ///< directories only
  std::string error;

  [[nodiscard]] friend bool operator==(const node&, const node&) = default;
};

}  // namespace recoup
