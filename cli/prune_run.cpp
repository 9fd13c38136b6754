#include "prune_run.hpp"

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

void print_stats(const printer& out, const prune_stats& stats) {
  const auto& [blobs, sizes, packs] = stats;
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

/// restic's names, of which the binary of 0.19 prints none yet.
std::string stats_json(const prune_stats& stats) {
  const auto& [blobs, sizes, packs] = stats;
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
  return json.end_object().end_object().take();
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
}

prune_options prune_options_of(const prune_flags& flags) {
  prune_options options;
  if (!flags.max_repack_size.empty()) options.max_repack_bytes = parse_size(flags.max_repack_size);
  options.max_unused = unused_limit::parse(flags.max_unused);
  if (!flags.repack_smaller_than.empty())
    options.repack_below = positive_size(flags.repack_smaller_than, "--repack-smaller-than");
  options.repack_only_trees = flags.repack_cacheable_only;
  options.repack_uncompressed = flags.repack_uncompressed;
  return options;
}

void run_prune(context& call, session& open, prune_options options, bool dry_run) {
  options.stop = open.token();
  if (open.repo().storage().is_worth_caching())
    call.out.error("warning: running prune without a cache, this may be very slow!");
  prune_printer printer(call);
  const auto plan = plan_prune(open.repo(), options, printer);
  printer.leave();
  if (dry_run) call.out.info("\nWould have made the following changes:");
  call.options.json ? call.out.result(stats_json(plan.stats)) : print_stats(call.out, plan.stats);
  if (dry_run) return print_what_would_go(call.out, plan);
  execute_prune(open.repo(), plan, options, printer);
  printer.leave();
  call.out.info("done");
}

}  // namespace recoup::cli
