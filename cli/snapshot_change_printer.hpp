// What `rewrite` and `repair snapshots` print in the same words.
#pragma once

#include <memory>
#include <string>

#include <recoup/ops/rewrite/snapshot_changes.hpp>

#include "command.hpp"
#include "format.hpp"
#include "json_output.hpp"
#include "progress.hpp"

namespace recoup::cli {

/// `Observer` is the operation's, made from snapshot_change_observer.
template <class Observer>
class snapshot_change_printer : public Observer {
public:
  snapshot_change_printer(context& call, const snapshot_change_options& options) : call_(call), options_(options) {}

  void on_index_progress(std::size_t done, std::size_t total) override {
    call_.throw_if_stopped();
    if (!index_files_)
      index_files_ = std::make_unique<counter>(call_.signals, call_.screen,
                                               call_.out.level() > 0 && call_.screen.output_is_tty(),
                                               "index files loaded");
    index_files_->set_total(total);
    index_files_->set(done);
  }
  void on_snapshot(const found_snapshot& old) override {
    end_index();
    call_.out.info("\n" + describe(old));
  }
  void on_planned(const found_snapshot&, snapshot_change change) override {
    const auto& out = call_.out;
    if (change == snapshot_change::removed) {
      if (options_.dry_run) out.info("would delete empty snapshot");
      return;
    }
    if (options_.dry_run) out.info("would save new snapshot");
    if (options_.dry_run && options_.forget) out.info("would remove old snapshot");
    if (options_.new_time)
      out.info((options_.dry_run ? "would set time to " : "setting time to ") + format_full_time(*options_.new_time));
    if (options_.new_host)
      out.info((options_.dry_run ? "would set hostname to " : "setting host to ") + *options_.new_host);
  }
  void on_saved(const found_snapshot&, const id& now) override {
    call_.out.info("saved new snapshot " + now.short_hex());
  }
  void on_removed(const found_snapshot& old, snapshot_change change) override {
    call_.out.info((change == snapshot_change::removed ? "removed empty snapshot " : "removed old snapshot ") +
                   old.id.short_hex());
  }

  void print_count(std::size_t changed) {
    end_index();
    const std::string verb = options_.dry_run ? "would modify " : "modified ";
    call_.out.info("");
    call_.out.info(changed != 0 ? verb + std::to_string(changed) + " snapshots"
                                : std::string("no snapshots ") + (options_.dry_run ? "would be" : "were") + " modified");
  }

protected:
  context& call_;

private:
  void end_index() {
    if (index_files_) index_files_->finish();
    index_files_.reset();
  }

  const snapshot_change_options options_;
  std::unique_ptr<counter> index_files_;
};

}  // namespace recoup::cli
