// What a backup leaves out, by restic's rules (cmd/restic/cmd_backup.go, internal/archiver/exclude.go).
//
// A walker asks twice about each name it finds in a directory: excludes_path before it calls fstatat, excludes_entry
// after. It does not ask about the targets the user named, nor about the directories above them: those are backed up
// whatever the patterns say (restic 0.19), while all they hold is asked about.
//
//   backup_filter filter(options, targets, on_warning);
//   rules = filter.rules_of(directory_fd, directory_path)            once per directory
//   for each name: if filter.excludes_path(path) → skip
//                  fstatat
//                  if filter.excludes_entry(path, status, rules) → skip
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/fs/pattern_file.hpp>
#include <recoup/fs/patterns.hpp>
#include <recoup/fs/warning.hpp>

namespace recoup {

struct exclude_options {
  std::vector<std::string> patterns, insensitive_patterns;            ///< --exclude, --iexclude
  std::vector<std::string> pattern_files, insensitive_pattern_files;  ///< --exclude-file, --iexclude-file
  std::vector<std::string> if_present;                                ///< "name" or "name:beginning of its content"
  bool caches = false;                                                ///< if_present, for CACHEDIR.TAG
  std::optional<std::uint64_t> larger_than;                           ///< bytes; for all but directories
  bool one_file_system = false;
  std::vector<std::string> directories;  ///< never backed up, with all below: our own cache
};

/// bford.info/cachedir
inline constexpr std::string_view cache_tag = "CACHEDIR.TAG:Signature: 8a477f597d28d172789f06886806bc55";

/// Says that a directory's contents are not to be backed up: a file in it of this name, whose content begins like this.
struct tag_file {
  std::string name, header;

  /// From "name[:header]"; throws invalid_argument if the name is empty.
  [[nodiscard]] static tag_file parse(std::string_view text) {
    const auto colon = text.find(':');
    if (text.empty() || colon == 0)
      throw error(error_code::invalid_argument,
                  "--exclude-if-present: no name for exclusion tagfile provided in \"" + std::string(text) + "\"");
    return {std::string(text.substr(0, colon)), std::string(colon == text.npos ? "" : text.substr(colon + 1))};
  }

  [[nodiscard]] bool marks(int directory_fd, const std::string& directory, const warning_function& on_warning) const {
    struct stat status {};
    const auto path = [&] { return join_path(directory, name); };
    if (::fstatat(directory_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno != ENOENT) warn(on_warning, path(), "could not access exclusion tagfile", errno);
      return false;
    }
    if (header.empty()) return true;
    // From here on, a file is there that does not do what somebody meant it to: tell.
    const file_descriptor file{::openat(directory_fd, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!file) {
      warn(on_warning, path(), "could not open exclusion tagfile", errno);
      return false;
    }
    std::string beginning(header.size(), '\0');
    std::size_t length = 0;
    while (length < beginning.size()) {
      const ssize_t got = ::read(file.get(), beginning.data() + length, beginning.size() - length);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        warn(on_warning, path(), "could not read signature from exclusion tagfile", errno);
        return false;
      }
      if (got == 0) break;
      length += static_cast<std::size_t>(got);
    }
    if (beginning == header) return true;
    warn(on_warning, path(),
         std::string(length < header.size() ? "invalid (too short)" : "invalid") +
             " signature in exclusion tagfile " + path());
    return false;
  }
};

/// What holds for all entries of one directory.
struct directory_rules {
  std::uint64_t device = 0;                     ///< st_dev of the directory itself
  std::optional<std::uint64_t> allowed_device;  ///< of the target it is below
  std::vector<const tag_file*> tags;            ///< those that lie in it
};

/// Any thread may ask; on_warning is then called from any thread.
class backup_filter {
public:
  /// `targets`: what the user named, for one_file_system. Throws invalid_argument for patterns or tag files that make
  /// no sense, and what the system says about pattern files and targets that cannot be read.
  backup_filter(const exclude_options& options, const std::vector<std::string>& targets, warning_function on_warning)
      : larger_than_(options.larger_than), on_warning_(std::move(on_warning)) {
    patterns_ = collect("--exclude", options.patterns, options.pattern_files, letter_case::sensitive);
    insensitive_ = collect("--iexclude", options.insensitive_patterns, options.insensitive_pattern_files,
                           letter_case::insensitive);
    for (const auto& text : options.if_present) tags_.push_back(tag_file::parse(text));
    if (options.caches) tags_.push_back(tag_file::parse(cache_tag));
    for (const auto& directory : options.directories) directories_.push_back(absolute_path(directory));
    if (options.one_file_system) find_devices(targets);
  }
  backup_filter(const backup_filter&) = delete;
  backup_filter& operator=(const backup_filter&) = delete;

  /// By its path alone, absolute and clean.
  [[nodiscard]] bool excludes_path(std::string_view path) const {
    for (const auto& directory : directories_)
      if (is_at_or_below(path, directory)) return true;
    return matches(insensitive_, path) || matches(patterns_, path);
  }

  /// For the directory that is open as `fd`. Says what went wrong with tag files by warnings.
  [[nodiscard]] directory_rules rules_of(int fd, const std::string& path) const {
    directory_rules rules;
    if (!devices_.empty()) {
      struct stat status {};
      if (::fstat(fd, &status) != 0) throw system_error(errno, "cannot get the device of " + path);
      rules.device = status.st_dev;
      rules.allowed_device = device_of_target_above(path);
    }
    for (const auto& tag : tags_)
      if (tag.marks(fd, path, on_warning_)) rules.tags.push_back(&tag);
    return rules;
  }

  /// By what fstatat said about the entry `path` of the directory that has these rules.
  [[nodiscard]] bool excludes_entry(std::string_view path, const struct stat& status,
                                    const directory_rules& rules) const {
    const bool is_directory = S_ISDIR(status.st_mode);
    if (!devices_.empty() && is_on_other_device(path, status, rules)) return true;
    if (larger_than_ && !is_directory && status.st_size > 0 &&
        static_cast<std::uint64_t>(status.st_size) > *larger_than_)
      return true;
    if (rules.tags.empty()) return false;
    const auto name = path.substr(path.rfind('/') + 1);
    for (const auto* tag : rules.tags)
      if (name != tag->name) return true;  // the tag itself is kept, unless another tag lies beside it
    return false;
  }

  /// The same for callers that have no directory at hand: its rules are looked up by path and remembered.
  [[nodiscard]] bool excludes_entry(const std::string& path, const struct stat& status) const {
    if (!needs_rules()) return excludes_entry(path, status, directory_rules{});
    return excludes_entry(path, status, *remembered_rules(parent_of(path)));
  }

  /// If not, `directory_rules{}` is as good as rules_of, which then costs nothing either.
  [[nodiscard]] bool needs_rules() const noexcept { return !devices_.empty() || !tags_.empty(); }

private:
  static pattern_list collect(const std::string& option, const std::vector<std::string>& given,
                              const std::vector<std::string>& files, letter_case letters) {
    validate_patterns(option, given);
    auto all = given;
    for (const auto& file : files) {
      const auto more = read_pattern_file(file);
      validate_patterns(option + "-file", more);
      all.insert(all.end(), more.begin(), more.end());
    }
    return pattern_list(all, letters);
  }

  [[nodiscard]] bool matches(const pattern_list& patterns, std::string_view path) const {
    if (patterns.empty()) return false;
    const auto result = patterns.match(path);
    if (result.malformed && !told_malformed_.exchange(true))
      warn(on_warning_, std::string(path), "error for exclude pattern: syntax error in pattern");
    return result.matched;
  }

  void find_devices(const std::vector<std::string>& targets) {
    for (const auto& target : targets) {
      auto path = absolute_path(target);
      struct stat status {};
      if (::lstat(path.c_str(), &status) != 0) throw system_error(errno, "cannot get the device of " + path);
      devices_.emplace(std::move(path), status.st_dev);
    }
    if (devices_.empty())
      throw error(error_code::invalid_argument,
                  "--one-file-system: no files or directories to take the file system from");
  }

  [[nodiscard]] static std::string parent_of(std::string_view path) {
    const auto slash = path.rfind('/');
    return std::string(slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash));
  }

  [[nodiscard]] std::optional<std::uint64_t> device_of_target_above(std::string path) const {
    for (;;) {
      const auto found = devices_.find(path);
      if (found != devices_.end()) return found->second;
      auto parent = parent_of(path);
      if (parent == path || parent == ".") return std::nullopt;
      path = std::move(parent);
    }
  }

  [[nodiscard]] bool is_on_other_device(std::string_view path, const struct stat& status,
                                        const directory_rules& rules) const {
    const auto target = devices_.find(path);
    const auto allowed = target != devices_.end() ? std::optional(target->second) : rules.allowed_device;
    if (!allowed || *allowed == status.st_dev) return false;
    // A mount point is kept, as an empty directory: without it a restored system could not mount there.
    const bool is_mount_point = S_ISDIR(status.st_mode) && rules.device == *allowed;
    return !is_mount_point;
  }

  [[nodiscard]] std::shared_ptr<const directory_rules> remembered_rules(const std::string& directory) const {
    constexpr std::size_t most = 10'000;  // some MB; a walk comes back to few directories
    const std::lock_guard lock(mutex_);
    if (const auto found = remembered_.find(directory); found != remembered_.end()) return found->second;
    if (remembered_.size() >= most) remembered_.clear();
    // O_PATH: also directories that may be entered but not listed. One that is gone has no rules.
    const file_descriptor opened{::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    auto rules = std::make_shared<const directory_rules>(opened ? rules_of(opened.get(), directory)
                                                                : directory_rules{});
    return remembered_.emplace(directory, std::move(rules)).first->second;
  }

  pattern_list patterns_, insensitive_;
  std::vector<std::string> directories_;
  std::vector<tag_file> tags_;  // not changed after construction: rules point into it
  std::optional<std::uint64_t> larger_than_;
  std::map<std::string, std::uint64_t, std::less<>> devices_;  // of the targets; empty: any device will do
  warning_function on_warning_;
  mutable std::atomic<bool> told_malformed_{false};
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, std::shared_ptr<const directory_rules>> remembered_;
};

}  // namespace recoup
