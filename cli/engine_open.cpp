// Opening and locking a repository for the machine interface.
#include <chrono>

#include <recoup/ops/open_cached.hpp>

#include "engine_repository.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

lock_options options_of(const engine_call& call, bool exclusive) {
  lock_options options;
  options.exclusive = exclusive;
  options.retry_for = std::chrono::duration_cast<std::chrono::seconds>(call.command.options.retry_lock);
  options.stop = call.command.signals.token();
  return options;
}

}  // namespace

std::string_view password_of(const engine_place& place) {
  if (place.password) return as_text(place.password->view());
  throw engine_parameter_error(place.password_path,
                               place.password_path + ": there is no password; give password, password_file or "
                                                     "password_command, or set RESTIC_PASSWORD");
}

std::shared_ptr<repository> open_repository(const engine_call& call, const engine_place& place,
                                            std::shared_ptr<backend> storage, bytes sealed_config) {
  const auto password = password_of(place);
  auto choice = cache_choice_of(call.command, place.no_cache ? cache_use::none : cache_use::shared);
  choice.directory = place.cache_directory;
  try {
    return repository::open(std::move(storage), std::move(sealed_config), password, engine_options(call.command),
                            [&](std::shared_ptr<backend> opened, const repository_config& config) {
                              return with_cache(std::move(opened), config.id, choice);
                            });
  } catch (const error& problem) {
    if (problem.code() != error_code::wrong_password) throw;
    throw engine_parameter_error(place.password_path, problem.code(), problem.what());
  }
}

std::shared_ptr<repository> open_repository(const engine_call& call, const engine_s3& s3, const engine_place& place) {
  (void)password_of(place);  // before anybody is asked
  auto storage = open_place(call, s3, place);
  try {
    auto sealed_config = repository::load_sealed_config(*storage);
    return open_repository(call, place, std::move(storage), std::move(sealed_config));
  } catch (const error& problem) {
    if (problem.code() != error_code::repository_missing) throw;
    throw engine_parameter_error(place.path + ".location", problem.code(), problem.what());
  }
}

engine_lock::engine_lock(const engine_call& call, repository& repo, bool exclusive)
    : lock_(repo, options_of(call, exclusive)),
      signal_(call.command.signals.token(), [this] { stop_.request_stop(); }),
      lost_(lock_.lost(), [this] { stop_.request_stop(); }) {}

snapshot_filter read_filter(const engine_parameters& from) {
  const auto given = from.part("filter", {"hosts", "tags", "paths"});
  snapshot_filter filter;
  filter.hosts = given.texts("hosts");
  for (const auto& list : given.texts("tags")) filter.tags.push_back(split_tags(list));
  for (const auto& path : given.texts("paths")) {
    if (!path.starts_with('/')) throw given.problem("paths", "\"" + path + "\" is no absolute path");
    filter.paths.push_back(clean_path(path));
  }
  return filter;
}

}  // namespace recoup::cli
