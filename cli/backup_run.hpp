// A backup as `backup` and `schedule run` make it: what its flags mean, and the work with what is printed meanwhile.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <recoup/fs/exclude.hpp>
#include <recoup/ops/backup.hpp>
#include <recoup/ops/snapshot_groups.hpp>

#include "additional_repositories.hpp"
#include "command.hpp"
#include "session.hpp"

namespace recoup::cli {

struct backup_flags {
  exclude_options exclude;
  std::string exclude_larger_than;
  std::string parent;
  snapshot_grouping group_by{true, true, false};
  bool force = false;
  bool from_stdin = false, from_command = false;
  std::string stdin_filename = "stdin";
  std::vector<std::string> tags;
  std::string host = environment("RESTIC_HOST");
  std::vector<std::string> files_from, files_from_verbatim, files_from_raw;
  std::string time;
  bool with_atime = false, ignore_inode = false, ignore_ctime = false;
  bool dry_run = false, no_scan = false, skip_if_unchanged = false;
  unsigned read_concurrency = 0;
  additional_repository_flags also;

  [[nodiscard]] bool is_stream() const noexcept { return from_stdin || from_command; }
};

/// Declares all flags of `backup`. `flags` must outlive `app`.
void add_backup_flags(CLI::App& app, backup_flags& flags);

/// One backup: what is wrong with the flags, or with what they name, the constructor throws, before anything is opened.
class backup_job {
public:
  backup_job(context& call, const backup_flags& flags);
  backup_job(const backup_job&) = delete;
  backup_job& operator=(const backup_job&) = delete;
  ~backup_job();

  /// What the session has to read first.
  [[nodiscard]] session::first_reads first_reads();
  /// The lock that is best for a session which does nothing else.
  [[nodiscard]] lock_request lock() const;

  /// Makes the snapshot and prints the summary. Throws incomplete if the snapshot lacks something that could not be read.
  /// What is left is the session, locked, with its index loaded.
  void run(session& open);

  /// Of run().
  [[nodiscard]] const backup_result& result() const noexcept { return result_; }

private:
  context& call_;
  const backup_flags& flags_;
  std::vector<global_options> also_;
  bool any_missing_ = false;
  backup_options options_;
  std::unique_ptr<backup_filter> filter_;
  backup_result result_;
};

}  // namespace recoup::cli
