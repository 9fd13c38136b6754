#include "schedule_retention.hpp"

#include <algorithm>
#include <iterator>

#include <recoup/fs/parse_size.hpp>
#include <recoup/fs/path.hpp>

namespace recoup::cli {

namespace {

std::vector<std::string> sorted_paths(std::vector<std::string> paths) {
  for (auto& path : paths) path = absolute_path(path);
  std::ranges::sort(paths);
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

}  // namespace

retention_policy policy_of(const schedule_retention& retention) {
  retention_policy policy;
  policy.last = retention.keep_last, policy.hourly = retention.keep_hourly, policy.daily = retention.keep_daily;
  policy.weekly = retention.keep_weekly, policy.monthly = retention.keep_monthly, policy.yearly = retention.keep_yearly;
  const auto span = [](const char* member, const std::string& text) {
    try {
      return calendar_duration::parse(text);
    } catch (const error& problem) {
      throw schedule_error(member, "\"" + text + "\" is not a span such as 1y5m7d2h: " + problem.what());
    }
  };
  policy.within = span("keep_within", retention.keep_within);
  policy.within_hourly = span("keep_within_hourly", retention.keep_within_hourly);
  policy.within_daily = span("keep_within_daily", retention.keep_within_daily);
  policy.within_weekly = span("keep_within_weekly", retention.keep_within_weekly);
  policy.within_monthly = span("keep_within_monthly", retention.keep_within_monthly);
  policy.within_yearly = span("keep_within_yearly", retention.keep_within_yearly);
  policy.tags = retention.keep_tags;
  return policy;
}

forget_options forget_options_of(const schedule_definition& definition, const std::string& host) {
  forget_options options;
  try {
    options.policy = policy_of(*definition.retention);
  } catch (const schedule_error& problem) {
    throw schedule_error("retention." + problem.path(), problem.reason());
  }
  try {
    options.group_by = snapshot_grouping::parse(definition.retention->group_by);
  } catch (const error& problem) {
    throw schedule_error("retention.group_by", problem.what());
  }
  options.filter.hosts = {host};
  options.filter.tags = {definition.backup.tags.empty() ? std::vector<std::string>{""} : definition.backup.tags};
  options.filter.paths = sorted_paths(definition.backup.paths);
  return options;
}

void require_runnable(const schedule_definition& definition) {
  if (definition.retention) (void)forget_options_of(definition, "");
  if (!definition.backup.exclude_larger_than.empty()) {
    try {
      (void)parse_size(definition.backup.exclude_larger_than);
    } catch (const error& problem) {
      throw schedule_error("backup.exclude_larger_than", problem.what());
    }
  }
}

std::vector<found_snapshot> snapshots_of_schedule(repository& repo, const schedule_definition& definition,
                                                  const forget_options& options) {
  auto found = find_snapshots(repo, {}, options.filter);
  const auto paths = sorted_paths(definition.backup.paths);
  std::erase_if(found, [&](const found_snapshot& each) { return sorted_paths(each.snapshot.paths) != paths; });
  return found;
}

}  // namespace recoup::cli
