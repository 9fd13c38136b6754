#include "session.hpp"

#include <chrono>

#include <recoup/storage/dry_run.hpp>
#include <recoup/storage/gate.hpp>
#include <recoup/storage/open_backend.hpp>

#include "format.hpp"
#include "progress.hpp"

namespace recoup::cli {

namespace {

/// "1h0m30s", "5m0s", "1.5s", "500ms": programs that run restic read durations in messages as Go writes them.
std::string as_go_prints(std::chrono::nanoseconds duration) {
  const auto count = duration.count();
  constexpr std::int64_t second = 1'000'000'000, minute = 60 * second, hour = 60 * minute;
  if (count < second) return count == 0 ? "0s" : formatted("%.15gms", static_cast<double>(count) / 1e6);
  auto text = formatted("%.15gs", static_cast<double>(count % minute) / 1e9);
  if (count >= minute) text = std::to_string(count / minute % 60) + "m" + text;
  if (count >= hour) text = std::to_string(count / hour) + "h" + text;
  return text;
}

}  // namespace

backend_settings storage_settings(const context& call, const global_options& options) {
  constexpr std::uint64_t kibibyte = 1024;
  backend_settings settings;
  settings.options = options.backend_options;
  settings.http.root_certificates = options.root_certificates;
  settings.http.client_certificate = options.client_certificate;
  settings.http.insecure_tls = options.insecure_tls;
  if (!options.user_agent.empty()) settings.http.user_agent = options.user_agent;
  settings.http.upload_limit = options.limit_upload * kibibyte;
  settings.http.download_limit = options.limit_download * kibibyte;
  settings.http.stall_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(options.stuck_request_timeout);
  settings.stop = call.signals.token();
  settings.on_warning = [&out = call.out](const std::string& message) { out.error("Warning: " + message); };
  return settings;
}

std::shared_ptr<backend> open_storage(const context& call, const global_options& options) {
  const auto location = options.location();
  try {
    return open_backend(location, storage_settings(call, options));
  } catch (const error& problem) {
    throw error(problem.code(),
                "unable to open repository at " + location_without_secrets(location) + ": " + problem.what());
  }
}

repository_options engine_options(const context& call) {
  repository_options options;
  options.mode = call.options.compression_mode;
  constexpr std::size_t mebibyte = 1 << 20;
  constexpr unsigned least = 4, most = 128;  // restic's limits
  if (const auto size = call.options.pack_size_mib; size != 0) {
    if (size < least || size > most)
      throw error(error_code::invalid_argument,
                  formatted("pack size %u MiB is outside of what is allowed: %u to %u MiB", size, least, most));
    options.pack_size = size * mebibyte;
  }
  options.extra_verify = !call.options.no_extra_verify;
  options.key_hint = call.options.key_hint;
  options.on_warning = [&out = call.out](const std::string& message) { out.error("Warning: " + message); };
  return options;
}

cache_choice cache_choice_of(const context& call, cache_use use) {
  cache_choice choice;
  choice.use = call.options.no_cache ? cache_use::none : use;
  choice.directory = call.options.cache_directory;
  choice.remove_old = call.options.cleanup_cache;
  choice.on_note = [&out = call.out](const std::string& message) { out.info(message); };
  choice.on_hint = [&out = call.out](const std::string& message) { out.info_on_terminal(message); };
  choice.on_warning = [&out = call.out](const std::string& message) { out.error(message); };
  return choice;
}

session::session(context& call, lock_request lock, const first_reads& read, bool dry_run, cache_use cache)
    : call_(call) {
  const auto storage = open_storage(call, call.options);
  // Before anybody is asked for a password, which may take a while.
  const auto sealed_config = repository::load_sealed_config(*storage);
  const auto choice = engine_options(call);
  std::shared_ptr<gated_backend> gate;
  const auto prepare = [&](std::shared_ptr<backend> opened, const repository_config& config) {
    call.out.info_on_terminal(
        "repository " + config.id.substr(0, 8) + " opened (version " + std::to_string(config.version) +
        (config.version >= 2 ? ", compression level " + std::string(name_of(choice.mode)) : "") + ")");
    opened = with_cache(std::move(opened), config.id, cache_choice_of(call, cache));
    if (lock.settle_meanwhile) opened = gate = std::make_shared<gated_backend>(std::move(opened));
    return dry_run ? std::make_shared<dry_run_backend>(std::move(opened)) : opened;
  };
  with_password(call.options.password(), call.screen, call.signals, [&](const secret_bytes& password) {
    repo_ = repository::open(storage, sealed_config, as_text(password.view()), choice, prepare);
  });

  forward_signal_.emplace(call.signals.token(), [this] { stop_.request_stop(); });
  if (lock.mode != lock_mode::none && !dry_run) acquire(lock, read);
  if (gate && lock_) gate->hold([this] { lock_->confirm(); });
  if (read && !(lock_ && lock_->was_read_meanwhile())) read(*this);
}

void session::acquire(const lock_request& lock, const first_reads& read) {
  lock_options wanted;
  wanted.exclusive = lock.mode == lock_mode::exclusive;
  wanted.two_phase_prune = lock.two_phase_prune;
  wanted.only_reading = lock.only_reading;
  wanted.settle_meanwhile = lock.settle_meanwhile;
  wanted.retry_for = std::chrono::duration_cast<std::chrono::seconds>(call_.options.retry_lock);
  wanted.stop = call_.signals.token();
  wanted.on_wait = [&](const std::string&) {
    call_.out.info("repo already locked, waiting up to " + as_go_prints(call_.options.retry_lock) + " for the lock");
  };
  if (read) wanted.read_meanwhile = [&] { read(*this); };
  lock_.emplace(*repo_, wanted);
  forward_lost_.emplace(lock_->lost(), [this] {
    if (!lock_->has_conflict()) call_.out.error("the lock on the repository could not be kept, stopping");
    stop_.request_stop();
  });
}

void session::exchange_lock(const lock_request& wanted) {
  forward_lost_.reset();
  lock_.reset();
  acquire(wanted, {});
}

void session::load_index() {
  counter files(call_.signals, call_.screen, call_.out.level() > 0 && call_.screen.output_is_tty(),
                "index files loaded");
  index_load_observer observer;
  observer.on_progress = [&](std::size_t done, std::size_t total) {
    call_.throw_if_stopped();
    files.set_total(total);
    files.set(done);
  };
  repo_->load_index(observer);
  files.finish();
}

found_snapshot find_snapshot_and_load_index(session& open, const std::string& name, const snapshot_filter& filter) {
  found_snapshot found;
  try {
    found = find_snapshot(open.repo(), name, filter);
  } catch (const error& problem) {
    throw error(problem.code(), std::string("failed to find snapshot: ") + problem.what());
  }
  open.load_index();
  return found;
}

}  // namespace recoup::cli
