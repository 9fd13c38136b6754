#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include <recoup/json/json_writer.hpp>
#include <recoup/ops/copy.hpp>

#include "command.hpp"
#include "format.hpp"
#include "json_output.hpp"
#include "progress.hpp"
#include "second_repository.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

struct copy_flags {
  second_repository_flags source;
  snapshot_flags choice;
};

class copy_printer : public copy_observer {
public:
  explicit copy_printer(context& call) : call_(call) {}

  void on_progress(copy_phase phase, std::uint64_t done, std::uint64_t total) override {
    if (!phase_ || *phase_ != phase) enter(phase);
    if (!counter_) return;
    counter_->set_total(total);
    counter_->set(done);
  }
  void on_skipped(const found_snapshot& source, const id& copy) override {
    leave();
    call_.out.detail("\n" + describe(source));
    call_.out.detail("skipping source snapshot " + source.id.short_hex() + ", was already copied to snapshot " +
                     copy.short_hex());
  }
  void on_started(const found_snapshot& source) override {
    leave();
    call_.out.info("\n" + describe(source));
    call_.out.info("  copy started, this may take a while...");
  }
  void on_planned(const found_snapshot&, const copy_plan& plan) override {
    leave();
    call_.out.detail("  copy " + std::to_string(plan.blobs) + " blobs with disk size " + format_bytes(plan.bytes) +
                     " in " + std::to_string(plan.packs) + " packfiles");
  }
  void on_complete(const found_snapshot&) override { leave(); }
  void on_error(const id& source, const error& problem) override {
    leave();
    const auto text = "snapshot " + source.short_hex() + " cannot be copied: " + problem.what();
    if (call_.options.json)
      call_.out.error(
          json_writer{}.begin_object().field("message_type", "error").field("message", text).end_object().take());
    else
      call_.out.error(text);
  }
  void on_batch(std::size_t snapshots) override {
    if (snapshots > 1) call_.out.info("");
  }
  void on_saved(const found_snapshot& source, const id& copy) override {
    call_.out.info("snapshot " + copy.short_hex() + " saved, copied from source snapshot " + source.id.short_hex());
  }

  /// Ends the counter of the phase, if there is one.
  void leave() {
    if (counter_) phase_ == copy_phase::trees ? counter_->vanish() : counter_->finish();
    counter_.reset();
    phase_.reset();
  }

private:
  void enter(copy_phase phase) {
    leave();
    phase_ = phase;
    const bool visible = call_.out.level() > 0;
    const bool live = visible && call_.screen.output_is_tty();
    switch (phase) {
      case copy_phase::source_index:
      case copy_phase::destination_index: return start("index files loaded", live);
      case copy_phase::trees: return start("trees read", live);
      case copy_phase::packs: return start("packs copied", visible);
    }
  }
  void start(const char* what, bool visible) {
    if (visible) counter_ = std::make_unique<counter>(call_.signals, call_.screen, true, what);
  }

  context& call_;
  std::optional<copy_phase> phase_;
  std::unique_ptr<counter> counter_;
};

copy_result copy_snapshots(context& from_call, context& to_call, const copy_flags& flags) {
  session source(from_call, unless_no_lock(from_call, lock_mode::shared));
  session destination(to_call, lock_mode::shared);
  std::stop_source stop;
  const std::function<void()> request_stop = [&stop] { stop.request_stop(); };
  const std::stop_callback with_source(source.token(), request_stop);
  const std::stop_callback with_destination(destination.token(), request_stop);

  copy_options options;
  options.snapshots = to_call.arguments;
  options.filter = flags.choice.filter();
  options.reuse_compressed = !to_call.options.compression_given;
  options.adopt_unindexed_packs = destination.is_locked();
  options.stop = stop.get_token();
  copy_printer printer(to_call);
  auto result = copy(source.repo(), destination.repo(), options, printer);
  printer.leave();
  return result;
}

void run(context& call, const copy_flags& flags) {
  // As with restic, --json changes how errors are written, and nothing else.
  const printer out(call.screen, call.options.verbosity(), false);
  auto first = with_options(call, call.options, out);
  const auto other = find_second_repository(call, flags.source, "destination");
  auto second = with_options(call, other.options, out);
  const auto result =
      other.is_source ? copy_snapshots(second, first, flags) : copy_snapshots(first, second, flags);
  if (result.errors != 0)
    throw error(error_code::failure, std::to_string(result.errors) + (result.errors == 1 ? " snapshot" : " snapshots") +
                                         " could not be copied; `check` tells more about the source repository");
}

}  // namespace

void add_copy_command(command_tree& tree) {
  auto& command =
      tree.add(tree.root, "copy", "[flags] [snapshotID ...]", "Copy snapshots from one repository to another");
  command.details =
      "Copies the given snapshots, or all that match the filters, from the repository of --from-repo to that of\n"
      "--repo. Snapshots that were copied before are skipped, and so is every blob that the destination has.\n"
      "\n"
      "Files are not divided into chunks anew. A file that is backed up into both repositories is stored twice in the\n"
      "destination, unless that was made with `init --copy-chunker-params`.\n";
  const auto flags = std::make_shared<copy_flags>();
  auto& app = *command.app;
  add_second_repository_flags(app, flags->source, "to copy snapshots from");
  add_snapshot_flags(app, flags->choice, snapshot_choice::many);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
