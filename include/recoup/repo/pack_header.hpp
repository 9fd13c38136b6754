// The header at the end of a pack, which says what the boxes before it hold (restic doc/design.rst, "Pack Format"):
//
//   box(blob 1) … box(blob n)  box(header)  length of box(header) as u32, little-endian
//   header = one entry per blob: type u8, length of its box u32, [uncompressed length u32], id
//   type   = 0 data, 1 tree; 2 and 3 the same compressed, and only these have the uncompressed length
//
// Here the header is plaintext; boxes are the business of whoever reads or writes the pack.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/repo/blob.hpp>

namespace recoup {

namespace pack_format {

inline constexpr std::size_t empty_box = 32;  ///< a box with nothing in it: IV and MAC
inline constexpr std::size_t length_field = 4;
inline constexpr std::size_t plain_entry = 1 + 4 + id::size;
inline constexpr std::size_t compressed_entry = plain_entry + 4;
/// One empty blob and its entry.
inline constexpr std::size_t smallest_pack = empty_box + plain_entry + empty_box + length_field;

[[nodiscard]] inline std::size_t entry_size(const packed_blob& blob) noexcept {
  return blob.is_compressed() ? compressed_entry : plain_entry;
}

/// What a header of these blobs adds to a pack: its box and the length field, bytes.
[[nodiscard]] inline std::size_t header_overhead(std::span<const packed_blob> blobs) noexcept {
  std::size_t total = empty_box + length_field;
  for (const auto& blob : blobs) total += entry_size(blob);
  return total;
}

}  // namespace pack_format

/// The header's plaintext. Offsets do not stand in it: blobs must come in the order in which they lie in the pack.
[[nodiscard]] inline bytes encode_pack_header(std::span<const packed_blob> blobs) {
  bytes header(pack_format::header_overhead(blobs) - pack_format::empty_box - pack_format::length_field);
  auto* to = header.data();
  for (const auto& blob : blobs) {
    *to++ = static_cast<std::uint8_t>(static_cast<unsigned>(blob.handle.type) + (blob.is_compressed() ? 2u : 0u));
    store_u32_le(to, blob.length), to += 4;
    if (blob.is_compressed()) store_u32_le(to, blob.uncompressed_length), to += 4;
    to = std::copy(blob.handle.id.value.begin(), blob.handle.id.value.end(), to);
  }
  return header;
}

/// The blobs that a header lists, with their offsets. Throws damaged unless they and the header fill a pack of
/// `pack_size` bytes exactly.
[[nodiscard]] inline std::vector<packed_blob> decode_pack_header(byte_view plaintext, std::uint64_t pack_size) {
  using namespace pack_format;
  const auto damaged = [](const std::string& why) {
    return error(error_code::damaged, "pack header is damaged: " + why);
  };

  std::vector<packed_blob> blobs;
  blobs.reserve(plaintext.size() / plain_entry);
  std::uint64_t offset = 0;
  for (auto rest = plaintext; !rest.empty();) {
    const unsigned type = rest[0];
    if (type > 3) throw damaged("blob type " + std::to_string(type));
    const std::size_t size = type < 2 ? plain_entry : compressed_entry;
    if (rest.size() < size) throw damaged("it ends within an entry");

    packed_blob blob;
    blob.handle.type = (type & 1) == 0 ? blob_type::data : blob_type::tree;
    blob.offset = static_cast<std::uint32_t>(offset);
    blob.length = load_u32_le(&rest[1]);
    if (blob.length < empty_box) throw damaged("a blob of " + std::to_string(blob.length) + " bytes");
    if (type >= 2) {
      blob.uncompressed_length = load_u32_le(&rest[5]);
      // 0 means "not compressed" everywhere else, and restic never compresses the empty blob.
      if (blob.uncompressed_length == 0) throw damaged("a compressed blob of no bytes");
    }
    std::copy_n(rest.begin() + static_cast<std::ptrdiff_t>(size - id::size), id::size, blob.handle.id.value.begin());
    offset += blob.length;
    if (offset > std::numeric_limits<std::uint32_t>::max()) throw damaged("it lists more than 4 GiB");
    blobs.push_back(blob);
    rest = rest.subspan(size);
  }
  if (blobs.empty()) throw damaged("it lists no blobs");
  const auto expected = offset + plaintext.size() + empty_box + length_field;
  if (expected != pack_size)
    throw damaged("what it lists makes " + std::to_string(expected) + " bytes, but the pack has " +
                  std::to_string(pack_size));
  return blobs;
}

}  // namespace recoup
