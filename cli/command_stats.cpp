#include <atomic>
#include <memory>

#include <recoup/ops/snapshot_groups.hpp>
#include <recoup/ops/stats.hpp>

#include "command.hpp"
#include "format.hpp"
#include "listed_snapshots.hpp"
#include "progress.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"
#include "stats_json.hpp"

namespace recoup::cli {

namespace {

struct stats_flags {
  snapshot_flags choice;
  std::string mode = "restore-size";
};

/// "[0:05] 40.00%  2 / 5 snapshots, 1234 files, 5.678 MiB": counts within a snapshot begin anew with each.
class stats_progress : public stats_observer {
public:
  stats_progress(context& call, std::uint64_t snapshots) : call_(call), snapshots_(snapshots) {
    const auto interval = progress_interval(!call.options.quiet, call.options.json, call.screen.can_update_status());
    updater_ = std::make_unique<updater>(
        call.signals, interval, [this](std::chrono::nanoseconds elapsed, bool final) { report(elapsed, final); });
  }
  ~stats_progress() override { finish(); }

  void on_snapshot(const found_snapshot&) override {
    items_ = blobs_ = bytes_ = 0;
    ++done_;
  }
  void on_progress(std::uint64_t items, std::uint64_t blobs, std::uint64_t bytes) override {
    items_ += items, blobs_ += blobs, bytes_ += bytes;
  }
  void finish() { updater_.reset(); }

private:
  void report(std::chrono::nanoseconds elapsed, bool final) {
    if (call_.options.json) return;
    const std::uint64_t done = done_, items = items_, blobs = blobs_;
    const auto share = done > 0 && !final ? done - 1 : done;
    auto line = "[" + format_duration(elapsed) + "] " + format_percent(share, snapshots_) + "  " +
                std::to_string(done) + " / " + std::to_string(snapshots_) + " snapshots";
    if (items > 0) line += ", " + std::to_string(items) + " files";
    if (blobs > 0) line += ", " + std::to_string(blobs) + " blobs";
    line += ", " + format_bytes(bytes_);
    if (!final) return call_.screen.set_status({line});
    call_.screen.set_status({});
    call_.out.result(line);
  }

  context& call_;
  const std::uint64_t snapshots_;
  std::atomic<std::uint64_t> done_{0}, items_{0}, blobs_{0}, bytes_{0};
  std::unique_ptr<updater> updater_;  // last: its thread uses what is above
};

void print_text(const context& call, const repository_stats& counted, stats_mode mode) {
  const auto number = [&](const char* name, std::uint64_t value) {
    if (value > 0) call.out.result(formatted("%24s:  %llu", name, static_cast<unsigned long long>(value)));
  };
  const auto& out = call.out;
  out.result(std::string("Stats in ") + name_of(mode) + " mode:");
  out.result(formatted("%24s:  %llu", "Snapshots processed", static_cast<unsigned long long>(counted.snapshots_count)));
  number("Total Blob Count", counted.total_blob_count);
  number("Total File Count", counted.total_file_count);
  if (counted.total_uncompressed_size > 0)
    out.result(
        formatted("%24s:  %-5s", "Total Uncompressed Size", format_bytes(counted.total_uncompressed_size).c_str()));
  out.result(formatted("%24s:  %-5s", "Total Size", format_bytes(counted.total_size).c_str()));
  if (counted.compression_progress > 0)
    out.result(formatted("%24s:  %.2f%%", "Compression Progress", counted.compression_progress));
  if (counted.compression_ratio > 0)
    out.result(formatted("%24s:  %.2fx", "Compression Ratio", counted.compression_ratio));
  if (counted.compression_space_saving > 0)
    out.result(formatted("%24s:  %.2f%%", "Compression Space Saving", counted.compression_space_saving));
}

void run(context& call, const stats_flags& flags) {
  stats_options options;
  if (const auto mode = parse_stats_mode(flags.mode))
    options.mode = *mode;
  else
    throw error(error_code::invalid_argument,
                "unknown counting mode: " + flags.mode + " (use the -h flag to get a list of supported modes)");
  std::vector<found_snapshot> snapshots;
  session open(call, unless_no_lock(call, lock_mode::shared), [&](session& opened) {
    snapshots = find_listed_snapshots(opened.repo(), call.arguments, flags.choice.filter(), call.out);
    opened.load_index();
  });
  options.stop = open.token();
  if (!call.options.json) call.out.result("scanning...");
  stats_progress progress(call, snapshots.size());
  const auto counted = stats(open.repo(), snapshots, options, progress);
  progress.finish();
  if (call.options.json)
    call.out.result(to_json(counted));
  else
    print_text(call, counted, options.mode);
}

}  // namespace

void add_stats_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "stats", "[flags] [snapshot ID] [...]",
                           "Scan the repository and show basic statistics");
  command.details =
      "Counts what the given snapshots hold, or all that match the filters. The modes are:\n\n"
      "restore-size: (default) the size of the restored files\n"
      "files-by-contents: the size of the files, those with the same contents once\n"
      "raw-data: the size of the blobs in the repository, regardless of how many files reference them\n"
      "blobs-per-file: a combination of files-by-contents and raw-data\n";
  const auto flags = std::make_shared<stats_flags>();
  add_text(*command.app, "--mode", flags->mode, "counting mode (default: restore-size)",
           "restore-size|files-by-contents|blobs-per-file|raw-data");
  add_snapshot_flags(*command.app, flags->choice, snapshot_choice::many);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
