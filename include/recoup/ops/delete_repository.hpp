// Removing a whole repository: every file of it, and nothing else that lies beside them.
//
//     snapshots -> index -> packs -> locks of others -> config -> keys
//
// Interrupted anywhere, it can be done again, and whoever does it can still prove which repository it is: config and keys
// go when nothing is left that they could open. What then remains are keys without a config, which hold no data.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <system_error>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/storage/backend.hpp>
#include <recoup/storage/layout.hpp>

namespace recoup {

/// What there is of a repository, whether it can be opened or not.
struct repository_removal_plan {
  bool has_config = false;
  std::vector<stored_file> files{};  ///< in the order in which they are to go, without the config

  [[nodiscard]] std::uint64_t count() const noexcept { return files.size() + (has_config ? 1 : 0); }
  /// True if a snapshot, an index file or a pack is among them.
  [[nodiscard]] bool has_data() const {
    return std::ranges::any_of(files, [](const stored_file& each) {
      return each.type != file_type::key && each.type != file_type::lock;
    });
  }
};

struct repository_removal_options {
  /// A lock that stays: whoever holds it takes it away when all is done.
  std::function<bool(const id& lock)> keeps_lock = [](const id&) { return false; };
  std::function<void(std::uint64_t)> on_progress = [](std::uint64_t) {};  ///< files gone since the call before; any thread
  std::stop_token stop{};
};

[[nodiscard]] inline repository_removal_plan plan_repository_removal(backend& storage) {
  repository_removal_plan plan;
  try {
    (void)storage.size({file_type::config});
    plan.has_config = true;
  } catch (const error& problem) {
    if (problem.code() != error_code::not_found) throw;
  }
  for (const auto type : {file_type::snapshot, file_type::index, file_type::pack, file_type::lock, file_type::key})
    storage.list(type, [&](const listed_file& file) { plan.files.push_back({type, file.name}); });
  return plan;
}

/// Returns how many files went. Nobody may use the repository meanwhile.
inline std::uint64_t execute_repository_removal(backend& storage, const repository_removal_plan& plan,
                                                const repository_removal_options& options = {}) {
  std::atomic<std::uint64_t> removed{0};
  const auto remove = [&](const stored_file& file) {
    if (file.type == file_type::lock && options.keeps_lock(file.name)) return;
    try {
      storage.remove(file);
    } catch (const error& problem) {
      if (problem.code() != error_code::not_found) throw;
    }
    ++removed;
    options.on_progress(1);
  };
  const auto remove_all = [&](file_type type) {
    std::vector<stored_file> files;
    std::ranges::copy_if(plan.files, std::back_inserter(files),
                         [type](const stored_file& each) { return each.type == type; });
    parallel_for_each(std::max(storage.connections(), 2u), files, remove, options.stop);
  };
  for (const auto type : {file_type::snapshot, file_type::index, file_type::pack, file_type::lock}) remove_all(type);
  if (plan.has_config) remove({file_type::config});
  remove_all(file_type::key);
  return removed;
}

/// Of a repository in a directory: its own directories, as far as nothing is left in them. The root stays.
inline void remove_empty_directories(const std::string& root) {
  std::error_code ignored;
  std::vector<std::filesystem::path> packs;
  for (const auto& each : std::filesystem::directory_iterator(root + '/' + directory_of(file_type::pack), ignored))
    if (each.path().filename().string().size() == 2) packs.push_back(each.path());
  for (const auto& each : packs) std::filesystem::remove(each, ignored);
  for (const auto type : listed_file_types) std::filesystem::remove(root + '/' + directory_of(type), ignored);
}

}  // namespace recoup
