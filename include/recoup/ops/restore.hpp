// Restores a snapshot, or a part of one, into a directory.
//
//   1. read the trees: decide about each entry, make directories and special files, plan the files restore_walk
//   2. read existing files to see what of them can stay                                            existing_content
//   3. read each needed blob once and write it wherever it belongs                                 content_writer
//   4. hard links, deletions, metadata of directories                                              restore_finishing
//   5. if asked for, read everything again                                                         content_verification
//
// Nothing a repository says can make it touch anything outside the target: see directories.hpp. An item that fails is
// reported and the rest goes on; only a full disk, a request to stop, or a target that cannot be used end it.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/fs/user_names.hpp>
#include <recoup/ops/restore/content_check.hpp>
#include <recoup/ops/restore/content_writer.hpp>
#include <recoup/ops/restore/context.hpp>
#include <recoup/ops/restore/directories.hpp>
#include <recoup/ops/restore/finishing.hpp>
#include <recoup/ops/restore/options.hpp>
#include <recoup/ops/restore/reporter.hpp>
#include <recoup/ops/restore/tree_walk.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/working_threads.hpp>

namespace recoup {

namespace restore_target {

/// Opens the target; makes it and its parents unless it is a dry run, which may find nothing there.
[[nodiscard]] inline file_descriptor open(const std::string& path, bool dry_run) {
  const auto cannot = [&](int reason) { return system_error(reason, "cannot restore into " + path); };
  if (!dry_run) {
    for (auto slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
      const auto parent = path.substr(0, slash);
      if (::mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST) {
        struct stat status {};
        const int reason = errno;  // "read-only" or "not permitted" matter only if it is not there
        if (::stat(parent.c_str(), &status) != 0) throw cannot(reason);
      }
      if (slash == std::string::npos) break;
    }
  }
  file_descriptor target(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!target && !(dry_run && errno == ENOENT)) throw cannot(errno);
  return target;
}

}  // namespace restore_target

/// Restores what is in the tree `root` to `options.target`. The index must be loaded. Throws interrupted, no_space, or
/// what is wrong with the options or the target; problems with single items go to the observer.
inline restore_result restore(repository& repo, const id& root, const restore_options& options,
                              restore_observer& observer) {
  if (options.target.empty()) throw error(error_code::invalid_argument, "no directory was given to restore into");
  if (options.dry_run && options.verify)
    throw error(error_code::invalid_argument, "a dry run writes nothing that could be verified");
  restore_options settled = options;
  settled.target = absolute_path(options.target);
  if (settled.target == "/" && settled.delete_extra && !settled.select)
    throw error(error_code::invalid_argument,
                "refused to delete everything in / that is not in the snapshot; say with a filter what may go");

  restore_reporter reporter(observer, options.stop);
  reporter.check();
  reporter.phase(restore_phase::planning);
  directory_table directories(restore_target::open(settled.target, settled.dry_run), root, settled.dry_run, reporter);
  restore_plan plan;
  user_names names;
  apply_options metadata;
  metadata.ownership_by_name = settled.ownership_by_name;
  metadata.names = &names;
  metadata.restores_attribute = settled.restores_attribute;
  const auto on_metadata_problem = [&](const std::string& path, const std::string& message) {
    reporter.failed(path, error(error_code::io, message));
  };
  // Each thread has a part of 4 MiB and a chunk of up to 8 MiB. Twelve parts under way fill 1 GB/s at 50 ms.
  const auto threads = settled.threads != 0 ? settled.threads : working_threads(repo.storage(), 12);
  restore_context context{repo, settled, reporter, directories, plan, metadata, on_metadata_problem, threads};

  try {
    restore_walk(context).run();
    existing_content(context).run();
    if (settled.dry_run)
      content_writer(context).report_only();
    else
      content_writer(context).run();
    restore_finishing(context).run();
    if (settled.verify) content_verification(context).run();
  } catch (const error& problem) {
    if (problem.code() == error_code::interrupted) reporter.check();
    throw;
  }
  reporter.check();

  const auto& counted = observer.counters;
  return {counted.total_files, counted.files_restored, counted.files_skipped, counted.files_deleted,
          counted.total_bytes, counted.bytes_restored, counted.bytes_skipped, counted.files_verified,
          counted.errors};
}

}  // namespace recoup
