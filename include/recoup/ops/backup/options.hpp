// What a backup is told, what it reports meanwhile, and what it says in the end.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/repo/node.hpp>
#include <recoup/repo/snapshot.hpp>

namespace recoup {

struct parent_snapshot {
  recoup::id id;
  recoup::snapshot snapshot;
};

class repository;

/// A repository besides the first that gets the same snapshot. It must cut files as the first does.
struct additional_repository {
  repository* repo = nullptr;
  std::optional<parent_snapshot> parent;
  bool adopt_unindexed_packs = false;  ///< see backup_options
  std::stop_token stop{};  ///< requested once it must not be written to any more: its lock could not be kept
};

struct backup_options {
  /// Files and directories, absolute or relative to the working directory, as restic takes them: "." and ".." stand for
  /// what is in them.
  std::vector<std::string> targets;

  std::vector<std::string> tags;
  std::string hostname;
  std::string program_version;          ///< noted in the snapshot; recoup's own if empty
  timestamp time = current_time();      ///< of the snapshot
  std::vector<std::string> excludes;    ///< noted in the snapshot; excluding is the work of the two functions below
  std::optional<parent_snapshot> parent;

  /// True for absolute paths that are left out. Asked before anything is known but the name; any thread, often.
  std::function<bool(const std::string& path)> excludes_path;
  /// The same once the entry's status is known.
  std::function<bool(const std::string& path, const struct stat& status)> excludes_entry;

  bool with_atime = false;
  bool device_for_hard_links_only = false;  ///< see metadata_options
  bool ignore_ctime = false;  ///< a file is unchanged even if its ctime differs from the parent's
  bool ignore_inode = false;  ///< … or its inode number; implies ignore_ctime
  bool skip_if_unchanged = false;
  /// Look for packs that a killed backup stored but could not index any more, and use them. The caller must hold a
  /// lock.
  bool adopt_unindexed_packs = false;

  /// Every blob goes into each of these that lacks it, read and cut once, and each gets a snapshot. Should one fail, or
  /// the first, the others get theirs all the same.
  std::vector<additional_repository> also;

  /// The base directory of caches, see default_cache_directory(). There it is noted, encrypted, what was read, until
  /// there is a snapshot of it: after an interruption the next backup of the same host and targets goes on from there.
  /// The backup leaves the directory out. Empty: nothing is noted.
  std::string journal_directory;
  bool keep_journal = true;  ///< false: the directory is only left out (a dry run)
  /// Every file is read, also what an interrupted backup has read. Without a parent that is then all there is.
  bool read_all = false;

  unsigned threads = 0;  ///< 0: one per processor, at least as many as `read_concurrency`
  unsigned read_concurrency = 2;
  std::stop_token stop{};
};

/// New blobs that an item brought.
struct item_stats {
  std::uint64_t data_blobs = 0, data_size = 0, data_size_in_repo = 0;
  std::uint64_t tree_blobs = 0, tree_size = 0, tree_size_in_repo = 0;

  item_stats& operator+=(const item_stats& other) noexcept {
    data_blobs += other.data_blobs, data_size += other.data_size, data_size_in_repo += other.data_size_in_repo;
    tree_blobs += other.tree_blobs, tree_size += other.tree_size, tree_size_in_repo += other.tree_size_in_repo;
    return *this;
  }
};

/// Files, and beginnings of large files, that an interrupted backup had read, so that they were not read again.
struct taken_over {
  std::uint64_t files = 0, bytes = 0;

  taken_over& operator+=(const taken_over& other) noexcept {
    files += other.files, bytes += other.bytes;
    return *this;
  }
};

enum class item_change : std::uint8_t { none, added, modified, unchanged };

struct backup_item {
  std::string path;  ///< in the snapshot; a directory's ends in "/"
  node_type type = node_type::file;
  item_change change = item_change::none;
  std::uint64_t size = 0;
  item_stats stats;
  std::chrono::nanoseconds duration{0};
};

/// Told what happens, from any thread at any time, several at once.
class backup_observer {
public:
  backup_observer() = default;
  backup_observer(const backup_observer&) = delete;
  backup_observer& operator=(const backup_observer&) = delete;
  virtual ~backup_observer() = default;

  virtual void on_file_started(const std::string& /*path*/) {}
  virtual void on_bytes_done(std::uint64_t /*count*/) {}
  virtual void on_item_done(const backup_item& /*item*/) {}
  virtual void on_excluded(const std::string& /*path*/) {}
  /// The item is left out of the snapshot, or stored with incomplete metadata; the backup goes on.
  virtual void on_error(const std::string& /*path*/, const error& /*problem*/) {}
  /// An interrupted backup of the same has read so many files that need not be read again, unless they have changed,
  /// and perhaps the beginnings of others.
  virtual void on_resumed(std::uint64_t /*files*/) {}
  /// One of several repositories; the others go on. Told once for each.
  virtual void on_repository_failed(const std::string& /*location*/, const error& /*problem*/) {}
  /// The backup ends without a snapshot, but the next one can go on from what was read.
  virtual void on_noted() {}
  /// What is read cannot be noted, or not any more: after an interruption all of it will be read again.
  virtual void on_not_noted(const error& /*reason*/) {}
};

/// What one repository got.
struct repository_result {
  std::optional<id> snapshot_id;  ///< nothing if it was skipped as unchanged
  recoup::snapshot snapshot;
  snapshot_summary summary;
  item_stats stats;
  std::optional<error> failure;  ///< then it got no snapshot; only where there are several repositories
};

struct backup_result : repository_result {
  std::vector<repository_result> also;  ///< as in the options
  recoup::taken_over taken_over;
  std::uint64_t errors = 0;  ///< items that could not be read; the exit code is then 3
};

/// A problem with what is backed up, not with the repository: the item is reported and the rest goes on.
class source_error : public error {
public:
  using error::error;
  explicit source_error(const error& cause) : error(cause) {}
};

}  // namespace recoup
