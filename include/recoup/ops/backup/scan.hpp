// Counts what a backup will look at, so that its progress has a total.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/fs/directory.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/ops/backup/options.hpp>
#include <recoup/ops/backup/own_files.hpp>
#include <recoup/ops/backup/source_tree.hpp>

namespace recoup {

struct scan_totals {
  std::uint64_t files = 0, directories = 0, others = 0;
  std::uint64_t bytes = 0;
};

/// A walk of its own over all targets, on the calling thread; stops quietly when asked to. Whatever cannot be read is
/// not counted: the backup itself reports it. Neither is what lies in the repository's backend::cache_directory().
[[nodiscard]] inline scan_totals scan_targets(const backup_options& options, const std::stop_token& stop,
                                              std::string_view cache_directory = {}) {
  struct place {
    std::string path;
    bool is_explicit;
  };
  scan_totals totals;
  const own_files own{cache_directory, options.journal_directory};
  std::vector<place> waiting;
  try {
    for (auto& target : resolve_targets(options.targets))
      waiting.push_back({absolute_path(target.path), target.is_explicit});
  } catch (const error&) {
    return totals;
  }
  while (!waiting.empty() && !stop.stop_requested()) {
    const auto at = std::move(waiting.back());
    waiting.pop_back();
    if (!at.is_explicit && own.contain(at.path)) continue;
    if (!at.is_explicit && options.excludes_path && options.excludes_path(at.path)) continue;
    struct stat status{};
    if (::lstat(at.path.c_str(), &status) != 0) continue;
    if (!at.is_explicit && options.excludes_entry && options.excludes_entry(at.path, status)) continue;
    if (S_ISREG(status.st_mode)) {
      ++totals.files;
      totals.bytes += static_cast<std::uint64_t>(status.st_size);
    } else if (S_ISDIR(status.st_mode)) {
      ++totals.directories;
      try {
        const auto directory = open_directory(AT_FDCWD, at.path.c_str());
        for (const auto& name : list_directory(directory.get())) waiting.push_back({child_path(at.path, name), false});
      } catch (const error&) {
        continue;
      }
    } else {
      ++totals.others;
    }
  }
  return totals;
}

}  // namespace recoup
