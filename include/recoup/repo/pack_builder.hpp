// A pack under construction, in memory from its first blob to its upload (restic.md section 2.6).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/pack_header.hpp>

namespace recoup {

/// Not thread-safe.
class pack_builder {
public:
  /// A header may hold 16 MiB; at 41 bytes an entry that is 400,000 blobs. Far fewer fit into a pack of any sensible
  /// size, but packs of millions of empty files' trees do exist.
  static constexpr std::size_t max_blobs = (16u << 20) / 41 - 1;

  /// `sealed` is the blob's box as it will lie in the pack; `uncompressed_length` is 0 if the box holds the blob as is.
  void add(const blob_handle& handle, byte_view sealed, std::uint32_t uncompressed_length) {
    blobs_.push_back({handle, static_cast<std::uint32_t>(content_.size()), static_cast<std::uint32_t>(sealed.size()),
                      uncompressed_length});
    append(content_, sealed);
  }

  /// Appends all blobs of another unfinished pack.
  void merge(const pack_builder& other) {
    const auto shift = static_cast<std::uint32_t>(content_.size());
    append(content_, other.content_);
    for (auto blob : other.blobs_) {
      blob.offset += shift;
      blobs_.push_back(blob);
    }
  }

  /// Takes memory for a whole pack at once. Only pages that are written to become real.
  void reserve(std::size_t size) { content_.reserve(size); }

  /// Bytes so far, without the header.
  [[nodiscard]] std::size_t size() const noexcept { return content_.size(); }
  [[nodiscard]] bool empty() const noexcept { return blobs_.empty(); }
  [[nodiscard]] bool is_full(std::size_t target_size) const noexcept {
    return content_.size() >= target_size || blobs_.size() >= max_blobs;
  }
  [[nodiscard]] std::span<const packed_blob> blobs() const noexcept { return blobs_; }

  /// Appends the sealed header and its length: the pack is then complete. Returns how many bytes that added.
  std::size_t finish(box& sealer) {
    const auto header = encode_pack_header(blobs_);
    const auto start = content_.size();
    content_.resize(start + header.size() + box_overhead + sizeof(std::uint32_t));
    sealer.seal(header, byte_span(content_).subspan(start, header.size() + box_overhead));
    store_u32_le(content_.data() + content_.size() - sizeof(std::uint32_t),
                 static_cast<std::uint32_t>(header.size() + box_overhead));
    return content_.size() - start;
  }

  [[nodiscard]] byte_view content() const noexcept { return content_; }

  /// Empties the builder, keeping its memory for the next pack.
  void clear() noexcept {
    content_.clear();
    blobs_.clear();
  }

private:
  bytes content_;
  std::vector<packed_blob> blobs_;
};

}  // namespace recoup
