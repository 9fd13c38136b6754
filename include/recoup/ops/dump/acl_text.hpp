// POSIX ACLs as text: tar has them so, Linux stores them in attributes in a binary form (<linux/posix_acl_xattr.h>).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <recoup/core/bytes.hpp>

namespace recoup {

/// The long text form, with numbers for users and groups since names mean something else on another machine. Nothing if
/// the attribute is not one of version 2 in its full length.
[[nodiscard]] inline std::optional<std::string> acl_as_text(byte_view attribute) {
  constexpr std::size_t header = 4, entry = 8;  // version; tag u16, permissions u16, id u32
  if (attribute.size() < header || (attribute.size() - header) % entry != 0 || load_u32_le(attribute.data()) != 2)
    return std::nullopt;
  std::string text;
  for (auto rest = attribute.subspan(header); !rest.empty(); rest = rest.subspan(entry)) {
    const unsigned tag = rest[0] | unsigned{rest[1]} << 8;
    const unsigned permissions = rest[2] | unsigned{rest[3]} << 8;
    switch (tag) {
      case 0x01: text += "user:"; break;
      case 0x02: text += "user:" + std::to_string(load_u32_le(&rest[4])); break;
      case 0x04: text += "group:"; break;
      case 0x08: text += "group:" + std::to_string(load_u32_le(&rest[4])); break;
      case 0x10: text += "mask:"; break;
      case 0x20: text += "other:"; break;
      default: return std::nullopt;
    }
    text += ':';
    text += (permissions & 4) != 0 ? 'r' : '-';
    text += (permissions & 2) != 0 ? 'w' : '-';
    text += (permissions & 1) != 0 ? 'x' : '-';
    text += '\n';
  }
  return text;
}

}  // namespace recoup
