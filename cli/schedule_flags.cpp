#include "schedule_flags.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include <recoup/fs/path.hpp>
#include <recoup/ops/retention.hpp>

#include "child_process.hpp"
#include "parse_number.hpp"
#include "schedule_retention.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

/// Declares flags that change a definition.
class definition_flags {
public:
  definition_flags(CLI::App& app, schedule_flags& flags) : app_(app), flags_(flags) {}

  /// `change(definition, text)`
  template <class Change>
  void add(const std::string& names, Change change, const std::string& description, const std::string& placeholder) {
    add_parsed(
        app_, names,
        [this_ = &flags_, change](const std::string& text) {
          this_->changes.push_back([change, text](schedule_definition& definition) { change(definition, text); });
        },
        description, placeholder);
  }

  template <class Member>
  void text(const std::string& names, Member member, const std::string& description, const std::string& placeholder) {
    add(
        names, [member](schedule_definition& to, const std::string& text) { member(to) = text; }, description,
        placeholder);
  }

  /// The first one replaces what was there, further ones add to it.
  template <class Member, class Read>
  void list(const std::string& names, Member member, Read read, const std::string& description,
            const std::string& placeholder) {
    add_parsed(
        app_, names,
        [this_ = &flags_, member, read, first = true](const std::string& text) mutable {
          this_->changes.push_back([=, replaces = std::exchange(first, false)](schedule_definition& to) {
            if (replaces) member(to).clear();
            read(member(to), text);
          });
        },
        description, placeholder);
  }
  template <class Member>
  void texts(const std::string& names, Member member, const std::string& description, const std::string& placeholder) {
    list(
        names, member, [](auto& to, const std::string& text) { to.push_back(text); }, description, placeholder);
  }

  /// --name and --name=false.
  template <class Member>
  void on_off(const std::string& names, Member member, const std::string& description) {
    auto* option = app_.add_option(
        names,
        [this_ = &flags_, member](const CLI::results_t& results) {
          const auto parsed = parse_bool(results.back());
          if (!parsed) throw error(error_code::invalid_argument, "it is a switch: true or false");
          this_->changes.push_back([member, on = *parsed](schedule_definition& to) { member(to) = on; });
          return true;
        },
        description);
    option->expected(0)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  template <class Number, class Member>
  void number(const std::string& names, Member member, const std::string& description) {
    add(
        names,
        [member, names](schedule_definition& to, const std::string& text) {
          const auto value = parse_number<Number>(text);
          if (!value)
            throw error(error_code::invalid_argument,
                        "\"" + text + "\" for " + names + " is not a number that it can be");
          member(to) = *value;
        },
        description, "n");
  }

private:
  CLI::App& app_;
  schedule_flags& flags_;
};

schedule_retention& retention_of(schedule_definition& definition) {
  if (!definition.retention) definition.retention.emplace();
  return *definition.retention;
}

void read_tags(std::vector<std::string>& to, const std::string& text) {
  for (auto& tag : split_tags(text))
    if (!tag.empty()) to.push_back(std::move(tag));
}

void add_backup_members(definition_flags& add) {
  add.list(
      "--path", [](auto& to) -> auto& { return to.backup.paths; },
      [](auto& to, const std::string& path) { to.push_back(absolute_path(path)); },
      "back up this file or directory (can be specified multiple times)", "path");
  add.list(
      "--tag", [](auto& to) -> auto& { return to.backup.tags; }, read_tags, "tags of the snapshots", "tag[,tag,...]");
  add.text(
      "--host", [](auto& to) -> auto& { return to.backup.host; },
      "host of the snapshots (default: $RESTIC_HOST or the machine's)", "hostname");
  add.texts(
      "-e,--exclude", [](auto& to) -> auto& { return to.backup.exclude; }, "exclude a pattern", "pattern");
  add.texts(
      "--iexclude", [](auto& to) -> auto& { return to.backup.iexclude; }, "same but ignores the casing of filenames",
      "pattern");
  add.texts(
      "--exclude-file", [](auto& to) -> auto& { return to.backup.exclude_files; }, "read exclude patterns from a file",
      "file");
  add.texts(
      "--exclude-if-present", [](auto& to) -> auto& { return to.backup.exclude_if_present; },
      "exclude contents of directories containing a file of this name", "filename[:header]");
  add.on_off(
      "--exclude-caches", [](auto& to) -> auto& { return to.backup.exclude_caches; },
      "exclude cache directories that are marked with a CACHEDIR.TAG file");
  add.text(
      "--exclude-larger-than", [](auto& to) -> auto& { return to.backup.exclude_larger_than; },
      "exclude files that are larger", "size");
  add.on_off(
      "-x,--one-file-system", [](auto& to) -> auto& { return to.backup.one_file_system; },
      "exclude other file systems");
  add.on_off(
      "--skip-if-unchanged", [](auto& to) -> auto& { return to.backup.skip_if_unchanged; },
      "make no snapshot that is identical to the one before");
  add.texts(
      "--backup-argument", [](auto& to) -> auto& { return to.backup.arguments; },
      "a further flag of `backup`, such as --read-concurrency=4", "flag");
}

void add_time_members(definition_flags& add) {
  add.texts(
      "--calendar", [](auto& to) -> auto& { return to.calendar; },
      "when: a cron expression such as \"0 2 * * *\" or a systemd calendar event (can be specified multiple times)",
      "expression");
  add.text(
      "--time-zone", [](auto& to) -> auto& { return to.time_zone; },
      "time zone of the calendar (default: the machine's)", "zone");
  add.on_off(
      "--persistent", [](auto& to) -> auto& { return to.persistent; },
      "make up for a run that was due while the machine was off (default true)");
  add.text(
      "--on-boot", [](auto& to) -> auto& { return to.on_boot; }, "one run so long after each boot, too", "time span");
  add.text(
      "--randomized-delay", [](auto& to) -> auto& { return to.randomized_delay; },
      "delay each run by a random time up to this", "time span");
  add.text(
      "--wait-for-lock", [](auto& to) -> auto& { return to.retry_lock; },
      "how long to wait for others' locks (default 1h)", "duration");
}

template <class Member>
void add_keep(definition_flags& add, const char* names, Member member, const char* description) {
  add.add(
      names,
      [member](schedule_definition& to, const std::string& text) {
        member(retention_of(to)) = retention_policy::parse_count(text);
      },
      description, "n");
}

template <class Member>
void add_within(definition_flags& add, const char* names, Member member, const char* kind) {
  add.text(
      names, [member](auto& to) -> auto& { return member(retention_of(to)); },
      std::string("keep ") + kind +
          "snapshots that are newer than duration (eg. 1y5m7d2h) relative to the latest snapshot",
      "duration");
}

void add_retention_members(definition_flags& add) {
  using kept = schedule_retention;
  add_keep(
      add, "--keep-last", [](kept & to) -> auto& { return to.keep_last; },
      "keep the last n snapshots ('unlimited': all)");
  add_keep(
      add, "--keep-hourly", [](kept & to) -> auto& { return to.keep_hourly; }, "keep the last n hourly snapshots");
  add_keep(
      add, "--keep-daily", [](kept & to) -> auto& { return to.keep_daily; }, "keep the last n daily snapshots");
  add_keep(
      add, "--keep-weekly", [](kept & to) -> auto& { return to.keep_weekly; }, "keep the last n weekly snapshots");
  add_keep(
      add, "--keep-monthly", [](kept & to) -> auto& { return to.keep_monthly; }, "keep the last n monthly snapshots");
  add_keep(
      add, "--keep-yearly", [](kept & to) -> auto& { return to.keep_yearly; }, "keep the last n yearly snapshots");
  add_within(
      add, "--keep-within", [](kept & to) -> auto& { return to.keep_within; }, "");
  add_within(
      add, "--keep-within-hourly", [](kept & to) -> auto& { return to.keep_within_hourly; }, "hourly ");
  add_within(
      add, "--keep-within-daily", [](kept & to) -> auto& { return to.keep_within_daily; }, "daily ");
  add_within(
      add, "--keep-within-weekly", [](kept & to) -> auto& { return to.keep_within_weekly; }, "weekly ");
  add_within(
      add, "--keep-within-monthly", [](kept & to) -> auto& { return to.keep_within_monthly; }, "monthly ");
  add_within(
      add, "--keep-within-yearly", [](kept & to) -> auto& { return to.keep_within_yearly; }, "yearly ");
  add.list(
      "--keep-tag", [](auto& to) -> auto& { return retention_of(to).keep_tags; },
      [](auto& to, const std::string& text) { to.push_back(split_tags(text)); }, "keep snapshots with this taglist",
      "taglist");
  add.text(
      "--group-by", [](auto& to) -> auto& { return retention_of(to).group_by; },
      "apply the policy to each group of host, paths and/or tags (default host,paths)", "group");
  add.on_off(
      "--prune", [](auto& to) -> auto& { return retention_of(to).prune; },
      "remove what no snapshot needs any more, once some were forgotten (default true)");
  add.add(
      "--check",
      [](schedule_definition& to, const std::string& text) {
        if (text == "none")
          to.check.reset();
        else
          to.check = schedule_check{text == "structure" ? "" : text};
      },
      "check the repository after each backup: its structure, or also a part of the data as --read-data-subset says it",
      "structure|subset|none");
}

void add_service_members(definition_flags& add) {
  add.text(
      "--description", [](auto& to) -> auto& { return to.description; }, "what systemd shows", "text");
  add.text(
      "--executable", [](auto& to) -> auto& { return to.executable; },
      "the program that the service runs (default: this one)", "path");
  add.text(
      "--environment-file", [](auto& to) -> auto& { return to.environment_file; },
      "where it says how to open the repository (default /etc/restic.env)", "path");
  add.list(
      "--environment", [](auto& to) -> auto& { return to.environment; },
      [](auto& to, const std::string& text) {
        const auto equals = text.find('=');
        if (equals == std::string::npos)
          throw error(error_code::invalid_argument, "\"" + text + "\" for --environment is not NAME=VALUE");
        to[text.substr(0, equals)] = text.substr(equals + 1);
      },
      "a setting that is no secret, such as RESTIC_PROCS=2", "NAME=VALUE");
  add.on_off(
      "--partial-is-failure", [](auto& to) -> auto& { return to.partial_is_failure; },
      "the service has failed if some files could not be read");
  add.on_off(
      "--hardening", [](auto& to) -> auto& { return to.hardening; },
      "let the service do only what a backup needs (default true)");
  add.texts(
      "--on-failure", [](auto& to) -> auto& { return to.on_failure; },
      "start this unit when a run fails, such as mail-admin@%n.service", "unit");
  const auto read_command = [](auto& to, const std::string& text) { to.push_back(split_command(text)); };
  add.list(
      "--command-before", [](auto& to) -> auto& { return to.commands_before; }, read_command,
      "run this before each backup; if it fails, no backup is made", "command");
  add.list(
      "--command-after", [](auto& to) -> auto& { return to.commands_after; }, read_command,
      "run this after each backup, whatever came of it", "command");
  add.text(
      "--cpu-quota", [](auto& to) -> auto& { return to.limits.cpu_quota; },
      "at most so much of one processor: 50%, 200%", "percentage");
  add.text(
      "--memory-max", [](auto& to) -> auto& { return to.limits.memory_max; }, "at most so much memory: 512M, 1G",
      "size");
  add.number<std::uint32_t>(
      "--io-weight", [](auto& to) -> auto& { return to.limits.io_weight; },
      "share of the disks, 1 to 10000 (usual: 100)");
  add.text(
      "--io-class", [](auto& to) -> auto& { return to.limits.io_class; }, "who may use the disks first",
      "idle|best-effort");
  add.number<std::int32_t>(
      "--nice", [](auto& to) -> auto& { return to.limits.nice; },
      "-20 to 19, the higher the later it gets a processor");
  add.text(
      "--timeout", [](auto& to) -> auto& { return to.limits.timeout; }, "end a run that takes longer", "time span");
  add.number<std::uint32_t>(
      "--upload-kib", [](auto& to) -> auto& { return to.limits.upload_kib; }, "limit uploads to a rate in KiB/s");
  add.number<std::uint32_t>(
      "--download-kib", [](auto& to) -> auto& { return to.limits.download_kib; }, "limit downloads to a rate in KiB/s");
}

}  // namespace

void add_root_flag(CLI::App& app, schedule_flags& flags) {
  add_text(app, "--root", flags.root,
           "the files of the system below this directory, such as an image's; systemd is not asked then", "directory");
}

void add_definition_flags(CLI::App& app, schedule_flags& flags) {
  add_root_flag(app, flags);
  add_text(app, "--file", flags.file, "begin with the definition in this JSON file (\"-\": standard input)", "file");
  definition_flags add(app, flags);
  add_backup_members(add);
  add_time_members(add);
  add_retention_members(add);
  add_service_members(add);
}

schedule_definition definition_of(const context& call, const schedule_flags& flags) {
  if (call.arguments.size() > 1) throw usage_error("there is one name; what is to be backed up is given with --path");
  schedule_definition definition;
  std::error_code problem;
  if (const auto own = std::filesystem::read_symlink("/proc/self/exe", problem); !problem && flags.root.empty())
    definition.executable = own.string();
  if (!flags.file.empty()) {
    definition = read_definition_file(flags.file);
  } else if (call.arguments.empty()) {
    throw usage_error("give a name, or the definition with --file");
  } else if (const auto installed = flags.store().names();
             std::ranges::find(installed, call.arguments.front()) != installed.end()) {
    definition = flags.store().load(call.arguments.front());
  }
  if (!call.arguments.empty()) definition.name = call.arguments.front();
  for (const auto& change : flags.changes) change(definition);
  require_valid(definition);
  require_runnable(definition);
  return definition;
}

const std::string& name_argument(const context& call, const char* command) {
  if (call.arguments.size() == 1) return call.arguments.front();
  throw usage_error(std::string("`schedule ") + command + "` takes the name of one schedule; `" +
                    call.commands.program + " schedule list` shows them");
}

}  // namespace recoup::cli
