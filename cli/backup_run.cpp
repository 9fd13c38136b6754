#include "backup_run.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <recoup/fs/files_from.hpp>
#include <recoup/fs/parse_size.hpp>
#include <recoup/ops/cache_directories.hpp>

#include "backup_progress.hpp"
#include "child_process.hpp"
#include "format.hpp"
#include "parse_number.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

void check(const context& call, const backup_flags& flags) {
  const auto refuse = [](const std::string& why) { return error(error_code::invalid_argument, why); };
  const bool list_from_stdin = [&] {
    for (const auto* list : {&flags.files_from, &flags.files_from_verbatim, &flags.files_from_raw})
      if (std::find(list->begin(), list->end(), "-") != list->end()) return true;
    return false;
  }();
  if (flags.from_stdin || list_from_stdin) {
    const auto& options = call.options;
    const bool given = options.insecure_no_password || !options.password_file.empty() ||
                       !options.password_command.empty() || !environment("RESTIC_PASSWORD").empty();
    if (!given && flags.from_stdin) throw refuse("cannot read both password and data from stdin");
    if (!given)
      throw refuse("unable to read password from stdin when data is to be read from stdin, use --password-file or "
                   "$RESTIC_PASSWORD");
  }
  if (!flags.is_stream()) return;
  if (!flags.files_from.empty()) throw refuse("--stdin and --files-from cannot be used together");
  if (!flags.files_from_verbatim.empty()) throw refuse("--stdin and --files-from-verbatim cannot be used together");
  if (!flags.files_from_raw.empty()) throw refuse("--stdin and --files-from-raw cannot be used together");
  if (!call.arguments.empty() && !flags.from_command)
    throw refuse("--stdin was specified and files/dirs were listed as arguments");
  if (call.arguments.empty() && flags.from_command) throw refuse("no command was specified as argument");
}

struct backup_targets {
  std::vector<std::string> present;
  bool any_missing = false;
};

backup_targets collect_targets(const context& call, const backup_flags& flags) {
  const auto tell = [&](const std::string&, const std::string& message) { call.out.error(message); };
  std::vector<std::string> names;
  const auto read_lists = [&](files_from kind, const std::vector<std::string>& files) {
    for (const auto& file : files)
      for (auto& name : read_files_from(kind, file, std::cin, tell)) names.push_back(std::move(name));
  };
  read_lists(files_from::globs, flags.files_from);
  read_lists(files_from::verbatim, flags.files_from_verbatim);
  read_lists(files_from::raw, flags.files_from_raw);
  names.insert(names.end(), call.arguments.begin(), call.arguments.end());
  if (names.empty())
    throw error(error_code::invalid_argument, "nothing to backup, please specify source files/dirs");
  auto kept = keep_present(names, tell);
  return {std::move(kept.present), kept.any_missing};
}

unsigned read_concurrency(const backup_flags& flags) {
  constexpr unsigned usual = 2;
  if (flags.read_concurrency != 0) return flags.read_concurrency;
  const auto text = environment("RESTIC_READ_CONCURRENCY");
  if (text.empty()) return usual;
  const auto value = parse_number<unsigned>(text);
  if (!value)
    throw error(error_code::invalid_argument,
                "invalid value for RESTIC_READ_CONCURRENCY \"" + text + "\": give a whole number");
  return *value == 0 ? usual : *value;
}

/// Where it is noted what was read: beside the cache. Nowhere if there is none, or nothing to note.
std::string journal_directory_of(const context& call, const backup_flags& flags) {
  if (call.options.no_cache || flags.is_stream()) return {};
  if (!call.options.cache_directory.empty()) return call.options.cache_directory;
  try {
    return default_cache_directory();
  } catch (const error&) {
    return {};
  }
}

backup_options engine_options_of(const backup_flags& flags, std::vector<std::string> targets) {
  backup_options options;
  options.targets = std::move(targets);
  for (const auto& list : flags.tags)
    for (auto& tag : split_tags(list))
      if (!tag.empty()) options.tags.push_back(std::move(tag));
  options.hostname = flags.host.empty() ? local_hostname() : flags.host;
  options.excludes = flags.exclude.patterns;
  if (!flags.time.empty()) {
    const auto time = parse_local_time(flags.time);
    if (!time)
      throw error(error_code::invalid_argument,
                  "error in time option: \"" + flags.time + "\" is not like 2012-11-01 22:08:41");
    options.time = *time;
  }
  options.with_atime = flags.with_atime;
  options.ignore_ctime = flags.ignore_ctime;
  options.ignore_inode = flags.ignore_inode;
  options.skip_if_unchanged = flags.skip_if_unchanged;
  options.read_concurrency = read_concurrency(flags);
  options.read_all = flags.force;
  options.keep_journal = !flags.dry_run;
  return options;
}

std::optional<parent_snapshot> choose_parent(repository& repo, const backup_flags& flags,
                                             const backup_options& options) {
  if (flags.force) return std::nullopt;
  if (flags.parent.empty() || flags.parent == "latest")
    return find_parent(repo, options, {flags.group_by.host, flags.group_by.paths, flags.group_by.tags});
  auto found = find_snapshot(repo, flags.parent);
  return parent_snapshot{found.id, std::move(found.snapshot)};
}

/// Opens a repository of --also, which then is among `options.also`.
std::unique_ptr<additional_session> open_additional(context& call, const global_options& opens,
                                                    const backup_flags& flags, backup_options& options) {
  additional_repository added;
  const auto location = location_without_secrets(opens.repository);
  const auto read = [&](session& opened) {
    added.repo = &opened.repo();
    if (!flags.from_stdin) {
      auto any_parent = flags;
      any_parent.parent.clear();  // an id names a snapshot of the first repository
      added.parent = choose_parent(opened.repo(), any_parent, options);
      const auto parent = added.parent ? "using parent snapshot " + added.parent->id.short_hex()
                                       : std::string("no parent snapshot found");
      call.out.info(parent + " in " + location);
    }
    opened.load_index();
  };
  try {
    auto opened = std::make_unique<additional_session>(call, opens, lock_mode::shared, read, flags.dry_run);
    added.adopt_unindexed_packs = opened->open().is_locked();
    added.stop = opened->open().token();
    options.also.push_back(std::move(added));
    return opened;
  } catch (const error& problem) {
    if (problem.code() == error_code::interrupted) throw;
    throw error(problem.code(), "--also " + location + ": " + problem.what());
  }
}

/// Reads until the end of the program's output, then makes sure that it did not fail: half an output is no backup.
std::size_t read_output(child_process& child, const context& call, byte_span into) {
  for (;;) {
    call.signals.wait_readable(child.output());
    const auto got = ::read(child.output(), into.data(), into.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "cannot read the output of the command");
    if (got > 0) return static_cast<std::size_t>(got);
    if (const auto problem = child.wait(); !problem.empty())
      throw error(error_code::failure, "command failed: " + problem + "; no snapshot was made of its output");
    return 0;
  }
}

std::size_t read_input(const context& call, byte_span into) {
  for (;;) {
    call.signals.wait_readable(call.screen.input());
    const auto got = ::read(call.screen.input(), into.data(), into.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) throw system_error(errno, "cannot read stdin");
  }
}

backup_result back_up_stream(context& call, repository& repo, const backup_flags& flags, const backup_options& options,
                             backup_progress& progress) {
  call.out.detail("read data from stdin");
  backup_stream stream;
  stream.path = "/" + flags.stdin_filename;
  std::unique_ptr<child_process> child;
  if (flags.from_command) {
    child = std::make_unique<child_process>(call.arguments);
    stream.read = [&](byte_span into) { return read_output(*child, call, into); };
  } else {
    stream.read = [&](byte_span into) { return read_input(call, into); };
  }
  return backup(repo, options, stream, progress);
}

backup_result back_up_targets(context& call, repository& repo, const backup_flags& flags, const backup_options& options,
                              backup_progress& progress) {
  std::jthread scanner;
  if (!flags.no_scan && progress.wants_totals()) {
    call.out.detail("start scan on " + bracketed(options.targets));
    scanner = std::jthread([&](const std::stop_token& stop) {
      const auto totals = scan_targets(options, stop, repo.storage().cache_directory());
      if (!stop.stop_requested()) progress.set_totals(totals);
    });
  }
  call.out.detail("start backup on " + bracketed(options.targets));
  return backup(repo, options, progress);
}

backup_targets checked_targets(const context& call, const backup_flags& flags) {
  check(call, flags);
  return flags.is_stream() ? backup_targets{} : collect_targets(call, flags);
}

}  // namespace

backup_job::backup_job(context& call, const backup_flags& flags) : call_(call), flags_(flags) {
  auto targets = checked_targets(call, flags);
  any_missing_ = targets.any_missing;
  options_ = engine_options_of(flags, targets.present);
  options_.journal_directory = journal_directory_of(call, flags);
  options_.device_for_hard_links_only = call.options.features.device_id_for_hardlinks;
  auto exclude = flags.exclude;
  if (!flags.exclude_larger_than.empty()) exclude.larger_than = parse_size(flags.exclude_larger_than);
  if (flags.is_stream()) exclude.one_file_system = false;
  filter_ = std::make_unique<backup_filter>(
      exclude, targets.present, [&call](const std::string&, const std::string& message) { call.out.error(message); });
  options_.excludes_path = [this](const std::string& path) { return filter_->excludes_path(path); };
  options_.excludes_entry = [this](const std::string& path, const struct stat& status) {
    return filter_->excludes_entry(path, status);
  };
  also_ = options_of_additional(call.options, flags.also);
}

backup_job::~backup_job() = default;

session::first_reads backup_job::first_reads() {
  return [this](session& opened) {
    if (!flags_.from_stdin) {
      options_.parent = choose_parent(opened.repo(), flags_, options_);
      call_.out.info(options_.parent ? "using parent snapshot " + options_.parent->id.short_hex()
                                     : "no parent snapshot found, will read all files");
    }
    call_.out.detail("load index files");
    opened.load_index();
  };
}

lock_request backup_job::lock() const {
  // What one of several repositories does not take must not come as late as a lock that settles meanwhile would let it.
  return also_.empty() ? settling_meanwhile(lock_mode::shared) : lock_request(lock_mode::shared);
}

void backup_job::run(session& open) {
  auto& repo = open.repo();
  options_.stop = open.token();
  options_.adopt_unindexed_packs = open.is_locked();
  std::vector<std::unique_ptr<additional_session>> others;
  for (const auto& each : also_) others.push_back(open_additional(call_, each, flags_, options_));

  backup_progress progress(call_, flags_.dry_run);
  try {
    result_ = open.under_lock([&] {
      return flags_.is_stream() ? back_up_stream(call_, repo, flags_, options_, progress)
                                : back_up_targets(call_, repo, flags_, options_, progress);
    });
  } catch (const error& problem) {
    progress.finish();
    if (problem.code() == error_code::interrupted || problem.code() == error_code::locked) throw;
    throw error(problem.code(), std::string("unable to save snapshot: ") + problem.what());
  }
  progress.finish();
  progress.print_summary(result_, options_);
  if (progress.failed_repositories() != 0)
    throw error(error_code::failure, std::to_string(progress.failed_repositories()) + " of " +
                                         std::to_string(1 + also_.size()) + " repositories got no snapshot");
  if (result_.errors != 0 || any_missing_)
    throw error(error_code::incomplete, "at least one source file could not be read");
}

}  // namespace recoup::cli
