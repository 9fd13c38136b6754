// A pack under construction (restic.md section 2.6). It is hashed while it grows, beside the blobs that go into it, and
// handed to storage that takes it in pieces, so what is in memory is what came last.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/release_pages.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/pack_header.hpp>
#include <recoup/storage/growing_file.hpp>

namespace recoup {

/// Not thread-safe.
class pack_builder {
public:
  /// A header may hold 16 MiB; at 41 bytes an entry that is 400,000 blobs. Far fewer fit into a pack of any sensible
  /// size, but packs of millions of empty files' trees do exist.
  static constexpr std::size_t max_blobs = (16u << 20) / 41 - 1;

  explicit pack_builder(std::unique_ptr<growing_file> file) : file_(std::move(file)) {}

  /// Where the next blob's box is to be appended. What is there already must not be touched.
  [[nodiscard]] bytes& tail() noexcept { return file_->tail; }

  /// Tells that the last `length` bytes of the tail are the blob's box; `uncompressed_length` is 0 if it holds the blob as
  /// it is.
  void note(const blob_handle& handle, std::uint32_t length, std::uint32_t uncompressed_length) {
    blobs_.push_back({handle, static_cast<std::uint32_t>(size_), length, uncompressed_length});
    size_ += length;
  }

  void add(const blob_handle& handle, byte_view sealed, std::uint32_t uncompressed_length) {
    append(tail(), sealed);
    note(handle, static_cast<std::uint32_t>(sealed.size()), uncompressed_length);
  }

  /// Appends all blobs of another unfinished pack.
  void merge(const pack_builder& other) {
    bytes taken;
    other.file_->read_taken(taken);
    const auto shift = static_cast<std::uint32_t>(size_);
    append(tail(), taken);
    append(tail(), other.file_->tail);
    for (auto blob : other.blobs_) {
      blob.offset += shift;
      blobs_.push_back(blob);
    }
    size_ += other.size_;
  }

  /// Bytes so far, without the header.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return blobs_.empty(); }
  [[nodiscard]] bool is_full(std::size_t target_size) const noexcept {
    return size_ >= target_size || blobs_.size() >= max_blobs;
  }
  [[nodiscard]] std::span<const packed_blob> blobs() const noexcept { return blobs_; }

  [[nodiscard]] std::size_t unhashed() const noexcept { return file_->tail.size() - hashed_; }

  /// The next `at_most` bytes of the pack's own hash, for sha256_update beside other work; advance() tells that it is done.
  [[nodiscard]] sha256_job hashing(std::size_t at_most) noexcept {
    const auto rest = byte_view(file_->tail).subspan(hashed_);
    return {.state = &hash_, .data = rest.first(std::min(rest.size(), at_most))};
  }

  /// `count` more bytes were hashed. Once that is all and it is worth a write, storage may have them.
  void advance(std::size_t count) {
    hashed_ += count;
    if (hashed_ == file_->tail.size() && hashed_ >= worth_taking) hand_on();
  }

  /// Appends the sealed header and its length: the pack is then complete. Returns how many bytes that added.
  std::size_t finish(box& sealer) {
    const auto header = encode_pack_header(blobs_);
    const auto added = header.size() + box_overhead + sizeof(std::uint32_t);
    auto& end = file_->tail;
    end.resize(end.size() + added);
    sealer.seal(header, byte_span(end).last(added).first(header.size() + box_overhead));
    store_u32_le(end.data() + end.size() - sizeof(std::uint32_t), static_cast<std::uint32_t>(header.size() + box_overhead));
    size_ += added;
    return added;
  }

  /// The name of the complete pack. Called once.
  [[nodiscard]] id name() {
    id result;
    const auto rest = byte_view(file_->tail).subspan(hashed_);
    sha256_update(std::array{sha256_job{.state = &hash_, .data = rest, .name = &result}});
    hashed_ = file_->tail.size();
    return result;
  }

  void save(const stored_file& file) { file_->save(file); }

  /// The memory, for the next pack. This one is at its end.
  [[nodiscard]] bytes take_memory() noexcept { return std::move(file_->tail); }

private:
  /// Fewer bytes at a time would cost more in system calls than they save in memory.
  static constexpr std::size_t worth_taking = std::size_t{256} << 10;
  /// Some chunks at once make this much; pages beyond it were for a rare large chunk.
  static constexpr std::size_t usual_tail = std::size_t{6} << 20;

  void hand_on() {
    const auto touched = byte_span(file_->tail);
    file_->take_tail();
    if (!file_->tail.empty()) return;
    hashed_ = 0;
    if (touched.size() > usual_tail) release_pages(touched.subspan(usual_tail));
  }

  std::unique_ptr<growing_file> file_;
  std::vector<packed_blob> blobs_;
  std::size_t size_ = 0;
  std::size_t hashed_ = 0;  ///< bytes of the tail
  sha256_state hash_;
};

}  // namespace recoup
