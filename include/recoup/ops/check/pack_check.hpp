// Reads a pack whole and verifies every byte of it: its name, its header, and each blob.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/pack_reader.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Length of a complete pack with these blobs, bytes (restic.md section 2.6).
[[nodiscard]] inline std::uint64_t pack_size_of(const std::vector<packed_blob>& blobs) {
  std::uint64_t size = pack_format::empty_box + pack_format::length_field;
  for (const auto& blob : blobs) size += blob.length + pack_format::entry_size(blob);
  return size;
}

/// Memory for one thread that verifies one pack after another: new pages for each would cost a quarter of the time.
struct pack_memory {
  bytes content, opened;
};

/// What is wrong with the pack; empty if nothing is. `indexed` is what the index says is in it.
[[nodiscard]] inline std::vector<std::string> verify_pack(repository& repo, const id& name,
                                                          std::vector<packed_blob> indexed, pack_memory& memory) {
  const stored_file pack{file_type::pack, name};
  std::vector<std::string> problems;
  auto& content = memory.content;
  try {
    repo.storage().load_all(pack, content);
  } catch (const error& problem) {
    return {problem.what()};
  }
  // Go on after a wrong hash: which blobs are hit tells which files are.
  if (const auto actual = sha256(content); actual != name)
    problems.push_back("its content does not have the hash that it is named by, but " + actual.hex());
  auto codec = repo.codecs().take();
  std::ranges::sort(indexed, {}, &packed_blob::offset);
  try {
    auto listed = read_pack_header(pack, content, codec->box());
    std::ranges::sort(listed, {}, &packed_blob::offset);
    const auto same = [](const packed_blob& a, const packed_blob& b) {
      return a.handle == b.handle && a.offset == b.offset && a.length == b.length &&
             a.uncompressed_length == b.uncompressed_length;
    };
    if (!std::ranges::equal(listed, indexed, same))
      problems.push_back("its header and the index disagree about what is in it");
  } catch (const error& problem) {
    problems.push_back(problem.what());
  }
  for (const auto& blob : indexed) {
    if (std::uint64_t{blob.offset} + blob.length > content.size()) {
      problems.push_back(std::string(name_of(blob.handle.type)) + " blob " + blob.handle.id.hex() +
                         " lies beyond its end");
      continue;
    }
    try {
      codec->open(blob, byte_view(content).subspan(blob.offset, blob.length), memory.opened);
    } catch (const error& problem) {
      problems.push_back(std::string(name_of(blob.handle.type)) + " blob " + blob.handle.id.hex() + ": " +
                         problem.what());
    }
  }
  return problems;
}

}  // namespace recoup
