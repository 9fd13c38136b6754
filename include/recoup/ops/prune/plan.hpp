// What a prune would do, decided before anything is changed.
//
//   a pack that no index lists                        -> removed at once
//   nothing of it is needed                           -> removed
//   all of it is needed, one type, large enough       -> kept
//   all of it is needed, but it is small              -> joined with others, if there are ten of them
//   else                                              -> a candidate: the needed part is written again
//
// Candidates are taken, trees first, then small ones, then those that waste most, until what is wasted is within the
// limit; so do restic's (internal/repository/prune.go), whose sizes ours should not exceed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/ops/prune/options.hpp>
#include <recoup/ops/prune/pack_usage.hpp>
#include <recoup/ops/prune/used_entries.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Good for one execution, as long as nobody else changes the repository.
struct prune_plan {
  prune_stats stats;
  std::vector<id> unindexed;  ///< packs that no index lists, to be removed first
  std::vector<id> repack;     ///< packs to be removed once what is needed of them is elsewhere
  std::vector<id> remove;     ///< packs of which nothing is needed
  std::vector<id> forget;     ///< packs that the index lists and that are not there; nobody needs them
  std::shared_ptr<usage_of_packs> usage;  ///< what to copy
};

[[nodiscard]] inline unsigned prune_threads(const prune_options& options, const repository& repo) {
  return options.threads != 0 ? options.threads : std::max(processor_count(), repo.storage().connections());
}

class prune_planner {
public:
  prune_planner(repository& repo, const prune_options& options, prune_observer& observer)
      : repo_(repo), options_(options), observer_(observer) {}

  [[nodiscard]] prune_plan run() {
    require_sense();
    // The lock keeps others from adding snapshots or packs, so the order of what is read does not matter.
    load_index();
    auto used = find_used();
    std::unordered_map<id, std::uint64_t> listed;
    repo_.storage().list(file_type::pack, [&](const listed_file& file) { listed.emplace(file.name, file.size); });
    observer_.on_progress(prune_phase::packs, 0, listed.size());
    const auto packs = listed.size();
    plan_.usage = std::make_shared<usage_of_packs>(repo_.index(), std::move(used), listed);
    plan_.stats = plan_.usage->stats();
    for (const auto& [pack, size] : listed) {
      plan_.unindexed.push_back(pack);
      plan_.stats.bytes.unreferenced += size;
    }
    classify();
    choose_candidates();
    sum_up();
    observer_.on_progress(prune_phase::packs, packs, packs);
    return std::move(plan_);
  }

private:
  static constexpr std::uint64_t smallest_pack_size = std::uint64_t{4} << 20;
  static constexpr std::size_t small_packs_worth_joining = 10;

  void require_sense() const {
    if (repo_.config().version < 2 && options_.repack_uncompressed)
      throw error(error_code::invalid_argument, "compression requires at least repository format version 2");
    if (options_.repack_below > repo_.options().pack_size)
      throw error(error_code::invalid_argument, "repack-smaller-than exceeds repository packsize");
    if (repo_.options().mode == compression::off && options_.repack_uncompressed)
      throw error(error_code::invalid_argument,
                  "disabled compression and `--repack-uncompressed` are mutually exclusive");
  }

  void load_index() {
    index_load_observer loading;
    loading.on_progress = [this](std::size_t done, std::size_t total) {
      observer_.on_progress(prune_phase::index, done, total);
    };
    repo_.load_index(loading);
  }

  [[nodiscard]] entry_set find_used() {
    std::vector<id> roots;
    for (auto& [name, snapshot] : repo_.load_snapshots())
      if (!options_.ignored_snapshots.contains(name)) roots.push_back(snapshot.tree);
    observer_.on_progress(prune_phase::snapshots, 0, roots.size());
    std::uint64_t done = 0;
    used_entries_finder finder(repo_, prune_threads(options_, repo_),
                               [&] { observer_.on_progress(prune_phase::snapshots, ++done, roots.size()); });
    return finder.run(roots, options_.stop);
  }

  // --- what becomes of each pack ---

  void classify() {
    auto& packs = plan_.usage->packs();
    auto& stats = plan_.stats;
    target_size_ = target_pack_size(packs);
    std::vector<pack_usage*> small;
    for (auto& pack : packs) {
      if (!pack.is_there) {
        set_aside(pack, pack_action::forget);
        observer_.on_missing_pack(pack.id);
        continue;
      }
      ++(pack.used_blobs == 0 ? stats.packs.unused : pack.unused_blobs == 0 ? stats.packs.used : stats.packs.partly_used);
      if (pack.has_uncompressed && repo_.config().version >= 2) stats.bytes.uncompressed += pack.size();
      if (pack.used_blobs == 0)
        set_aside(pack, pack_action::remove);
      else if (options_.repack_only_trees && pack.content == pack_content::data)
        ++stats.packs.keep;
      else if (pack.unused_blobs != 0 || pack.content == pack_content::mixed || must_compress(pack))
        candidates_.push_back(&pack);
      else if (pack.listed_size >= target_size_)
        ++stats.packs.keep;
      else
        small.push_back(&pack);
    }
    // A few small packs are not worth the trouble, and the last one of each prune would be written again and again.
    if (small.size() < small_packs_worth_joining)
      stats.packs.keep += small.size();
    else
      candidates_.insert(candidates_.end(), small.begin(), small.end());
  }

  void set_aside(pack_usage& pack, pack_action action) {
    pack.action = action;
    (action == pack_action::remove ? plan_.remove : plan_.forget).push_back(pack.id);
    plan_.stats.blobs.remove += pack.unused_blobs;
    plan_.stats.bytes.remove += pack.unused_size;
  }

  [[nodiscard]] bool must_compress(const pack_usage& pack) const {
    return repo_.config().version >= 2 && pack.has_uncompressed &&
           (pack.content == pack_content::trees || options_.repack_uncompressed);
  }

  [[nodiscard]] std::uint64_t target_pack_size(const std::vector<pack_usage>& packs) const {
    if (options_.repack_below != 0) return options_.repack_below;
    if (packs.empty()) return 0;
    std::vector<std::uint64_t> sizes;
    for (const auto& pack : packs) sizes.push_back(pack.size());
    const auto third_percentile = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() * 3 / 100);
    std::ranges::nth_element(sizes, third_percentile);
    return std::max(smallest_pack_size, *third_percentile) * 4 / 5;
  }

  void choose_candidates() {
    auto& stats = plan_.stats;
    std::ranges::stable_sort(candidates_, [this](const pack_usage* a, const pack_usage* b) {
      const auto rank = [this](const pack_usage& pack) {
        return pack.content != pack_content::data ? 0 : pack.size() < target_size_ ? 1 : 2;
      };
      if (rank(*a) != rank(*b)) return rank(*a) < rank(*b);
      // unused / used, without division. Packs have less than 4 GiB, so the products fit.
      return a->unused_size * b->used_size > b->unused_size * a->used_size;
    });
    const auto limit = options_.max_unused.beside(stats.bytes.used);
    const auto most = options_.recover_no_free_space ? 0 : options_.max_repack_bytes;
    for (auto* pack : candidates_) {
      const auto wasted = stats.bytes.duplicate + stats.bytes.unused - stats.bytes.remove - stats.bytes.repack_remove;
      const bool is_limited = pack->content == pack_content::data && !must_compress(*pack);
      const bool is_too_much = stats.bytes.repack + pack->size() >= most;
      if (is_too_much || (is_limited && wasted < limit && pack->size() >= target_size_))
        ++stats.packs.keep;
      else
        repack(*pack);
    }
    plan_.usage->drop_copies_of_what_stays();
  }

  void repack(pack_usage& pack) {
    auto& stats = plan_.stats;
    pack.action = pack_action::repack;
    plan_.repack.push_back(pack.id);
    stats.blobs.repack += pack.used_blobs + pack.unused_blobs;
    stats.bytes.repack += pack.size();
    stats.blobs.repack_remove += pack.unused_blobs;
    stats.bytes.repack_remove += pack.unused_size;
    if (pack.has_uncompressed && repo_.config().version >= 2) stats.bytes.uncompressed -= pack.size();
  }

  void sum_up() {
    auto& packs = plan_.stats.packs;
    packs.unreferenced = plan_.unindexed.size();
    packs.repack = plan_.repack.size();
    packs.remove = plan_.remove.size();
    packs.total = packs.used + packs.partly_used + packs.unused + packs.unreferenced;
    packs.remove_total = packs.unreferenced + packs.remove;
    auto& blobs = plan_.stats.blobs;
    blobs.total = blobs.used + blobs.unused + blobs.duplicate;
    blobs.remove_total = blobs.remove + blobs.repack_remove;
    blobs.remaining = blobs.total - blobs.remove_total;
    auto& sizes = plan_.stats.bytes;
    sizes.total = sizes.used + sizes.duplicate + sizes.unused + sizes.unreferenced;
    sizes.remove_total = sizes.remove + sizes.repack_remove + sizes.unreferenced;
    sizes.remaining = sizes.total - sizes.remove_total;
    sizes.remaining_unused = sizes.duplicate + sizes.unused - sizes.remove - sizes.repack_remove;
  }

  repository& repo_;
  const prune_options& options_;
  prune_observer& observer_;
  prune_plan plan_;
  std::uint64_t target_size_ = 0;
  std::vector<pack_usage*> candidates_;
};

}  // namespace recoup
