// What is inside the box of a file that holds JSON directly: index, snapshot or lock (restic doc/design.rst, "Unpacked
// Data Format"). In version 1 of the format it is the JSON. In version 2 its first byte decides: `[` or `{` is the JSON
// itself, 2 is followed by one zstd frame of it. The config is never compressed, keys are not in a box as a whole.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <recoup/compress/zstd.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>

namespace recoup {

inline constexpr std::uint8_t compressed_body = 2;

[[nodiscard]] inline bytes encode_body(unsigned version, byte_view json, compressor& zstd) {
  if (version < 2) return {json.begin(), json.end()};
  bytes body(1 + compressor::bound(json.size()));
  body.front() = compressed_body;
  body.resize(1 + zstd.compress(json, byte_span(body).subspan(1)));
  return body;
}

/// The JSON, which may have up to `limit` bytes when decompressed. An empty body stays empty. Throws damaged or, for a
/// first byte that no version knows, unsupported.
[[nodiscard]] inline bytes decode_body(bytes body, std::size_t limit, decompressor& zstd) {
  if (body.empty() || body.front() == '{' || body.front() == '[') return body;
  if (body.front() != compressed_body)
    throw error(error_code::unsupported, "the content begins with byte " + std::to_string(body.front()) +
                                             ", an encoding that this version of recoup does not know");
  return zstd.decompress_bounded(byte_view(body).subspan(1), limit);
}

}  // namespace recoup
