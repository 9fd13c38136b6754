// Removing a directory with everything in it, without ever leaving it.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/fs/directory.hpp>

namespace recoup {

/// Walks depth-first without recursion, so any depth will do. Only some directories stay open; others are opened again
/// on the way back, by their names from the nearest open one above: for depth n that are some n log n steps. Symlinks
/// are removed, never followed, and other file systems that are mounted inside are left alone. With `dry_run`
/// everything is visited and nothing removed.
class tree_removal {
public:
  using visitor = std::function<void(const std::string& path)>;

  tree_removal(int parent, std::string name, const std::string& path, bool dry_run, visitor on_removed)
      : parent_(parent), dry_run_(dry_run), on_removed_(std::move(on_removed)), path_(path) {
    levels_.push_back({std::move(name), {}, {}, path_.size()});
  }

  /// Throws at the first entry that cannot be removed.
  void run() {
    struct stat status {};
    const char* name = levels_.front().name.c_str();
    if (::fstatat(parent_, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return;
      throw system_error(errno, "cannot remove " + path_);
    }
    if (!S_ISDIR(status.st_mode)) return remove(parent_, name, 0);
    device_ = status.st_dev;
    enter();
    while (!levels_.empty()) {
      if (levels_.back().left.empty())
        leave();
      else
        take_next();
    }
  }

private:
  static constexpr std::size_t most_open = 8;  ///< levels below which a directory stays open

  struct level {
    std::string name;
    file_descriptor directory;
    std::vector<directory_entry> left;  ///< entries still to be removed, last first
    std::size_t path_size;              ///< of path_ up to and including this level
  };

  [[nodiscard]] file_descriptor open_below(int parent, const std::string& name) const {
    auto opened = open_for_reading(parent, name.c_str(), O_NOFOLLOW | O_DIRECTORY);
    struct stat status {};
    if (!opened || ::fstat(opened.get(), &status) != 0) throw system_error(errno, "cannot remove " + path_);
    if (status.st_dev != device_)
      throw error(error_code::failure, "cannot remove " + path_ + ": another file system is mounted there");
    return opened;
  }

  /// The descriptor of a level, opened again if it was closed meanwhile. Those just above it are kept too, because the
  /// way back needs them next, and some others on the way, so that it is never far from an open one.
  [[nodiscard]] int descriptor(std::size_t number) {
    if (levels_[number].directory) return levels_[number].directory.get();
    std::size_t from = number;
    while (from > 0 && !levels_[from - 1].directory) --from;
    int parent = from == 0 ? parent_ : levels_[from - 1].directory.get();
    const auto stride = (number - from) / most_open + 1;
    file_descriptor passing;
    for (; from <= number; ++from) {
      auto opened = open_below(parent, levels_[from].name);
      parent = opened.get();
      const auto left = number - from;
      (left < most_open || left % stride == 0 ? levels_[from].directory : passing) = std::move(opened);
    }
    return parent;
  }

  /// Opens and lists the innermost level.
  void enter() {
    const auto depth = levels_.size();
    auto& innermost = levels_.back();
    const int parent = depth == 1 ? parent_ : descriptor(depth - 2);
    innermost.directory = open_below(parent, innermost.name);
    innermost.left = read_directory(innermost.directory.get());
    if (depth > most_open) levels_[depth - 1 - most_open].directory = {};
  }

  void take_next() {
    auto entry = std::move(levels_.back().left.back());
    levels_.back().left.pop_back();
    const int directory = descriptor(levels_.size() - 1);
    path_.append("/").append(entry.name);
    struct stat status {};
    const bool is_directory = entry.type == DT_UNKNOWN
                                  ? ::fstatat(directory, entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                                        S_ISDIR(status.st_mode)
                                  : entry.type == DT_DIR;
    if (is_directory) {
      levels_.push_back({std::move(entry.name), {}, {}, path_.size()});
      enter();
      return;
    }
    remove(directory, entry.name.c_str(), 0);
    path_.resize(levels_.back().path_size);
  }

  void leave() {
    const auto name = std::move(levels_.back().name);
    levels_.pop_back();
    const int parent = levels_.empty() ? parent_ : descriptor(levels_.size() - 1);
    remove(parent, name.c_str(), AT_REMOVEDIR);
    if (!levels_.empty()) path_.resize(levels_.back().path_size);
  }

  void remove(int directory, const char* name, int flags) const {
    if (!dry_run_ && ::unlinkat(directory, name, flags) != 0 && errno != ENOENT)
      throw system_error(errno, "cannot remove " + path_);
    if (on_removed_) on_removed_(path_);
  }

  const int parent_;
  const bool dry_run_;
  const visitor on_removed_;
  dev_t device_ = 0;
  std::string path_;
  std::vector<level> levels_;
};

/// `path` is for messages and for what the visitor is told.
inline void remove_tree(int parent, const char* name, const std::string& path, bool dry_run = false,
                        tree_removal::visitor on_removed = {}) {
  tree_removal(parent, name, path, dry_run, std::move(on_removed)).run();
}

}  // namespace recoup
