// What becomes of packs that are marked for deletion already, and of packs that no index lists, in a two-phase prune.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <unordered_set>
#include <vector>

#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/ops/prune/options.hpp>
#include <recoup/repo/lock_holders.hpp>
#include <recoup/repo/pack_mark.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// A pack that nobody needs and that may not go yet.
struct waiting_pack {
  recoup::id id{};
  std::uint64_t size = 0;              ///< bytes
  std::optional<timestamp> until;      ///< it is too early; nothing: it is not
  std::optional<lock_holder> holder;   ///< who may still rely on it
};

/// The marks that plans and executions of two-phase prunes share.
struct mark_plan {
  std::vector<lock_holder> others;     ///< who held locks before snapshots were listed
  std::vector<marked_pack> mark;       ///< to be marked; without a time: now
  std::vector<waiting_pack> waiting;   ///< also packs that are not marked yet, as a backup may just have stored them
  std::vector<id> remove;              ///< marked long ago, and nobody relies on them any more
  std::vector<indexed_pack> recover;   ///< marked packs that snapshots need: to be listed again as packs that count
  std::unordered_set<id> drop;         ///< packs whose marks must go
};

[[nodiscard]] inline std::optional<lock_holder> first_present(const std::vector<lock_holder>& holders,
                                                              const std::vector<lock_holder>& present) {
  const auto found = std::ranges::find_if(holders, [&](const lock_holder& holder) {
    return std::ranges::find(present, holder) != present.end();
  });
  return found == holders.end() ? std::nullopt : std::optional(*found);
}

/// Decides about what no index lists as a pack that counts, and that no snapshot needs.
class mark_judge {
public:
  mark_judge(const repository& repo, const two_phase_options& options, mark_plan& plan, prune_stats& stats)
      : repo_(repo), options_(options), plan_(plan), stats_(stats) {}

  void marked(const id& pack, std::uint64_t size, const pack_mark& mark) {
    if (auto waiting = reason_to_wait(pack, size, mark)) {
      ++stats_.marks.packs_waiting;
      stats_.marks.bytes_waiting += size;
      plan_.waiting.push_back(*waiting);
      // From now on it is known who may rely on it: whoever comes later does not.
      if (!mark.time || !mark.holders) mark_again(pack, mark);
    } else {
      ++stats_.marks.packs_removed;
      stats_.marks.bytes_removed += size;
      plan_.remove.push_back(pack);
      plan_.drop.insert(pack);
    }
  }

  /// `is_old`: it was there before others' locks were listed. If there were none, then whoever stored the pack is gone,
  /// and has not indexed it.
  void unindexed(const id& pack, std::uint64_t size, bool is_old) {
    if (!is_old || !plan_.others.empty() || size > std::numeric_limits<std::uint32_t>::max()) return;
    pack_mark mark;
    mark.size = static_cast<std::uint32_t>(size);
    plan_.mark.push_back({{pack, {}}, mark});
    ++stats_.marks.packs_marked;
    stats_.marks.bytes_marked += size;
  }

private:
  [[nodiscard]] std::optional<waiting_pack> reason_to_wait(const id& pack, std::uint64_t size,
                                                           const pack_mark& mark) const {
    waiting_pack waiting{pack, size, {}, {}};
    auto until = mark.time.value_or(now_);
    until.seconds += options_.delete_after.count();
    if (!mark.time || earlier(now_, until)) waiting.until = until;
    if (mark.holders)
      waiting.holder = first_present(*mark.holders, plan_.others);
    else if (!plan_.others.empty())
      waiting.holder = plan_.others.front();
    if (!waiting.until && !waiting.holder) return std::nullopt;
    return waiting;
  }

  void mark_again(const id& pack, pack_mark mark) {
    mark.holders.reset();
    plan_.mark.push_back({{pack, repo_.index().marked()->blobs_in(pack)}, std::move(mark)});
    plan_.drop.insert(pack);
  }

  const repository& repo_;
  const two_phase_options& options_;
  mark_plan& plan_;
  prune_stats& stats_;
  const timestamp now_ = current_time();
};

}  // namespace recoup
