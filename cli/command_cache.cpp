#include <memory>

#include <recoup/ops/backup/journal_file.hpp>
#include <recoup/ops/cache_directories.hpp>

#include "command.hpp"
#include "format.hpp"

namespace recoup::cli {

namespace {

struct cache_flags {
  bool cleanup = false, no_size = false;
  unsigned max_age = 30;
};

void run(context& call, const cache_flags& flags) {
  expect_no_arguments(call, "cache");
  if (call.options.no_cache)
    throw error(error_code::invalid_argument, "Refusing to do anything, the cache is disabled");
  const auto base = call.options.cache_directory.empty() ? default_cache_directory() : call.options.cache_directory;
  const std::chrono::hours max_age{24 * std::int64_t{flags.max_age}};
  const auto& out = call.out;
  // restic prints this text with --json too: there is no other form.
  const bool quiet = call.options.quiet;
  if (flags.cleanup || call.options.cleanup_cache) {
    const auto old = remove_old_cache_directories(
        base, max_age, [&](const cache_directory&, const error& problem) { out.error(problem.what()); });
    for (const auto& kept : list_cache_directories(base, false))
      remove_old_journals(journal_directory(base, kept.name), max_age);
    if (!quiet)
      out.result(old.empty() ? "no old cache dirs found"
                             : "remove " + std::to_string(old.size()) + " old cache directories");
    return;
  }

  const auto found = list_cache_directories(base, !flags.no_size);
  if (found.empty()) return out.result("no cache dirs found, basedir is " + base);
  std::vector<std::string> headers{"Repo ID", "Last Used", "Old"};
  if (!flags.no_size) headers.push_back("Size");
  table rows(std::move(headers));
  const auto now = current_time();
  for (const auto& each : found) {
    std::vector<std::string> cells{each.is_temporary() ? each.name : each.name.substr(0, 10),
                                   std::to_string(each.days_since_use(now)) + " days ago",
                                   each.is_older_than(max_age, now) ? "yes" : ""};
    if (!flags.no_size) cells.push_back(formatted("%11s", format_bytes(each.bytes).c_str()));
    rows.add_row(std::move(cells));
  }
  out.result(rows.text());
  out.result(std::to_string(found.size()) + " cache dirs in " + base);
}

}  // namespace

void add_cache_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "cache", "[flags]", "Operate on local cache directories");
  const auto flags = std::make_shared<cache_flags>();
  add_switch(*command.app, "--cleanup", flags->cleanup, "remove old cache directories");
  add_number(*command.app, "--max-age", flags->max_age,
             "max age in days for cache directories to be considered old (default: 30)", "days");
  add_switch(*command.app, "--no-size", flags->no_size, "do not output the size of the cache directories");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
