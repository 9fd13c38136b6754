// Between a blob and its stored form: compress and seal, open and decompress, and check the name on both ways.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <recoup/compress/incompressible.hpp>
#include <recoup/compress/zstd.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/release_pages.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/blob.hpp>

namespace recoup {

struct codec_options {
  unsigned version = 2;  ///< of the repository format; version 1 knows no compression
  compression mode = compression::automatic;
  /// Open each sealed blob again and compare before it is stored. Costs a decryption and a decompression, and has
  /// caught failing memory in the field (restic #4529).
  bool extra_verify = true;
};

/// A blob out of its box. Both views are valid until the codec that opened it is used again, or what was sealed is
/// overwritten.
struct opened_blob {
  byte_view content;
  byte_view compressed{};  ///< the form in which the content was stored; empty if that was the content itself
};

/// Holds cipher and compression contexts and scratch memory: one per thread, not thread-safe.
class blob_codec {
public:
  blob_codec(const box_key& key, const codec_options& options)
      : options_(options), box_(key), compressor_(options.mode) {}

  /// Appends the stored form of a blob to `to`; returns the length that the pack's header has to tell, 0 if the blob was
  /// not compressed. Trees are always compressed in version 2, data unless compression is off or it is long and would not
  /// get shorter. If it throws, `to` is as it was.
  ///
  /// A compressed form that comes with a blob, out of another repository, is taken over where this codec would compress too
  /// and has not been told how hard to try: compressing takes longer than all the rest, and nothing has to be believed of
  /// the form but that it decompressed to this content.
  [[nodiscard]] std::uint32_t seal(const blob_handle& handle, const opened_blob& blob, bytes& to) {
    if (blob.content.size() > max_blob_size)
      throw error(error_code::unsupported, std::string(name_of(handle.type)) + " blob of " +
                                               std::to_string(blob.content.size()) +
                                               " bytes: the format holds at most 4 GiB in one blob");
    const auto start = to.size();
    try {
      const bool asked_for_a_level = options_.mode != compression::automatic && options_.mode != compression::off;
      if (!compresses(handle.type) || blob.content.empty()) return seal_as_it_is(handle, blob.content, to);
      // Nobody who asks for a level wants the last percent to depend on samples.
      const bool samples_decide = !asked_for_a_level || options_.mode == compression::fastest;
      if (samples_decide && may_stay_as_it_is(handle.type, blob.content) && is_incompressible_(blob.content))
        return seal_as_it_is(handle, blob.content, to);
      const bool take_over = !blob.compressed.empty() && !asked_for_a_level;
      return take_over ? seal_compressed(handle, blob, to) : seal_compressing(handle, blob.content, to);
    } catch (...) {
      to.resize(start);
      throw;
    }
  }

  /// Opens a stored blob into `into`. Throws damaged if the MAC, the length or the hash is wrong.
  void open(const packed_blob& blob, byte_view sealed, bytes& into) {
    (void)decode(blob, sealed, [&into](std::size_t size) {
      into.resize(size);
      return byte_span(into);
    });
    check_name(blob.handle, into);
  }

  /// The same in less memory: `sealed` is overwritten, and the result lies there or, if it had to be decompressed, in
  /// the codec until its next call.
  [[nodiscard]] opened_blob open_in_place(const packed_blob& blob, byte_span sealed) {
    opened_blob result;
    result.content = decode_in_place(blob, sealed, [this](std::size_t size) {
      opened_.resize(size);
      return byte_span(opened_);
    });
    if (blob.is_compressed()) result.compressed = sealed.subspan(box_iv_size, sealed.size() - box_overhead);
    check_name(blob.handle, result.content);
    return result;
  }

  /// Opens without checking the name. `room(size)` gives the memory for the content.
  template <class Room>
  [[nodiscard]] byte_span decode(const packed_blob& blob, byte_view sealed, Room&& room) {
    if (sealed.size() < box_overhead) throw error(error_code::damaged, "a stored blob is shorter than an empty one");
    if (!blob.is_compressed()) {
      const byte_span into = room(sealed.size() - box_overhead);
      box_.open(sealed, into);
      return into;
    }
    frame_.resize(sealed.size() - box_overhead);
    box_.open(sealed, frame_);
    const byte_span into = room(blob.uncompressed_length);
    decompressor_.decompress(frame_, into);
    return into;
  }

  /// As decode(), but what is stored as it is ends up in the place of its box, and no room is asked for.
  template <class Room>
  [[nodiscard]] byte_view decode_in_place(const packed_blob& blob, byte_span sealed, Room&& room) {
    const byte_view plaintext = box_.open_in_place(sealed);
    if (!blob.is_compressed()) return plaintext;
    const byte_span into = room(blob.uncompressed_length);
    decompressor_.decompress(plaintext, into);
    return into;
  }

  [[nodiscard]] static error wrong_name(const blob_handle& handle) {
    return {error_code::damaged, std::string(name_of(handle.type)) + " blob " + handle.id.short_hex() +
                                     ": its content does not have the hash it is named by"};
  }

  /// True if the sealed form opens to the expected content. `uncompressed_length` is 0 if it was not compressed.
  [[nodiscard]] bool opens_to(byte_view sealed, std::uint32_t uncompressed_length, byte_view expected) {
    try {
      if (uncompressed_length == 0) return holds(sealed, expected);
      return expected.size() <= usual_chunk_memory ? decompresses_to(sealed, expected)
                                                   : decompresses_in_pieces_to(sealed, expected);
    } catch (const error&) {
      return false;
    }
  }

  [[nodiscard]] recoup::box& box() noexcept { return box_; }
  [[nodiscard]] recoup::compressor& compressor() noexcept { return compressor_; }
  [[nodiscard]] recoup::decompressor& decompressor() noexcept { return decompressor_; }

private:
  /// Memory for the plaintext of a box while it is compared: it stays in the first-level cache with what it is compared to.
  static constexpr std::size_t piece_size = std::size_t{16} << 10;

  [[nodiscard]] std::uint32_t seal_as_it_is(const blob_handle& handle, byte_view content, bytes& to) {
    const auto start = to.size();
    to.resize(start + content.size() + box_overhead);
    box_.seal(content, byte_span(to).subspan(start));
    verify(handle, byte_view(to).subspan(start), 0, content);
    return 0;
  }

  [[nodiscard]] std::uint32_t seal_compressed(const blob_handle& handle, const opened_blob& blob, bytes& to) {
    (void)seal_as_it_is(handle, blob.compressed, to);
    return static_cast<std::uint32_t>(blob.content.size());
  }

  /// Compresses to where the ciphertext goes, and encrypts there.
  [[nodiscard]] std::uint32_t seal_compressing(const blob_handle& handle, byte_view content, bytes& to) {
    const auto start = to.size();
    to.resize(start + box_iv_size + compressor::bound(content.size()) + box_tag_size);
    const auto length = compressor_.compress(content, byte_span(to).subspan(start + box_iv_size));
    if (length >= content.size() && may_stay_as_it_is(handle.type, content)) {
      to.resize(start);
      return seal_as_it_is(handle, content, to);
    }
    to.resize(start + length + box_overhead);
    const auto box = byte_span(to).subspan(start);
    box_.seal(box.subspan(box_iv_size, length), box);
    const auto uncompressed_length = static_cast<std::uint32_t>(content.size());
    verify(handle, box, uncompressed_length, content);
    return uncompressed_length;
  }

  void verify(const blob_handle& handle, byte_view box, std::uint32_t uncompressed_length, byte_view content) {
    if (options_.extra_verify && !opens_to(box, uncompressed_length, content)) throw sealed_wrongly(handle);
  }

  /// Piece by piece, and no memory is needed for the whole.
  [[nodiscard]] bool holds(byte_view sealed, byte_view expected) {
    if (sealed.size() != expected.size() + box_overhead) return false;
    bool is_equal = true;
    opened_.resize(std::min(piece_size, sealed.size()));
    box_.open_in_pieces(sealed, opened_, [&](byte_view piece) {
      is_equal = is_equal && std::memcmp(piece.data(), expected.data(), piece.size()) == 0;
      expected = expected.subspan(piece.size());
    });
    return is_equal;
  }

  [[nodiscard]] bool decompresses_to(byte_view sealed, byte_view expected) {
    if (sealed.size() < box_overhead) return false;
    opened_.resize(sealed.size() - box_overhead);
    box_.open(sealed, opened_);
    decompressed_.resize(expected.size());
    decompressor_.decompress(opened_, decompressed_);
    return std::ranges::equal(decompressed_, expected);
  }

  [[nodiscard]] bool decompresses_in_pieces_to(byte_view sealed, byte_view expected) {
    decompressor::comparison comparison(decompressor_, expected);
    opened_.resize(std::min(piece_size, sealed.size()));
    box_.open_in_pieces(sealed, opened_, [&](byte_view piece) { comparison.add(piece); });
    return comparison.is_equal();
  }

  /// Short blobs are compressed whatever comes of it, as restic does, whose `stats` counts what is not.
  [[nodiscard]] static bool may_stay_as_it_is(blob_type type, byte_view content) noexcept {
    return type == blob_type::data && content.size() >= incompressibility_test::least;
  }

  [[nodiscard]] bool compresses(blob_type type) const noexcept {
    return options_.version >= 2 && (type == blob_type::tree || options_.mode != compression::off);
  }

  static error sealed_wrongly(const blob_handle& handle) {
    return {error_code::damaged,
            std::string(name_of(handle.type)) + " blob " + handle.id.short_hex() +
                ": what was encrypted does not decrypt to what went in; nothing was stored. This is a hardware problem: "
                "test the memory of this machine before you back up again"};
  }

  static constexpr std::size_t max_blob_size = UINT32_MAX - (64u << 20);  // leaves room for expansion and box

  static void check_name(const blob_handle& handle, byte_view content) {
    if (sha256(content) != handle.id) throw wrong_name(handle);
  }

  codec_options options_;
  recoup::box box_;
  recoup::compressor compressor_;
  recoup::decompressor decompressor_;
  incompressibility_test is_incompressible_;
  bytes frame_, opened_, decompressed_;
};

/// Lends codecs to threads: as many exist as were ever in use at once.
class codec_pool {
public:
  class lease {
  public:
    lease(codec_pool& pool, std::unique_ptr<blob_codec> codec) : pool_(&pool), codec_(std::move(codec)) {}
    lease(lease&&) = default;
    lease& operator=(lease&&) = delete;
    ~lease() {
      if (codec_) pool_->give_back(std::move(codec_));
    }
    blob_codec& operator*() const noexcept { return *codec_; }
    blob_codec* operator->() const noexcept { return codec_.get(); }

  private:
    codec_pool* pool_;
    std::unique_ptr<blob_codec> codec_;
  };

  codec_pool(const box_key& key, const codec_options& options) : key_(key), options_(options) {}

  [[nodiscard]] lease take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto codec = std::move(idle_.back());
        idle_.pop_back();
        return {*this, std::move(codec)};
      }
    }
    return {*this, std::make_unique<blob_codec>(key_, options_)};
  }

private:
  void give_back(std::unique_ptr<blob_codec> codec) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(codec));
  }

  const box_key& key_;
  const codec_options options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<blob_codec>> idle_;
};

}  // namespace recoup
