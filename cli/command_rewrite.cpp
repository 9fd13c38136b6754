#include <memory>
#include <string>

#include <recoup/json/go_quote.hpp>
#include <recoup/ops/rewrite.hpp>

#include "command.hpp"
#include "format.hpp"
#include "pattern_flags.hpp"
#include "second_repository.hpp"
#include "session.hpp"
#include "snapshot_change_printer.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

struct rewrite_flags {
  snapshot_flags choice;
  pattern_flags excludes, includes;
  std::string new_host, new_time;
  bool forget = false, dry_run = false, summary = false;
};

class rewrite_printer : public snapshot_change_printer<rewrite_observer> {
public:
  using snapshot_change_printer::snapshot_change_printer;

  void on_excluded(const std::string& path) override { call_.out.trace("excluding \"" + go_quoted(path) + "\""); }
  void on_included(const std::string& path, bool is_directory) override {
    call_.out.trace((is_directory ? "including directory \"" : "including \"") + go_quoted(path) + "\"");
  }
};

/// Patterns, however many of them are empty, make restic read and count; files without any pattern do not.
bool takes_effect(const pattern_flags& flags, const pattern_pair& patterns) {
  return !flags.patterns.empty() || !flags.insensitive.empty() || !patterns.empty();
}

void check(const rewrite_flags& flags) {
  const bool excludes = flags.excludes.given(), includes = flags.includes.given();
  if (!flags.summary && !excludes && !includes && flags.new_host.empty() && flags.new_time.empty())
    throw error(error_code::invalid_argument,
                "Nothing to do: no excludes/includes provided and no new metadata provided");
  if (excludes && includes)
    throw error(error_code::invalid_argument, "exclude and include patterns are mutually exclusive");
}

void run_with(context& call, const rewrite_flags& flags) {
  check(flags);
  const pattern_pair excludes(flags.excludes, "exclude"), includes(flags.includes, "include");
  rewrite_options options;
  options.snapshots = call.arguments;
  options.filter = flags.choice.filter();
  if (takes_effect(flags.excludes, excludes))
    options.excludes = [&](std::string_view path) { return excludes.matches(path); };
  if (takes_effect(flags.includes, includes))
    options.includes = [&](std::string_view path) { return includes.match(path); };
  options.summary = flags.summary;
  if (!flags.new_host.empty()) options.new_host = flags.new_host;
  if (!flags.new_time.empty()) {
    options.new_time = parse_local_time(flags.new_time);
    if (!options.new_time)
      throw error(error_code::invalid_argument,
                  "error in time option: \"" + flags.new_time + "\" is not like 2012-11-01 22:08:41");
  }
  options.forget = flags.forget;
  options.dry_run = flags.dry_run;
  options.tell_paths = call.out.level() >= 3;

  if (flags.forget) call.out.info("create exclusive lock for repository");
  session open(call, flags.forget ? lock_mode::exclusive : lock_mode::shared, {}, flags.dry_run);
  options.stop = open.token();
  rewrite_printer printer(call, rewriting::change_options(options));
  printer.print_count(rewrite(open.repo(), options, printer).size());
}

void run(context& call, const rewrite_flags& flags) {
  // As with restic, there is no other output with --json.
  const printer out(call.screen, call.options.verbosity(), false);
  auto plain = with_options(call, call.options, out);
  run_with(plain, flags);
}

}  // namespace

void add_rewrite_command(command_tree& tree) {
  auto& command =
      tree.add(tree.root, "rewrite", "[flags] [snapshotID ...]", "Rewrite snapshots to exclude files or change metadata");
  command.details =
      "Makes new snapshots out of the given ones, or of all that match the filters: without the files that are\n"
      "excluded, or with only those that are included, or as of another host or time. All else stays as it was.\n"
      "\n"
      "New snapshots get the tag \"rewrite\". With --forget the old ones are removed instead. Data that no snapshot\n"
      "needs any more stays in the repository until \"prune\" removes it.\n"
      "\n"
      "Excluding and including count the files and bytes of the snapshot's summary anew; --snapshot-summary does only\n"
      "that, and makes a summary for snapshots that have none.\n";
  const auto flags = std::make_shared<rewrite_flags>();
  auto& app = *command.app;
  add_switch(app, "--forget", flags->forget, "remove original snapshots after creating new ones");
  add_switch(app, "-n,--dry-run", flags->dry_run, "do not do anything, just print what would be done");
  add_text(app, "--new-host", flags->new_host, "replace hostname");
  add_text(app, "--new-time", flags->new_time, "replace time of the backup");
  add_switch(app, "-s,--snapshot-summary", flags->summary, "create snapshot summary record if it does not exist");
  add_snapshot_flags(app, flags->choice, snapshot_choice::many);
  add_pattern_flags(app, flags->excludes, "exclude", "-e");
  add_pattern_flags(app, flags->includes, "include", "-i");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
