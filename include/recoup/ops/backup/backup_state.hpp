// What all threads of one backup share, and what each keeps for itself.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/chunker/chunker.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/fs/metadata.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/fs/user_names.hpp>
#include <recoup/ops/backup/chunk_buffers.hpp>
#include <recoup/ops/backup/destinations.hpp>
#include <recoup/ops/backup/journal.hpp>
#include <recoup/ops/backup/options.hpp>
#include <recoup/ops/backup/own_files.hpp>
#include <recoup/ops/backup/small_files.hpp>
#include <recoup/core/work_stack.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

struct backup_worker {
  std::stop_token stop;
  small_files small;
  item_stats totals;
  std::vector<snapshot_summary> summaries;  ///< of each repository; only the counters are used
  recoup::taken_over taken_over;
};

using backup_work_stack = work_stack<backup_worker>;

class backup_state {
public:
  using clock = std::chrono::steady_clock;

  /// `noting` may be none.
  backup_state(backup_destinations& to, const backup_options& chosen, backup_observer& told, backup_journal* noting)
      : destinations(to), options(chosen), observer(told), journal(noting),
        cutter(to.first().repo.config().chunker_polynomial),
        threads(chosen.threads != 0 ? chosen.threads : std::max(processor_count(), chosen.read_concurrency)),
        own_files_{options.journal_directory} {
    for (std::size_t i = 0; i < to.size(); ++i) own_files_.add(to[i].repo.storage().cache_directory());
    metadata_.with_atime = options.with_atime;
    metadata_.device_for_hard_links_only = options.device_for_hard_links_only;
    metadata_.names = &names_;
    metadata_.on_warning = [this](const std::string& path, const std::string& message) {
      report(path, error(error_code::io, message));
    };
    inner_metadata_ = metadata_;
    inner_metadata_.ignore_attribute_permission = true;
  }

  /// Counts a problem with one item; the backup goes on.
  void report(const std::string& path, const error& problem) {
    errors_.fetch_add(1);
    observer.on_error(path, problem);
  }

  /// By the caller's rules, or because it is a copy of what is in the repository.
  [[nodiscard]] bool excludes_path(const std::string& path) const {
    return own_files_.contain(path) || (options.excludes_path && options.excludes_path(path));
  }

  [[nodiscard]] std::uint64_t errors() const noexcept { return errors_.load(); }

  /// The node of something that is to be saved. Throws source_error.
  [[nodiscard]] node read_source_node(int directory, const char* name, const std::string& path,
                                      const struct stat& status, int fd) {
    try {
      return read_node(directory, name, path, status, metadata_, fd);
    } catch (const error& problem) {
      throw source_error(problem);
    }
  }

  /// The same for a file whose times, size and inode are those of its node in the parent snapshot. Whoever changes
  /// extended attributes changes ctime, so where that was compared they need not be read again.
  [[nodiscard]] node node_of_unchanged(int directory, const char* name, const std::string& path,
                                       const struct stat& status, const node& before) {
    if (options.ignore_ctime || options.ignore_inode) return read_source_node(directory, name, path, status, -1);
    auto made = node_from_status(name, status, metadata_);
    made.extended_attributes = before.extended_attributes;
    return made;
  }

  /// The node of a directory that only leads to targets: nobody asked for it, so what may not be read is no error.
  [[nodiscard]] node read_inner_node(const std::string& path, const struct stat& status, int fd) {
    return read_node(AT_FDCWD, path.c_str(), path, status, inner_metadata_, fd);
  }

  backup_destinations& destinations;
  const backup_options& options;
  backup_observer& observer;
  backup_journal* const journal;
  const chunker cutter;
  const unsigned threads;
  chunk_buffers buffers;
  backup_work_stack stack;

private:
  own_files own_files_;
  user_names names_;
  metadata_options metadata_, inner_metadata_;
  std::atomic<std::uint64_t> errors_{0};
};

}  // namespace recoup
