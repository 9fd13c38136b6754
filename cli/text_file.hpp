// Text files that people write, possibly on Windows: with a byte order mark, in UTF-8 or UTF-16.
#pragma once

#include <string>

#include <recoup/core/bytes.hpp>
#include <recoup/crypto/secret.hpp>

namespace recoup::cli {

/// Writes `raw` as UTF-8 without its byte order mark to `into`, which must have room for 3/2 of `raw` and 3 bytes more.
/// Returns the length. Without a mark the bytes stay as they are.
[[nodiscard]] std::size_t decode_secret(byte_view raw, byte_span into);

/// Everything that can be read from `descriptor`, in memory that is wiped. Throws above 1 MiB.
[[nodiscard]] secret_bytes read_secret(int descriptor, const std::string& what);

/// A small text file, decoded, without white space at both ends.
[[nodiscard]] secret_bytes read_secret_file(const std::string& path);

/// `text` without white space at both ends.
[[nodiscard]] secret_bytes trimmed_secret(byte_view text);

}  // namespace recoup::cli
