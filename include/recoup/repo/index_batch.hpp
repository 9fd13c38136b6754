// Packs on their way into the index: all that can be made ready before the index is locked.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/id_table.hpp>
#include <recoup/repo/index_places.hpp>

namespace recoup {

/// Runs, in order, with their entries encoded. Refers to the blobs it was given, unless they were out of order.
class index_batch {
public:
  struct run {
    id pack;
    bool is_further = false;  ///< an earlier run belongs to the same pack
    std::span<const packed_blob> blobs;
    std::size_t encoded_end = 0;
  };

  /// A pack with no blobs is a run too. `is_further`: the index has a part of the pack already.
  void add(const id& pack, std::span<const packed_blob> blobs, bool is_further = false) {
    if (!std::ranges::is_sorted(blobs, {}, &packed_blob::offset)) {
      auto& sorted = sorted_.emplace_back(blobs.begin(), blobs.end());
      std::ranges::stable_sort(sorted, {}, &packed_blob::offset);
      blobs = sorted;
    }
    do {
      const auto part = blobs.first(std::min(blobs.size(), run_format::most_entries));
      run_format::encode(part, encoded_);
      runs_.push_back({pack, std::exchange(is_further, true), part, encoded_.size()});
      ++pack_counts_[id_table::stripe_of(pack)];
      for (const auto& blob : part) ++blob_counts_[id_table::stripe_of(blob.handle.id)];
      entries_ += part.size();
      blobs = blobs.subspan(part.size());
    } while (!blobs.empty());
  }

  [[nodiscard]] std::span<const run> runs() const noexcept { return runs_; }
  [[nodiscard]] byte_view encoded() const noexcept { return encoded_; }
  [[nodiscard]] std::size_t entries() const noexcept { return entries_; }
  [[nodiscard]] const id_table::stripe_counts& pack_counts() const noexcept { return pack_counts_; }
  [[nodiscard]] const id_table::stripe_counts& blob_counts() const noexcept { return blob_counts_; }

  /// Numbers of the runs, counted from 0, in the order of their packs' stripes.
  [[nodiscard]] std::vector<std::uint32_t> packs_by_stripe() const {
    return by_stripe(pack_counts_, runs_.size(), [this](const auto& each) {
      for (const auto& one : runs_) each(one.pack);
    });
  }
  /// The same of the entries.
  [[nodiscard]] std::vector<std::uint32_t> blobs_by_stripe() const {
    return by_stripe(blob_counts_, entries_, [this](const auto& each) {
      for (const auto& one : runs_)
        for (const auto& blob : one.blobs) each(blob.handle.id);
    });
  }

private:
  template <class ForEach>
  [[nodiscard]] static std::vector<std::uint32_t> by_stripe(const id_table::stripe_counts& counts, std::size_t total,
                                                            const ForEach& for_each) {
    id_table::stripe_counts next{};
    std::exclusive_scan(counts.begin(), counts.end(), next.begin(), 0u);
    std::vector<std::uint32_t> order(total);
    std::uint32_t number = 0;
    for_each([&](const id& name) { order[next[id_table::stripe_of(name)]++] = number++; });
    return order;
  }

  std::vector<run> runs_;
  std::vector<std::vector<packed_blob>> sorted_;  // moving a vector leaves its elements where they are
  bytes encoded_;
  std::size_t entries_ = 0;
  id_table::stripe_counts pack_counts_{}, blob_counts_{};
};

}  // namespace recoup
