// What archives say about an entry.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <recoup/core/bytes.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

using byte_sink = std::function<void(byte_view)>;

/// The bits below 010000 of a Unix mode: permissions, setuid, setgid, sticky.
[[nodiscard]] constexpr std::uint32_t unix_permissions(std::uint32_t mode) noexcept {
  return (mode & go_mode::permissions) | ((mode & go_mode::setuid) != 0 ? 04000u : 0u) |
         ((mode & go_mode::setgid) != 0 ? 02000u : 0u) | ((mode & go_mode::sticky) != 0 ? 01000u : 0u);
}

/// Relative, with "/" at the end of directories.
[[nodiscard]] inline std::string archive_name(const std::string& path, const node& of) {
  auto name = path.substr(path.find_first_not_of('/'));
  if (of.type == node_type::dir) name += '/';
  return name;
}

}  // namespace recoup
