// The methods snapshots.… of the machine interface.
#include <algorithm>
#include <limits>

#include <recoup/ops/ls.hpp>
#include <recoup/ops/snapshot_groups.hpp>

#include "engine_repository.hpp"
#include "json_output.hpp"

namespace recoup::cli {

namespace {

/// An answer is one line, which has to fit into somebody's memory.
constexpr std::uint64_t usual_limit = 10'000, highest_limit = 1'000'000;

std::string list(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "repository", "filter", "latest"});
  const auto latest = params.number("latest", 1, std::numeric_limits<std::uint32_t>::max());
  const auto filter = read_filter(params);
  const auto repo = open_repository(call, engine_target(call, params));
  auto found = find_snapshots(*repo, {}, filter);
  if (latest) found = newest_snapshots(std::move(found), static_cast<std::size_t>(*latest), true);
  std::ranges::stable_sort(
      found, [](const auto& a, const auto& b) { return earlier(a.snapshot.time, b.snapshot.time); });
  json_writer json;
  json.begin_object().key("snapshots");
  write_snapshots(json, found);
  return json.end_object().take();
}

/// Thrown by the visitor of a listing that is long enough.
struct limit_reached {};

std::string files(engine_call& call) {
  const engine_parameters params(call.params, "",
                                 {"s3", "repository", "snapshot", "filter", "paths", "recursive", "limit"});
  const std::string name(params.required_text("snapshot"));
  const auto filter = read_filter(params);
  const auto limit = params.number("limit", 1, highest_limit).value_or(usual_limit);
  ls_options options;
  options.directories = params.texts("paths");
  for (const auto& path : options.directories)
    if (!path.starts_with('/')) throw params.problem("paths", "\"" + path + "\" is no absolute path");
  options.recursive = params.flag("recursive");
  options.stop = call.command.signals.token();

  const auto repo = open_repository(call, engine_target(call, params));
  auto found = [&] {
    try {
      return find_snapshot(*repo, name, filter);
    } catch (const error& problem) {
      if (problem.code() != error_code::not_found && problem.code() != error_code::invalid_argument) throw;
      throw engine_parameter_error("snapshot", problem.code(), std::string("snapshot: ") + problem.what());
    }
  }();
  repo->load_index();
  found.snapshot.tree = find_subtree(*repo, found.snapshot.tree, found.subfolder);

  json_writer json;
  json.begin_object().key("snapshot").begin_object();
  write_snapshot_with_id(json, found);
  json.end_object().key("files").begin_array();
  std::uint64_t count = 0;
  bool truncated = false;
  try {
    ls(*repo, found.snapshot.tree, options, [&](const walked_node& at, bool) {
      if (count++ == limit) throw limit_reached{};
      json.raw(node_json(at));
    });
  } catch (const limit_reached&) {
    truncated = true;
  }
  return json.end_array().field("truncated", truncated).end_object().take();
}

}  // namespace

void add_snapshot_methods(engine_methods& to) {
  to["snapshots.files"] = files;
  to["snapshots.list"] = list;
}

}  // namespace recoup::cli
