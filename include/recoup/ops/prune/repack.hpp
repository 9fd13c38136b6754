// Writes what is needed of some packs into new ones.
//
//   what is to be kept, by pack and offset -> parts that are read at once
//   each thread, until no part is left:
//     read a part -> each blob in it: open, decompress, verify the hash -> seal into a new pack, not compressed again
//   all new packs durable -> in an index
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/ops/prune/options.hpp>
#include <recoup/ops/prune/plan.hpp>
#include <recoup/ops/store_again.hpp>
#include <recoup/repo/blob_index.hpp>
#include <recoup/repo/pack_parts.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

class repacking {
public:
  repacking(repository& repo, const prune_plan& plan, const prune_options& options, prune_observer& observer)
      : repo_(repo), plan_(plan), options_(options), observer_(observer), repacked_(repo) {}

  /// When it returns, all that is needed of the packs is durable and indexed elsewhere. Throws damaged if some of it
  /// cannot be read: then nothing was lost, and what was written is for the next prune.
  void run() {
    collect();
    const auto& index = repo_.index();
    const auto parts = divide_into_parts(wanted_.size(), [&](std::size_t i) {
      return pack_place{wanted_[i].pack, wanted_[i].offset, index.at(wanted_[i].entry).blob.length};
    });
    parts_left_.assign(plan_.usage->packs().size(), 0);
    for (const auto& part : parts) ++parts_left_[wanted_[part.first].pack];
    packs_total_ = static_cast<std::size_t>(std::ranges::count_if(parts_left_, [](auto count) { return count > 0; }));
    observer_.on_progress(prune_phase::repack, 0, packs_total_);
    parallel_for_each_with(
        prune_threads(options_, repo_), parts, [this] { return part_reader(repo_); },
        [this](const pack_part& part, part_reader& reader) { copy(part, reader); }, options_.stop);
    repacked_.flush();
    if (repacked_.size() != wanted_.size())
      throw error(error_code::failure, "internal error: " + std::to_string(wanted_.size() - repacked_.size()) +
                                           " blobs were not repacked; nothing was removed. Please report this");
  }

private:
  /// 12 bytes: there may be millions.
  struct wanted_blob {
    std::uint32_t pack = 0, offset = 0, entry = 0;
  };

  void collect() {
    const auto& packs = plan_.usage->packs();
    const auto& kept = plan_.usage->kept();
    plan_.usage->for_each_entry([&](std::uint32_t pack, std::uint32_t entry, const packed_blob& blob) {
      if (packs[pack].action == pack_action::repack && kept.contains(entry))
        wanted_.push_back({pack, blob.offset, entry});
    });
    // Entries of one pack are together already, unless several index files list parts of it.
    std::ranges::stable_sort(wanted_, {}, [](const wanted_blob& each) { return std::pair(each.pack, each.offset); });
  }

  void copy(const pack_part& part, part_reader& reader) {
    const auto pack = repo_.index().at(wanted_[part.first].entry);
    reader.load({file_type::pack, pack.pack, pack.blob.handle.type == blob_type::tree}, part.offset, part.length);
    for (auto i = part.first; i < part.end; ++i) {
      const auto place = repo_.index().at(wanted_[i].entry);
      repacked_.save(place.blob.handle, open(place, reader));
    }
    const std::lock_guard lock(reporting_);
    if (--parts_left_[wanted_[part.first].pack] == 0)
      observer_.on_progress(prune_phase::repack, ++packs_done_, packs_total_);
  }

  [[nodiscard]] static opened_blob open(const blob_location& place, part_reader& reader) {
    try {
      return reader.open(place.blob);
    } catch (const error& problem) {
      throw error(problem.code(), "pack " + place.pack.hex() + " cannot be repacked: " + problem.what() +
                                      "\nNo data was removed. Run `recoup check --read-data`, then `recoup repair "
                                      "packs " + place.pack.hex() + "` to save what is left of it");
    }
  }

  repository& repo_;
  const prune_plan& plan_;
  const prune_options& options_;
  prune_observer& observer_;
  std::vector<wanted_blob> wanted_;
  std::mutex reporting_;                   // guards the next three
  std::vector<std::uint32_t> parts_left_;  // of each pack
  std::size_t packs_done_ = 0, packs_total_ = 0;
  blobs_stored_again repacked_;
};

}  // namespace recoup
