// What a prune would do, decided before anything is changed.
//
//   a pack that no index lists                        -> removed at once
//   a pack that is marked for deletion                -> the same, unless it holds what is needed and in no other pack
//   nothing of it is needed                           -> removed
//   all of it is needed, one type, large enough       -> kept
//   all of it is needed, but it is small              -> joined with others, if there are ten of them
//   else                                              -> a candidate: the needed part is written again
//
// Candidates are taken, trees first, then small ones, then those that waste most, until what is wasted is within the
// limit; so do restic's (internal/repository/prune.go), whose sizes ours should not exceed.
//
// Where others may be at work (two phases, see ops/prune.hpp), "removed" means marked for deletion; of packs that are
// marked already, prune/marks.hpp decides which may go.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/ops/prune/marks.hpp>
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
  mark_plan marks;            ///< of packs that are marked for deletion, or to be
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
    const auto roots = read_all();
    auto used = find_used(roots);
    if (!options_.two_phase || lacks_packs()) list_packs();
    observer_.on_progress(prune_phase::packs, 0, listed_.size());
    const auto packs = listed_.size();
    plan_.usage = std::make_shared<usage_of_packs>(repo_.index(), std::move(used), listed_);
    plan_.stats = plan_.usage->stats();
    judge_others();
    classify();
    choose_candidates();
    decide_marks();
    sum_up();
    observer_.on_progress(prune_phase::packs, packs, packs);
    return std::move(plan_);
  }

private:
  static constexpr std::uint64_t smallest_pack_size = std::uint64_t{4} << 20;
  static constexpr std::size_t small_packs_worth_joining = 10;

  void require_sense() const {
    if (options_.two_phase && options_.recover_no_free_space)
      throw error(error_code::invalid_argument, "a two-phase prune needs room for new index files before anything goes");
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

  // --- what there is ---

  /// Returns the trees of the snapshots. Who is alone may read in any order. Beside others: who has stored packs by now
  /// has a lock, or has indexed them; who has indexed them has a lock, or has stored the snapshot; and who has stored that
  /// has indexed all that it needs.
  [[nodiscard]] std::vector<id> read_all() {
    if (options_.two_phase) list_packs();
    load_index();
    const auto indexed = repo_.index().packs().size();
    if (options_.two_phase) plan_.marks.others = other_lock_holders(repo_, options_.two_phase->is_own_lock);
    std::vector<id> roots;
    for (auto& [name, snapshot] : repo_.load_snapshots())
      if (!options_.ignored_snapshots.contains(name)) roots.push_back(snapshot.tree);
    if (options_.two_phase) {
      repo_.refresh_index();
      const auto packs = repo_.index().packs();
      fresh_.insert(packs.begin() + static_cast<std::ptrdiff_t>(indexed), packs.end());
    }
    for (const auto& [pack, mark] : repo_.marked().all())
      (repo_.index().contains_pack(pack) ? suspects_ : marks_).emplace(pack, mark);
    return roots;
  }

  [[nodiscard]] entry_set find_used(const std::vector<id>& roots) {
    observer_.on_progress(prune_phase::snapshots, 0, roots.size());
    std::uint64_t done = 0;
    used_entries_finder finder(repo_, prune_threads(options_, repo_),
                               [&] { observer_.on_progress(prune_phase::snapshots, ++done, roots.size()); });
    return finder.run(roots, options_.stop);
  }

  /// Others may have stored packs meanwhile, and indexed them.
  [[nodiscard]] bool lacks_packs() {
    for (const auto& [pack, size] : listed_) early_packs_.insert(pack);
    return !std::ranges::all_of(repo_.index().packs(), [this](const id& pack) { return early_packs_.contains(pack); });
  }

  void list_packs() {
    repo_.storage().list(file_type::pack, [&](const listed_file& file) { listed_.emplace(file.name, file.size); });
  }

  /// Packs that nobody needs and that no index lists as packs that count.
  void judge_others() {
    std::optional<mark_judge> judge;
    if (options_.two_phase) judge.emplace(repo_, *options_.two_phase, plan_.marks, plan_.stats);
    for (const auto& [pack, size] : listed_) {
      const auto mark = marks_.find(pack);
      if (!judge) {
        plan_.unindexed.push_back(pack);
        plan_.stats.bytes.unreferenced += size;
      } else if (mark != marks_.end()) {
        judge->marked(pack, size, mark->second);
      } else {
        judge->unindexed(pack, size, early_packs_.contains(pack));
      }
    }
    // Marks of packs that are gone, or that go now.
    for (const auto& [pack, mark] : marks_)
      if (!judge || !listed_.contains(pack)) plan_.marks.drop.insert(pack);
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
      if (fresh_.contains(pack.id) || (pack.used_blobs == 0 && may_be_in_the_making(pack)))
        ++stats.packs.keep;
      else if (pack.used_blobs == 0)
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

  /// Nobody needs the pack, but a backup that is under way may just have stored it. Marked, it would be recovered by the
  /// next prune, but until then restic would not see what the backup's snapshot needs of it. So it is only put on record,
  /// with those who are there, by a mark that means nothing as the pack goes on to count; a later prune marks it if they
  /// are gone.
  [[nodiscard]] bool may_be_in_the_making(const pack_usage& pack) {
    const auto& others = plan_.marks.others;
    if (others.empty() || marks_.contains(pack.id)) return false;
    const auto record = suspects_.find(pack.id);
    const bool is_on_record = record != suspects_.end() && record->second.holders;
    const auto holder = is_on_record ? first_present(*record->second.holders, others) : others.front();
    if (!holder) return false;
    plan_.marks.waiting.push_back({pack.id, pack.size(), {}, holder});
    ++plan_.stats.marks.packs_waiting;
    plan_.stats.marks.bytes_waiting += pack.size();
    if (is_on_record)
      suspects_.erase(record);
    else
      plan_.marks.mark.push_back({{pack.id, {}}, {}});
    return true;
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

  /// After it is decided what becomes of each pack.
  void decide_marks() {
    auto& counts = plan_.stats.marks;
    for (const auto& [pack, mark] : suspects_) plan_.marks.drop.insert(pack);
    for (const auto& pack : plan_.usage->packs()) {
      if (pack.action == pack_action::keep && marks_.contains(pack.id)) {
        plan_.marks.recover.push_back({pack.id, repo_.index().blobs_in(pack.id)});
        ++counts.packs_recovered;
        counts.bytes_recovered += pack.size();
      } else if (options_.two_phase && (pack.action == pack_action::remove || pack.action == pack_action::repack)) {
        plan_.marks.mark.push_back({{pack.id, repo_.index().blobs_in(pack.id)}, {}});
        ++counts.packs_marked;
        counts.bytes_marked += pack.size();
      }
    }
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
  std::unordered_map<id, std::uint64_t> listed_;  // packs and their sizes; in the end those that are not in the index
  std::unordered_set<id> early_packs_;            // those that were there first of all
  std::map<id, pack_mark> marks_;                 // of packs that do not count
  std::map<id, pack_mark> suspects_;              // of packs that do
  std::unordered_set<id> fresh_;                  // in index files that came after the locks were listed
  std::uint64_t target_size_ = 0;
  std::vector<pack_usage*> candidates_;
};

}  // namespace recoup
