// Which pack holds which blob: the union of all index files, in memory.
//
//   blobs   id_table      ids in the order of packs, found by value; the bit tells trees from data
//   places  index_places  runs of entries of one pack: offsets and lengths
//   packs   id_table      the pack of each run; the bit tells that the index has had a part of it before
//
// Packs that are marked for deletion lie in an index of their own, which is asked only where nothing was found here.
//
// The number of an entry is its position in that order. Per blob, all told, 39 to 40 bytes in packs of 1000 blobs; of 11 it
// is 44, of which 4 are the pack's own. Measurements and arithmetic: README.md beside this file.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/id_table.hpp>
#include <recoup/repo/index_batch.hpp>
#include <recoup/repo/index_places.hpp>
#include <recoup/repo/indexed_pack.hpp>

namespace recoup {

/// Where one copy of a blob is.
struct blob_location {
  id pack{};
  packed_blob blob{};
};

/// Any number of threads may call any member at once. Whoever reads waits for nobody who reads, and hardly ever for
/// somebody who adds.
class blob_index {
public:
  /// Adds all blobs of a pack. Adding a pack again (several index files may list it) changes nothing. When it returns, the
  /// blobs are found; that the pack is contained may be said before.
  void add_pack(const id& pack, std::span<const packed_blob> blobs) {
    index_batch batch;
    batch.add(pack, blobs);
    add(batch, 0);
  }

  /// The same for many packs, which costs less. Memory is taken ahead for `expected` blobs in all, as far as that is no
  /// more than four times what there is: so tell what is known of the rest when loading.
  void add_packs(std::span<const indexed_pack> packs, std::size_t expected = 0) {
    index_batch batch;
    std::unordered_set<id> seen;
    std::vector<const indexed_pack*> known;
    for (const auto& each : packs) {
      if (packs_.contains(each.pack, false) || !seen.insert(each.pack).second)
        known.push_back(&each);
      else
        batch.add(each.pack, each.blobs);
    }
    if (!batch.runs().empty()) add(batch, expected);
    for (const auto* each : known) add_pack(each->pack, each->blobs);
  }

  /// Adds packs that are marked for deletion. They are no part of the index, lest somebody rely on them who has not done
  /// so before: contains() does not find what they hold. Whoever reads does find it, by find, find_numbered, find_all and
  /// plaintext_length: the pack then joins the index as a whole.
  void add_marked(std::span<const indexed_pack> packs) {
    blob_index* marked = marked_.load(std::memory_order_acquire);
    if (marked == nullptr) {
      const std::lock_guard lock(adding_);
      if (!marked_owner_) marked_owner_ = std::make_unique<blob_index>();
      marked_.store(marked = marked_owner_.get(), std::memory_order_release);
    }
    marked->add_packs(packs);
  }

  /// Those packs, also such as have joined the index; null if there are none.
  [[nodiscard]] const blob_index* marked() const noexcept { return marked_.load(std::memory_order_acquire); }

  /// True if the blob is in a pack that counts: whoever stores something may rely on it.
  [[nodiscard]] bool contains(const blob_handle& handle) const {
    return blobs_.contains(handle.id, bit_of(handle.type));
  }

  /// One of the blob's places, or nothing.
  [[nodiscard]] std::optional<blob_location> find(const blob_handle& handle) const {
    const auto number = find_number(handle);
    if (!number) return std::nullopt;
    return location_of(*number);
  }

  /// The same with the number of the entry, which stands for this place as long as the index lives: 4 bytes to remember
  /// it by instead of the 80 of a location.
  [[nodiscard]] std::optional<std::pair<std::uint32_t, blob_location>> find_numbered(const blob_handle& handle) const {
    const auto number = find_number(handle);
    if (!number) return std::nullopt;
    return std::pair(*number, location_of(*number));
  }

  /// The place that find_numbered gave this number. Throws std::out_of_range if there is none.
  [[nodiscard]] blob_location at(std::uint32_t number) const {
    if (number >= blobs_.size()) throw std::out_of_range("no entry of the index has this number");
    return location_of(number);
  }

  /// All places of a blob, in the order in which they were added.
  [[nodiscard]] std::vector<blob_location> find_all(const blob_handle& handle) const {
    auto places = places_of(handle);
    return places.empty() && join_marked(handle) ? places_of(handle) : places;
  }

  /// Length of the blob itself, bytes, without reading it; nothing if it is unknown.
  [[nodiscard]] std::optional<std::uint64_t> plaintext_length(const blob_handle& handle) const {
    const auto place = find(handle);
    if (!place) return std::nullopt;
    return place->blob.plaintext_length();
  }

  /// Number of entries: a blob stored twice counts twice.
  [[nodiscard]] std::size_t size() const noexcept { return blobs_.size(); }
  /// What size() may become while blobs are looked for and nothing is added.
  [[nodiscard]] std::size_t most_entries() const noexcept {
    const auto* const others = marked();
    return size() + (others == nullptr ? 0 : others->size());
  }

  /// Each once, in the order in which they were added.
  [[nodiscard]] std::vector<id> packs() const {
    std::vector<id> packs;
    for (std::uint32_t run = 0; run < packs_.size(); ++run)
      if (!packs_.bit_of(run)) packs.push_back(packs_.at(run));
    return packs;
  }

  [[nodiscard]] bool contains_pack(const id& pack) const { return packs_.contains(pack, false); }

  /// What a pack holds as far as the index knows, in the order in which it was added; nothing if it is unknown.
  [[nodiscard]] std::vector<packed_blob> blobs_in(const id& pack) const {
    const auto runs = packs_.find_all(pack);
    std::vector<packed_blob> blobs;
    const snapshot_of_ends ends(*this);
    for (const auto run : runs) append_blobs(run, ends, blobs);
    return blobs;
  }

  /// Blobs whose ids begin with `digits`, hexadecimal and lowercase, each once, ordered by id and then data before trees.
  /// Visits a part of the index that gets smaller with each digit. None for what is not the beginning of an id.
  [[nodiscard]] std::vector<blob_handle> find_blobs(std::string_view digits) const {
    const auto range = id_range::beginning_with(digits);
    if (!range) return {};
    std::vector<blob_handle> found;
    for (const auto number : blobs_.find_range(*range)) found.push_back({type_of(number), blobs_.at(number)});
    std::ranges::sort(found, {}, [](const blob_handle& each) { return std::pair(each.id, each.type); });
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  /// The same for packs.
  [[nodiscard]] std::vector<id> find_packs(std::string_view digits) const {
    const auto range = id_range::beginning_with(digits);
    if (!range) return {};
    std::vector<id> found;
    for (const auto run : packs_.find_range(*range))
      if (!packs_.bit_of(run)) found.push_back(packs_.at(run));
    std::ranges::sort(found);
    return found;
  }

  /// Calls `visit(const blob_location&)` for each entry, in the order they were added: of a pack, by offset. What is added
  /// meanwhile is not visited.
  template <class Visit>
  void for_each(Visit&& visit) const {
    const snapshot_of_ends ends(*this);
    for (std::uint32_t run = 0; run < ends.runs; ++run) {
      const auto pack = packs_.at(run);
      for_each_in_run(run, ends, [&](const packed_blob& blob) { visit(blob_location{pack, blob}); });
    }
  }

  /// Calls `visit(const id& pack, std::span<const packed_blob>)` for each pack that has blobs, once, with all of them, in
  /// the order in which packs were added. What is added meanwhile is not visited.
  template <class Visit>
  void for_each_pack(Visit&& visit) const {
    const snapshot_of_ends ends(*this);
    std::unordered_map<id, std::vector<std::uint32_t>> further;  // few: of packs with thousands of blobs, or in parts
    for (std::uint32_t run = 0; run < ends.runs; ++run)
      if (packs_.bit_of(run)) further[packs_.at(run)].push_back(run);
    std::vector<packed_blob> blobs;
    for (std::uint32_t run = 0; run < ends.runs; ++run) {
      if (packs_.bit_of(run)) continue;
      const auto pack = packs_.at(run);
      blobs.clear();
      append_blobs(run, ends, blobs);
      if (const auto more = further.find(pack); more != further.end())
        for (const auto other : more->second) append_blobs(other, ends, blobs);
      if (!blobs.empty()) visit(pack, std::span<const packed_blob>(blobs));
    }
  }

  /// All memory that the index takes, bytes, itself included. Not while somebody adds.
  [[nodiscard]] std::size_t memory_bytes() const {
    const auto* const others = marked();
    return sizeof *this + blobs_.memory_bytes() + packs_.memory_bytes() + places_.memory_bytes() +
           (others == nullptr ? 0 : others->memory_bytes());
  }

private:
  [[nodiscard]] static bool bit_of(blob_type type) noexcept { return type == blob_type::tree; }
  [[nodiscard]] blob_type type_of(std::uint32_t number) const noexcept {
    return blobs_.bit_of(number) ? blob_type::tree : blob_type::data;
  }

  [[nodiscard]] packed_blob blob_of(std::uint32_t number, const index_place& place) const noexcept {
    return {{type_of(number), blobs_.at(number)}, place.offset, place.length, place.uncompressed_length};
  }
  [[nodiscard]] blob_location location_of(std::uint32_t number) const noexcept {
    // First what comes from memory far from all else: it is on its way while the place is computed.
    const blob_handle handle{type_of(number), blobs_.at(number)};
    const auto place = places_.place_of(number);
    return {packs_.at(place.run), {handle, place.offset, place.length, place.uncompressed_length}};
  }

  // --- marked packs ---

  [[nodiscard]] std::optional<std::uint32_t> find_number(const blob_handle& handle) const {
    const auto number = blobs_.find(handle.id, bit_of(handle.type));
    return number || !join_marked(handle) ? number : blobs_.find(handle.id, bit_of(handle.type));
  }

  [[nodiscard]] std::vector<blob_location> places_of(const blob_handle& handle) const {
    std::vector<blob_location> places;
    for (const auto number : blobs_.find_all(handle.id))
      if (type_of(number) == handle.type) places.push_back(location_of(number));
    return places;
  }

  /// True if the blob is found now. To those who look it was there all along, so that looking counts as const.
  [[nodiscard]] bool join_marked(const blob_handle& handle) const {
    const auto* const others = marked();
    if (others == nullptr) return false;
    const auto places = others->places_of(handle);
    for (const auto& place : places) const_cast<blob_index&>(*this).add_pack(place.pack, others->blobs_in(place.pack));
    return !places.empty();
  }

  // --- runs ---

  /// Where things end now. Runs are appended before their entries are published, so they must be counted after these.
  struct snapshot_of_ends {
    explicit snapshot_of_ends(const blob_index& index)
        : entries(index.blobs_.size()), runs(std::min(index.places_.runs(), index.packs_.size())) {}
    std::size_t entries, runs;
  };

  template <class Visit>
  void for_each_in_run(std::uint32_t run, const snapshot_of_ends& ends, const Visit& visit) const {
    const std::size_t first = places_.first_entry(run);
    const std::size_t next = run + 1 < ends.runs ? places_.first_entry(run + 1) : ends.entries;
    auto number = static_cast<std::uint32_t>(first);
    if (first < std::min(next, ends.entries))
      places_.walk(run, std::min(next, ends.entries) - first,
                   [&](const index_place& place) { visit(blob_of(number++, place)); });
  }

  void append_blobs(std::uint32_t run, const snapshot_of_ends& ends, std::vector<packed_blob>& to) const {
    for_each_in_run(run, ends, [&](const packed_blob& blob) { to.push_back(blob); });
  }

  // --- adding ---

  [[nodiscard]] bool lists(const id& pack, const packed_blob& blob) const {
    return std::ranges::any_of(places_of(blob.handle), [&](const blob_location& place) {
      return place.pack == pack && place.blob.offset == blob.offset;
    });
  }

  void add(const index_batch& batch, std::size_t expected) {
    auto packs = batch.packs_by_stripe(), blobs = batch.blobs_by_stripe();
    std::unique_lock adding(adding_);
    if (std::ranges::any_of(batch.runs(), [this](const auto& run) { return packs_.contains(run.pack, false); })) {
      for (const auto& run : batch.runs()) add_again(run);
      return;
    }
    write(batch, packs, blobs, expected);
    const std::shared_lock entering(entering_);
    adding.unlock();
    blobs_.enter(blobs);
  }

  /// Adds what is new of a run whose pack the index may have. Called with adding_ held.
  void add_again(const index_batch::run& run) {
    { const std::unique_lock all_entered(entering_); }
    std::vector<packed_blob> fresh;
    for (const auto& blob : run.blobs)
      if (!lists(run.pack, blob)) fresh.push_back(blob);
    const bool is_known = packs_.contains(run.pack, false);
    if (fresh.empty() && is_known) return;
    index_batch rest;
    rest.add(run.pack, fresh, is_known);
    auto packs = rest.packs_by_stripe(), blobs = rest.blobs_by_stripe();
    write(rest, packs, blobs, 0);
    blobs_.enter(blobs);
  }

  /// Called with adding_ held. Publishes the batch, and makes numbers of entries of the positions in `blobs`, which are
  /// still to be entered. If it throws, nothing was added.
  void write(const index_batch& batch, std::vector<std::uint32_t>& packs, std::vector<std::uint32_t>& blobs,
             std::size_t expected) {
    blobs_.prepare(batch.entries());
    packs_.prepare(batch.runs().size());
    places_.prepare(batch.runs().size(), batch.entries(), batch.encoded().size());
    if (!blobs_.has_room(batch.blob_counts()) || !packs_.has_room(batch.pack_counts())) {
      const std::unique_lock all_entered(entering_);
      const auto packs_per_blob = static_cast<double>(packs_.size() + batch.runs().size()) /
                                  static_cast<double>(blobs_.size() + std::max<std::size_t>(batch.entries(), 1));
      if (!packs_.has_room(batch.pack_counts()))
        packs_.grow(batch.pack_counts(), static_cast<std::size_t>(static_cast<double>(expected) * packs_per_blob));
      if (!blobs_.has_room(batch.blob_counts())) blobs_.grow(batch.blob_counts(), expected);
    }
    const auto first_run = packs_.size(), first_entry = blobs_.size();
    auto run_number = first_run, entry = first_entry;
    std::size_t encoded = 0;
    for (const auto& run : batch.runs()) {
      places_.append(entry, run.blobs.size(), run.flags, batch.encoded().subspan(encoded, run.encoded_end - encoded));
      encoded = run.encoded_end;
      packs_.write(run_number++, run.pack, run.is_further);
      for (const auto& blob : run.blobs) blobs_.write(entry++, blob.handle.id, bit_of(blob.handle.type));
    }
    packs_.publish(batch.runs().size(), batch.pack_counts());
    blobs_.publish(batch.entries(), batch.blob_counts());
    for (auto& each : packs) each += static_cast<std::uint32_t>(first_run);
    for (auto& each : blobs) each += static_cast<std::uint32_t>(first_entry);
    packs_.enter(packs);
  }

  id_table blobs_, packs_;
  index_places places_;
  std::unique_ptr<blob_index> marked_owner_;
  std::atomic<blob_index*> marked_{nullptr};  ///< the same, for those who do not hold adding_

  std::mutex adding_;            // one batch is written at a time,
  std::shared_mutex entering_;   // but those written are entered side by side. Taken after adding_, before stripes.
};

}  // namespace recoup
