// What the commands below `bucket` have in common: where they look, and how they show what they do.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <recoup/json/json_writer.hpp>
#include <recoup/ops/object_retention.hpp>
#include <recoup/s3/bucket/usage.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/location.hpp>

#include "command.hpp"
#include "progress.hpp"

namespace recoup::cli {

/// A place in S3 and the client for its server.
struct bucket_end {
  s3_location where;
  std::shared_ptr<s3_client> client;

  [[nodiscard]] const std::string& bucket() const noexcept { return where.bucket; }
  /// "" or with a slash at the end.
  [[nodiscard]] std::string directory() const {
    return where.prefix.empty() || where.prefix.ends_with('/') ? where.prefix : where.prefix + '/';
  }
};

/// The location that the argument names, or else the repository's. Throws usage_error for further arguments, and for a
/// location that is not in S3 or, unless `may_lack_bucket`, names no bucket.
[[nodiscard]] bucket_end open_bucket(context& call, std::size_t position = 0, bool may_lack_bucket = false);

/// The same for a location alone.
[[nodiscard]] s3_location parse_bucket_location(const std::string& text, bool may_lack_bucket = false);

/// "[0:05] …" on a terminal for as long as this is there, gone without a trace afterwards.
class live_line {
public:
  live_line(context& call, std::function<std::string()> text);

private:
  terminal& screen_;
  const std::function<std::string()> text_;
  updater updater_;  // last: its thread uses what is above
};

void write_counts(json_writer& json, const usage_counts& counts);
void write_lock_report(json_writer& json, const lock_report& report);
void print_lock_report(const context& call, const lock_report& report);

/// "2026-11-26 14:00:00", as the process's zone has it; the text itself if it is no time of S3's.
[[nodiscard]] std::string shown_time(const std::string& from_server);

// Each of these is in command_bucket_<name>.cpp and adds to the group.
void add_bucket_create_command(command_tree& tree, CLI::App& group);
void add_bucket_lifecycle_command(command_tree& tree, CLI::App& group);
void add_bucket_list_command(command_tree& tree, CLI::App& group);
void add_bucket_lock_command(command_tree& tree, CLI::App& group);
void add_bucket_policy_command(command_tree& tree, CLI::App& group);
void add_bucket_remove_command(command_tree& tree, CLI::App& group);
void add_bucket_show_command(command_tree& tree, CLI::App& group);
void add_bucket_sync_command(command_tree& tree, CLI::App& group);
void add_bucket_usage_command(command_tree& tree, CLI::App& group);
void add_bucket_versioning_command(command_tree& tree, CLI::App& group);

}  // namespace recoup::cli
