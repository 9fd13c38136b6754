#include <memory>
#include <string>

#include <recoup/ops/repair_index.hpp>

#include "command.hpp"
#include "command_repair.hpp"
#include "phase_counter.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

class repair_printer : public repair_index_observer {
public:
  explicit repair_printer(context& call) : call_(call), progress_(call) {}

  void on_progress(phase at, std::uint64_t done, std::uint64_t total) override {
    progress_.show(at, done, total, [this](phase entered) { enter(entered); });
  }
  void on_damaged_index(const id& index, const error& problem) override {
    call_.out.error("removing invalid index " + index.hex() + ": " + problem.what());
  }
  void on_added(const id& pack) override { call_.out.error("adding pack file to index " + pack.hex()); }
  void on_wrong_size(const id& pack, std::uint64_t found, std::uint64_t expected) override {
    call_.out.error("reindexing pack file " + pack.hex() + " with unexpected size " + std::to_string(found) +
                    " instead of " + std::to_string(expected));
  }
  void on_missing(const id& pack) override { call_.out.error("removing not found pack file " + pack.hex()); }
  void on_unreadable(const id& pack, const error& problem) override {
    call_.out.error("skipped pack file " + pack.hex() + ", whose header cannot be read: " + problem.what() +
                    "\nIf a snapshot needs it, `check` will say so; `prune` removes it.");
  }
  void on_index_removed(const id& index) override { call_.out.trace("removed index " + index.hex()); }

  void finish() { progress_.finish(); }

private:
  void enter(phase at) {
    switch (at) {
      case phase::load: return call_.out.info("loading indexes...");
      case phase::list_packs: return call_.out.info("getting pack files to read...");
      case phase::read_packs: call_.out.info("reading pack files"); return progress_.start("packs");
      case phase::rewrite: call_.out.info("rebuilding index"); return progress_.start("indexes processed");
      case phase::remove: return progress_.start("old indexes deleted");
    }
  }

  context& call_;
  phase_counter<phase> progress_;
};

void run(context& call, const repair_index_options& given) {
  expect_no_arguments(call, "repair index");
  session open(call, lock_mode::exclusive);
  auto options = given;
  options.stop = open.token();
  repair_printer printer(call);
  (void)repair_index(open.repo(), options, printer);
  printer.finish();
  call.out.info("done");
}

void add_flags(command& to) {
  to.details =
      "Reads index files and the headers of packs, and makes an index of what is there: for a repository whose index was\n"
      "damaged or lost, or that has packs which no index lists.\n";
  const auto given = std::make_shared<repair_index_options>();
  add_switch(*to.app, "--read-all-packs", given->read_all_packs,
             "read all pack files to generate new index from scratch");
  to.run = [given](context& call) { run(call, *given); };
}

}  // namespace

void add_repair_index_command(command_tree& tree, CLI::App& repair) {
  add_flags(tree.add(repair, "index", "[flags]", "Build a new index"));
}

void add_rebuild_index_command(command_tree& tree) {
  add_flags(tree.add(tree.root, "rebuild-index", "[flags]", "The old name of `repair index`"));
}

}  // namespace recoup::cli
