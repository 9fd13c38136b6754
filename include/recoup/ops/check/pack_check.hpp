// Reads a pack whole and verifies every byte of it: its name, its header, and each blob.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/pack_reader.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/load_verified.hpp>

namespace recoup {

/// Length of a complete pack with these blobs, bytes (restic.md section 2.6).
[[nodiscard]] inline std::uint64_t pack_size_of(std::span<const packed_blob> blobs) {
  std::uint64_t size = pack_format::empty_box + pack_format::length_field;
  for (const auto& blob : blobs) size += blob.length + pack_format::entry_size(blob);
  return size;
}

/// Memory for one thread that verifies one pack after another: new pages for each would cost a quarter of the time.
struct pack_memory {
  bytes content, opened;
};

/// What is wrong with the pack that is in memory. `indexed` is what the index says is in it, by offset.
[[nodiscard]] inline std::vector<std::string> problems_of_pack(repository& repo, const stored_file& pack,
                                                               const std::vector<packed_blob>& indexed,
                                                               pack_memory& memory) {
  std::vector<std::string> problems;
  const auto& content = memory.content;
  // Go on after a wrong hash: which blobs are hit tells which files are.
  if (const auto actual = sha256(content); actual != pack.name)
    problems.push_back("its content does not have the hash that it is named by, but " + actual.hex());
  auto codec = repo.codecs().take();
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

/// What is wrong with the pack; empty if nothing is. `indexed` is what the index says is in it.
[[nodiscard]] inline std::vector<std::string> verify_pack(repository& repo, const id& name,
                                                          std::vector<packed_blob> indexed, pack_memory& memory) {
  const stored_file pack{file_type::pack, name};
  std::ranges::sort(indexed, {}, &packed_blob::offset);
  std::vector<std::string> problems;
  unsigned attempts = 0;
  try {
    load_verified(repo.storage(), pack, [&] {
      ++attempts;
      problems.clear();
      repo.storage().load_all(pack, memory.content);
      problems = problems_of_pack(repo, pack, indexed, memory);
      if (!problems.empty()) throw error(error_code::damaged, problems.front());
    });
  } catch (const error& problem) {
    if (problems.empty()) problems.emplace_back(problem.what());
  }
  if (attempts > 1 && problems.empty())
    repo.warn("pack " + name.hex() + " arrived damaged, and intact when it was loaded again: the repository is all "
              "right, but the network or a copy on this machine is not");
  return problems;
}

}  // namespace recoup
