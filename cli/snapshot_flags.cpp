#include "snapshot_flags.hpp"

#include <recoup/fs/path.hpp>
#include <recoup/fs/pattern_file.hpp>

#include "format.hpp"
#include "global_options.hpp"

namespace recoup::cli {

std::vector<std::string> split_tags(const std::string& text) {
  std::vector<std::string> tags;
  for (const auto& tag : split(text, ',')) tags.emplace_back(trim_space(tag));
  return tags;
}

snapshot_filter snapshot_flags::filter() const {
  snapshot_filter result;
  result.hosts = hosts;
  if (!host_given)
    if (auto host = environment("RESTIC_HOST"); !host.empty()) result.hosts = {std::move(host)};
  if (result.hosts == std::vector<std::string>{""}) result.hosts.clear();
  for (const auto& list : tags) result.tags.push_back(split_tags(list));
  for (const auto& path : paths) result.paths.push_back(absolute_path(path));
  return result;
}

void add_snapshot_flags(CLI::App& app, snapshot_flags& flags, snapshot_choice choice, const std::string& host_names) {
  const std::string when = choice == snapshot_choice::one ? ", when snapshot ID \"latest\" is given" : "";
  add_parsed(
      app, host_names,
      [&flags](const std::string& host) {
        flags.hosts.push_back(host);
        flags.host_given = true;
      },
      "only consider snapshots for this host" + when +
          " (can be specified multiple times, use empty string to unset default value) (default: $RESTIC_HOST)",
      "host");
  add_list(app, "--tag", flags.tags,
           "only consider snapshots including these tags" + when + " (can be specified multiple times)",
           "tag[,tag,...]");
  add_list(app, "--path", flags.paths,
           "only consider snapshots including this (absolute) path" + when +
               " (can be specified multiple times, snapshots must include all specified paths)",
           "path");
}

}  // namespace recoup::cli
