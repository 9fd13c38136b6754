#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <recoup/core/file_descriptor.hpp>
#include <recoup/ops/repair_packs.hpp>

#include "command.hpp"
#include "command_repair.hpp"
#include "phase_counter.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

class repair_printer : public repair_packs_observer {
public:
  explicit repair_printer(context& call) : call_(call), progress_(call) {}

  void on_progress(phase at, std::uint64_t done, std::uint64_t total) override {
    progress_.show(at, done, total, [this](phase entered) { enter(entered); });
  }
  void on_lost_blob(const id&, const blob_handle& blob, const error& problem) override {
    call_.out.error("failed to load blob " + blob.id.hex() + ": " + problem.what());
  }
  void on_incomplete_index(const id& pack) override {
    call_.out.error("repairing incomplete index entry for pack " + pack.hex());
  }
  void on_nothing_found(const id& pack) override { call_.out.error("no blobs found for pack " + pack.hex()); }
  void on_not_removed(const id& pack, const error& problem) override {
    call_.out.error("failed to delete pack file " + pack.hex() + ": " + problem.what());
  }

  void finish() { progress_.finish(); }

private:
  void enter(phase at) {
    switch (at) {
      case phase::packs:
        call_.out.info("salvaging intact data from specified pack files");
        return progress_.start("pack files");
      case phase::rewrite: call_.out.info("rebuilding index"); return progress_.start("indexes processed");
      case phase::remove_indexes: return progress_.start("old indexes deleted");
      case phase::remove_packs:
        call_.out.info("removing salvaged pack files");
        return progress_.start("files deleted");
    }
  }

  context& call_;
  phase_counter<phase> progress_;
};

/// Whatever can be read of the pack goes into the current directory, before anything is changed.
void save_copy(const context& call, repository& repo, const id& pack) {
  bytes content;
  try {
    repo.storage().load_all({file_type::pack, pack}, content);
  } catch (const error& problem) {
    return call.out.error("will remove packfile " + pack.hex() + " due to failed download: " + problem.what());
  }
  const auto name = "pack-" + pack.hex();
  const auto failed = [&](const char* what) {
    return error(error_code::io, std::string(what) + " " + name + " in the current directory: " + std::strerror(errno) +
                                     "; nothing was changed. Run this from a directory with room for copies of the packs");
  };
  const file_descriptor file(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file) throw failed("cannot create");
  for (byte_view left = content; !left.empty();) {
    const auto written = ::write(file.get(), left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw failed("cannot write");
    left = left.subspan(static_cast<std::size_t>(written));
  }
}

void run(context& call) {
  repair_packs_options options;
  for (const auto& word : call.arguments) {
    const auto pack = id::parse(word);
    if (!pack)
      throw error(error_code::invalid_argument,
                  "\"" + word + "\" is no id of a pack: give all 64 digits, as `check` and `list packs` print them");
    if (std::ranges::find(options.packs, *pack) == options.packs.end()) options.packs.push_back(*pack);
  }
  if (options.packs.empty()) throw error(error_code::invalid_argument, "no ids specified");
  session open(call, lock_mode::exclusive);
  open.load_index();
  options.stop = open.token();
  call.out.info("saving backup copies of pack files to current folder");
  for (const auto& pack : options.packs) save_copy(call, open.repo(), pack);
  repair_printer printer(call);
  (void)repair_packs(open.repo(), options, printer);
  printer.finish();
  call.out.error("\nUse `restic repair snapshots --forget` to remove the corrupted data blobs from all snapshots");
}

}  // namespace

void add_repair_packs_command(command_tree& tree, CLI::App& repair) {
  auto& command = tree.add(repair, "packs", "[packIDs...] [flags]", "Salvage damaged pack files");
  command.details =
      "Stores what is intact in these packs anew, and removes them. A copy of each goes into the current directory first.\n";
  command.run = run;
}

}  // namespace recoup::cli
