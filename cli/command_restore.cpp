#include <algorithm>
#include <chrono>
#include <memory>

#include <recoup/fs/path.hpp>
#include <recoup/fs/patterns.hpp>
#include <recoup/ops/restore.hpp>
#include <recoup/ops/snapshots.hpp>

#include "command.hpp"
#include "format.hpp"
#include "json_output.hpp"
#include "pattern_flags.hpp"
#include "restore_progress.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

struct restore_flags {
  snapshot_flags choice;
  std::string target;
  pattern_flags excludes, includes;
  std::vector<std::string> exclude_xattr, include_xattr;
  overwrite_mode overwrite = overwrite_mode::always;
  bool dry_run = false, sparse = false, verify = false, remove_extra = false, ownership_by_name = false;
};

std::function<selection(std::string_view, const node&)> selector(const pattern_pair& excludes,
                                                                 const pattern_pair& includes) {
  if (!excludes.empty())
    return [&excludes](std::string_view path, const node& entry) {
      // What is excluded is excluded with all below it, so it is not looked into.
      const bool selected = !excludes.match(path).matched;
      return selection{selected, selected && entry.type == node_type::dir};
    };
  if (!includes.empty())
    return [&includes](std::string_view path, const node& entry) {
      const auto result = includes.match(path);
      return selection{result.matched, result.child_may_match && entry.type == node_type::dir};
    };
  return {};
}

std::function<bool(std::string_view)> attribute_filter(const restore_flags& flags) {
  if (!flags.exclude_xattr.empty() && !flags.include_xattr.empty())
    throw error(error_code::invalid_argument, "exclude and include xattr patterns are mutually exclusive");
  validate_patterns("--exclude-xattr", flags.exclude_xattr);
  validate_patterns("--include-xattr", flags.include_xattr);
  const bool includes = !flags.include_xattr.empty();
  if (!includes && flags.exclude_xattr.empty()) return {};
  const auto patterns = std::make_shared<pattern_list>(includes ? flags.include_xattr : flags.exclude_xattr);
  return [patterns, includes](std::string_view name) { return patterns->matches(name) == includes; };
}

void check(const context& call, const restore_flags& flags, bool filtered_twice, bool filtered) {
  const auto refuse = [](const std::string& why) { throw error(error_code::invalid_argument, why); };
  if (call.arguments.empty()) refuse("no snapshot ID specified");
  if (call.arguments.size() > 1) refuse("more than one snapshot ID specified: " + bracketed(call.arguments));
  if (flags.target.empty()) refuse("please specify a directory to restore to (--target)");
  if (filtered_twice) refuse("exclude and include patterns are mutually exclusive");
  if (flags.dry_run && flags.verify) refuse("--dry-run and --verify are mutually exclusive");
  if (flags.remove_extra && clean_path(flags.target) == "/" && !filtered)
    refuse("'--target / --delete' must be combined with an include or exclude filter");
}

void run(context& call, const restore_flags& flags) {
  const pattern_pair excludes(flags.excludes, "exclude"), includes(flags.includes, "include");
  check(call, flags, !excludes.empty() && !includes.empty(), !excludes.empty() || !includes.empty());
  restore_options options;
  options.target = flags.target;
  options.select = selector(excludes, includes);
  options.restores_attribute = attribute_filter(flags);
  options.overwrite = flags.overwrite;
  options.dry_run = flags.dry_run;
  options.sparse = flags.sparse;
  options.delete_extra = flags.remove_extra;
  options.verify = flags.verify;
  options.ownership_by_name = flags.ownership_by_name;

  found_snapshot found;
  session open(call, settling_meanwhile(unless_no_lock(call, lock_mode::shared)), [&](session& opened) {
    found = find_snapshot_and_load_index(opened, call.arguments[0], flags.choice.filter());
  });
  options.stop = open.token();
  call.out.info("restoring " + describe(found) + " to " + flags.target);
  restore_progress progress(call, flags.target);
  const auto result = open.under_lock([&] {
    return restore(open.repo(), find_subtree(open.repo(), found.snapshot.tree, found.subfolder), options, progress);
  });
  progress.finish(result, flags.verify);
  if (result.errors != 0)
    throw error(error_code::failure,
                "There were " + std::to_string(result.errors) + " errors");
}

}  // namespace

void add_restore_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "restore", "[flags] snapshotID", "Extract the data from a snapshot");
  command.details =
      "Extracts the data from a snapshot to a directory. The snapshot is named by its ID, by \"latest\", or by\n"
      "\"latest~1\" for the one before; behind any of these \":folder\" restores only a folder of it, into the\n"
      "target itself.\n\n"
      "What exists in the target already is read and only rewritten where it differs (see --overwrite).\n";
  const auto flags = std::make_shared<restore_flags>();
  auto& app = *command.app;
  add_text(app, "-t,--target", flags->target, "directory to extract data to", "directory");
  add_pattern_flags(app, flags->excludes, "exclude", "-e");
  add_pattern_flags(app, flags->includes, "include", "-i");
  add_list(app, "--exclude-xattr", flags->exclude_xattr, "exclude xattr by pattern (can be specified multiple times)",
           "pattern");
  add_list(app, "--include-xattr", flags->include_xattr, "include xattr by pattern (can be specified multiple times)",
           "pattern");
  add_snapshot_flags(app, flags->choice, snapshot_choice::one);
  add_switch(app, "--dry-run", flags->dry_run, "do not write any data, just show what would be done");
  add_switch(app, "--sparse", flags->sparse, "restore files as sparse");
  add_switch(app, "--verify", flags->verify, "verify restored files content");
  add_parsed(
      app, "--overwrite",
      [flags](const std::string& text) {
        const auto mode = parse_overwrite_mode(text);
        if (!mode)
          throw error(error_code::invalid_argument,
                      "invalid overwrite behavior \"" + text + "\", must be one of (always|if-changed|if-newer|never)");
        flags->overwrite = *mode;
      },
      "what to do with files that exist (default: always)", "always|if-changed|if-newer|never");
  add_switch(app, "--delete", flags->remove_extra,
             "delete files from target directory if they do not exist in snapshot. Use '--dry-run -vv' to check what "
             "would be deleted");
  add_switch(app, "--ownership-by-name", flags->ownership_by_name,
             "restore file ownership by user name and group name (except POSIX ACLs)");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
