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
//
// ## In two phases (prune_options::two_phase)
//
// Then the lock is a shared one (lock_options::two_phase_prune), and backups go on meanwhile. The danger: a backup that
// has loaded the index relies on a blob which no snapshot needs yet. So packs are not removed but *marked*: they leave
// "packs" for "packs_to_delete" in the index, where who stores something does not look, and who reads does
// (blob_index::add_marked). A later prune removes them once nobody can rely on them any more.
//
//   plan:    list packs -> load the index -> list locks: others -> list snapshots -> load index files that came since
//            a marked pack in which a snapshot needs what is in no other -> recovered: listed again as one that counts
//            a marked pack that nobody needs -> removed if its mark is old enough, and none of the holders recorded with
//            it is among the others; without such a record: if there are no others
//   execute: what is needed of packs to be repacked -> new packs, durable -> indexed
//            the marks, as yet without holders -> new index files, durable
//            new index files without the marked packs, durable -> the old ones that were loaded are removed
//            list locks: others -> the marks again, with these as holders -> the marks without are removed
//            the packs to be removed are removed
//
// Why nothing that is needed goes. Let a pack be removed, and let a snapshot need it then or later, for a blob that is in
// no other. Whoever made the snapshot had found the blob in the index, in this pack, or in an older snapshot.
//   - In the index: it was read before the last index file that counted the pack was removed; and a lock was there before
//     the index was read. The holders were listed after that file was removed. If the lock was still there, then its
//     owner is recorded; it had gone when the locks were listed before the removal, and the snapshot was there before
//     it went, so that it was among the listed snapshots, and the pack was recovered. If the lock was gone when the
//     holders were listed, the same is true the more.
//   - In an older snapshot (rewrite, tag, repair): snapshots are only removed under an exclusive lock, so that the older
//     one exists as long as the owner has its lock, and has been listed in its stead. By such snapshots a whole pack joins
//     the index of who reads, which is why it is recovered as a whole, or marked anew.
//   - Recovered packs count again, and their old marks go. If they stayed, they would mean nothing: what counts, counts;
//     and if the pack is marked once more, then the later time and all holders count (merged()).
//   - Locks are listed in a way in which one that is just being refreshed is not missed (lock_holders.hpp), and known by
//     who holds them, since refreshed ones have other names. A process that has another's number and host only delays.
//   - Two such prunes would do no harm by marking, but each might remove one of two marked copies, because of the other.
//     Their locks exclude one another.
//   - Packs that no index lists may be a running backup's. They are marked only if nobody held a lock after they were
//     listed; indexed nevertheless, they count. Packs that are indexed already may be too: prune_planner tells them.
//   - Whoever lists the index while its files are replaced may see neither the old nor the new ones: it stores again what
//     is there. Who finds a listed file gone lists again (repository::refresh_index); restic gives up, so that whoever
//     locked since the plan was begun is given some seconds before the old ones go.
// rustic takes no locks: it is protected by the delay alone, as it is from its own prune.
//
// Killed between marking and recording, there are marks without holders, as rustic's: the next prune records who is there
// then, who are all that can rely on them and still live. Killed elsewhere: as above.
//
// Until the next prune, restic does not see what a snapshot needs of a marked pack: one by a backup that was under way when
// the pack was marked. It then refuses to prune; any prune of ours mends it.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/core/time.hpp>
#include <recoup/ops/full_index_files.hpp>
#include <recoup/ops/prune/options.hpp>
#include <recoup/ops/prune/plan.hpp>
#include <recoup/ops/prune/repack.hpp>
#include <recoup/ops/remove_files.hpp>
#include <recoup/ops/rewrite_index.hpp>
#include <recoup/repo/lock_holders.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Loads the index if need be, and changes nothing. In two phases it must not have been loaded before the lock was there,
/// nor may there be recover_no_free_space. Throws damaged if something that a snapshot needs is missing: then
/// there must be no prune.
[[nodiscard]] inline prune_plan plan_prune(repository& repo, const prune_options& options, prune_observer& observer) {
  return prune_planner(repo, options, observer).run();
}

/// Executes a plan that was made with the same options. Afterwards the index is not loaded; if it throws, the repository has
/// to be opened anew to go on.
class prune_execution {
public:
  prune_execution(repository& repo, const prune_plan& plan, const prune_options& options, prune_observer& observer)
      : repo_(repo), plan_(plan), options_(options), observer_(observer) {}

  void run() {
    execute();
    repo_.drop_index();
  }

private:
  void execute() {
    remove_packs(plan_.unindexed, prune_phase::unindexed);
    throw_if_stopped(options_.stop);
    if (!plan_.repack.empty()) repacking(repo_, plan_, options_, observer_).run();
    if (options_.two_phase) return mark_and_remove();
    std::vector<id> old = plan_.remove;
    old.insert(old.end(), plan_.repack.begin(), plan_.repack.end());
    if (options_.recover_no_free_space)
      remove_without_free_space(old);
    else
      remove(old);
  }

  void remove(const std::vector<id>& packs) {
    index_rewrite_options rewrite;
    rewrite.without_packs.insert(packs.begin(), packs.end());
    rewrite_indexes(std::move(rewrite), {});
    remove_packs(packs, prune_phase::remove_packs);
  }

  void rewrite_indexes(index_rewrite_options rewrite, std::function<void()> on_stored) {
    rewrite.without_packs.insert(plan_.forget.begin(), plan_.forget.end());
    rewrite.without_marks = plan_.marks.drop;
    rewrite.added = plan_.marks.recover;
    rewrite.stop = options_.stop;
    if (rewrite.without_packs.empty() && rewrite.without_marks.empty() && rewrite.added.empty()) return;
    index_rewrite_observer told;
    told.on_processed = [this](std::size_t done, std::size_t total) {
      observer_.on_progress(prune_phase::rewrite_index, done, total);
    };
    told.on_stored = std::move(on_stored);
    told.removal = removal(file_type::index, prune_phase::remove_indexes);
    rewrite_index(repo_, rewrite, told);
  }

  // --- in two phases ---

  void mark_and_remove() {
    const auto unrecorded = save_marks(std::nullopt);
    index_rewrite_options rewrite;
    rewrite.without_packs.insert(plan_.remove.begin(), plan_.remove.end());
    rewrite.without_packs.insert(plan_.repack.begin(), plan_.repack.end());
    // What others have stored since is not known to the plan.
    rewrite.only = repo_.loaded_indexes();
    rewrite_indexes(std::move(rewrite), [this] { let_others_load(); });
    if (!unrecorded.empty()) record_holders(unrecorded);
    remove_packs(plan_.marks.remove, prune_phase::remove_packs);
  }

  /// Returns the names of the index files.
  std::vector<id> save_marks(const std::optional<std::vector<lock_holder>>& holders) {
    std::vector<id> names;
    full_index_files files;
    const auto save = [&](const index_contents& contents) {
      throw_if_stopped(options_.stop);
      if (const auto name = save_index_file(repo_, contents)) names.push_back(*name);
    };
    const auto now = current_time();
    std::size_t done = 0;
    for (auto pack : plan_.marks.mark) {
      if (!holders) observer_.on_progress(prune_phase::mark, done++, plan_.marks.mark.size());
      if (!pack.mark.time) pack.mark.time = now;
      pack.mark.holders = holders;
      save(files.add(std::move(pack)));
    }
    save(files.take_rest());
    if (!holders && done > 0) observer_.on_progress(prune_phase::mark, done, done);
    return names;
  }

  /// No index file counts the marked packs any more: whoever may rely on them has a lock now, or is done.
  void record_holders(const std::vector<id>& unrecorded) {
    try {
      save_marks(other_lock_holders(repo_, options_.two_phase->is_own_lock));
    } catch (const error& problem) {
      if (problem.code() == error_code::interrupted) throw;
      return observer_.on_holders_unknown(problem);
    }
    // Should one stay, then its marks say that the holders are not known, which only delays.
    (void)remove_files(repo_, file_type::index, unrecorded, {}, options_.stop);
  }

  void let_others_load() {
    bool is_new = true;
    try {
      const auto& before = plan_.marks.others;
      is_new = std::ranges::any_of(other_lock_holders(repo_, options_.two_phase->is_own_lock), [&](const auto& holder) {
        return std::ranges::find(before, holder) == before.end();
      });
    } catch (const error& problem) {
      if (problem.code() == error_code::interrupted) throw;
    }
    if (is_new && !sleep_unless_stopped(options_.stop, options_.two_phase->time_to_load)) throw_if_stopped(options_.stop);
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
      save_index_file(repo_, files_to_write.add(indexed_pack{pack, {blobs.begin(), blobs.end()}}));
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
