#include <memory>
#include <string>

#include <recoup/json/go_quote.hpp>
#include <recoup/ops/repair_snapshots.hpp>

#include "command_repair.hpp"
#include "second_repository.hpp"
#include "session.hpp"
#include "snapshot_change_printer.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

struct repair_flags {
  snapshot_flags choice;
  bool forget = false, dry_run = false;
};

class repair_printer : public snapshot_change_printer<repair_snapshots_observer> {
public:
  using snapshot_change_printer::snapshot_change_printer;

  void on_repair(snapshot_repair what, const std::string& path, node_type type) override {
    const auto quoted = " \"" + go_quoted(path) + "\": ";
    const auto tell = [&](const std::string& kind, const std::string& text) { call_.out.info("  " + kind + quoted + text); };
    switch (what) {
      case snapshot_repair::dropped_node:
        return tell("file", std::string("removed node with invalid type \"") + name_of(type) + "\"");
      case snapshot_repair::dropped_content: return tell("file", "removed missing content");
      case snapshot_repair::corrected_size: return tell("file", "fixed incorrect size");
      case snapshot_repair::emptied_directory: return tell("dir", "replaced with empty directory");
      case snapshot_repair::unreadable_root: return tell("dir", "not readable");
    }
  }
};

void run(context& call, const repair_flags& flags) {
  // As with restic, there is no other output with --json.
  const printer out(call.screen, call.options.verbosity(), false);
  auto plain = with_options(call, call.options, out);
  repair_snapshots_options options;
  options.snapshots = call.arguments;
  options.filter = flags.choice.filter();
  options.forget = flags.forget;
  options.dry_run = flags.dry_run;
  session open(plain, lock_mode::exclusive, {}, flags.dry_run);
  options.stop = open.token();
  repair_printer printer(plain, snapshot_repairs::change_options(options));
  printer.print_count(repair_snapshots(open.repo(), options, printer).size());
}

}  // namespace

void add_repair_snapshots_command(command_tree& tree, CLI::App& repair) {
  auto& command = tree.add(repair, "snapshots", "[flags] [snapshot ID] [...]", "Repair snapshots");
  command.details =
      "Makes new snapshots out of the damaged ones among those given, or among all that match the filters, without\n"
      "the directories that cannot be read and the parts of files that are gone. This depends on a correct index, so\n"
      "run \"repair index\" first.\n"
      "\n"
      "WARNING: what is damaged is lost in the new snapshots. If the files still exist, run \"backup\" first: it\n"
      "stores what is missing, which heals the old snapshots too. A snapshot whose root directory cannot be read is\n"
      "removed.\n"
      "\n"
      "New snapshots get the tag \"repaired\". With --forget the damaged ones are removed instead.\n";
  const auto flags = std::make_shared<repair_flags>();
  auto& app = *command.app;
  add_switch(app, "--forget", flags->forget, "remove original snapshots after creating new ones");
  add_switch(app, "-n,--dry-run", flags->dry_run, "do not do anything, just print what would be done");
  add_snapshot_flags(app, flags->choice, snapshot_choice::many);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
