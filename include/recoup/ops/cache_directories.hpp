// The directories in which restic and recoup keep local copies of index, snapshots and trees: one for each repository.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/crypto/secret.hpp>

namespace recoup {

/// Not used for so long, a cache directory is called old.
inline constexpr std::chrono::hours max_cache_age{30 * 24};

namespace cache_names {

/// Begins the name of a directory that an interrupted check may have left behind.
inline constexpr std::string_view temporary = "restic-check-cache-";

[[nodiscard]] inline std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace cache_names

/// $RESTIC_CACHE_DIR, $XDG_CACHE_HOME/restic or ~/.cache/restic. Throws if none of the variables is set.
[[nodiscard]] inline std::string default_cache_directory() {
  using cache_names::variable;
  if (auto own = variable("RESTIC_CACHE_DIR"); !own.empty()) return own;
  if (const auto base = variable("XDG_CACHE_HOME"); !base.empty()) {
    if (!base.starts_with('/'))
      throw error(error_code::invalid_argument,
                  "unable to locate cache directory: path in $XDG_CACHE_HOME is relative");
    return base + "/restic";
  }
  const auto home = variable("HOME");
  if (home.empty())
    throw error(error_code::failure,
                "unable to locate cache directory: set RESTIC_CACHE_DIR, XDG_CACHE_HOME or HOME, or use --cache-dir");
  return home + "/.cache/restic";
}

struct cache_directory {
  std::string name;  ///< a repository's id, or "restic-check-cache-123" of an interrupted check
  std::string path;
  timestamp last_used;
  std::uint64_t bytes = 0;  ///< of all files in it; 0 if sizes were not asked for

  [[nodiscard]] bool is_temporary() const noexcept { return name.starts_with(cache_names::temporary); }
  [[nodiscard]] std::int64_t days_since_use(const timestamp& now) const noexcept {
    return std::max<std::int64_t>(0, (now.seconds - last_used.seconds) / 86400);
  }
  [[nodiscard]] bool is_older_than(std::chrono::hours age, const timestamp& now) const noexcept {
    auto oldest = now;
    oldest.seconds -= std::chrono::seconds(age).count();
    return earlier(last_used, oldest);
  }
};

namespace cache_names {

/// Nothing else in the directory is touched: it may be a directory that holds other things too.
[[nodiscard]] inline bool is_cache_name(std::string_view name) noexcept {
  if (name.starts_with(temporary))
    return name.size() > temporary.size() && name.find_first_not_of("0123456789", temporary.size()) == name.npos;
  return name.size() == 64 && name.find_first_not_of("0123456789abcdefABCDEF") == name.npos;
}

[[nodiscard]] inline std::uint64_t size_of(const std::string& directory) {
  std::uint64_t total = 0;
  std::error_code problem;
  std::filesystem::recursive_directory_iterator at(directory, problem);
  if (problem) throw system_error(problem.value(), "cannot read " + directory);
  for (; at != std::filesystem::recursive_directory_iterator(); at.increment(problem)) {
    if (problem) throw system_error(problem.value(), "cannot read " + directory);
    struct stat status {};
    // Files come and go while others use the cache.
    if (::lstat(at->path().c_str(), &status) != 0 || S_ISDIR(status.st_mode)) continue;
    total += static_cast<std::uint64_t>(status.st_size);
  }
  return total;
}

}  // namespace cache_names

/// The cache directories in `base`, the one used longest ago first; none if `base` does not exist.
[[nodiscard]] inline std::vector<cache_directory> list_cache_directories(const std::string& base, bool with_sizes) {
  std::vector<cache_directory> found;
  std::error_code problem;
  std::filesystem::directory_iterator at(base, problem);
  if (problem.value() == ENOENT) return found;
  for (; !problem && at != std::filesystem::directory_iterator(); at.increment(problem)) {
    cache_directory each;
    each.name = at->path().filename().string();
    each.path = at->path().string();
    struct stat status {};
    if (!cache_names::is_cache_name(each.name) || ::lstat(each.path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
      continue;
    each.last_used = local_timestamp(status.st_mtim);
    if (with_sizes) each.bytes = cache_names::size_of(each.path);
    found.push_back(std::move(each));
  }
  if (problem) throw system_error(problem.value(), "cannot read the cache directory " + base);
  std::ranges::sort(found, [](const cache_directory& a, const cache_directory& b) {
    return same_instant(a.last_used, b.last_used) ? a.name < b.name : earlier(a.last_used, b.last_used);
  });
  return found;
}

/// Removes those that were not used for `age`. Returns them all; one that cannot be removed goes to `on_error`.
inline std::vector<cache_directory> remove_old_cache_directories(
    const std::string& base, std::chrono::hours age,
    const std::function<void(const cache_directory&, const error&)>& on_error) {
  const auto now = current_time();
  auto old = list_cache_directories(base, false);
  std::erase_if(old, [&](const cache_directory& each) { return !each.is_older_than(age, now); });
  for (const auto& each : old) {
    std::error_code problem;
    std::filesystem::remove_all(each.path, problem);
    if (problem) on_error(each, system_error(problem.value(), "unable to remove " + each.path));
  }
  return old;
}

/// A directory for the cache of one check. Removed with the object, and with all that is in it.
class temporary_cache_directory {
public:
  /// Made below `base`; if that is empty, where $RESTIC_CACHE_DIR, $TMPDIR or /tmp says. Throws io or no_space.
  temporary_cache_directory(std::string base, std::function<void(const std::string&)> on_warning)
      : on_warning_(std::move(on_warning)) {
    for (const char* name : {"RESTIC_CACHE_DIR", "TMPDIR"})
      if (base.empty()) base = cache_names::variable(name);
    if (base.empty()) base = "/tmp";
    base = std::filesystem::absolute(base).string();
    std::error_code problem;
    std::filesystem::create_directories(base, problem);
    if (problem) throw system_error(problem.value(), "cannot make " + base);
    std::array<std::uint8_t, 4> random;
    do {
      random_bytes(random);
      path_ = base + "/" + std::string(cache_names::temporary) + std::to_string(load_u32_le(random.data()));
      if (::mkdir(path_.c_str(), 0700) == 0) return;
    } while (errno == EEXIST);
    throw system_error(errno, "cannot make " + path_);
  }
  temporary_cache_directory(const temporary_cache_directory&) = delete;
  temporary_cache_directory& operator=(const temporary_cache_directory&) = delete;
  ~temporary_cache_directory() {
    std::error_code problem;
    std::filesystem::remove_all(path_, problem);
    if (problem)
      on_warning_("error removing temporary cache directory: cannot remove " + path_ + ": " + problem.message());
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
  const std::function<void(const std::string&)> on_warning_;
  std::string path_;
};

}  // namespace recoup
