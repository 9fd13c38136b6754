// Removes what no snapshot needs.
//
//   plan:    which blobs do the snapshots need? -> how much of each pack? -> keep, repack or remove it
//   execute: packs that no index lists are removed
//            what is needed of packs to be repacked -> new packs, durable -> indexed
//            new index files without the old packs, durable -> the old index files are removed
//            the old packs are removed
//
// Killed anywhere, the repository is sound: what is left over is packs that no index lists, or blobs that lie in two.
// Whoever calls this holds an exclusive lock, from before the plan until after the execution.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/ops/full_index_files.hpp>
#include <recoup/ops/prune/options.hpp>
#include <recoup/ops/prune/plan.hpp>
#include <recoup/ops/prune/repack.hpp>
#include <recoup/ops/remove_files.hpp>
#include <recoup/ops/rewrite_index.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Loads the index if need be, and changes nothing. Throws damaged if something that a snapshot needs is missing: then
/// there must be no prune.
[[nodiscard]] inline prune_plan plan_prune(repository& repo, const prune_options& options, prune_observer& observer) {
  return prune_planner(repo, options, observer).run();
}

/// Executes a plan that was made with the same options. Afterwards the repository's index in memory is out of date: open
/// the repository anew to go on.
class prune_execution {
public:
  prune_execution(repository& repo, const prune_plan& plan, const prune_options& options, prune_observer& observer)
      : repo_(repo), plan_(plan), options_(options), observer_(observer) {}

  void run() {
    remove_packs(plan_.unindexed, prune_phase::unindexed);
    throw_if_stopped(options_.stop);
    if (!plan_.repack.empty()) repacking(repo_, plan_, options_, observer_).run();
    std::vector<id> old = plan_.remove;
    old.insert(old.end(), plan_.repack.begin(), plan_.repack.end());
    if (options_.recover_no_free_space)
      remove_without_free_space(old);
    else
      remove(old);
  }

private:
  void remove(const std::vector<id>& packs) {
    index_rewrite_options rewrite;
    rewrite.without_packs.insert(packs.begin(), packs.end());
    rewrite.without_packs.insert(plan_.forget.begin(), plan_.forget.end());
    rewrite.stop = options_.stop;
    if (rewrite.without_packs.empty()) return;
    index_rewrite_observer told;
    told.on_processed = [this](std::size_t done, std::size_t total) {
      observer_.on_progress(prune_phase::rewrite_index, done, total);
    };
    told.removal = removal(file_type::index, prune_phase::remove_indexes);
    rewrite_index(repo_, rewrite, told);
    remove_packs(packs, prune_phase::remove_packs);
  }

  /// Nothing can be written before something is gone. What the packs' own headers say outlives the index files.
  void remove_without_free_space(const std::vector<id>& packs) {
    std::vector<id> files;
    for (const auto& file : repo_.list(file_type::index)) files.push_back(file.name);
    const auto left = remove_files(repo_, file_type::index, files, removal(file_type::index, prune_phase::remove_indexes));
    // An index file that stays would list packs that are gone.
    std::unordered_set<id> gone;
    if (left.empty()) {
      remove_packs(packs, prune_phase::remove_packs);
      gone.insert(packs.begin(), packs.end());
    }
    const std::unordered_set<id> missing(plan_.forget.begin(), plan_.forget.end());
    full_index_files files_to_write;
    std::size_t done = 0;
    const auto total = repo_.index().packs().size();
    repo_.index().for_each_pack([&](const id& pack, std::span<const packed_blob> blobs) {
      observer_.on_progress(prune_phase::write_index, ++done, total);
      if (gone.contains(pack) || missing.contains(pack)) return;
      save_index_file(repo_, files_to_write.add({pack, {blobs.begin(), blobs.end()}}));
    });
    save_index_file(repo_, files_to_write.take_rest());
    if (!left.empty())
      throw error(error_code::failure, "index " + left.front().hex() +
                                           " could not be removed, so no pack was removed either, and a new index lists "
                                           "what the old one did; remove the cause and run this again");
  }

  void remove_packs(const std::vector<id>& packs, prune_phase phase) {
    if (packs.empty()) return;
    observer_.on_progress(phase, 0, packs.size());
    // A pack too many does no harm.
    (void)remove_files(repo_, file_type::pack, packs, removal(file_type::pack, phase), options_.stop);
  }

  [[nodiscard]] removal_observer removal(file_type type, prune_phase phase) {
    removal_observer told;
    told.on_progress = [this, phase](std::size_t done, std::size_t total) {
      observer_.on_progress(phase, done, total);
    };
    told.on_removed = [this, type](const id& name) { observer_.on_removed({type, name}); };
    told.on_failed = [this, type](const id& name, const error& problem) {
      observer_.on_not_removed({type, name}, problem);
    };
    return told;
  }

  repository& repo_;
  const prune_plan& plan_;
  const prune_options& options_;
  prune_observer& observer_;
};

/// See prune_execution. Throws if something that is needed cannot be read, or cannot be stored: then nothing that a
/// snapshot needs is gone.
inline void execute_prune(repository& repo, const prune_plan& plan, const prune_options& options,
                          prune_observer& observer) {
  prune_execution(repo, plan, options, observer).run();
}

}  // namespace recoup
