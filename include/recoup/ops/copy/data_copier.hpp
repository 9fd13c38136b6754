// The second half of copying a snapshot: the contents of its files.
//
//   sort what is wanted by pack and offset; divide it into parts that are read at once
//   each thread, until no part is left:
//     read a part -> each blob in it: open, decompress, verify the hash -> seal for the destination -> its pack there
//
// Blobs stay in the order they have in the source, so what was backed up together lies together again.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <tuple>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/ops/copy/context.hpp>
#include <recoup/ops/copy/options.hpp>
#include <recoup/repo/pack_parts.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

class data_copier {
public:
  /// `wanted` is put into order. `packs` of the source are read for this snapshot, those for its trees included.
  data_copier(copy_context& context, std::vector<wanted_blob>& wanted, std::size_t packs)
      : context_(context), wanted_(wanted), parts_left_(packs, 0) {}

  /// Throws copy_source_error if a blob cannot be read, or what storing threw.
  void run() {
    std::ranges::sort(wanted_, {}, [](const wanted_blob& each) { return std::tuple(each.pack, each.offset); });
    const auto& index = context_.source.index();
    const auto parts = divide_into_parts(wanted_.size(), [&](std::size_t i) {
      return pack_place{wanted_[i].pack, wanted_[i].offset, index.at(wanted_[i].entry).blob.length};
    });
    for (const auto& part : parts) ++parts_left_[wanted_[part.first].pack];
    packs_done_ = static_cast<std::size_t>(std::ranges::count(parts_left_, 0u));
    context_.observer.on_progress(copy_phase::packs, packs_done_, parts_left_.size());

    std::atomic<std::size_t> next{0};
    worker_group group(context_.options.stop);
    const auto work = [&](const std::stop_token& stop) {
      part_reader reader(context_.source);
      while (!stop.stop_requested()) {
        const auto mine = next.fetch_add(1);
        if (mine >= parts.size()) return;
        copy(parts[mine], reader, stop);
      }
    };
    group.add(static_cast<unsigned>(std::min<std::size_t>(context_.threads, parts.size() + 1)) - 1, work);
    group.work_here(work);
    group.join();
  }

private:
  void copy(const pack_part& part, part_reader& reader, const std::stop_token& stop) {
    const auto& index = context_.source.index();
    reader.load({file_type::pack, index.at(wanted_[part.first].entry).pack}, part.offset, part.length);
    for (auto i = part.first; i < part.end && !stop.stop_requested(); ++i) {
      const auto blob = index.at(wanted_[i].entry).blob;
      context_.store(blob.handle, open(blob, reader));
    }
    const std::lock_guard lock(context_.reporting);
    if (--parts_left_[wanted_[part.first].pack] == 0)
      context_.observer.on_progress(copy_phase::packs, ++packs_done_, parts_left_.size());
  }

  [[nodiscard]] static opened_blob open(const packed_blob& blob, part_reader& reader) {
    try {
      return reader.open(blob);
    } catch (const error& problem) {
      throw copy_source_error(problem);
    }
  }

  copy_context& context_;
  std::vector<wanted_blob>& wanted_;
  std::vector<std::uint32_t> parts_left_;  // of each pack; guarded by context_.reporting, as the next
  std::size_t packs_done_ = 0;
};

}  // namespace recoup
