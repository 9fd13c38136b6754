// The methods repository.… of the machine interface.
#include <recoup/ops/complete_creation.hpp>
#include <recoup/ops/delete_repository.hpp>
#include <recoup/ops/keys.hpp>
#include <recoup/ops/snapshot_groups.hpp>
#include <recoup/ops/stats.hpp>

#include "engine_progress.hpp"
#include "engine_repository.hpp"
#include "session.hpp"
#include "stats_json.hpp"

namespace recoup::cli {

namespace {

/// The config, still sealed; nothing if there is no repository.
std::optional<bytes> find_config(backend& storage) {
  try {
    return repository::load_sealed_config(storage);
  } catch (const error& problem) {
    if (problem.code() != error_code::repository_missing) throw;
    return std::nullopt;
  }
}

/// The members of an open repository; the braces are the caller's.
void write_repository(json_writer& json, repository& repo, bool with_chunker_polynomial) {
  json.field("exists", true).field("id", repo.config().id).field("version", repo.config().version);
  if (with_chunker_polynomial) json.field("chunker_polynomial", repo.config().chunker_polynomial.hex());
  json.key("keys").begin_array();
  for (const auto& key : list_keys(repo, [&](const id& name, const error& problem) {
         repo.warn("key " + name.short_hex() + " is passed over: " + problem.what());
       }))
    json.begin_object()
        .field("id", key.id)
        .field("user", key.username)
        .field("host", key.hostname)
        .field("created", key.created)
        .field("current", key.is_current)
        .end_object();
  json.end_array().field("locks", repo.list(file_type::lock).size());
}

std::string get(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "repository", "with_chunker_polynomial"});
  const bool with_polynomial = params.flag("with_chunker_polynomial");
  const engine_target target(call, params);
  auto storage = open_place(call, target.s3, target.place);
  auto config = find_config(*storage);
  if (!config) return R"({"exists":false})";
  if (!target.place.password) return R"({"exists":true})";
  const auto repo = open_repository(call, target.place, std::move(storage), std::move(*config));
  json_writer json;
  json.begin_object();
  write_repository(json, *repo, with_polynomial);
  return json.end_object().take();
}

create_options read_create_options(const engine_call& call, const engine_parameters& params, const engine_s3& s3) {
  create_options choice;
  choice.version = static_cast<unsigned>(params.number("version", 1, 2).value_or(2));
  choice.username = local_username();
  choice.hostname = local_hostname();
  constexpr const char* source = "copy_chunker_parameters_from";
  constexpr const char* source_s3 = "copy_chunker_parameters_from_s3";
  if (!params.has(source)) return choice;
  const auto place = read_place(call, params, source);
  const auto other = params.has(source_s3) ? read_s3(call, params, source_s3) : s3;
  choice.chunker_polynomial = open_repository(call, other, place)->config().chunker_polynomial;
  return choice;
}

std::string create(engine_call& call) {
  const engine_parameters params(call.params, "",
                                 {"s3", "repository", "version", "copy_chunker_parameters_from",
                                  "copy_chunker_parameters_from_s3", "with_chunker_polynomial"});
  const bool with_polynomial = params.flag("with_chunker_polynomial");
  (void)params.number("version", 1, 2);
  const engine_target target(call, params);
  const auto& place = target.place;
  const auto password = password_of(place);
  auto storage = open_place(call, target.s3, place);
  auto config = find_config(*storage);
  const bool was_there = config.has_value();
  std::shared_ptr<repository> repo;
  if (was_there) {
    repo = open_repository(call, place, std::move(storage), std::move(*config));
  } else {
    const auto choice = read_create_options(call, params, target.s3);
    try {
      repo = create_or_complete(std::move(storage), password, choice, engine_options(call.command));
    } catch (const error& problem) {
      if (problem.code() != error_code::wrong_password) throw;
      throw engine_parameter_error(place.password_path, problem.code(), problem.what());
    }
  }
  json_writer json;
  json.begin_object().field("created", !was_there);
  write_repository(json, *repo, with_polynomial);
  return json.end_object().take();
}

/// Throws unless the repository is the one that was meant, or whoever asks insists.
void confirm(const repository& repo, const std::optional<std::string_view>& confirm_id, bool force) {
  if (confirm_id && *confirm_id != repo.config().id)
    throw engine_parameter_error("confirm_id", "confirm_id: the repository there is another one, " + repo.config().id +
                                                   "; nothing was removed");
  if (!confirm_id && !force)
    throw engine_parameter_error("confirm_id", "confirm_id: it is missing; give the repository's id, or force, to remove "
                                               "all backups in it for good");
}

std::uint64_t remove_all(engine_call& call, backend& storage, repository_removal_options options) {
  const auto plan = plan_repository_removal(storage);
  engine_progress progress(call, plan.count());
  options.on_progress = [&](std::uint64_t count) { progress.add(count); };
  return execute_repository_removal(storage, plan, options);
}

std::uint64_t remove_opened(engine_call& call, const engine_place& place, const std::shared_ptr<backend>& storage,
                            bytes sealed_config, const std::optional<std::string_view>& confirm_id, bool force) {
  if (!place.password && !force)
    throw engine_parameter_error(place.password_path,
                                 place.password_path + ": it is needed to see whether this is the repository that "
                                                       "confirm_id names; without it only force removes one");
  repository_removal_options options;
  options.stop = call.command.signals.token();
  if (!place.password) {
    if (confirm_id) throw engine_parameter_error("confirm_id", "confirm_id: without a password it cannot be checked");
    return remove_all(call, *storage, options);
  }
  // No cache: it would only be filled to be of no use.
  const auto repo = repository::open(storage, std::move(sealed_config), password_of(place),
                                     engine_options(call.command), {});
  confirm(*repo, confirm_id, force);
  const engine_lock lock(call, *repo, true);
  options.stop = lock.token();
  options.keeps_lock = [&](const id& name) { return lock.has_name(name); };
  return remove_all(call, *storage, options);
}

std::string remove(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "repository", "confirm_id", "force"});
  const bool force = params.flag("force");
  const auto confirm_id = params.text("confirm_id");
  const engine_target target(call, params);
  const auto& place = target.place;
  const auto storage = open_place(call, target.s3, place);
  std::uint64_t removed = 0;
  if (auto config = find_config(*storage)) {
    try {
      removed = remove_opened(call, place, storage, std::move(*config), confirm_id, force);
    } catch (const error& problem) {
      if (problem.code() != error_code::wrong_password) throw;
      throw engine_parameter_error(place.password_path, problem.code(), problem.what());
    }
  } else {
    // Keys alone are what an interrupted removal, or creation, leaves behind: they hold no data.
    if (!force && plan_repository_removal(*storage).has_data())
      throw engine_parameter_error("force", error_code::damaged,
                                   "force: at " + storage->location() +
                                       " there are files of a repository that has lost its config, so that nobody can "
                                       "tell which one it was; with force they are removed");
    removed = remove_all(call, *storage, {});
  }
  if (!place.location.starts_with("s3:")) remove_empty_directories(storage->location());
  return json_writer{}.begin_object().field("objects", removed).end_object().take();
}

/// Counts, and says how far it is.
class progress_of_stats : public stats_observer {
public:
  progress_of_stats(const engine_call& call, std::uint64_t snapshots) : progress_(call, snapshots) {}
  void on_snapshot(const found_snapshot&) override { progress_.add(1); }

private:
  engine_progress progress_;
};

std::string count(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "repository", "mode", "filter"});
  stats_options options;
  options.stop = call.command.signals.token();
  if (const auto mode = params.text("mode")) {
    const auto parsed = parse_stats_mode(*mode);
    if (!parsed) throw params.problem("mode", "it must be restore-size, raw-data, files-by-contents or blobs-per-file");
    options.mode = *parsed;
  }
  const auto filter = read_filter(params);
  const auto repo = open_repository(call, engine_target(call, params));
  const auto snapshots = find_snapshots(*repo, {}, filter);
  repo->load_index();  // after them, so that it has all that they refer to
  progress_of_stats progress(call, snapshots.size());
  return to_json(stats(*repo, snapshots, options, progress));
}

}  // namespace

void add_repository_methods(engine_methods& to) {
  to["repository.create"] = create;
  to["repository.delete"] = remove;
  to["repository.get"] = get;
  to["repository.stats"] = count;
  add_key_methods(to);
  add_snapshot_methods(to);
}

}  // namespace recoup::cli
