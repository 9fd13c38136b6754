// Blobs and packs by number, and what an index says of them in a form that compares.
#pragma once

#include <recoup/hash/sha256.hpp>
#include <recoup/repo/blob_index.hpp>

#include <cstdint>
#include <tuple>

namespace recoup {

inline id name_of_number(std::uint64_t number) {
  return sha256({reinterpret_cast<const std::uint8_t*>(&number), sizeof number});
}

inline id pack_of_number(std::uint64_t number) { return name_of_number(std::uint64_t{1} << 40 | number); }

inline packed_blob blob_of(std::uint64_t number, blob_type type = blob_type::data, std::uint32_t offset = 0) {
  return {{type, name_of_number(number)},
          offset,
          static_cast<std::uint32_t>(number % 1000 + 32),
          number % 2 == 0 ? 77u : 0u};
}

/// Everything about an entry but the order of adding.
using index_entry = std::tuple<id, blob_type, id, std::uint32_t, std::uint32_t, std::uint32_t>;

inline index_entry entry_of(const id& pack, const packed_blob& blob) {
  return {blob.handle.id, blob.handle.type, pack, blob.offset, blob.length, blob.uncompressed_length};
}
inline index_entry entry_of(const blob_location& place) { return entry_of(place.pack, place.blob); }

}  // namespace recoup
