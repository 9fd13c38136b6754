#include "prune_run.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <recoup/fs/parse_size.hpp>
#include <recoup/json/json_writer.hpp>

#include "format.hpp"
#include "phase_counter.hpp"

namespace recoup::cli {

namespace {

class prune_printer : public prune_observer {
public:
  explicit prune_printer(context& call) : call_(call), progress_(call) {}

  void on_progress(prune_phase phase, std::uint64_t done, std::uint64_t total) override {
    progress_.show(phase, done, total, [&](prune_phase entered) { enter(entered, total); });
  }
  void on_missing_pack(const id& pack) override {
    if (!std::exchange(told_of_missing_, true))
      call_.out.error("Missing but unneeded pack files are referenced in the index, will be repaired");
    call_.out.error("will forget missing pack file " + pack.hex());
  }
  void on_removed(const stored_file& file) override {
    call_.out.trace("removed " + std::string(file.type == file_type::index ? "index " : "data/") + file.name.hex());
  }
  void on_not_removed(const stored_file& file, const error& problem) override {
    call_.out.error("unable to remove " + file.describe() + " from the repository: " + problem.what());
  }

  void on_holders_unknown(const error& problem) override {
    call_.out.error("Warning: packs are marked for deletion, but it could not be seen who may rely on them: " +
                    std::string(problem.what()) + "; the next prune looks again");
  }

  void leave() { progress_.finish(); }

private:
  void enter(prune_phase phase, std::uint64_t total) {
    const auto& out = call_.out;
    switch (phase) {
      case prune_phase::index: return progress_.start("index files loaded", call_.screen.output_is_tty());
      case prune_phase::snapshots:
        out.info("loading all snapshots...");
        out.info("finding data that is still in use for " + std::to_string(total) + " snapshots");
        return progress_.start("snapshots");
      case prune_phase::packs:
        out.info("searching used packs...");
        out.info("collecting packs for deletion and repacking");
        return progress_.start("packs processed");
      case prune_phase::unindexed: out.info("deleting unreferenced packs"); return progress_.start("files deleted");
      case prune_phase::repack: out.info("repacking packs"); return progress_.start("packs repacked");
      case prune_phase::mark: out.info("marking packs for deletion"); return progress_.start("packs marked");
      case prune_phase::rewrite_index: out.info("rebuilding index"); return progress_.start("indexes processed");
      case prune_phase::remove_indexes: return progress_.start("old indexes deleted");
      case prune_phase::remove_packs:
        out.info("removing " + std::to_string(total) + " old packs");
        return progress_.start("files deleted");
      case prune_phase::write_index: return progress_.start("packs processed");
    }
  }

  context& call_;
  phase_counter<prune_phase> progress_;
  bool told_of_missing_ = false;
};

std::string amount(const char* what, std::uint64_t blobs, std::uint64_t bytes) {
  return formatted("%-14s%10llu blobs / %s", what, static_cast<unsigned long long>(blobs), format_bytes(bytes).c_str());
}

std::string pack_count(const char* what, int width, std::uint64_t packs, const char* unit) {
  return formatted("%-*s%10llu%s", width, what, static_cast<unsigned long long>(packs), unit);
}

/// When the last of them may go at the earliest, and who keeps how many.
struct waiting_summary {
  std::optional<timestamp> until;
  std::vector<std::pair<lock_holder, std::uint64_t>> holders;
};

waiting_summary summary_of(const std::vector<waiting_pack>& waiting) {
  waiting_summary summary;
  for (const auto& pack : waiting) {
    if (pack.until && (!summary.until || earlier(*summary.until, *pack.until))) summary.until = pack.until;
    if (!pack.holder) continue;
    const auto known = std::ranges::find(summary.holders, *pack.holder, &std::pair<lock_holder, std::uint64_t>::first);
    if (known == summary.holders.end())
      summary.holders.emplace_back(*pack.holder, 1);
    else
      ++known->second;
  }
  return summary;
}

void print_marks(const printer& out, const prune_plan& plan) {
  const auto& marks = plan.stats.marks;
  const auto line = [&](const char* what, std::uint64_t packs, std::uint64_t bytes) {
    if (packs > 0)
      out.info(formatted("%-24s%10llu packs / %s", what, static_cast<unsigned long long>(packs),
                         format_bytes(bytes).c_str()));
  };
  line("to mark for deletion:", marks.packs_marked, marks.bytes_marked);
  line("to recover, marked:", marks.packs_recovered, marks.bytes_recovered);
  line("to delete, marked:", marks.packs_removed, marks.bytes_removed);
  line("waiting for deletion:", marks.packs_waiting, marks.bytes_waiting);
  const auto waiting = summary_of(plan.marks.waiting);
  if (waiting.until) out.info("  until " + to_rfc3339(*waiting.until) + " at the latest");
  for (const auto& [holder, packs] : waiting.holders)
    out.info("  " + std::to_string(packs) + " packs until " + describe(holder) + " has finished");
}

void print_stats(const printer& out, const prune_stats& stats) {
  const auto& blobs = stats.blobs;
  const auto& sizes = stats.bytes;
  const auto& packs = stats.packs;
  out.detail("\n" + amount("used:", blobs.used, sizes.used));
  if (blobs.duplicate > 0) out.detail(amount("duplicates:", blobs.duplicate, sizes.duplicate));
  out.detail(amount("unused:", blobs.unused, sizes.unused));
  if (sizes.unreferenced > 0) out.detail("unreferenced:                    " + format_bytes(sizes.unreferenced));
  out.detail(amount("total:", blobs.total, sizes.total));
  out.detail("unused size: " + format_percent(sizes.duplicate + sizes.unused, sizes.total) + " of total size");

  out.info("\n" + amount("to repack:", blobs.repack, sizes.repack));
  out.info(amount("this removes:", blobs.repack_remove, sizes.repack_remove));
  out.info(amount("to delete:", blobs.remove, sizes.remove + sizes.unreferenced));
  out.info(amount("total prune:", blobs.remove_total, sizes.remove_total));
  if (sizes.uncompressed > 0) out.info("not yet compressed:              " + format_bytes(sizes.uncompressed));
  out.info(amount("remaining:", blobs.remaining, sizes.remaining));
  out.info("unused size after prune: " + format_bytes(sizes.remaining_unused) + " (" +
           format_percent(sizes.remaining_unused, sizes.remaining) + " of remaining size)");
  out.info("");
  out.detail(pack_count("totally used packs:", 20, packs.used, ""));
  out.detail(pack_count("partly used packs:", 20, packs.partly_used, ""));
  out.detail(pack_count("unused packs:", 20, packs.unused, "\n\n"));
  out.detail(pack_count("to keep:", 14, packs.keep, " packs"));
  out.detail(pack_count("to repack:", 14, packs.repack, " packs"));
  out.detail(pack_count("to delete:", 14, packs.remove, " packs"));
  if (packs.unreferenced > 0) out.detail(pack_count("to delete:", 14, packs.unreferenced, " unreferenced packs\n\n"));
}

/// Ours, and only there when packs are marked or were: restic knows nothing of the kind.
void add_marks(json_writer& json, const prune_plan& plan) {
  const auto& marks = plan.stats.marks;
  json.key("packs_to_delete").begin_object();
  const auto add = [&](const char* what, std::uint64_t packs, std::uint64_t bytes) {
    json.key(what).begin_object().field("packs", packs).field("bytes", bytes).end_object();
  };
  add("mark", marks.packs_marked, marks.bytes_marked);
  add("wait", marks.packs_waiting, marks.bytes_waiting);
  add("recover", marks.packs_recovered, marks.bytes_recovered);
  add("delete", marks.packs_removed, marks.bytes_removed);
  const auto waiting = summary_of(plan.marks.waiting);
  if (waiting.until) json.field("wait_until", *waiting.until);
  json.key("wait_for").begin_array();
  for (const auto& [holder, packs] : waiting.holders)
    json.begin_object().field("hostname", holder.hostname).field("username", holder.username).field("pid", holder.pid)
        .field("packs", packs).end_object();
  json.end_array().end_object();
}

/// restic's names, of which the binary of 0.19 prints none yet.
std::string stats_json(const prune_plan& plan, bool with_marks) {
  const auto& blobs = plan.stats.blobs;
  const auto& sizes = plan.stats.bytes;
  const auto& packs = plan.stats.packs;
  json_writer json;
  json.begin_object().field("message_type", "summary").key("blobs").begin_object();
  json.field("used", blobs.used).field("duplicate", blobs.duplicate).field("unused", blobs.unused);
  json.field("total", blobs.total).field("repack", blobs.repack).field("repack_remove", blobs.repack_remove);
  json.field("remove", blobs.remove).field("remove_total", blobs.remove_total).field("remaining", blobs.remaining);
  json.end_object().key("bytes").begin_object();
  json.field("used", sizes.used).field("duplicate", sizes.duplicate).field("unused", sizes.unused);
  json.field("unreferenced", sizes.unreferenced).field("uncompressed", sizes.uncompressed);
  json.field("total", sizes.total).field("repack", sizes.repack).field("repack_remove", sizes.repack_remove);
  json.field("remove", sizes.remove).field("remove_total", sizes.remove_total).field("remaining", sizes.remaining);
  json.field("remaining_unused", sizes.remaining_unused).end_object().key("packfiles").begin_object();
  json.field("used", packs.used).field("unused", packs.unused).field("partly_used", packs.partly_used);
  json.field("unreferenced", packs.unreferenced).field("total", packs.total).field("keep", packs.keep);
  json.field("repack", packs.repack).field("remove", packs.remove).field("remove_total", packs.remove_total);
  json.end_object();
  if (with_marks) add_marks(json, plan);
  return json.end_object().take();
}

void print_what_would_go(const printer& out, const prune_plan& plan) {
  const auto list = [&](const char* what, std::span<const id> packs) {
    std::vector<std::string> names;
    for (const auto& pack : packs) names.push_back(pack.short_hex());
    out.detail("Would have " + std::string(what) + ":\n{" + join(names, " ") + "}\n\n");
  };
  out.detail("Repeated prune dry-runs can report slightly different amounts of data to keep or repack. This is expected "
             "behavior.\n\n");
  if (!plan.unindexed.empty()) list("removed the following unreferenced packs", plan.unindexed);
  list("repacked and removed the following packs", plan.repack);
  list("removed the following no longer used packs", plan.remove);
  std::vector<id> recovered;
  for (const auto& pack : plan.marks.recover) recovered.push_back(pack.pack);
  if (!recovered.empty()) list("recovered the following packs that are marked for deletion", recovered);
  if (!plan.marks.remove.empty()) list("removed the following packs that are marked for deletion", plan.marks.remove);
  for (const auto& pack : plan.marks.waiting)
    out.detail("pack " + pack.id.short_hex() + " stays" + (pack.until ? " until " + to_rfc3339(*pack.until) : "") +
               (pack.until && pack.holder ? ", and" : "") +
               (pack.holder ? " until " + describe(*pack.holder) + " has finished" : "") + "\n");
}

std::uint64_t positive_size(const std::string& text, const char* flag) {
  std::uint64_t size = 0;
  try {
    size = parse_size(text);
  } catch (const error& problem) {
    throw error(error_code::invalid_argument,
                "invalid number of bytes \"" + text + "\" for " + flag + ": " + problem.what());
  }
  if (size == 0) throw error(error_code::invalid_argument, std::string(flag) + " must be larger than zero");
  return size;
}

}  // namespace

void add_prune_flags(CLI::App& app, prune_flags& flags) {
  add_text(app, "--max-unused", flags.max_unused,
           "tolerate given limit of unused data (absolute value in bytes with suffixes k/K, m/M, g/G, t/T, a value in % "
           "or the word 'unlimited') (default \"5%\")",
           "limit");
  add_text(app, "--max-repack-size", flags.max_repack_size,
           "stop after repacking this much data in total (allowed suffixes for size: k/K, m/M, g/G, t/T)", "size");
  add_switch(app, "--repack-cacheable-only", flags.repack_cacheable_only, "only repack packs which are cacheable");
  hidden(add_switch(app, "--repack-small", flags.repack_small, "deprecated: small packs are repacked anyway"));
  add_switch(app, "--repack-uncompressed", flags.repack_uncompressed, "repack all uncompressed data");
  add_text(app, "--repack-smaller-than", flags.repack_smaller_than,
           "pack below-limit packfiles (allowed suffixes: m/M)", "below-limit");
  add_switch(app, "--two-phase", flags.two_phase,
             "let others make backups meanwhile: mark packs for deletion, and remove those that an earlier prune marked");
  add_duration(app, "--delete-after", flags.delete_after,
               "with --two-phase, keep marked packs for at least this duration (default 23h)");
}

lock_request prune_lock(const prune_flags& flags) {
  lock_request lock = flags.two_phase ? lock_mode::shared : lock_mode::exclusive;
  lock.two_phase_prune = flags.two_phase;
  return lock;
}

prune_options prune_options_of(const prune_flags& flags) {
  prune_options options;
  if (!flags.max_repack_size.empty()) options.max_repack_bytes = parse_size(flags.max_repack_size);
  options.max_unused = unused_limit::parse(flags.max_unused);
  if (!flags.repack_smaller_than.empty())
    options.repack_below = positive_size(flags.repack_smaller_than, "--repack-smaller-than");
  options.repack_only_trees = flags.repack_cacheable_only;
  options.repack_uncompressed = flags.repack_uncompressed;
  if (flags.delete_after.count() < 0) throw error(error_code::invalid_argument, "--delete-after must not be negative");
  if (flags.two_phase)
    options.two_phase.emplace().delete_after = std::chrono::ceil<std::chrono::seconds>(flags.delete_after);
  return options;
}

prune_stats run_prune(context& call, session& open, prune_options options, bool dry_run) {
  options.stop = open.token();
  if (options.two_phase) options.two_phase->is_own_lock = [&open](const id& lock) { return open.owns_lock(lock); };
  if (open.repo().storage().is_worth_caching())
    call.out.error("warning: running prune without a cache, this may be very slow!");
  prune_printer printer(call);
  const auto plan = plan_prune(open.repo(), options, printer);
  printer.leave();
  if (dry_run) call.out.info("\nWould have made the following changes:");
  const auto& marks = plan.stats.marks;
  const bool with_marks = options.two_phase || marks.packs_recovered > 0;
  if (call.options.json) {
    call.out.result(stats_json(plan, with_marks));
  } else {
    print_stats(call.out, plan.stats);
    if (with_marks) print_marks(call.out, plan);
  }
  if (dry_run) {
    print_what_would_go(call.out, plan);
    return plan.stats;
  }
  execute_prune(open.repo(), plan, options, printer);
  printer.leave();
  call.out.info("done");
  return plan.stats;
}

}  // namespace recoup::cli
