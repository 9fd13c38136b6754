#include <memory>
#include <optional>

#include <recoup/fs/parse_size.hpp>
#include <recoup/json/json_writer.hpp>
#include <recoup/ops/check.hpp>
#include <recoup/ops/snapshot_groups.hpp>

#include "check_report.hpp"
#include "command.hpp"
#include "format.hpp"
#include "pack_progress.hpp"
#include "parse_number.hpp"
#include "phase_counter.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

struct check_flags {
  snapshot_flags choice;
  bool read_data = false, with_cache = false, check_unused = false;
  std::string subset;
};

/// "n/t", "x%" or a size.
pack_selection parse_subset(const std::string& text) {
  const auto refuse = [](const std::string& why) { return error(error_code::invalid_argument, why); };
  const auto invalid = refuse("check flag --read-data-subset has invalid value, please see documentation");
  constexpr unsigned most_groups = 256;  // groups go by the first byte of a pack's id
  if (const auto slash = text.find('/'); slash != std::string::npos) {
    const auto group = parse_number<unsigned>(std::string_view(text).substr(0, slash));
    const auto groups = parse_number<unsigned>(std::string_view(text).substr(slash + 1));
    if (!group || !groups) throw invalid;
    if (*group == 0 || *groups == 0 || *group > *groups)
      throw refuse("check flag --read-data-subset=n/t values must be positive integers, and n <= t, e.g. "
                   "--read-data-subset=1/2");
    if (*groups > most_groups)
      throw refuse("check flag --read-data-subset=n/t t must be at most " + std::to_string(most_groups));
    return pack_group{*group, *groups};
  }
  if (text.ends_with('%')) {
    const auto percent = parse_number<double>(std::string_view(text).substr(0, text.size() - 1));
    if (!percent) throw invalid;
    if (!(*percent > 0 && *percent <= 100))
      throw refuse("check flag --read-data-subset=x% x must be above 0.0% and at most 100.0%");
    return pack_percentage{*percent};
  }
  std::uint64_t bytes = 0;
  try {
    bytes = parse_size(text);
  } catch (const error&) {
    throw invalid;
  }
  if (bytes == 0) throw refuse("check flag --read-data-subset=n n must be above 0");
  return pack_bytes{bytes};
}

pack_selection selection_of(const check_flags& flags) {
  if (flags.read_data && !flags.subset.empty())
    throw error(error_code::invalid_argument,
                "check flags --read-data and --read-data-subset cannot be used together");
  if (flags.read_data) return all_packs{};
  return flags.subset.empty() ? pack_selection{no_packs{}} : parse_subset(flags.subset);
}

std::string describe(const pack_selection& packs, bool filtered) {
  const std::string kind = filtered ? "filtered " : "";
  if (const auto* group = std::get_if<pack_group>(&packs))
    return formatted("read group #%u of %u groups of %sdata packs", group->group, group->groups, kind.c_str());
  if (const auto* part = std::get_if<pack_percentage>(&packs))
    return formatted("read %.1f%% of %spackfiles", part->percent, kind.c_str());
  if (const auto* amount = std::get_if<pack_bytes>(&packs))
    return "read about " + std::to_string(amount->bytes) + " bytes of " + kind + "data packs";
  return "read all " + kind + "data";
}

class check_printer : public check_observer {
public:
  check_printer(context& call, const check_options& options)
      : call_(call), options_(options), progress_(call), packs_(call) {}

  void on_progress(check_phase phase, std::uint64_t done, std::uint64_t total) override {
    progress_.show(phase, done, total, [this](check_phase entered) { enter(entered); });
    if (phase == check_phase::data) packs_.set(done, total);
  }
  void on_bytes_read(std::uint64_t done, std::uint64_t total) override { packs_.set_bytes(done, total); }
  void on_error(const std::string& text) override {
    if (call_.options.json)
      call_.out.error(
          json_writer{}.begin_object().field("message_type", "error").field("message", text).end_object().take());
    else
      call_.out.error(text);
  }
  void on_hint(const std::string& text) override { call_.out.detail(text); }

  void finish() {
    progress_.finish();
    packs_.finish();
  }

private:
  void enter(check_phase phase) {
    packs_.finish();
    if (phase == check_phase::index) {
      progress_.start("index files loaded", call_.screen.output_is_tty());
    } else if (phase == check_phase::snapshots) {
      call_.out.info("check all packs");
      call_.out.info("check snapshots, trees and blobs");
      progress_.start("snapshots");
    } else if (phase == check_phase::data) {
      call_.out.info(describe(options_.read_data, options_.snapshots.has_value()));
      packs_.start();
    } else if (phase == check_phase::damaged) {
      call_.out.info("read packs of the wrong length");
      progress_.start("packs");
    } else {
      call_.out.info("find the files that need what is damaged");
      progress_.start("trees");
    }
  }

  context& call_;
  const check_options& options_;
  phase_counter<check_phase> progress_;
  pack_progress packs_;
};

void print_summary_json(const context& call, const check_result& result) {
  json_writer json;
  json.begin_object().field("message_type", "summary").field("num_errors", result.errors).key("broken_packs");
  if (result.broken_packs.empty()) {
    json.null();
  } else {
    json.begin_array();
    for (const auto& pack : result.broken_packs) json.value(pack);
    json.end_array();
  }
  json.field("suggest_repair_index", result.suggest_repair_index).field("suggest_prune", result.suggest_prune);
  call.out.result(json.end_object().take());
}

template <class Ids>
std::string list_of(const Ids& ids) {
  std::string text;
  for (const auto& each : ids) text += " " + each.hex();
  return text;
}

void print_advice(const context& call, const check_result& result) {
  const auto& out = call.out;
  if (!result.damaged_indexes.empty())
    out.error("\nThe repository index is damaged and must be repaired. You must run `restic repair index' to correct "
              "this.\n");
  if (!result.broken_packs.empty())
    out.error("\nThe repository contains damaged pack files. What is left of them can be taken over, and the snapshots "
              "made whole without the rest, with these commands. Make a copy of the damaged files first.\n\n"
              "restic repair packs" + list_of(result.broken_packs) + "\nrestic repair snapshots --forget\n");
  if (result.affected && !result.affected->snapshots().empty() && !result.broken_packs.empty())
    out.error("If files that still are as they were are backed up between these two, with `recoup backup --force`, what "
              "is lost of them is stored again, and older snapshots get it back as well.\n");
  else if (result.affected && !result.affected->snapshots().empty())
    out.error("\n`recoup check --read-data` tells which packs are damaged. `recoup repair index` looks in all packs for "
              "what is in no index.\n");
  if (!result.broken_snapshots.empty())
    out.error("\nThe repository contains damaged snapshot files. They can be removed with this command.\n\n"
              "restic repair snapshots --forget" + list_of(result.broken_snapshots) + "\n");
  if (result.clean() && result.suggest_repair_index)
    out.info("Duplicate packs are non-critical, you can run `restic repair index' to correct this.");
  if (result.clean() && result.marked_packs > 0)
    out.info(std::to_string(result.marked_packs) + " packs are marked for deletion, which a later `recoup prune` removes.");
  if (result.clean() && result.needed_marked_packs > 0)
    out.info("Snapshots need " + std::to_string(result.needed_marked_packs) +
             " of them, as backups were running when they were marked: the next `recoup prune` keeps those. Until then "
             "restic misses what is in them.");
  if (result.clean() && result.unreferenced_packs > 0)
    out.info(std::to_string(result.unreferenced_packs) +
             " additional files were found in the repo, which likely contain duplicate data.\n"
             "This is non-critical, you can run `restic prune` to correct this.");
  else if (result.clean() && result.suggest_prune && result.needed_marked_packs == 0)
    out.info("Mixed packs with tree and data blobs are non-critical, you can run `restic prune` to correct this.");
}

check_result examine(context& call, const check_flags& flags, check_options& options) {
  if (!call.options.no_lock) call.out.info("create exclusive lock for repository");
  const auto read = [&](session& opened) {
    const auto filter = flags.choice.filter();
    if (!call.arguments.empty() || filter.restricts())
      options.snapshots = find_snapshots(opened.repo(), call.arguments, filter);
  };
  session open(call, settling_meanwhile(unless_no_lock(call, lock_mode::exclusive)), read, false,
               flags.with_cache ? cache_use::shared : cache_use::temporary);
  options.stop = open.token();
  call.out.info("load indexes");
  // restic says nothing of this, and what runs restic reads what it says.
  options.find_affected = call.commands.program == "recoup";
  check_printer printer(call, options);
  auto result = open.under_lock([&] { return check(open.repo(), options, printer); });
  printer.finish();
  return result;
}

void run(context& call, const check_flags& flags) {
  check_options options;
  options.read_data = selection_of(flags);
  check_result result;
  try {
    result = examine(call, flags, options);
  } catch (...) {
    result.errors = 1;
    if (call.options.json) print_summary_json(call, result);
    throw;
  }
  if (result.affected) report_affected(call, *result.affected);
  if (call.options.json)
    print_summary_json(call, result);
  else
    print_advice(call, result);
  if (!result.clean()) throw error(error_code::failure, "repository contains errors");
  call.out.info("no errors were found");
}

}  // namespace

void add_check_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "check", "[flags] [snapshotID ...]", "Check the repository for errors");
  command.details =
      "Tests whether everything that the snapshots need is there and intact: index, packs, trees. With --read-data or\n"
      "--read-data-subset it also reads what was backed up and verifies each byte. Snapshot IDs or filters restrict\n"
      "it to what these snapshots need. A repository behind a network is checked with a temporary cache, so that what\n"
      "is stored is looked at and not what the cache holds of it; --with-cache saves the time for that.\n\n"
      "If something is damaged, recoup, unless it is called as restic, also tells which snapshots and which files in\n"
      "them need it: ten of each snapshot, all with -v or --json. `recoup verify` looks at one snapshot alone.\n";
  const auto flags = std::make_shared<check_flags>();
  auto& app = *command.app;
  add_switch(app, "--read-data", flags->read_data, "read all data blobs");
  add_text(app, "--read-data-subset", flags->subset,
           "read a subset of data packs, specified as 'n/t' for specific part, or either 'x%' or 'x.y%' or a size in "
           "bytes with suffixes k/K, m/M, g/G, t/T for a random subset",
           "subset");
  hidden(add_switch(app, "--check-unused", flags->check_unused, "ignored"));
  add_switch(app, "--with-cache", flags->with_cache, "use existing cache, only read uncached data from repository");
  add_snapshot_flags(app, flags->choice, snapshot_choice::many);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
