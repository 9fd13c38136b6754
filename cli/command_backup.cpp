#include <memory>

#include "additional_repositories.hpp"
#include "backup_run.hpp"
#include "command.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

void run(context& call, const backup_flags& flags) {
  backup_job job(call, flags);
  call.out.detail("open repository");
  session open(call, job.lock(), job.first_reads(), flags.dry_run);
  job.run(open);
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

void add_backup_flags(CLI::App& app, backup_flags& flags) {
  add_selection_flags(app, flags);
  add_reading_flags(app, flags);
  add_snapshot_making_flags(app, flags);
  add_additional_repository_flags(app, flags.also);
}

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
  add_backup_flags(*command.app, *flags);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
