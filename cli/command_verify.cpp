#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include <recoup/crypto/secret.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/ops/verify.hpp>
#include <recoup/ops/verify/live.hpp>
#include <recoup/ops/verify/live_place.hpp>
#include <recoup/repo/lock.hpp>

#include "command.hpp"
#include "format.hpp"
#include "json_output.hpp"
#include "parse_number.hpp"
#include "pattern_flags.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"
#include "verify_progress.hpp"

namespace recoup::cli {

namespace {

struct verify_flags {
  snapshot_flags choice;
  pattern_flags excludes, includes;
  std::optional<decltype(file_sample::share)> sample;
  std::optional<std::uint64_t> seed;
  bool live = false, extra = false, with_cache = false;
  std::string target;
  std::vector<file_property> ignored;
};

error refused(const std::string& why) { return {error_code::invalid_argument, why}; }

/// "10%" or "100".
decltype(file_sample::share) parse_sample(std::string_view text) {
  if (text.ends_with('%')) {
    const auto percent = parse_number<double>(text.substr(0, text.size() - 1));
    if (!percent || !(*percent > 0 && *percent <= 100)) throw refused("a share must be above 0% and at most 100%");
    return file_percentage{*percent};
  }
  const auto files = parse_number<std::uint64_t>(text);
  if (!files || *files == 0) throw refused("give a share of the files such as 10%, or how many: 1 or more");
  return file_count{*files};
}

void parse_ignored(const std::string& text, std::vector<file_property>& ignored) {
  constexpr file_property all[] = {file_property::mode, file_property::owner, file_property::mtime,
                                   file_property::xattrs};
  for (const auto& name : split(text, ',')) {
    const auto before = ignored.size();
    for (const auto each : all)
      if (name == name_of(each) || name == "metadata") ignored.push_back(each);
    if (ignored.size() == before)
      throw refused("\"" + name + "\" is none of mode, owner, mtime, xattrs, and metadata for all of these");
  }
}

std::uint64_t random_seed() {
  std::array<std::uint8_t, 4> random{};  // short enough to be typed
  random_bytes(random);
  std::uint64_t seed = 0;
  for (const auto byte : random) seed = seed << 8 | byte;
  return seed;
}

void check(const context& call, const verify_flags& flags, bool filtered_twice) {
  if (call.arguments.empty()) throw refused("no snapshot ID specified, specify snapshot ID or use special ID 'latest'");
  for (std::size_t i = 1; i < call.arguments.size(); ++i)
    if (!is_absolute(call.arguments[i]))
      throw refused("All path filters must be absolute, starting with a forward slash '/'");
  if (filtered_twice) throw refused("exclude and include patterns are mutually exclusive");
  if (flags.seed && !flags.sample) throw refused("--seed chooses a sample: say with --sample how large it is to be");
  if (!flags.live && (flags.extra || !flags.ignored.empty()))
    throw refused("--extra and --ignore are about files as they are now: use them with --live or --target");
}

/// What the paths select, and of that what the patterns leave. The patterns must outlive it.
std::function<selection(std::string_view, const node&)> selector(std::vector<std::string> paths,
                                                                 const pattern_pair& excludes,
                                                                 const pattern_pair& includes) {
  if (paths.empty() && excludes.empty() && includes.empty()) return {};
  return [paths = std::move(paths), &excludes, &includes](std::string_view path, const node& entry) {
    selection choice;
    if (!paths.empty()) {
      choice.selected = std::ranges::any_of(paths, [&](const auto& each) { return is_at_or_below(path, each); });
      choice.child_may_be_selected =
          choice.selected || std::ranges::any_of(paths, [&](const auto& each) { return is_at_or_below(each, path); });
    }
    if (!excludes.empty() && excludes.matches(path)) return selection{false, false};
    if (!includes.empty()) {
      const auto result = includes.match(path);
      choice.selected = choice.selected && result.matched;
      choice.child_may_be_selected = choice.child_may_be_selected && result.child_may_match;
    }
    choice.child_may_be_selected = choice.child_may_be_selected && entry.type == node_type::dir;
    return choice;
  };
}

std::vector<std::string> paths_in(const context& call, repository& repo, const id& root) {
  std::vector<std::string> paths;
  for (auto path = call.arguments.begin() + 1; path != call.arguments.end(); ++path) {
    paths.push_back(clean_path(*path));
    if (!holds_path(repo, root, paths.back()))
      throw error(error_code::not_found, "path " + paths.back() + ": not found in the snapshot");
  }
  return paths;
}

error damage_found(std::uint64_t items) {
  return {error_code::failure, std::to_string(items) + (items == 1 ? " file or directory" : " files and directories") +
                                   " of the snapshot cannot be restored whole"};
}

void verify_repository(context& call, session& open, const id& root, const verify_options& options) {
  verify_progress progress(call, false);
  const auto result = open.under_lock([&] { return verify(open.repo(), root, options, progress); });
  progress.finish(result, options.sample);
  if (result.damaged == 0) return call.out.info("no errors were found");
  call.out.error("\nWhat is named above cannot be restored whole. Run `recoup check --read-data` to see which packs are "
                 "damaged,\nwhich other snapshots need them, and what to do about it.\n");
  throw damage_found(result.damaged);
}

void verify_live(context& call, session& open, const id& root, const verify_options& chosen, const found_snapshot& of,
                 const verify_flags& flags) {
  live_options options;
  options.place = flags.target.empty() ? original_place(open.repo(), of) : live_place{absolute_path(flags.target), {}};
  options.select = chosen.select;
  options.sample = chosen.sample;
  options.with_extra = flags.extra;
  options.ignores = [&](file_property property) {
    return std::ranges::find(flags.ignored, property) != flags.ignored.end();
  };
  options.stop = chosen.stop;
  call.out.info("comparing with " + options.place.directory);
  if (const auto here = local_hostname(); flags.target.empty() && of.snapshot.hostname != here)
    call.out.info("these are the files of " + here + ", but the snapshot was made on " + of.snapshot.hostname);
  verify_progress progress(call, true);
  const auto result = open.under_lock([&] { return compare_live(open.repo(), root, options, progress); });
  progress.finish(result, options.sample);
  if (result.damaged != 0) throw damage_found(result.damaged);
  if (result.differences() != 0)
    throw error(error_code::incomplete, "files differ from the snapshot in " + std::to_string(result.differences()) +
                                            (result.differences() == 1 ? " place" : " places"));
}

void run(context& call, const verify_flags& flags) {
  const pattern_pair excludes(flags.excludes, "exclude"), includes(flags.includes, "include");
  check(call, flags, !excludes.empty() && !includes.empty());
  verify_options options;
  if (flags.sample) options.sample = {*flags.sample, flags.seed ? *flags.seed : random_seed()};

  found_snapshot found;
  // Trees are all that live files are compared with. Without those, what is stored is to be seen, not copies of it.
  const auto cache = flags.live || flags.with_cache ? cache_use::shared : cache_use::temporary;
  session open(call, settling_meanwhile(unless_no_lock(call, lock_mode::shared)), [&](session& opened) {
    found = find_snapshot_and_load_index(opened, call.arguments[0], flags.choice.filter());
  }, false, cache);
  options.stop = open.token();
  const auto root = find_subtree(open.repo(), found.snapshot.tree, found.subfolder);
  options.select = selector(paths_in(call, open.repo(), root), excludes, includes);
  call.out.info("verifying " + describe(found));
  if (flags.live)
    verify_live(call, open, root, options, found, flags);
  else
    verify_repository(call, open, root, options);
}

}  // namespace

void add_verify_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "verify", "[flags] snapshotID [path...]",
                           "Verify that a snapshot can be restored, or compare it with the files as they are now");
  command.details =
      "Reads everything that a restore of the snapshot needs from the repository and verifies it, without writing\n"
      "anything: each blob is decrypted, decompressed and hashed, each tree read, each file's size compared with its\n"
      "content. Files that are damaged are named. The snapshot is named as for restore, also with \":folder\". Absolute\n"
      "paths in it, or patterns, restrict what is looked at; --sample verifies some files chosen at random. restic has\n"
      "no such command.\n\n"
      "With --live it compares the snapshot with the files where they were backed up, with --target DIR with what was\n"
      "restored there: what is missing, of another type, size, content, target, mode, owner, time or attributes, and\n"
      "with --extra what is not in the snapshot. Nothing but trees is read from the repository then.\n\n"
      "EXIT STATUS\n\n"
      "0 if all is well, 1 if something in the repository is damaged (or went wrong), 3 if with --live or --target\n"
      "files differ. Others are those of all commands.\n";
  const auto flags = std::make_shared<verify_flags>();
  auto& app = *command.app;
  add_snapshot_flags(app, flags->choice, snapshot_choice::one);
  add_pattern_flags(app, flags->excludes, "exclude", "-e");
  add_pattern_flags(app, flags->includes, "include", "-i");
  add_parsed(app, "--sample", [flags](const std::string& text) { flags->sample = parse_sample(text); },
             "verify (or compare) the content of a random part of the files: a share such as 10%, or how many", "n|x%");
  add_parsed(
      app, "--seed",
      [flags](const std::string& text) {
        flags->seed = parse_number<std::uint64_t>(text);
        if (!flags->seed) throw refused("not a whole number that is 0 or more");
      },
      "choose the sample that an earlier run has printed this seed for", "n");
  add_switch(app, "--live", flags->live,
             "compare the snapshot with the files as they are now, where they were backed up");
  add_parsed(
      app, "-t,--target",
      [flags](const std::string& text) {
        flags->target = text;
        flags->live = flags->live || !text.empty();
      },
      "compare the snapshot with what was restored to this directory", "directory");
  add_switch(app, "--extra", flags->extra, "with --live: tell also what is there but not in the snapshot");
  add_parsed(app, "--ignore", [flags](const std::string& text) { parse_ignored(text, flags->ignored); },
             "with --live: differences that do not matter (can be specified multiple times)",
             "mode,owner,mtime,xattrs|metadata");
  add_switch(app, "--with-cache", flags->with_cache,
             "use existing cache for trees, only read uncached ones from the repository");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
