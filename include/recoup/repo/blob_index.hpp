// Which pack holds which blob: the union of all index files, in memory.
//
// Memory, per blob: 48 bytes of entry, and a 4-byte slot in a hash table kept between 3/8 and 3/4 full, so 53 to 59
// bytes. restic needs about 62 (restic.md section 2.7). Ids are uniformly distributed, so the first bytes of an id are
// its hash. A blob may lie in several packs; each place is an entry of its own and all are found by one probe sequence.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/repo/blob.hpp>

namespace recoup {

/// Where one copy of a blob is.
struct blob_location {
  id pack{};
  packed_blob blob{};
};

/// Any number of threads may call any member at once.
class blob_index {
public:
  /// Adds all blobs of a pack. Adding a pack again (several index files may list it) changes nothing.
  void add_pack(const id& pack, std::span<const packed_blob> blobs) {
    const std::unique_lock lock(mutex_);
    const auto [known, is_new] = pack_numbers_.try_emplace(pack, static_cast<std::uint32_t>(packs_.size()));
    if (is_new) packs_.push_back(pack);
    for (const auto& blob : blobs)
      if (is_new || !lists(known->second, blob)) insert(known->second, blob);
  }

  [[nodiscard]] bool contains(const blob_handle& handle) const {
    const std::shared_lock lock(mutex_);
    return first_of(handle) != nullptr;
  }

  /// One of the blob's places, or nothing.
  [[nodiscard]] std::optional<blob_location> find(const blob_handle& handle) const {
    const std::shared_lock lock(mutex_);
    const auto* found = first_of(handle);
    if (found == nullptr) return std::nullopt;
    return location_of(*found);
  }

  /// The same with the number of the entry, which stands for this place as long as the index lives: 4 bytes to remember
  /// it by instead of the 80 of a location.
  [[nodiscard]] std::optional<std::pair<std::uint32_t, blob_location>> find_numbered(const blob_handle& handle) const {
    const std::shared_lock lock(mutex_);
    const auto* found = first_of(handle);
    if (found == nullptr) return std::nullopt;
    return std::pair(static_cast<std::uint32_t>(found - entries_.data()), location_of(*found));
  }

  /// The place that find_numbered gave this number.
  [[nodiscard]] blob_location at(std::uint32_t number) const {
    const std::shared_lock lock(mutex_);
    return location_of(entries_.at(number));
  }

  /// All places of a blob.
  [[nodiscard]] std::vector<blob_location> find_all(const blob_handle& handle) const {
    const std::shared_lock lock(mutex_);
    std::vector<blob_location> places;
    for_each_match(handle, [&](const entry& match) { places.push_back(location_of(match)); return true; });
    return places;
  }

  /// Length of the blob itself, bytes, without reading it; nothing if it is unknown.
  [[nodiscard]] std::optional<std::uint64_t> plaintext_length(const blob_handle& handle) const {
    const auto place = find(handle);
    if (!place) return std::nullopt;
    return place->blob.plaintext_length();
  }

  /// Number of entries: a blob stored twice counts twice.
  [[nodiscard]] std::size_t size() const {
    const std::shared_lock lock(mutex_);
    return entries_.size();
  }

  [[nodiscard]] std::vector<id> packs() const {
    const std::shared_lock lock(mutex_);
    return packs_;
  }

  [[nodiscard]] bool contains_pack(const id& pack) const {
    const std::shared_lock lock(mutex_);
    return pack_numbers_.contains(pack);
  }

  /// Calls `visit(const blob_location&)` for each entry, in the order they were added. The index is locked meanwhile.
  template <class Visit>
  void for_each(Visit&& visit) const {
    const std::shared_lock lock(mutex_);
    for (const auto& each : entries_) visit(location_of(each));
  }

private:
  static constexpr std::uint32_t type_bit = 1u << 31;  // of entry::pack, so that an entry is 48 bytes
  static constexpr std::uint32_t empty_slot = UINT32_MAX;

  struct entry {
    id name;
    std::uint32_t pack;  // number of the pack; the top bit tells trees from data
    std::uint32_t offset, length, uncompressed_length;

    [[nodiscard]] blob_type type() const noexcept { return (pack & type_bit) != 0 ? blob_type::tree : blob_type::data; }
    [[nodiscard]] std::uint32_t pack_number() const noexcept { return pack & ~type_bit; }
  };
  static_assert(sizeof(entry) == 48);

  [[nodiscard]] blob_location location_of(const entry& each) const {
    return {packs_[each.pack_number()],
            {{each.type(), each.name}, each.offset, each.length, each.uncompressed_length}};
  }

  [[nodiscard]] static std::size_t hash_of(const blob_handle& handle) noexcept { return blob_handle_hash{}(handle); }

  template <class Visit>
  void for_each_match(const blob_handle& handle, Visit&& visit) const {
    if (slots_.empty()) return;
    const auto mask = slots_.size() - 1;
    for (auto at = hash_of(handle) & mask; slots_[at] != empty_slot; at = (at + 1) & mask) {
      const auto& candidate = entries_[slots_[at]];
      if (candidate.name == handle.id && candidate.type() == handle.type && !visit(candidate)) return;
    }
  }

  [[nodiscard]] const entry* first_of(const blob_handle& handle) const {
    const entry* found = nullptr;
    for_each_match(handle, [&](const entry& match) { found = &match; return false; });
    return found;
  }

  [[nodiscard]] bool lists(std::uint32_t pack, const packed_blob& blob) const {
    bool listed = false;
    for_each_match(blob.handle, [&](const entry& match) {
      listed = match.pack_number() == pack && match.offset == blob.offset;
      return !listed;
    });
    return listed;
  }

  void insert(std::uint32_t pack, const packed_blob& blob) {
    if ((entries_.size() + 1) * 4 > slots_.size() * 3) grow();
    if (pack >= type_bit || entries_.size() >= empty_slot)
      throw error(error_code::unsupported, "the repository has more blobs than this program can index (2^32)");
    place(blob.handle, static_cast<std::uint32_t>(entries_.size()));
    entries_.push_back({blob.handle.id, pack | (blob.handle.type == blob_type::tree ? type_bit : 0), blob.offset,
                        blob.length, blob.uncompressed_length});
  }

  void place(const blob_handle& handle, std::uint32_t number) {
    const auto mask = slots_.size() - 1;
    auto at = hash_of(handle) & mask;
    while (slots_[at] != empty_slot) at = (at + 1) & mask;
    slots_[at] = number;
  }

  void grow() {
    slots_.assign(slots_.empty() ? 1024 : slots_.size() * 2, empty_slot);
    for (std::uint32_t number = 0; number < entries_.size(); ++number)
      place({entries_[number].type(), entries_[number].name}, number);
  }

  mutable std::shared_mutex mutex_;
  std::vector<entry> entries_;
  std::vector<std::uint32_t> slots_;
  std::vector<id> packs_;
  std::unordered_map<id, std::uint32_t> pack_numbers_;
};

}  // namespace recoup
