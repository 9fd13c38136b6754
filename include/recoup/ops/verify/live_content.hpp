// Whether a file holds what some blobs are, by reading it in their lengths and hashing several pieces at once.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/fs/open_for_reading.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/ops/restore/content_check.hpp>
#include <recoup/repo/blob_index.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

/// What one blob is of a file.
struct content_piece {
  id name{};
  std::uint64_t position = 0;
  std::uint32_t length = 0;
};

/// Some of a file's pieces, to be compared by one thread.
struct content_part {
  std::size_t first = 0, count = 0;
};

/// Throws damaged if the index does not know a blob, or the blobs do not make the size that the snapshot says.
[[nodiscard]] inline std::vector<content_piece> pieces_of(const blob_index& index, const node& file) {
  std::vector<content_piece> pieces;
  pieces.reserve(file.content->size());
  std::uint64_t position = 0;
  for (const auto& blob : *file.content) {
    const auto length = index.plaintext_length({blob_type::data, blob});
    if (!length) throw error(error_code::damaged, "data blob " + blob.hex() + " is in no index");
    pieces.push_back({blob, position, static_cast<std::uint32_t>(*length)});
    position += *length;
  }
  if (position != file.size)
    throw error(error_code::damaged, "the snapshot says " + std::to_string(file.size) +
                                         " bytes, but its content has " + std::to_string(position));
  return pieces;
}

namespace live_content {

/// One per thread.
struct scratch {
  bytes memory;
  std::vector<byte_view> contents;
  std::vector<id> names;
};

/// Throws what the system says, or io if it is no regular file any more.
[[nodiscard]] inline file_descriptor open(int directory, const std::string& name, const std::string& path) {
  auto file = open_for_reading(directory, name.c_str());
  if (!file) throw system_error(errno, "cannot open " + path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw system_error(errno, "cannot look at " + path);
  if (!S_ISREG(status.st_mode)) throw error(error_code::io, path + " was replaced while it was being looked at");
  return file;
}

/// At least one part, which has no pieces for an empty file.
[[nodiscard]] inline std::vector<content_part> divide(std::span<const content_piece> pieces) {
  constexpr std::size_t at_once = 16;  // some 24 MB of a large file
  std::vector<content_part> parts{{0, std::min(at_once, pieces.size())}};
  for (std::size_t first = at_once; first < pieces.size(); first += at_once)
    parts.push_back({first, std::min(at_once, pieces.size() - first)});
  return parts;
}

/// Throws io if the file cannot be read. A file that ends too early does not match.
[[nodiscard]] inline bool matches(int file, std::span<const content_piece> pieces, scratch& own,
                                  const std::string& path) {
  constexpr std::size_t usual_size = std::size_t{4} << 20;  // a few pieces, to be hashed at once
  while (!pieces.empty()) {
    std::size_t count = 0, size = 0;
    while (count < pieces.size() && (count == 0 || size + pieces[count].length <= usual_size))
      size += pieces[count++].length;
    if (own.memory.size() < size) own.memory.resize(std::max(size, usual_size));
    const auto content = byte_span(own.memory).first(size);
    if (!content_check::read_at(file, content, pieces.front().position, path)) return false;
    own.contents.clear();
    own.names.resize(count);
    for (const auto& piece : pieces.first(count))
      own.contents.push_back(content.subspan(piece.position - pieces.front().position, piece.length));
    sha256_many(own.contents, own.names);
    for (std::size_t i = 0; i < count; ++i)
      if (own.names[i] != pieces[i].name) return false;
    pieces = pieces.subspan(count);
  }
  return true;
}

}  // namespace live_content

}  // namespace recoup
