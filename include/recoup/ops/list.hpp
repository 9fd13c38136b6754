// The ids of what is stored.
#pragma once

#include <optional>
#include <set>
#include <stop_token>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/id.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/ops/used_blobs.hpp>
#include <recoup/repo/index_file.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// "packs", "index", "snapshots", "keys", "locks": what `list` calls the types of files.
[[nodiscard]] inline std::optional<file_type> parse_listed_type(std::string_view text) noexcept {
  if (text == "packs") return file_type::pack;
  if (text == "index") return file_type::index;
  if (text == "snapshots") return file_type::snapshot;
  if (text == "keys") return file_type::key;
  if (text == "locks") return file_type::lock;
  return std::nullopt;
}

/// Calls `visit(const id& pack, const packed_blob&)` for each blob of each index file, straight from the files: nothing
/// is kept in memory. A blob that is stored or indexed twice is visited twice.
template <class Visit>
void list_blobs(repository& repo, Visit&& visit, const std::stop_token& stop = {}) {
  for (const auto& file : repo.list(file_type::index)) {
    throw_if_stopped(stop);
    decode_index(repo.load_unpacked(file_type::index, file.name), [&](const indexed_pack& pack) {
      for (const auto& blob : pack.blobs) visit(pack.pack, blob);
    });
  }
}

/// The packs that hold what a snapshot needs, in order: enough to restore it. The index must be loaded.
[[nodiscard]] inline std::vector<id> list_packs_of(repository& repo, const id& tree,
                                                   const used_blobs_options& options = {}) {
  std::set<id> packs;
  for (const auto& blob : find_used_blobs(repo, std::vector{tree}, options))
    for (const auto& place : repo.index().find_all(blob)) packs.insert(place.pack);
  return {packs.begin(), packs.end()};
}

}  // namespace recoup
