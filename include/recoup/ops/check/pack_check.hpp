// Reads a pack whole and verifies every byte of it: its name, its header, and each blob.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/blob_group.hpp>
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
  bytes content;
  blob_group blobs;
};

/// What is wrong with a pack.
struct pack_findings {
  std::vector<std::string> problems;
  std::vector<packed_blob> lost;  ///< not intact here
};

/// Verifies the blobs of a pack that is in memory, and hashes the pack beside them.
class pack_verification {
public:
  pack_verification(repository& repo, pack_memory& memory)
      : codec_(repo.codecs().take()), content_(memory.content), group_(memory.blobs) {}

  /// `indexed` is what the index says is in the pack, by offset.
  [[nodiscard]] pack_findings run(const stored_file& pack, const std::vector<packed_blob>& indexed) {
    compare_header(pack, indexed);
    for (const auto& blob : indexed) add(blob);
    verify_group();
    id actual;
    sha256_update(std::array{sha256_job{.state = &hash_, .data = content_.subspan(hashed_), .name = &actual}});
    // Which blobs are hit, if any, tells which files are.
    if (actual != pack.name)
      found_.problems.insert(found_.problems.begin(),
                             "its content does not have the hash that it is named by, but " + actual.hex());
    return std::move(found_);
  }

private:
  void compare_header(const stored_file& pack, const std::vector<packed_blob>& indexed) {
    try {
      auto listed = read_pack_header(pack, content_, codec_->box());
      std::ranges::sort(listed, {}, &packed_blob::offset);
      const auto same = [](const packed_blob& a, const packed_blob& b) {
        return a.handle == b.handle && a.offset == b.offset && a.length == b.length &&
               a.uncompressed_length == b.uncompressed_length;
      };
      if (!std::ranges::equal(listed, indexed, same))
        found_.problems.push_back("its header and the index disagree about what is in it");
    } catch (const error& problem) {
      found_.problems.push_back(problem.what());
    }
  }

  void add(const packed_blob& blob) {
    if (std::uint64_t{blob.offset} + blob.length > content_.size()) {
      lose(blob, " lies beyond its end");
      return;
    }
    if (group_.is_full_for(blob.plaintext_length())) verify_group();
    group_.add(blob, content_.subspan(blob.offset, blob.length), *codec_);
    in_group_.push_back(blob);
  }

  void verify_group() {
    const auto next = content_.subspan(hashed_, std::min(content_.size() - hashed_, group_.total()));
    group_.verify({.state = &hash_, .data = next});
    hashed_ += next.size();
    for (std::size_t i = 0; i < in_group_.size(); ++i)
      if (const auto& problem = group_.results()[i].problem) lose(in_group_[i], std::string(": ") + problem->what());
    group_.clear();
    in_group_.clear();
  }

  void lose(const packed_blob& blob, const std::string& why) {
    found_.problems.push_back(std::string(name_of(blob.handle.type)) + " blob " + blob.handle.id.hex() + why);
    found_.lost.push_back(blob);
  }

  codec_pool::lease codec_;
  const byte_view content_;
  blob_group& group_;
  sha256_state hash_;
  std::size_t hashed_ = 0;
  std::vector<packed_blob> in_group_;
  pack_findings found_;
};

/// What is wrong with the pack; nothing, if all is well. `indexed` is what the index says is in it.
[[nodiscard]] inline pack_findings verify_pack(repository& repo, const id& name, std::vector<packed_blob> indexed,
                                               pack_memory& memory) {
  const stored_file pack{file_type::pack, name};
  std::ranges::sort(indexed, {}, &packed_blob::offset);
  pack_findings found;
  unsigned attempts = 0;
  try {
    load_verified(repo.storage(), pack, [&] {
      ++attempts;
      found = {};
      repo.storage().load_all(pack, memory.content);
      found = pack_verification(repo, memory).run(pack, indexed);
      if (!found.problems.empty()) throw error(error_code::damaged, found.problems.front());
    });
  } catch (const error& problem) {
    if (found.problems.empty()) found = {{problem.what()}, std::move(indexed)};  // it cannot be had at all
  }
  if (attempts > 1 && found.problems.empty())
    repo.warn("pack " + name.hex() + " arrived damaged, and intact when it was loaded again: the repository is all "
              "right, but the network or a copy on this machine is not");
  return found;
}

}  // namespace recoup
