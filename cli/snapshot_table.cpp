#include "snapshot_table.hpp"

#include <algorithm>
#include <cstdlib>

#include "format.hpp"

namespace recoup::cli {

namespace {

struct row {
  const found_snapshot* found;
  const std::vector<std::string>* reasons;  ///< null: there is no such column
};

/// What Go calls the local zone: the name in $TZ, or nothing better than "local time".
std::string zone_name() {
  const char* name = std::getenv("TZ");
  if (name == nullptr) return "local time";
  const std::string zone = name[0] == ':' ? name + 1 : name;
  return zone.empty() || !names_zone_file(name) ? "UTC" : zone;
}

std::string table_of(std::vector<row> list, bool compact) {
  std::stable_sort(list.begin(), list.end(), [](const row& a, const row& b) {
    return earlier(a.found->snapshot.time, b.found->snapshot.time);
  });
  const bool has_size =
      std::any_of(list.begin(), list.end(), [](const row& each) { return each.found->snapshot.summary.has_value(); });
  const bool has_reasons = !compact && !list.empty() && list.front().reasons != nullptr;
  std::vector<std::string> headers{"ID", "Time", compact ? "Host" : "Host      ", compact ? "Tags  " : "Tags      "};
  if (has_reasons) headers.push_back("Reasons");
  if (!compact) headers.push_back("Paths");
  if (has_size) headers.push_back("Size");

  table rows(std::move(headers));
  bool several_paths = false;
  for (const auto& [found, reasons] : list) {
    const auto& snapshot = found->snapshot;
    std::vector<std::string> cells{found->id.short_hex(), format_local_time(snapshot.time), snapshot.hostname,
                                   join(snapshot.tags, compact ? "\n" : ",")};
    if (has_reasons) cells.push_back(join(*reasons, "\n"));
    if (!compact) cells.push_back(join(snapshot.paths, "\n"));
    if (has_size) cells.push_back(snapshot.summary ? format_bytes(snapshot.summary->total_bytes_processed) : "");
    several_paths = several_paths || (!compact && snapshot.paths.size() > 1);
    rows.add_row(std::move(cells));
  }
  rows.separate_rows(several_paths);
  rows.add_footer("Timestamps shown in " + zone_name());
  rows.add_footer(std::to_string(list.size()) + " snapshots");
  return rows.text();
}

}  // namespace

std::string snapshot_table(const std::vector<found_snapshot>& list, bool compact) {
  std::vector<row> rows;
  for (const auto& each : list) rows.push_back({&each, nullptr});
  return table_of(std::move(rows), compact);
}

std::string snapshot_table(const std::vector<kept_snapshot>& list, bool compact) {
  std::vector<row> rows;
  for (const auto& each : list) rows.push_back({&each.found, &each.reasons});
  return table_of(std::move(rows), compact);
}

std::string group_header(const snapshot_group_key& key) {
  std::vector<std::string> parts;
  if (!key.hostname.empty()) parts.push_back("host [" + key.hostname + "]");
  if (key.tags) parts.push_back("tags [" + join(*key.tags, ", ") + "]");
  if (key.paths) parts.push_back("paths [" + join(*key.paths, ", ") + "]");
  return parts.empty() ? "" : "snapshots for (" + join(parts, ", ") + "):";
}

void sort_paths_and_tags(std::vector<found_snapshot>& list, const snapshot_grouping& group_by) {
  for (auto& each : list) {
    std::sort(each.snapshot.paths.begin(), each.snapshot.paths.end());
    if (group_by.tags) std::sort(each.snapshot.tags.begin(), each.snapshot.tags.end());
  }
}

}  // namespace recoup::cli
