#include <memory>

#include "command.hpp"
#include "prune_run.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

struct flags {
  prune_flags common;
  bool dry_run = false;
  std::string recover_no_free_space;
};

void run(context& call, const flags& given) {
  expect_no_arguments(call, "prune");
  auto options = prune_options_of(given.common);
  if (call.options.no_lock && !given.dry_run)
    throw error(error_code::invalid_argument,
                "--no-lock is only applicable in combination with --dry-run for prune command");
  if (given.common.two_phase && !given.recover_no_free_space.empty())
    throw error(error_code::invalid_argument, "--two-phase and --unsafe-recover-no-free-space exclude one another");
  const auto lock = call.options.no_lock ? lock_request(lock_mode::none) : prune_lock(given.common);
  // Two schedules may prune at the same full hour: whoever has begun its work could not try once more for the lock.
  session open(call, given.common.two_phase ? lock : settling_meanwhile(lock));
  if (!given.recover_no_free_space.empty()) {
    const auto& name = open.repo().config().id;
    if (given.recover_no_free_space != name)
      throw error(error_code::invalid_argument, "must pass id '" + name + "' to --unsafe-recover-no-free-space");
    options.recover_no_free_space = true;
  }
  open.under_lock([&] {
    run_prune(call, open, options, given.dry_run);
    return 0;
  });
}

}  // namespace

void add_prune_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "prune", "[flags]", "Remove unneeded data from the repository");
  command.details =
      "Finds out what the snapshots need, removes packs of which they need nothing, and writes what is needed of others\n"
      "into new packs. Nothing is removed before what it held is stored elsewhere, so it can be interrupted at any time.\n"
      "\n"
      "With --two-phase it does not lock others out, and backups go on meanwhile. Packs are only marked for deletion then; a\n"
      "later prune removes them when --delete-after has passed and whoever was there at the time has finished, or lists them\n"
      "again if a snapshot needs them after all. Without --two-phase all marked packs that nobody needs are removed at once.\n";
  const auto given = std::make_shared<flags>();
  auto& app = *command.app;
  add_prune_flags(app, given->common);
  add_switch(app, "-n,--dry-run", given->dry_run, "do not modify the repository, just print what would be done");
  add_text(app, "--unsafe-recover-no-free-space", given->recover_no_free_space,
           "UNSAFE, READ THE DOCUMENTATION BEFORE USING! Try to recover a repository stuck with no free space. Do not use "
           "without trying out 'prune --max-repack-size 0' first.");
  command.run = [given](context& call) { run(call, *given); };
}

}  // namespace recoup::cli
