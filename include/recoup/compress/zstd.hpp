// zstd frames as blobs and metadata carry them (restic.md section 2.5): content size stored, no checksum, because every
// blob is hashed and authenticated anyway. restic's own windows are 512 KiB; its reader takes any, and ours are larger.
#pragma once

#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>

namespace recoup {

/// restic's words for how hard to try.
enum class compression {
  automatic,
  off,  ///< data is stored as it is; metadata is compressed all the same
  fastest,
  better,
  max,
};

[[nodiscard]] constexpr std::string_view name_of(compression mode) noexcept {
  switch (mode) {
    case compression::automatic: return "auto";
    case compression::off: return "off";
    case compression::fastest: return "fastest";
    case compression::better: return "better";
    case compression::max: return "max";
  }
  return {};
}

/// Nothing if `name` is not one of auto, off, fastest, better, max.
[[nodiscard]] constexpr std::optional<compression> parse_compression(std::string_view name) noexcept {
  for (const auto mode : {compression::automatic, compression::off, compression::fastest, compression::better,
                          compression::max})
    if (name_of(mode) == name) return mode;
  return std::nullopt;
}

/// What a mode asks of zstd; 0 leaves a value to the level. Measured in README.md beside this file.
struct zstd_settings {
  int level;
  int window_log;
  int hash_log;
  int chain_log;
};

/// `off` is as `automatic`: what is compressed then is metadata.
[[nodiscard]] constexpr zstd_settings settings_of(compression mode) noexcept {
  switch (mode) {
    case compression::fastest: return {1, 0, 0, 0};
    case compression::better: return {7, 0, 0, 0};
    // From 13 on each percent costs half of the speed, and from 17 on a fifteenth of the speed of 7 is left for 7 %.
    case compression::max: return {12, 0, 0, 0};
    // Level 3 with tables of half the size, which then stay in the second-level cache: a quarter faster, 1 % larger,
    // still smaller than what restic makes of the same data.
    default: return {3, 20, 16, 15};
  }
}

/// Keeps a compression context: one per thread, not thread-safe.
class compressor {
public:
  explicit compressor(compression mode = compression::automatic) : context_(::ZSTD_createCCtx()) {
    if (!context_) throw error(error_code::failure, "compression: no memory for a context");
    const auto [level, window_log, hash_log, chain_log] = settings_of(mode);
    set(ZSTD_c_compressionLevel, level);
    set(ZSTD_c_windowLog, window_log);
    set(ZSTD_c_hashLog, hash_log);
    set(ZSTD_c_chainLog, chain_log);
    set(ZSTD_c_contentSizeFlag, 1);
    set(ZSTD_c_checksumFlag, 0);
  }

  /// Bytes that a frame of so many bytes of content can take.
  [[nodiscard]] static std::size_t bound(std::size_t content_size) noexcept { return ZSTD_compressBound(content_size); }

  /// Writes one frame to the beginning of `out`, which has bound(content.size()) bytes at least; returns its length.
  [[nodiscard]] std::size_t compress(byte_view content, byte_span out) {
    const auto length = ::ZSTD_compress2(context_.get(), out.data(), out.size(), content.data(), content.size());
    if (::ZSTD_isError(length))
      throw error(error_code::failure, std::string("compression failed: ") + ::ZSTD_getErrorName(length));
    return length;
  }

  /// Replaces `out` with one frame. Its capacity is kept, so a buffer that is used again costs no allocation.
  void compress(byte_view content, bytes& out) {
    out.resize(bound(content.size()));
    out.resize(compress(content, byte_span(out)));
  }

  [[nodiscard]] bytes compress(byte_view content) {
    bytes out;
    compress(content, out);
    return out;
  }

private:
  struct free_context {
    void operator()(ZSTD_CCtx* context) const noexcept { ::ZSTD_freeCCtx(context); }
  };

  void set(ZSTD_cParameter parameter, int value) {
    const auto result = ::ZSTD_CCtx_setParameter(context_.get(), parameter, value);
    if (::ZSTD_isError(result))
      throw error(error_code::failure, std::string("compression: ") + ::ZSTD_getErrorName(result));
  }

  std::unique_ptr<ZSTD_CCtx, free_context> context_;
};

/// Keeps a decompression context: one per thread, not thread-safe. Takes any valid frames, also other programs' with
/// checksums, without content size, or several in a row.
class decompressor {
public:
  decompressor() : context_(::ZSTD_createDCtx()) {
    if (!context_) throw error(error_code::failure, "decompression: no memory for a context");
  }

  /// Throws damaged unless `frame` is valid and fills `into` exactly.
  void decompress(byte_view frame, byte_span into) {
    const auto length = ::ZSTD_decompressDCtx(context_.get(), into.data(), into.size(), frame.data(), frame.size());
    if (::ZSTD_isError(length)) refuse(::ZSTD_getErrorName(length));
    if (length != into.size())
      refuse("it holds " + std::to_string(length) + " bytes and should hold " + std::to_string(into.size()));
  }

  /// The content of a frame whose length nobody has promised. Throws damaged if it is longer than `limit`. Memory is
  /// taken in proportion to what is really there, whatever the frame's header claims.
  [[nodiscard]] bytes decompress_bounded(byte_view frame, std::size_t limit) {
    const auto claimed = ::ZSTD_getFrameContentSize(frame.data(), frame.size());
    if (claimed == ZSTD_CONTENTSIZE_ERROR) refuse("it does not begin as a frame does");
    const bool one_frame = ::ZSTD_findFrameCompressedSize(frame.data(), frame.size()) == frame.size();
    if (claimed == ZSTD_CONTENTSIZE_UNKNOWN || !one_frame) return decompress_growing(frame, limit);
    if (claimed > limit) refuse_length(limit);
    if (claimed / max_ratio > frame.size()) refuse("it claims more content than it can hold");
    bytes content(static_cast<std::size_t>(claimed));
    decompress(frame, content);
    return content;
  }

  /// The content of frames, one or several in a row, both in pieces. Needs memory for a window only. The decompressor is
  /// for nothing else meanwhile.
  class stream {
  public:
    explicit stream(decompressor& with) : with_(with) {
      ::ZSTD_DCtx_reset(with_.context_.get(), ZSTD_reset_session_only);
      with_.piece_.resize(::ZSTD_DStreamOutSize());
    }

    /// Goes on with `piece`, which must last until next() has no more.
    void give(byte_view piece) noexcept { in_ = {piece.data(), piece.size(), 0}; }

    /// Some of the content, good until the next call; empty once another piece is needed. Throws damaged.
    [[nodiscard]] byte_view next() {
      while (in_.pos < in_.size || has_more_) {
        ZSTD_outBuffer out{with_.piece_.data(), with_.piece_.size(), 0};
        left_ = ::ZSTD_decompressStream(with_.context_.get(), &out, &in_);
        if (::ZSTD_isError(left_)) refuse(::ZSTD_getErrorName(left_));
        has_more_ = left_ != 0 && out.pos == out.size;
        if (out.pos != 0) return byte_view(with_.piece_).first(out.pos);
      }
      return {};
    }

    /// Whether what came so far ends with a frame.
    [[nodiscard]] bool is_complete() const noexcept { return left_ == 0; }

  private:
    decompressor& with_;
    ZSTD_inBuffer in_{nullptr, 0, 0};
    std::size_t left_ = 1;
    bool has_more_ = false;  ///< in the decompressor, though all of the piece went in
  };

  /// Compares the content of frames, which come in pieces, with what it should be.
  class comparison {
  public:
    comparison(decompressor& with, byte_view expected) : stream_(with), expected_(expected) {}

    /// Throws damaged if what comes is no frame.
    void add(byte_view piece) {
      stream_.give(piece);
      for (byte_view got; is_equal_ && !(got = stream_.next()).empty();) {
        is_equal_ = got.size() <= expected_.size() && std::equal(got.begin(), got.end(), expected_.begin());
        if (is_equal_) expected_ = expected_.subspan(got.size());
      }
    }

    /// Asked after the last piece.
    [[nodiscard]] bool is_equal() const noexcept { return is_equal_ && stream_.is_complete() && expected_.empty(); }

  private:
    stream stream_;
    byte_view expected_;
    bool is_equal_ = true;
  };

private:
  /// A block yields at most 128 KiB and takes at least 4 bytes (RFC 8878 section 3.1.1.2: header of 3, one byte to
  /// repeat).
  static constexpr std::size_t max_ratio = (std::size_t{128} << 10) / 4;

  struct free_context {
    void operator()(ZSTD_DCtx* context) const noexcept { ::ZSTD_freeDCtx(context); }
  };

  [[noreturn]] static void refuse(const std::string& why) {
    throw error(error_code::damaged, "compressed data is damaged: " + why);
  }
  [[noreturn]] static void refuse_length(std::size_t limit) {
    refuse("its content is longer than the " + std::to_string(limit) + " bytes that can be right here");
  }

  /// zstd refuses windows above 128 MiB here by itself (ZSTD_d_windowLogMax), which bounds its own buffer.
  [[nodiscard]] bytes decompress_growing(byte_view frame, std::size_t limit) {
    ::ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_only);
    // One byte more than allowed tells content that just fits from content that does not.
    const std::size_t most = limit == SIZE_MAX ? limit : limit + 1;
    bytes content(std::min(most, std::max(std::size_t{64} << 10, frame.size() * 4)));
    ZSTD_inBuffer in{frame.data(), frame.size(), 0};
    ZSTD_outBuffer out{content.data(), content.size(), 0};
    for (;;) {
      const auto left = ::ZSTD_decompressStream(context_.get(), &out, &in);
      if (::ZSTD_isError(left)) refuse(::ZSTD_getErrorName(left));
      if (out.pos > limit) refuse_length(limit);
      if (in.pos == in.size && left == 0) break;
      if (in.pos == in.size && out.pos < out.size) refuse("it ends too early");
      if (out.pos == out.size) {
        content.resize(content.size() > most / 2 ? most : content.size() * 2);
        out = {content.data(), content.size(), out.pos};
      }
    }
    content.resize(out.pos);
    return content;
  }

  std::unique_ptr<ZSTD_DCtx, free_context> context_;
  bytes piece_;  ///< of `stream`
};

}  // namespace recoup
