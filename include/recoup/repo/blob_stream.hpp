// A large blob, piece by piece, for who has no memory for all of it.
//
//   recoup::blob_stream stream(*repo, {recoup::blob_type::tree, id});
//   for (recoup::byte_view piece; !(piece = stream.next()).empty();) use(piece);
//
// Nothing is handed out that has not been verified: the stored form is read, authenticated, decompressed and hashed to its
// end, and then read again. The second time it is only authenticated: what was changed in between throws, with the last
// piece at the latest.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <recoup/compress/zstd.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/blob_codec.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/load_verified.hpp>

namespace recoup {

/// Holds a codec of the repository, a piece of the stored form, and zstd's window. Not thread-safe.
class blob_stream {
public:
  /// Of the stored form, bytes.
  static constexpr std::size_t piece_size = std::size_t{256} << 10;

  /// Verifies the blob, trying each copy of it. Throws as repository::load_blob() does.
  blob_stream(repository& repo, const blob_handle& handle) : repo_(repo), codec_(repo.codecs().take()) {
    repo.with_intact_copy(handle, [this](const blob_location& place) { verify(place); });
    start();
  }

  /// What comes next, good until the next call; empty at the end.
  [[nodiscard]] byte_view next() {
    for (;;) {
      if (stream_)
        if (const auto got = stream_->next(); !got.empty()) return got;
      if (left_ == 0) return {};
      const auto plain = read_piece();
      if (!stream_) return plain;
      stream_->give(plain);
    }
  }

private:
  [[nodiscard]] stored_file pack() const {
    return {file_type::pack, place_.pack, place_.blob.handle.type == blob_type::tree};
  }

  void verify(const blob_location& place) {
    place_ = place;
    load_verified(repo_.storage(), pack(), [this] {
      start();
      sha256_stream hash;
      std::uint64_t length = 0;
      for (byte_view piece; length <= place_.blob.plaintext_length() && !(piece = next()).empty();) {
        hash.update(piece);
        length += piece.size();
      }
      if (length != place_.blob.plaintext_length() || (stream_ && !stream_->is_complete()))
        throw error(error_code::damaged, "its content has not the length that the index says");
      if (hash.finish() != place_.blob.handle.id) throw blob_codec::wrong_name(place_.blob.handle);
    });
  }

  void start() {
    if (place_.blob.length < box_overhead) throw error(error_code::damaged, "a stored blob is shorter than an empty one");
    load(place_.blob.offset, box_iv_size);
    verification_.emplace(codec_->box(), buffer_);
    decryption_.emplace(codec_->box(), buffer_);
    at_ = place_.blob.offset + std::uint64_t{box_iv_size};
    left_ = place_.blob.length - box_overhead;
    stream_.reset();
    if (place_.blob.is_compressed()) stream_.emplace(codec_->decompressor());
  }

  void load(std::uint64_t offset, std::size_t size) {
    buffer_.resize(size);
    repo_.storage().load(pack(), offset, buffer_);
  }

  /// The next piece of what the box holds. With the last one comes the tag.
  [[nodiscard]] byte_view read_piece() {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, piece_size));
    const bool is_last = size == left_;
    load(at_, size + (is_last ? box_tag_size : 0));
    const auto content = byte_span(buffer_).first(size);
    verification_->add(content);
    if (is_last) verification_->finish(byte_view(buffer_).last(box_tag_size));
    decryption_->next(content);
    at_ += size;
    left_ -= size;
    return content;
  }

  repository& repo_;
  codec_pool::lease codec_;
  blob_location place_{};
  std::uint64_t at_ = 0, left_ = 0;  ///< of the stored form: where the next piece begins, and bytes to come
  bytes buffer_;
  std::optional<box::verification> verification_;
  std::optional<box::decryption> decryption_;
  std::optional<decompressor::stream> stream_;
};

}  // namespace recoup
