// Making a snapshot.
//
//   recoup::backup_options options;
//   options.targets = {"/home"};
//   options.hostname = "nas";
//   options.parent = recoup::find_parent(*repo, options);
//   recoup::backup_observer nobody;
//   auto result = recoup::backup(*repo, options, nobody);
//
// Data blobs and trees are durable and indexed before the snapshot that needs them is written. If the process dies
// before that, the repository is as it was, plus packs that the next backup finds and uses. With
// backup_options::journal_directory it need not read again what was read either.
//
// With backup_options::also one reading fills several repositories.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/version.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/ops/backup/destinations.hpp>
#include <recoup/ops/backup/journal.hpp>
#include <recoup/ops/backup/options.hpp>
#include <recoup/ops/backup/source_tree.hpp>
#include <recoup/ops/backup/stream.hpp>
#include <recoup/ops/backup/tree_saver.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/unindexed_packs.hpp>

namespace recoup {

/// What must agree between a snapshot and its parent.
struct parent_grouping {
  bool host = true, paths = true, tags = false;
};

/// The newest snapshot, not newer than `options.time`, of the same host and targets.
[[nodiscard]] inline std::optional<parent_snapshot> find_parent(repository& repo, const backup_options& options,
                                                                const parent_grouping& grouping = {}) {
  snapshot_filter filter;
  filter.not_after = options.time;
  if (grouping.host) filter.hosts = {options.hostname};
  if (grouping.paths)
    for (const auto& target : options.targets) filter.paths.push_back(absolute_path(target));
  if (grouping.tags) filter.tags = {options.tags};
  try {
    auto found = find_snapshot(repo, "latest", filter);
    return parent_snapshot{found.id, std::move(found.snapshot)};
  } catch (const error& problem) {
    if (problem.code() != error_code::not_found) throw;
    return std::nullopt;
  }
}

namespace backup_steps {

inline void fill_owner(snapshot& made) {
  made.username = local_username();
  made.uid = ::geteuid();
  made.gid = ::getegid();
}

/// What the repository of this number gets. Stores nothing if it is skipped as unchanged.
inline void save_snapshot(repository_result& result, const backup_destination& to, const snapshot_summary& counts,
                          const backup_options& options, const std::vector<std::string>& paths, const id& tree,
                          const timestamp& started) {
  auto& summary = result.summary;
  summary = counts;
  summary.backup_start = started;
  summary.backup_end = current_time();
  summary.data_blobs = result.stats.data_blobs;
  summary.tree_blobs = result.stats.tree_blobs;
  summary.data_added = result.stats.data_size + result.stats.tree_size;
  summary.data_added_packed = result.stats.data_size_in_repo + result.stats.tree_size_in_repo;
  summary.total_files_processed = summary.files_new + summary.files_changed + summary.files_unmodified;

  auto& made = result.snapshot;
  made.time = options.time;
  made.tree = tree;
  made.paths = paths;
  made.hostname = options.hostname;
  fill_owner(made);
  made.excludes = options.excludes;
  made.tags = options.tags;
  if (to.parent) made.parent = to.parent->id;
  made.program_version = options.program_version.empty() ? std::string(program_version_prefix).append(library_version)
                                                         : options.program_version;
  made.summary = summary;
  if (options.skip_if_unchanged && to.parent && to.parent->snapshot.tree == tree) return;
  throw_if_stopped(options.stop);
  result.snapshot_id = to.repo.save_snapshot(made);
}

/// All blobs are durable and indexed: each repository gets its snapshot.
[[nodiscard]] inline backup_result finish(backup_destinations& to, const backup_options& options,
                                          const std::vector<std::string>& paths, const tree_saver& saver,
                                          const id& tree, const timestamp& started) {
  backup_result result;
  result.also.resize(to.size() - 1);
  for (std::size_t i = 0; i < to.size(); ++i) {
    auto& each = i == 0 ? static_cast<repository_result&>(result) : result.also[i - 1];
    each.stats = i == 0 ? saver.stats() : to[i].added();
    (void)to.attempt(to[i], [&](repository&) {
      save_snapshot(each, to[i], saver.counts(i), options, paths, tree, started);
    });
    each.failure = to[i].failure();
  }
  result.taken_over = saver.taken_over();
  result.errors = saver.errors();
  return result;
}

/// Loads what says which blobs there are. A repository that cannot even be read is no failure that others survive:
/// nothing was backed up yet.
inline void load_indexes(repository& repo, const backup_options& options) {
  repo.load_index();
  if (options.adopt_unindexed_packs) (void)adopt_unindexed_packs(repo, options.stop);
  for (const auto& each : options.also) {
    each.repo->load_index();
    if (each.adopt_unindexed_packs) (void)adopt_unindexed_packs(*each.repo, options.stop);
  }
}

/// Targets that exist; the others are reported. Throws if none does.
[[nodiscard]] inline std::vector<std::string> existing_targets(const backup_options& options, backup_observer& observer,
                                                               std::uint64_t& missing) {
  if (options.targets.empty())
    throw error(error_code::invalid_argument, "nothing to backup, please specify source files/dirs");
  std::vector<std::string> existing;
  for (const auto& target : options.targets) {
    struct stat status{};
    if (::lstat(target.c_str(), &status) == 0 || errno != ENOENT) {
      existing.push_back(target);
      continue;
    }
    ++missing;
    observer.on_error(target, error(error_code::not_found, target + " does not exist, skipping"));
  }
  if (existing.empty()) throw error(error_code::not_found, "all source directories/files do not exist");
  return existing;
}

/// None if there is to be none.
[[nodiscard]] inline std::unique_ptr<backup_journal> open_journal(repository& repo, const backup_options& options,
                                                                  const std::vector<std::string>& paths,
                                                                  backup_observer& observer) {
  if (options.journal_directory.empty() || !options.keep_journal) return nullptr;
  auto journal = std::make_unique<backup_journal>(
      repo, absolute_path(options.journal_directory), journal_subject{repo.config().id, options.hostname, paths},
      status_rules{!options.ignore_ctime && !options.ignore_inode, !options.ignore_inode},
      [&observer](const error& problem) { observer.on_not_noted(problem); });
  const auto has = [](const id& blob) {
    return [&blob](const additional_repository& each) { return each.repo->index().contains({blob_type::data, blob}); };
  };
  journal->load(!options.read_all, [&](const id& blob) { return std::ranges::all_of(options.also, has(blob)); });
  if (!journal->noted().empty()) observer.on_resumed(journal->noted().size());
  return journal;
}

/// Runs `work`, which ends with a snapshot. If it does not, the journal is kept for the next backup; likewise if the
/// first of several repositories, whose journal it is, has got none.
template <class Work>
[[nodiscard]] backup_result with_journal(const std::unique_ptr<backup_journal>& journal, backup_observer& observer,
                                         Work&& work) {
  try {
    auto result = work();
    if (journal && !result.failure)
      journal->remove();
    else if (journal && journal->keep())
      observer.on_noted();
    return result;
  } catch (...) {
    if (journal && journal->keep()) observer.on_noted();
    throw;
  }
}

}  // namespace backup_steps

/// Backs up files and directories. Loads the index if nobody has. Problems with single items are reported and counted;
/// throws if the repository cannot be written, if there is nothing to back up, or if interrupted. No snapshot then.
[[nodiscard]] inline backup_result backup(repository& repo, const backup_options& options, backup_observer& observer) {
  using namespace backup_steps;
  const auto started = current_time();
  backup_destinations to(repo, options, observer);
  load_indexes(repo, options);
  std::uint64_t missing = 0;
  const auto targets = existing_targets(options, observer, missing);
  const auto tree = make_source_tree(targets);
  std::vector<std::string> paths;
  for (const auto& target : targets) paths.push_back(absolute_path(target));
  const auto journal = open_journal(repo, options, paths, observer);
  return with_journal(journal, observer, [&] {
    tree_saver saver(to, options, observer, journal.get());
    const auto root = to.save_and_flush([&] { return saver.save(tree); });
    auto result = finish(to, options, paths, saver, root, started);
    result.errors += missing;
    return result;
  });
}

/// Backs up what a program writes, as one file.
[[nodiscard]] inline backup_result backup(repository& repo, const backup_options& options, const backup_stream& stream,
                                          backup_observer& observer) {
  using namespace backup_steps;
  const auto started = current_time();
  backup_destinations to(repo, options, observer);
  load_indexes(repo, options);
  tree_saver saver(to, options, observer);
  const auto root = to.save_and_flush([&] { return saver.save(stream); });
  return finish(to, options, {clean_path("/" + stream.path)}, saver, root, started);
}

}  // namespace recoup
