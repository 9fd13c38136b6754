// Packs that a killed program stored but could not put into an index any more.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/index_file.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/repo/pack_reader.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/load_verified.hpp>

namespace recoup {

struct adopted_packs {
  std::size_t packs = 0;
  std::uint64_t bytes = 0;
};

/// True if somebody else may be writing packs: there is a lock besides ours, and not one that a dead process left.
[[nodiscard]] inline bool has_company(repository& repo) {
  const auto locks = repo.list(file_type::lock);
  const auto dead = [&](const listed_file& file) {
    try {
      const auto lock = load_lock(repo, file.name);
      return !lock || belongs_to_dead_process(*lock);
    } catch (const error&) {
      return false;
    }
  };
  return locks.size() > 1 && std::ranges::count_if(locks, std::not_fn(dead)) > 1;
}

/// Finds packs that no index lists, reads them whole, and indexes those that are intact and hold blobs we do not have
/// otherwise, so that they need not be stored again. Others are left for prune. The caller holds a lock.
///
/// A running backup's fresh packs are in no index either, and must stay its own. Whoever writes packs locks first and
/// indexes them before it unlocks. So if ours is the only lock after the packs were listed, then all that were listed
/// are either abandoned or in an index by now. Should a lock be taken for a dead one's that lives in a container of the
/// same host's name, then its packs end up in two indexes, which harms nobody. Packs that are marked for deletion are left
/// to the prune that marked them.
inline adopted_packs adopt_unindexed_packs(repository& repo, const std::stop_token& stop = {}) {
  std::vector<listed_file> unknown;
  const auto is_known = [&](const listed_file& file) {
    return repo.index().contains_pack(file.name) || repo.marked().contains(file.name);
  };
  repo.storage().list(file_type::pack, [&](const listed_file& file) {
    if (!is_known(file)) unknown.push_back(file);
  });
  adopted_packs result;
  if (unknown.empty() || has_company(repo)) return result;
  repo.refresh_index();
  std::erase_if(unknown, is_known);
  std::mutex mutex;
  std::vector<indexed_pack> intact;
  parallel_for_each(processor_count(), unknown, [&](const listed_file& file) {
    const stored_file pack{file_type::pack, file.name};
    try {
      const auto content = load_verified(repo.storage(), pack, [&] {
        auto loaded = repo.storage().load_all(pack);
        if (sha256(loaded) != file.name)
          throw error(error_code::damaged, pack.describe() + ": content and name differ");
        return loaded;
      });
      auto codec = repo.codecs().take();
      auto blobs = read_pack_header(pack, content, codec->box());
      const bool useful =
          std::ranges::any_of(blobs, [&](const packed_blob& blob) { return !repo.index().contains(blob.handle); });
      if (!useful) return;
      const std::lock_guard lock(mutex);
      intact.push_back({file.name, std::move(blobs)});
      ++result.packs;
      result.bytes += content.size();
    } catch (const error& problem) {
      if (problem.code() == error_code::interrupted) throw;
      repo.warn("pack " + file.name.hex() + " is in no index and cannot be used: " + problem.what());
    }
  }, stop);
  if (intact.empty()) return result;
  repo.save_unpacked(file_type::index, encode_index(intact));
  for (const auto& pack : intact) repo.index().add_pack(pack.pack, pack.blobs);
  return result;
}

}  // namespace recoup
