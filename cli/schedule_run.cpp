// What is done under which lock:
//
//   lock of the run, on this machine          until the end
//   commands before
//   open the repository, once for all but the check
//     shared lock                             back up -> which snapshots does the policy not keep?
//     exclusive lock, only if there are any   decide anew -> remove them
//     two-phase prune's lock, if need be      prune: others go on with their backups
//   exclusive lock, by a session of its own   check, with a temporary cache, so that what is stored is looked at
//   commands after
//
// Why not one lock for all of it. Snapshots may not be removed under a shared lock, neither by restic's rules nor by
// those that two-phase pruning rests on (ops/prune.hpp): `rewrite` or `tag`, which hold a shared lock elsewhere, rely
// on a snapshot that they have read for as long as they hold it. Say it needs a pack that a former prune marked; we
// remove the snapshot, and the prune after it finds a pack that nobody needs, marked long ago, with no holder of then
// among those of now, and deletes it. And the exclusive lock cannot be taken while the shared one is kept: two machines
// that are done at the same time would each wait for the other's. Between two locks anybody may change the repository,
// so that each step looks anew: that is all it costs.
//
// rustic knows no locks. It removes snapshots when it likes, and is protected, as we are from it, by the time that
// marked packs wait.
#include "schedule_run.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <recoup/ops/forget.hpp>
#include <recoup/schedule/definition_json.hpp>

#include "backup_run.hpp"
#include "format.hpp"
#include "inner_command.hpp"
#include "processors.hpp"
#include "prune_run.hpp"
#include "run_lock.hpp"
#include "schedule_commands.hpp"
#include "schedule_environment.hpp"
#include "schedule_retention.hpp"

namespace recoup::cli {

namespace {

std::vector<std::string> backup_words(const std::string& name, const schedule_backup& backup) {
  std::vector<std::string> words{name};
  const auto add = [&](const char* flag, const std::vector<std::string>& values) {
    for (const auto& value : values) words.push_back(flag + ("=" + value));
  };
  const auto add_switch = [&](const char* flag, bool on) {
    if (on) words.emplace_back(flag);
  };
  add("--tag", backup.tags);
  if (!backup.host.empty()) words.push_back("--host=" + backup.host);
  add("--exclude", backup.exclude), add("--iexclude", backup.iexclude), add("--exclude-file", backup.exclude_files);
  add("--exclude-if-present", backup.exclude_if_present);
  if (!backup.exclude_larger_than.empty()) words.push_back("--exclude-larger-than=" + backup.exclude_larger_than);
  add_switch("--exclude-caches", backup.exclude_caches), add_switch("--one-file-system", backup.one_file_system);
  add_switch("--skip-if-unchanged", backup.skip_if_unchanged);
  words.insert(words.end(), backup.arguments.begin(), backup.arguments.end());
  words.emplace_back("--");
  words.insert(words.end(), backup.paths.begin(), backup.paths.end());
  return words;
}

class scheduled_run {
public:
  scheduled_run(context& call, const schedule_definition& definition, bool with_commands)
      : call_(call), definition_(definition), with_commands_(with_commands), before_(current_environment()) {}

  void run() {
    const run_lock alone(definition_.name);
    const bool ready = !with_commands_ || step("command before the backup", [&] {
      for (const auto& command : definition_.commands_before) run_schedule_command(call_, command, before_, false);
    });
    if (ready) work_on_repository();
    if (with_commands_)
      for (const auto& command : definition_.commands_after)
        step("command after the backup", [&] { run_schedule_command(call_, command, before_, true); });
    finish();
  }

private:
  void work_on_repository() {
    std::optional<error> no_snapshot;
    try {
      back_up_and_clean();
    } catch (const error& problem) {
      no_snapshot = problem;
    }
    if (no_snapshot) {
      tell("backup", *no_snapshot);
      outcome_ = no_snapshot->code();
      failed_.emplace_back("backup");
    } else if (definition_.check && !is_interrupted()) {
      step("check", [&] { check(); });
    }
  }

  void back_up_and_clean() {
    load_schedule_environment(call_, definition_);
    limit_processors(environment("RESTIC_PROCS"));
    inner_command line(call_, definition_);
    backup_flags flags;
    const std::string name = "scheduled-backup";
    add_backup_flags(*line.tree().add(line.tree().root, name, "", "").app, flags);
    auto& inner = line.read(backup_words(name, definition_.backup));
    if (flags.is_stream() || flags.dry_run)
      throw error(error_code::invalid_argument, "backup.arguments: a schedule backs up files, and not for show");
    backup_job job(inner, flags);
    session open(inner, lock_mode::shared, job.first_reads());
    try {
      job.run(open);
    } catch (const error& problem) {
      if (problem.code() != error_code::incomplete) throw;
      tell("backup", problem);
      is_partial_ = true;
    }
    summarise(job.result());
    if (definition_.retention) {
      const bool removed = step("forget", [&] { forget(inner, open, flags); });
      if (removed && definition_.retention->prune && !is_interrupted()) step("prune", [&] { prune(inner, open); });
    }
  }

  void summarise(const backup_result& result) const {
    const auto& counts = result.summary;
    const auto number = [](std::uint64_t value) { return std::to_string(value); };
    call_.out.info("backup: " +
                   (result.snapshot_id ? "snapshot " + result.snapshot_id->short_hex() + " saved"
                                       : std::string("nothing changed, no snapshot saved")) +
                   "; " + number(counts.total_files_processed) + " files, " +
                   format_bytes(counts.total_bytes_processed) + " looked at, " + number(counts.files_new) + " new, " +
                   number(counts.files_changed) + " changed; added " + format_bytes(counts.data_added) + " (" +
                   format_bytes(counts.data_added_packed) + " stored)");
  }

  void forget(context& inner, session& open, const backup_flags& flags) {
    const auto options = forget_options_of(definition_, flags.host.empty() ? local_hostname() : flags.host);
    const auto plan = [&] { return plan_forget(snapshots_of_schedule(open.repo(), definition_, options), options); };
    auto wanted = plan();
    if (!wanted.remove.empty()) {
      open.exchange_lock(lock_mode::exclusive);
      wanted = plan();
    }
    std::size_t kept = 0;
    for (const auto& group : wanted.groups) kept += group.decision.keep.size();
    removal_observer observer;
    observer.on_removed = [&](const id& name) { call_.out.detail("removed snapshot/" + name.hex()); };
    observer.on_failed = [&](const id& name, const error& problem) {
      inner.out.error("unable to remove snapshot/" + name.hex() + " from the repository: " + problem.what());
    };
    const auto left = execute_forget(open.repo(), wanted, observer, open.token());
    forgotten_ = wanted.remove.size() - left.size();
    call_.out.info("forget: " + std::to_string(kept) + " snapshots kept, " + std::to_string(forgotten_) +
                   " removed; policy: " + options.policy.text());
    if (!left.empty())
      throw error(error_code::failure,
                  std::to_string(left.size()) + " snapshots could not be removed; the next run tries again");
  }

  void prune(context& inner, session& open) {
    // Packs that were marked by an earlier prune go by a later one, whether or not a snapshot went meanwhile.
    if (forgotten_ == 0 && open.repo().index().marked() == nullptr) return call_.out.info("prune: nothing to do");
    prune_flags how;
    how.two_phase = true;
    auto options = prune_options_of(how);
    open.exchange_lock(prune_lock(how));
    open.repo().drop_index();  // what was loaded before this lock was there does not count
    const auto stats = run_prune(inner, open, std::move(options), false);
    const auto& marks = stats.marks;
    const auto packs = [](std::uint64_t count, std::uint64_t bytes) {
      return std::to_string(count) + " packs (" + format_bytes(bytes) + ")";
    };
    call_.out.info("prune: " + packs(marks.packs_marked, marks.bytes_marked) + " marked for deletion, " +
                   packs(marks.packs_waiting, marks.bytes_waiting) + " waiting for deletion, " +
                   packs(marks.packs_removed, marks.bytes_removed) + " deleted; " +
                   format_bytes(stats.bytes.remaining) + " remaining");
  }

  void check() {
    inner_command line(call_, definition_);
    std::vector<std::string> words{"check"};
    if (!definition_.check->read_data_subset.empty())
      words.push_back("--read-data-subset=" + definition_.check->read_data_subset);
    (void)line.read(std::move(words));
    line.run();
    call_.out.info("check: no errors were found");
  }

  /// Runs a step; what goes wrong is told at once, and remembered.
  template <class Work>
  bool step(const char* name, Work&& work) {
    try {
      work();
      return true;
    } catch (const error& problem) {
      tell(name, problem);
      failed_.emplace_back(name);
      // What other codes say, that the repository is locked and so on, is for when there is no snapshot.
      if (!outcome_)
        outcome_ = problem.code() == error_code::interrupted ? error_code::interrupted : error_code::failure;
      return false;
    }
  }

  [[nodiscard]] bool is_interrupted() const { return call_.signals.token().stop_requested(); }

  void tell(const char* name, const error& problem) const {
    call_.out.error(std::string(name) + ": " + problem.what());
  }

  void finish() const {
    if (outcome_)
      throw error(*outcome_, "schedule " + definition_.name + ": failed: " + join(failed_, ", ") +
                                 (is_partial_ ? "; some files could not be read" : ""));
    if (is_partial_)
      throw error(error_code::incomplete,
                  "schedule " + definition_.name + ": the snapshot lacks files that could not be read");
    call_.out.info("schedule " + definition_.name + ": done");
  }

  context& call_;
  const schedule_definition& definition_;
  const bool with_commands_;
  const std::vector<std::string> before_;  ///< the environment without the secrets
  std::size_t forgotten_ = 0;
  bool is_partial_ = false;
  std::optional<error_code> outcome_;
  std::vector<std::string> failed_;
};

}  // namespace

void run_schedule(context& call, const schedule_definition& definition, bool with_commands) {
  scheduled_run(call, definition, with_commands).run();
}

}  // namespace recoup::cli
