// Opening a repository with a cache in front of its storage, if it lies behind a network.
//
//   auto repo = recoup::open_cached(recoup::open_backend("s3:https://host/bucket"), "password");
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/ops/cache_directories.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/backend.hpp>
#include <recoup/storage/cache.hpp>

namespace recoup {

enum class cache_use : std::uint8_t {
  shared,     ///< restic's, which stays
  temporary,  ///< an empty one that goes when the repository is closed: a check is to see what is stored, not copies
  none,
};

struct cache_choice {
  cache_use use = cache_use::shared;
  /// With the caches of all repositories; empty: default_cache_directory(), or what temporary_cache_directory takes.
  std::string directory;
  bool remove_old = false;  ///< remove the caches that were not used for max_cache_age
  /// Told where the temporary cache is; on_hint what was made, found and removed. In restic's words, which shows the
  /// first anywhere and the others on a terminal only.
  std::function<void(const std::string&)> on_note = [](const std::string&) {};
  std::function<void(const std::string&)> on_hint = [](const std::string&) {};
  /// Told what went wrong, from any thread; work goes on without a cache then.
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
};

namespace cache_steps {

/// Where the shared caches are, or nothing and a warning.
[[nodiscard]] inline std::string base_directory(const cache_choice& choice) {
  if (!choice.directory.empty()) return choice.directory;
  try {
    return default_cache_directory();
  } catch (const error& problem) {
    choice.on_warning(std::string("unable to open cache: ") + problem.what() + "; going on without it");
    return {};
  }
}

inline void look_for_old(const cache_choice& choice, const std::string& base) {
  try {
    if (choice.remove_old) {
      const auto warn = [&](const cache_directory&, const error& problem) { choice.on_warning(problem.what()); };
      const auto removed = remove_old_cache_directories(base, max_cache_age, warn);
      if (!removed.empty())
        choice.on_hint("removing " + std::to_string(removed.size()) + " old cache dirs from " + base);
      return;
    }
    const auto now = current_time();
    const auto all = list_cache_directories(base, false);
    const auto old =
        std::ranges::count_if(all, [&](const auto& each) { return each.is_older_than(max_cache_age, now); });
    if (old != 0)
      choice.on_hint("found " + std::to_string(old) + " old cache directories in " + base +
                     ", run `recoup cache --cleanup` to remove them");
  } catch (const error& problem) {
    choice.on_warning(std::string("unable to find old cache directories: ") + problem.what());
  }
}

[[nodiscard]] inline std::shared_ptr<backend> put_in_front(const std::shared_ptr<backend>& storage,
                                                           const cache_choice& choice, cache_options options) {
  options.on_warning = choice.on_warning;
  const auto cached = std::make_shared<cache_backend>(storage, options);
  if (!cached->is_usable()) return storage;
  if (cached->is_new()) choice.on_hint("created new cache in " + cached->cache_directory());
  return cached;
}

}  // namespace cache_steps

/// The storage with a cache in front of it, if that is chosen and pays; otherwise the storage itself. Old caches are
/// removed in either case, if that is chosen. Never fails because of the cache.
[[nodiscard]] inline std::shared_ptr<backend> with_cache(std::shared_ptr<backend> storage,
                                                         const std::string& repository_id, const cache_choice& choice) {
  using namespace cache_steps;
  const bool pays = storage->is_worth_caching();
  if (choice.use == cache_use::none || (!pays && !choice.remove_old)) return storage;
  if (choice.use == cache_use::temporary) {
    if (!pays) return storage;
    try {
      const auto directory = std::make_shared<temporary_cache_directory>(choice.directory, choice.on_warning);
      choice.on_note("using temporary cache in " + directory->path());
      return put_in_front(storage, choice, {directory->path(), repository_id, {}, directory});
    } catch (const error& problem) {
      choice.on_warning(std::string("unable to create temporary directory for cache during check, disabling cache: ") +
                        problem.what());
      return storage;
    }
  }
  const auto base = base_directory(choice);
  if (base.empty()) return storage;
  if (pays) storage = put_in_front(storage, choice, {base, repository_id, {}, {}});
  look_for_old(choice, base);
  return storage;
}

/// repository::open with a cache. `prepare_storage` comes after it: it gets the storage that has the cache.
[[nodiscard]] inline std::shared_ptr<repository> open_cached(std::shared_ptr<backend> storage,
                                                             std::string_view password,
                                                             const repository_options& options = {},
                                                             const cache_choice& choice = {},
                                                             const storage_preparation& prepare_storage = {}) {
  return repository::open(std::move(storage), password, options,
                          [&](std::shared_ptr<backend> opened, const repository_config& config) {
                            auto cached = with_cache(std::move(opened), config.id, choice);
                            return prepare_storage ? prepare_storage(std::move(cached), config) : cached;
                          });
}

}  // namespace recoup
