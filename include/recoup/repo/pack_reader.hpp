// Reads the header of a stored pack: what lies in it, without any index.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/pack_header.hpp>
#include <recoup/storage/backend.hpp>
#include <recoup/storage/load_verified.hpp>

namespace recoup {

/// Largest sealed header that is accepted, as restic does (internal/repository/pack/pack.go, MaxHeaderSize).
inline constexpr std::uint32_t max_pack_header_size = 16u << 20;

/// Checks the trailing length of a pack's header. Throws damaged if it cannot be right for a pack of `pack_size` bytes.
[[nodiscard]] inline std::uint32_t checked_header_length(const stored_file& pack, std::uint64_t pack_size,
                                                         const std::uint8_t* trailer) {
  const auto length = load_u32_le(trailer);
  constexpr std::uint32_t smallest = box_overhead + 37;
  if (length < smallest || length > max_pack_header_size || length + std::uint64_t{4} > pack_size)
    throw error(error_code::damaged, pack.describe() + ": its header claims to be " + std::to_string(length) +
                                         " bytes long, which cannot be in a file of " + std::to_string(pack_size) +
                                         " bytes; the pack is damaged or truncated");
  return length;
}

/// Opens the header of a pack that is in memory as a whole. Throws damaged.
[[nodiscard]] inline std::vector<packed_blob> read_pack_header(const stored_file& pack, byte_view content,
                                                               box& opener) {
  if (content.size() < 4)
    throw error(error_code::damaged, pack.describe() + ": only " + std::to_string(content.size()) + " bytes long");
  const auto length = checked_header_length(pack, content.size(), content.data() + content.size() - 4);
  try {
    const auto header = opener.open(content.subspan(content.size() - 4 - length, length));
    return decode_pack_header(header, content.size());
  } catch (const error& problem) {
    throw error(problem.code(), pack.describe() + ": header: " + problem.what());
  }
}

/// Reads the header from storage: one request for the usual pack, two for one with many blobs.
[[nodiscard]] inline std::vector<packed_blob> read_pack_header(backend& storage, const stored_file& pack,
                                                               std::uint64_t pack_size, box& opener) {
  // restic reads 15 entries' worth ahead; a 16 MiB pack of chunks has about that many, a pack of trees has hundreds.
  constexpr std::uint64_t eager = 4 + box_overhead + 200 * 41;
  if (pack_size < 4)
    throw error(error_code::damaged, pack.describe() + ": only " + std::to_string(pack_size) + " bytes long");
  return load_verified(storage, pack, [&] {
    bytes tail(static_cast<std::size_t>(std::min(eager, pack_size)));
    storage.load(pack, pack_size - tail.size(), tail);
    const auto length = checked_header_length(pack, pack_size, tail.data() + tail.size() - 4);
    if (length + std::size_t{4} > tail.size()) {
      tail.resize(length + std::size_t{4});
      storage.load(pack, pack_size - tail.size(), tail);
    }
    try {
      const auto header = opener.open(byte_view(tail).subspan(tail.size() - 4 - length, length));
      return decode_pack_header(header, pack_size);
    } catch (const error& problem) {
      throw error(problem.code(), pack.describe() + ": header: " + problem.what());
    }
  });
}

}  // namespace recoup
