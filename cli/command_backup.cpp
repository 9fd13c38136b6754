#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <memory>
#include <thread>

#include <recoup/fs/exclude.hpp>
#include <recoup/fs/files_from.hpp>
#include <recoup/fs/parse_size.hpp>
#include <recoup/ops/backup.hpp>
#include <recoup/ops/cache_directories.hpp>
#include <recoup/ops/snapshot_groups.hpp>

#include "additional_repositories.hpp"
#include "backup_progress.hpp"
#include "child_process.hpp"
#include "command.hpp"
#include "format.hpp"
#include "parse_number.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

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

void check(const context& call, const backup_flags& flags) {
  const auto refuse = [](const std::string& why) { return error(error_code::invalid_argument, why); };
  const bool list_from_stdin = [&] {
    for (const auto* list : {&flags.files_from, &flags.files_from_verbatim, &flags.files_from_raw})
      if (std::find(list->begin(), list->end(), "-") != list->end()) return true;
    return false;
  }();
  if (flags.from_stdin || list_from_stdin) {
    const auto& options = call.options;
    const bool given = options.insecure_no_password || !options.password_file.empty() ||
                       !options.password_command.empty() || !environment("RESTIC_PASSWORD").empty();
    if (!given && flags.from_stdin) throw refuse("cannot read both password and data from stdin");
    if (!given)
      throw refuse("unable to read password from stdin when data is to be read from stdin, use --password-file or "
                   "$RESTIC_PASSWORD");
  }
  if (!flags.is_stream()) return;
  if (!flags.files_from.empty()) throw refuse("--stdin and --files-from cannot be used together");
  if (!flags.files_from_verbatim.empty()) throw refuse("--stdin and --files-from-verbatim cannot be used together");
  if (!flags.files_from_raw.empty()) throw refuse("--stdin and --files-from-raw cannot be used together");
  if (!call.arguments.empty() && !flags.from_command)
    throw refuse("--stdin was specified and files/dirs were listed as arguments");
  if (call.arguments.empty() && flags.from_command) throw refuse("no command was specified as argument");
}

struct backup_targets {
  std::vector<std::string> present;
  bool any_missing = false;
};

backup_targets collect_targets(const context& call, const backup_flags& flags) {
  const auto tell = [&](const std::string&, const std::string& message) { call.out.error(message); };
  std::vector<std::string> names;
  const auto read_lists = [&](files_from kind, const std::vector<std::string>& files) {
    for (const auto& file : files)
      for (auto& name : read_files_from(kind, file, std::cin, tell)) names.push_back(std::move(name));
  };
  read_lists(files_from::globs, flags.files_from);
  read_lists(files_from::verbatim, flags.files_from_verbatim);
  read_lists(files_from::raw, flags.files_from_raw);
  names.insert(names.end(), call.arguments.begin(), call.arguments.end());
  if (names.empty())
    throw error(error_code::invalid_argument, "nothing to backup, please specify source files/dirs");
  auto kept = keep_present(names, tell);
  return {std::move(kept.present), kept.any_missing};
}

unsigned read_concurrency(const backup_flags& flags) {
  constexpr unsigned usual = 2;
  if (flags.read_concurrency != 0) return flags.read_concurrency;
  const auto text = environment("RESTIC_READ_CONCURRENCY");
  if (text.empty()) return usual;
  const auto value = parse_number<unsigned>(text);
  if (!value)
    throw error(error_code::invalid_argument,
                "invalid value for RESTIC_READ_CONCURRENCY \"" + text + "\": give a whole number");
  return *value == 0 ? usual : *value;
}

/// Where it is noted what was read: beside the cache. Nowhere if there is none, or nothing to note.
std::string journal_directory_of(const context& call, const backup_flags& flags) {
  if (call.options.no_cache || flags.is_stream()) return {};
  if (!call.options.cache_directory.empty()) return call.options.cache_directory;
  try {
    return default_cache_directory();
  } catch (const error&) {
    return {};
  }
}

backup_options engine_options_of(const backup_flags& flags, std::vector<std::string> targets) {
  backup_options options;
  options.targets = std::move(targets);
  for (const auto& list : flags.tags)
    for (auto& tag : split_tags(list))
      if (!tag.empty()) options.tags.push_back(std::move(tag));
  options.hostname = flags.host.empty() ? local_hostname() : flags.host;
  options.excludes = flags.exclude.patterns;
  if (!flags.time.empty()) {
    const auto time = parse_local_time(flags.time);
    if (!time)
      throw error(error_code::invalid_argument,
                  "error in time option: \"" + flags.time + "\" is not like 2012-11-01 22:08:41");
    options.time = *time;
  }
  options.with_atime = flags.with_atime;
  options.ignore_ctime = flags.ignore_ctime;
  options.ignore_inode = flags.ignore_inode;
  options.skip_if_unchanged = flags.skip_if_unchanged;
  options.read_concurrency = read_concurrency(flags);
  options.read_all = flags.force;
  options.keep_journal = !flags.dry_run;
  return options;
}

std::optional<parent_snapshot> choose_parent(repository& repo, const backup_flags& flags,
                                             const backup_options& options) {
  if (flags.force) return std::nullopt;
  if (flags.parent.empty() || flags.parent == "latest")
    return find_parent(repo, options, {flags.group_by.host, flags.group_by.paths, flags.group_by.tags});
  auto found = find_snapshot(repo, flags.parent);
  return parent_snapshot{found.id, std::move(found.snapshot)};
}

/// Opens a repository of --also, which then is among `options.also`.
std::unique_ptr<additional_session> open_additional(context& call, const global_options& opens,
                                                    const backup_flags& flags, backup_options& options) {
  additional_repository added;
  const auto location = location_without_secrets(opens.repository);
  const auto read = [&](session& opened) {
    added.repo = &opened.repo();
    if (!flags.from_stdin) {
      auto any_parent = flags;
      any_parent.parent.clear();  // an id names a snapshot of the first repository
      added.parent = choose_parent(opened.repo(), any_parent, options);
      const auto parent = added.parent ? "using parent snapshot " + added.parent->id.short_hex()
                                       : std::string("no parent snapshot found");
      call.out.info(parent + " in " + location);
    }
    opened.load_index();
  };
  try {
    auto opened = std::make_unique<additional_session>(call, opens, lock_mode::shared, read, flags.dry_run);
    added.adopt_unindexed_packs = opened->open().is_locked();
    added.stop = opened->open().token();
    options.also.push_back(std::move(added));
    return opened;
  } catch (const error& problem) {
    if (problem.code() == error_code::interrupted) throw;
    throw error(problem.code(), "--also " + location + ": " + problem.what());
  }
}

/// Reads until the end of the program's output, then makes sure that it did not fail: half an output is no backup.
std::size_t read_output(child_process& child, const context& call, byte_span into) {
  for (;;) {
    call.signals.wait_readable(child.output());
    const auto got = ::read(child.output(), into.data(), into.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "cannot read the output of the command");
    if (got > 0) return static_cast<std::size_t>(got);
    if (const auto problem = child.wait(); !problem.empty())
      throw error(error_code::failure, "command failed: " + problem + "; no snapshot was made of its output");
    return 0;
  }
}

std::size_t read_input(const context& call, byte_span into) {
  for (;;) {
    call.signals.wait_readable(call.screen.input());
    const auto got = ::read(call.screen.input(), into.data(), into.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) throw system_error(errno, "cannot read stdin");
  }
}

backup_result back_up_stream(context& call, repository& repo, const backup_flags& flags, const backup_options& options,
                             backup_progress& progress) {
  call.out.detail("read data from stdin");
  backup_stream stream;
  stream.path = "/" + flags.stdin_filename;
  std::unique_ptr<child_process> child;
  if (flags.from_command) {
    child = std::make_unique<child_process>(call.arguments);
    stream.read = [&](byte_span into) { return read_output(*child, call, into); };
  } else {
    stream.read = [&](byte_span into) { return read_input(call, into); };
  }
  return backup(repo, options, stream, progress);
}

backup_result back_up_targets(context& call, repository& repo, const backup_flags& flags, const backup_options& options,
                              backup_progress& progress) {
  std::jthread scanner;
  if (!flags.no_scan && progress.wants_totals()) {
    call.out.detail("start scan on " + bracketed(options.targets));
    scanner = std::jthread([&](const std::stop_token& stop) {
      const auto totals = scan_targets(options, stop, repo.storage().cache_directory());
      if (!stop.stop_requested()) progress.set_totals(totals);
    });
  }
  call.out.detail("start backup on " + bracketed(options.targets));
  return backup(repo, options, progress);
}

void run(context& call, const backup_flags& flags) {
  check(call, flags);
  const auto targets = flags.is_stream() ? backup_targets{} : collect_targets(call, flags);
  auto options = engine_options_of(flags, targets.present);
  options.journal_directory = journal_directory_of(call, flags);
  options.device_for_hard_links_only = call.options.features.device_id_for_hardlinks;
  auto exclude = flags.exclude;
  if (!flags.exclude_larger_than.empty()) exclude.larger_than = parse_size(flags.exclude_larger_than);
  if (flags.is_stream()) exclude.one_file_system = false;
  const backup_filter filter(exclude, targets.present,
                             [&](const std::string&, const std::string& message) { call.out.error(message); });
  options.excludes_path = [&](const std::string& path) { return filter.excludes_path(path); };
  options.excludes_entry = [&](const std::string& path, const struct stat& status) {
    return filter.excludes_entry(path, status);
  };

  const auto also = options_of_additional(call.options, flags.also);
  call.out.detail("open repository");
  const auto read = [&](session& opened) {
    if (!flags.from_stdin) {
      options.parent = choose_parent(opened.repo(), flags, options);
      call.out.info(options.parent ? "using parent snapshot " + options.parent->id.short_hex()
                                   : "no parent snapshot found, will read all files");
    }
    call.out.detail("load index files");
    opened.load_index();
  };
  // What one of several repositories does not take must not come as late as a lock that settles meanwhile would let it.
  session open(call, also.empty() ? settling_meanwhile(lock_mode::shared) : lock_request(lock_mode::shared), read,
               flags.dry_run);
  auto& repo = open.repo();
  options.stop = open.token();
  options.adopt_unindexed_packs = open.is_locked();
  std::vector<std::unique_ptr<additional_session>> others;
  for (const auto& each : also) others.push_back(open_additional(call, each, flags, options));

  backup_progress progress(call, flags.dry_run);
  backup_result result;
  try {
    result = open.under_lock([&] {
      return flags.is_stream() ? back_up_stream(call, repo, flags, options, progress)
                               : back_up_targets(call, repo, flags, options, progress);
    });
  } catch (const error& problem) {
    progress.finish();
    if (problem.code() == error_code::interrupted || problem.code() == error_code::locked) throw;
    throw error(problem.code(), std::string("unable to save snapshot: ") + problem.what());
  }
  progress.finish();
  progress.print_summary(result, options);
  if (progress.failed_repositories() != 0)
    throw error(error_code::failure, std::to_string(progress.failed_repositories()) + " of " +
                                         std::to_string(1 + also.size()) + " repositories got no snapshot");
  if (result.errors != 0 || targets.any_missing)
    throw error(error_code::incomplete, "at least one source file could not be read");
}

void add_selection_flags(CLI::App& app, backup_flags& flags) {
  auto& exclude = flags.exclude;
  add_list(app, "-e,--exclude", exclude.patterns, "exclude a pattern (can be specified multiple times)", "pattern");
  add_list(app, "--iexclude", exclude.insensitive_patterns, "same as --exclude but ignores the casing of filenames",
           "pattern");
  add_list(app, "--exclude-file", exclude.pattern_files,
           "read exclude patterns from a file (can be specified multiple times)", "file");
  add_list(app, "--iexclude-file", exclude.insensitive_pattern_files,
           "same as --exclude-file but ignores casing of filenames in patterns", "file");
  add_list(app, "--exclude-if-present", exclude.if_present,
           "exclude contents of directories containing a file of this name (except the file itself) if its content "
           "begins with the header (can be specified multiple times)",
           "filename[:header]");
  add_switch(app, "--exclude-caches", exclude.caches,
             "exclude cache directories that are marked with a CACHEDIR.TAG file (https://bford.info/cachedir/)");
  add_text(app, "--exclude-larger-than", flags.exclude_larger_than,
           "exclude files that are larger (allowed suffixes: k/K, m/M, g/G, t/T)", "size");
  add_switch(app, "-x,--one-file-system", exclude.one_file_system,
             "exclude other file systems, don't cross filesystem boundaries and subvolumes");
  add_list(app, "--files-from", flags.files_from,
           "read the files to back up from a file with one glob a line (can be combined with file args; can be "
           "specified multiple times)",
           "file");
  add_list(app, "--files-from-verbatim", flags.files_from_verbatim, "the same with one plain name a line", "file");
  add_list(app, "--files-from-raw", flags.files_from_raw, "the same with names that end in a zero byte", "file");
  add_switch(app, "--stdin", flags.from_stdin, "read backup from stdin");
  add_text(app, "--stdin-filename", flags.stdin_filename, "name of the file in the snapshot (default: stdin)",
           "filename");
  add_switch(app, "--stdin-from-command", flags.from_command,
             "interpret arguments as command to execute and store its stdout");
}

void add_reading_flags(CLI::App& app, backup_flags& flags) {
  add_text(
      app, "--parent", flags.parent,
      "use this parent snapshot (default: latest snapshot in the group determined by --group-by and not newer than "
      "the timestamp determined by --time)",
      "snapshot");
  add_parsed(
      app, "-g,--group-by", [&flags](const std::string& text) { flags.group_by = snapshot_grouping::parse(text); },
      "look for the parent among snapshots with the same host, paths and/or tags, separated by comma (disable grouping "
      "with '') (default: host,paths)",
      "group");
  add_switch(app, "-f,--force", flags.force, "force re-reading the source files/directories (overrides --parent)");
  flags.ignore_inode = parse_bool(environment("RESTIC_IGNORE_INODE")).value_or(false);
  flags.ignore_ctime = parse_bool(environment("RESTIC_IGNORE_CTIME")).value_or(false);
  add_switch(app, "--ignore-inode", flags.ignore_inode,
             "ignore inode number and ctime changes when checking for modified files (default: $RESTIC_IGNORE_INODE or "
             "false)");
  add_switch(app, "--ignore-ctime", flags.ignore_ctime,
             "ignore ctime changes when checking for modified files (default: $RESTIC_IGNORE_CTIME or false)");
  add_number(app, "--read-concurrency", flags.read_concurrency,
             "read n files concurrently (default: $RESTIC_READ_CONCURRENCY or 2)", "n");
  add_switch(app, "--with-atime", flags.with_atime, "store the atime for all files and directories");
  add_switch(app, "--no-scan", flags.no_scan, "do not run scanner to estimate size of backup");
}

void add_snapshot_making_flags(CLI::App& app, backup_flags& flags) {
  add_list(app, "--tag", flags.tags, "add tags for the new snapshot (can be specified multiple times)",
           "tag[,tag,...]");
  add_text(app, "-H,--host", flags.host,
           "set the hostname for the snapshot manually (default: $RESTIC_HOST or this machine's). To prevent an "
           "expensive rescan use the \"parent\" flag",
           "hostname");
  hidden(add_text(app, "--hostname", flags.host, "use --host", "hostname"));
  add_text(app, "--time", flags.time, "time of the backup (ex. '2012-11-01 22:08:41') (default: now)", "time");
  add_switch(app, "-n,--dry-run", flags.dry_run,
             "do not upload or write any data, just show what would be done");
  add_switch(app, "--skip-if-unchanged", flags.skip_if_unchanged,
             "skip snapshot creation if identical to parent snapshot");
}

}  // namespace

void add_backup_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "backup", "[flags] [FILE/DIR] ...",
                           "Create a new backup of files and/or directories");
  command.details =
      "Creates a new snapshot of the files and directories given as the arguments. Only what the repository does not\n"
      "hold yet is stored; files that have not changed since the parent snapshot are not even read. Nor are those that\n"
      "an interrupted backup of the same files has read, which is noted in the cache directory (not with --no-cache).\n\n"
      "With --also, one reading fills several repositories, which must have the same chunker parameters: see\n"
      "`recoup init --from-repo FIRST --copy-chunker-params`. Each gets a snapshot; if one fails meanwhile, the others\n"
      "get theirs, and the exit status is 1.\n\n"
      "Exit status is 0 if everything was saved, 1 if there is no snapshot, 3 if some source data could not be read\n"
      "and the snapshot lacks it, 10 if there is no repository, 11 if it is locked, 12 if the password is wrong.\n";
  const auto flags = std::make_shared<backup_flags>();
  add_selection_flags(*command.app, *flags);
  add_reading_flags(*command.app, *flags);
  add_snapshot_making_flags(*command.app, *flags);
  add_additional_repository_flags(*command.app, flags->also);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
