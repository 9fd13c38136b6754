// How much of each pack is needed, and which of several copies of a blob is the one to keep.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/ops/check/pack_check.hpp>
#include <recoup/ops/entry_set.hpp>
#include <recoup/ops/prune/options.hpp>
#include <recoup/repo/blob_index.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

enum class pack_content : std::uint8_t { data, trees, mixed };
enum class pack_action : std::uint8_t { keep, repack, remove, forget };

/// A pack that the index lists. Sizes in bytes; what is used includes the pack's header.
struct pack_usage {
  recoup::id id{};
  std::uint64_t listed_size = 0;  ///< in storage
  std::uint64_t used_size = 0, unused_size = 0;
  std::uint32_t used_blobs = 0, unused_blobs = 0, duplicate_blobs = 0;  ///< duplicates count as unused until one is chosen
  pack_content content = pack_content::data;
  pack_action action = pack_action::keep;
  bool is_there = false;         ///< in storage
  bool has_uncompressed = false;

  [[nodiscard]] std::uint64_t size() const noexcept { return used_size + unused_size; }
  /// What is in it can be relied on. The other packs count as if they held nothing.
  [[nodiscard]] bool is_sound() const noexcept { return is_there && listed_size == size(); }
};

/// All packs that the index lists, numbered in its order, and the entries to keep: one for each blob that is needed.
class usage_of_packs {
public:
  /// `used` has one entry for each blob that is needed; `listed` tells which packs there are, and loses those that the
  /// index knows.
  usage_of_packs(const blob_index& index, entry_set used, std::unordered_map<id, std::uint64_t>& listed)
      : index_(index), kept_(std::move(used)) {
    number_packs(listed);
    find_copies();
    count();
    choose_copies();
    require_all();
  }

  [[nodiscard]] std::vector<pack_usage>& packs() noexcept { return packs_; }
  [[nodiscard]] const prune_stats& stats() const noexcept { return stats_; }
  [[nodiscard]] const entry_set& kept() const noexcept { return kept_; }

  /// Once it is decided what becomes of each pack: a blob that is in a pack which stays need not be copied from another.
  void drop_copies_of_what_stays() {
    for (std::size_t first = 0; first < copies_.size();) {
      const auto end = end_of_group(first);
      const auto stays = [&](const copy& each) {
        return packs_[each.pack].action == pack_action::keep && packs_[each.pack].is_sound();
      };
      const auto group = std::span(copies_).subspan(first, end - first);
      if (std::ranges::any_of(group, stays))
        for (const auto& each : group)
          if (!stays(each)) kept_.remove(each.entry);
      first = end;
    }
  }

  /// Calls `visit(number of the pack, number of the entry, const packed_blob&)` for each entry.
  template <class Visit>
  void for_each_entry(Visit&& visit) const {
    std::uint32_t entry = 0, pack = 0;
    index_.for_each([&](const blob_location& place) {
      if (packs_[pack].id != place.pack) pack = numbers_.at(place.pack);
      visit(pack, entry++, place.blob);
    });
  }

private:
  /// One of several entries of a blob that is needed; `group` is the entry that was found first.
  struct copy {
    std::uint32_t group = 0, entry = 0, pack = 0, length = 0;
  };

  void number_packs(std::unordered_map<id, std::uint64_t>& listed) {
    index_.for_each_pack([&](const id& name, std::span<const packed_blob> blobs) {
      pack_usage pack;
      pack.id = name;
      pack.used_size = pack_format::header_overhead(blobs);
      pack.unused_size = pack_size_of(blobs) - pack.used_size;  // until it is counted
      const auto type = blobs.front().handle.type;
      const bool is_pure = std::ranges::all_of(blobs, [&](const auto& blob) { return blob.handle.type == type; });
      pack.content = !is_pure ? pack_content::mixed : type == blob_type::tree ? pack_content::trees : pack_content::data;
      pack.has_uncompressed = std::ranges::any_of(blobs, [](const auto& blob) { return !blob.is_compressed(); });
      if (const auto found = listed.find(name); found != listed.end()) {
        pack.is_there = true;
        pack.listed_size = found->second;
        listed.erase(found);
      }
      numbers_.emplace(name, static_cast<std::uint32_t>(packs_.size()));
      packs_.push_back(pack);
    });
  }

  void find_copies() {
    for_each_entry([&](std::uint32_t pack, std::uint32_t entry, const packed_blob& blob) {
      if (kept_.contains(entry)) return;
      const auto found = index_.find_numbered(blob.handle);
      if (!found || !kept_.contains(found->first)) return;
      copies_.push_back({found->first, entry, pack, blob.length});
    });
    const auto others = copies_.size();
    for (std::size_t i = 0; i < others; ++i) {
      const auto first = index_.at(copies_[i].group);
      copies_.push_back({copies_[i].group, copies_[i].group, numbers_.at(first.pack), first.blob.length});
    }
    std::ranges::sort(copies_, {}, [](const copy& each) { return std::pair(each.group, each.entry); });
    const auto repeated = std::ranges::unique(copies_, {}, &copy::entry);
    copies_.erase(repeated.begin(), repeated.end());
  }

  [[nodiscard]] std::size_t end_of_group(std::size_t first) const {
    auto end = first + 1;
    while (end < copies_.size() && copies_[end].group == copies_[first].group) ++end;
    return end;
  }

  void count() {
    entry_set is_copy(index_.size());
    for (const auto& each : copies_) is_copy.add(each.entry);
    for_each_entry([&](std::uint32_t number, std::uint32_t entry, const packed_blob& blob) {
      auto& pack = packs_[number];
      if (is_copy.contains(entry)) {
        ++pack.unused_blobs;
        ++stats_.blobs.duplicate;
        stats_.bytes.duplicate += blob.length;
        if (pack.is_sound()) ++pack.duplicate_blobs;
      } else if (kept_.contains(entry)) {
        use(pack, blob.length);
      } else {
        ++pack.unused_blobs;
        ++stats_.blobs.unused;
        stats_.bytes.unused += blob.length;
      }
    });
  }

  void use(pack_usage& pack, std::uint64_t length) {
    ++pack.used_blobs;
    pack.used_size += length;
    pack.unused_size -= length;
    ++stats_.blobs.used;
    stats_.bytes.used += length;
  }

  /// Of each blob one copy in a sound pack, best in one that holds other things that are needed. A pack that holds nothing
  /// but copies was made by a prune that was interrupted: it is taken too, so that its work is not lost.
  void choose_copies() {
    std::unordered_map<std::uint32_t, std::uint32_t> left;  // of each group: sound copies that were not looked at yet
    for (const auto& each : copies_) {
      kept_.remove(each.entry);
      left[each.group] += packs_[each.pack].is_sound() ? 1 : 0;
    }
    auto in_order = copies_;
    std::ranges::sort(in_order, {}, &copy::entry);
    for (const auto& each : in_order) {
      auto& pack = packs_[each.pack];
      const auto group = left.find(each.group);
      if (!pack.is_sound() || group->second == 0) continue;
      const bool is_good = pack.used_blobs > 0 || pack.duplicate_blobs == pack.unused_blobs;
      if (!is_good && --group->second > 0) continue;
      group->second = 0;
      kept_.add(each.entry);
      --pack.unused_blobs;
      --stats_.blobs.duplicate;
      stats_.bytes.duplicate -= each.length;
      use(pack, each.length);
    }
    for (std::size_t first = 0; first < copies_.size(); first = end_of_group(first)) {
      const auto group = std::span(copies_).subspan(first, end_of_group(first) - first);
      if (std::ranges::none_of(group, [this](const copy& each) { return kept_.contains(each.entry); }))
        for (const auto& each : group) ++packs_[each.pack].used_blobs;  // to be told of by require_all()
    }
  }

  /// What is needed and lies nowhere else must be in sound packs.
  void require_all() const {
    constexpr std::size_t most_named = 20;
    std::string missing, wrong;
    std::size_t count = 0;
    for (const auto& pack : packs_) {
      if (pack.is_sound() || pack.used_blobs == 0) continue;
      if (++count > most_named) continue;
      if (!pack.is_there)
        missing += "\n  " + pack.id.hex();
      else
        wrong += "\npack " + pack.id.hex() + ": calculated size " + std::to_string(pack.size()) +
                 " does not match real size " + std::to_string(pack.listed_size);
    }
    if (count == 0) return;
    std::string text;
    if (!missing.empty())
      text = "packs from index missing in repo: they hold what snapshots need, and nothing else holds it" + missing;
    if (!wrong.empty()) text += (text.empty() ? "" : "\n") + ("pack size does not match calculated size from index" + wrong);
    if (count > most_named) text += "\nand " + std::to_string(count - most_named) + " more packs";
    throw error(error_code::damaged, text + "\nNothing was removed. Run `recoup repair index`, then `recoup check`");
  }

  const blob_index& index_;
  entry_set kept_;
  std::vector<pack_usage> packs_;
  std::unordered_map<id, std::uint32_t> numbers_;
  std::vector<copy> copies_;  // of blobs that are needed and have several, by group
  prune_stats stats_;
};

}  // namespace recoup
