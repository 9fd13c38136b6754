// What a schedule is: a backup that a machine makes by itself. The JSON file of docs/schedules.md, member by member.
//
//   definition_json.hpp reads and writes it -> require_valid() (definition_check.hpp) -> units.hpp makes units of it
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>

namespace recoup {

/// Something in a definition that makes no sense. `path` is the member that is to blame, "backup.paths[0]"; it is part
/// of what() too.
class schedule_error : public error {
public:
  schedule_error(std::string path, const std::string& reason)
      : error(error_code::invalid_argument, (path.empty() ? "" : path + ": ") + reason),
        path_(std::move(path)),
        reason_(reason) {}

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

private:
  std::string path_, reason_;
};

struct schedule_backup {
  std::vector<std::string> paths;  ///< absolute
  std::vector<std::string> tags;
  std::string host;  ///< empty: $RESTIC_HOST, or the machine's name
  std::vector<std::string> exclude, iexclude, exclude_files, exclude_if_present;
  bool exclude_caches = false;
  std::string exclude_larger_than;  ///< a size with a suffix: "10G"
  bool one_file_system = false, skip_if_unchanged = false;
  std::vector<std::string> arguments;  ///< further flags of `recoup backup`

  [[nodiscard]] friend bool operator==(const schedule_backup&, const schedule_backup&) = default;
};

/// restic's policy; -1 is unlimited. See ops/retention.hpp, which is not included here: what renders units need not
/// compile repositories.
struct schedule_retention {
  std::int64_t keep_last = 0, keep_hourly = 0, keep_daily = 0, keep_weekly = 0, keep_monthly = 0, keep_yearly = 0;
  std::string keep_within, keep_within_hourly, keep_within_daily, keep_within_weekly, keep_within_monthly,
      keep_within_yearly;
  std::vector<std::vector<std::string>> keep_tags;
  std::string group_by = "host,paths";
  bool prune = true;

  [[nodiscard]] friend bool operator==(const schedule_retention&, const schedule_retention&) = default;
};

struct schedule_check {
  std::string read_data_subset;  ///< empty: only the structure

  [[nodiscard]] friend bool operator==(const schedule_check&, const schedule_check&) = default;
};

/// In systemd's words where there are any; empty or nothing: no limit.
struct schedule_limits {
  std::string cpu_quota, memory_max;
  std::optional<std::uint32_t> io_weight;  ///< 1 to 10000, 100 is usual
  std::string io_class;                    ///< "idle" or "best-effort"
  std::optional<std::int32_t> nice;        ///< -20 to 19
  std::string timeout;
  std::uint32_t upload_kib = 0, download_kib = 0;  ///< KiB/s

  [[nodiscard]] friend bool operator==(const schedule_limits&, const schedule_limits&) = default;
};

/// A program and its arguments.
using schedule_command = std::vector<std::string>;

struct schedule_definition {
  static constexpr std::uint32_t version = 1;

  std::string name;
  std::string description;  ///< empty: one is made up
  std::string executable = "/usr/local/bin/recoup";
  std::string environment_file = "/etc/restic.env";
  std::map<std::string, std::string> environment;  ///< no secrets: the file is for everybody to read
  schedule_backup backup;
  std::vector<std::string> calendar;
  std::string time_zone;  ///< IANA; empty: the machine's
  bool persistent = true;
  std::string on_boot;            ///< a systemd time span; empty: no run after a boot
  std::string randomized_delay;   ///< the same
  std::string retry_lock = "1h";  ///< how long to wait for others' locks, as --retry-lock
  std::optional<schedule_retention> retention;
  std::optional<schedule_check> check;
  bool partial_is_failure = false;
  schedule_limits limits;
  bool hardening = true;
  std::vector<std::string> on_failure;  ///< units; systemd's specifiers mean what they do in a unit
  std::vector<schedule_command> commands_before, commands_after;

  [[nodiscard]] friend bool operator==(const schedule_definition&, const schedule_definition&) = default;
};

}  // namespace recoup
