// A blob is the unit that is stored once: a chunk of a file, or the listing of a directory.
#pragma once

#include <cstdint>

#include <recoup/core/id.hpp>

namespace recoup {

enum class blob_type : std::uint8_t { data = 0, tree = 1 };

[[nodiscard]] constexpr const char* name_of(blob_type type) noexcept {
  return type == blob_type::data ? "data" : "tree";
}

/// Data and tree blobs with the same id are different things.
struct blob_handle {
  blob_type type = blob_type::data;
  recoup::id id{};

  [[nodiscard]] friend bool operator==(const blob_handle&, const blob_handle&) noexcept = default;
};

struct blob_handle_hash {
  [[nodiscard]] std::size_t operator()(const blob_handle& blob) const noexcept {
    return id_hash{}(blob.id) ^ static_cast<std::size_t>(blob.type);
  }
};

/// One blob as a pack's header and the index describe it.
struct packed_blob {
  blob_handle handle;
  std::uint32_t offset = 0;               ///< of its box in the pack, bytes
  std::uint32_t length = 0;               ///< of its box, bytes: 32 more than what is inside
  std::uint32_t uncompressed_length = 0;  ///< of the blob; 0 if it is stored uncompressed

  [[nodiscard]] bool is_compressed() const noexcept { return uncompressed_length != 0; }
  /// Length of the blob itself, bytes.
  [[nodiscard]] std::uint32_t plaintext_length() const noexcept {
    return is_compressed() ? uncompressed_length : length - 32;
  }
};

}  // namespace recoup
