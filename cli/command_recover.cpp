#include <memory>
#include <string>

#include <recoup/ops/recover.hpp>
#include <recoup/repo/unindexed_packs.hpp>

#include "command.hpp"
#include "progress.hpp"
#include "second_repository.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

class recover_printer : public recover_observer {
public:
  explicit recover_printer(context& call) : call_(call) {}

  void on_trees(std::size_t total) override {
    call_.out.info("load " + std::to_string(total) + " trees");
    trees_ = std::make_unique<counter>(call_.signals, call_.screen, call_.out.level() > 0, "trees loaded");
    trees_->set_total(total);
  }
  void on_progress(std::size_t done, std::size_t) override { trees_->set(done); }
  void on_unreadable(const id& tree, const error& problem) override {
    call_.out.error("unable to load tree " + tree.short_hex() + ": " + problem.what());
  }
  void on_trees_done() override {
    trees_->finish();
    call_.out.info("load snapshots");
    call_.out.info("done");
  }
  void on_root(const id& tree) override { call_.out.detail("found root tree " + tree.short_hex()); }

private:
  context& call_;
  std::unique_ptr<counter> trees_;
};

void run(context& call) {
  // As with restic, there is no other output with --json.
  const printer out(call.screen, call.options.verbosity(), false);
  auto plain = with_options(call, call.options, out);
  session open(plain, lock_mode::exclusive);
  auto& repo = open.repo();
  out.info("ensuring index is complete");
  open.load_index();
  (void)adopt_unindexed_packs(repo, open.token());
  out.info("load index files");

  recover_options options;
  options.stop = open.token();
  recover_printer printer(plain);
  const auto result = recover(repo, options, printer);
  out.result("\nfound " + std::to_string(result.roots.size()) + " unreferenced roots");
  if (result.snapshot)
    out.result("saved new snapshot " + result.snapshot->short_hex());
  else
    out.info("no snapshot to write.");
}

}  // namespace

void add_recover_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "recover", "[flags]",
                           "Recover data from the repository not referenced by snapshots");
  command.details =
      "Makes one snapshot of all directories that are in the repository but in no snapshot: of snapshots that were\n"
      "removed by mistake, or of backups that were killed. Each becomes a directory named by its ID.\n";
  command.run = run;
}

}  // namespace recoup::cli
