// Between a blob and its stored form: compress and seal, open and decompress, and check the name on both ways.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

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
  struct sealed_blob {
    byte_view box;                          ///< valid until the next call
    std::uint32_t uncompressed_length = 0;  ///< 0 if it was not compressed
  };

  blob_codec(const box_key& key, const codec_options& options)
      : options_(options), box_(key), compressor_(options.mode) {}

  /// The stored form of a blob. Trees are always compressed in version 2, data unless compression is off; an empty blob
  /// never is, and the compressed form is kept even if it is longer, all as restic does.
  [[nodiscard]] sealed_blob seal(const blob_handle& handle, byte_view plaintext) {
    if (plaintext.size() > max_blob_size)
      throw error(error_code::unsupported, std::string(name_of(handle.type)) + " blob of " +
                                               std::to_string(plaintext.size()) +
                                               " bytes: the format holds at most 4 GiB in one blob");
    clear_scratch(compressed_);
    clear_scratch(sealed_);
    const bool compress = compresses(handle.type) && !plaintext.empty();
    byte_view body = plaintext;
    if (compress) {
      compressor_.compress(plaintext, compressed_);
      body = compressed_;
    }
    sealed_.resize(body.size() + box_overhead);
    box_.seal(body, sealed_);
    const sealed_blob result{sealed_, compress ? static_cast<std::uint32_t>(plaintext.size()) : 0};
    if (options_.extra_verify && !opens_to(result, plaintext)) throw sealed_wrongly(handle);
    return result;
  }

  /// The same for a blob that another codec opened and whose hash it verified. A compressed form that came with it is
  /// taken over where this codec would compress too and has not been told how hard to try: compressing takes longer
  /// than all the rest, and nothing has to be believed of the form but that it decompressed to this content.
  [[nodiscard]] sealed_blob seal(const blob_handle& handle, const opened_blob& blob) {
    const bool asked_for_a_level = options_.mode != compression::automatic && options_.mode != compression::off;
    if (blob.compressed.empty() || !compresses(handle.type) || asked_for_a_level) return seal(handle, blob.content);
    clear_scratch(sealed_);
    sealed_.resize(blob.compressed.size() + box_overhead);
    box_.seal(blob.compressed, sealed_);
    if (options_.extra_verify && !opens_to({sealed_, 0}, blob.compressed)) throw sealed_wrongly(handle);
    return {sealed_, static_cast<std::uint32_t>(blob.content.size())};
  }

  /// Opens a stored blob into `into`. Throws damaged if the MAC, the length or the hash is wrong.
  void open(const packed_blob& blob, byte_view sealed, bytes& into) {
    if (sealed.size() < box_overhead) throw error(error_code::damaged, "a stored blob is shorter than an empty one");
    if (blob.is_compressed()) {
      opened_.resize(sealed.size() - box_overhead);
      box_.open(sealed, opened_);
      into.resize(blob.uncompressed_length);
      decompressor_.decompress(opened_, into);
    } else {
      into.resize(sealed.size() - box_overhead);
      box_.open(sealed, into);
    }
    check_name(blob.handle, into);
  }

  /// The same in less memory: `sealed` is overwritten, and the result lies there or, if it had to be decompressed, in
  /// the codec until its next call.
  [[nodiscard]] opened_blob open_in_place(const packed_blob& blob, byte_span sealed) {
    opened_blob result{box_.open_in_place(sealed)};
    if (blob.is_compressed()) {
      opened_.resize(blob.uncompressed_length);
      decompressor_.decompress(result.content, opened_);
      result = {opened_, result.content};
    }
    check_name(blob.handle, result.content);
    return result;
  }

  /// True if the sealed form opens to the expected content. Goes piece by piece: each is still in the cache when it is
  /// compared, and no memory is needed for the whole.
  [[nodiscard]] bool opens_to(const sealed_blob& sealed, byte_view expected) {
    constexpr std::size_t piece_size = std::size_t{64} << 10;
    opened_.resize(std::min(piece_size, sealed.box.size()));
    try {
      if (sealed.uncompressed_length != 0) {
        decompressor::comparison comparison(decompressor_, expected);
        box_.open_in_pieces(sealed.box, opened_, [&](byte_view piece) { comparison.add(piece); });
        return comparison.is_equal();
      }
      bool is_equal = sealed.box.size() == expected.size() + box_overhead;
      box_.open_in_pieces(sealed.box, opened_, [&](byte_view piece) {
        is_equal = is_equal && std::ranges::equal(piece, expected.first(piece.size()));
        if (is_equal) expected = expected.subspan(piece.size());
      });
      return is_equal;
    } catch (const error&) {
      return false;
    }
  }

  [[nodiscard]] recoup::box& box() noexcept { return box_; }
  [[nodiscard]] recoup::compressor& compressor() noexcept { return compressor_; }
  [[nodiscard]] recoup::decompressor& decompressor() noexcept { return decompressor_; }

private:
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
    if (sha256(content) != handle.id)
      throw error(error_code::damaged, std::string(name_of(handle.type)) + " blob " + handle.id.short_hex() +
                                           ": its content does not have the hash it is named by");
  }

  codec_options options_;
  recoup::box box_;
  recoup::compressor compressor_;
  recoup::decompressor decompressor_;
  bytes compressed_, sealed_, opened_;
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
