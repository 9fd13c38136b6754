// The directories of a restore, and the only way to get at what is in them.
//
// Nothing outside the target may be touched, whatever a repository says and whatever lies in the target. So no path is
// ever given to the kernel: a directory is opened below its parent's descriptor, by one name that holds no slash, and
// never through a symlink. A symlink that was restored or planted where a directory belongs is an error or is replaced,
// but not followed. Path lengths do not matter either. Descriptors are kept in a small cache; on a miss the way down
// from the nearest open ancestor is walked again, without recursion.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/core/stable_table.hpp>
#include <recoup/ops/restore/plan.hpp>
#include <recoup/ops/restore/reporter.hpp>

namespace recoup {

/// Open as long as somebody uses it. Opened with O_PATH: good for *at calls only.
using directory_handle = std::shared_ptr<const file_descriptor>;

enum class directory_state : std::uint8_t {
  unknown,   ///< not needed so far
  fresh,     ///< made by us, so it holds nothing that we did not put there
  existing,  ///< was there
  missing,   ///< dry run: would be made
  failed,    ///< cannot be had; reported
};

struct planned_directory {
  const char* name = nullptr;
  id tree{};
  kept_metadata metadata{};
  std::uint32_t parent = 0, depth = 0;
  std::atomic<directory_state> state{directory_state::unknown};
  /// Its tree could not be read to the end, so nobody knows what belongs in it.
  std::atomic<bool> incomplete{false};

  /// Whether entries that we have not restored can be in it.
  [[nodiscard]] bool may_hold_others() const noexcept { return state.load() == directory_state::existing; }
};

class directory_table {
public:
  static constexpr std::uint32_t root = 0;

  /// `target` is empty in a dry run whose target does not exist.
  directory_table(file_descriptor target, const id& tree, bool dry_run, restore_reporter& reporter)
      : root_(target ? std::make_shared<const file_descriptor>(std::move(target)) : nullptr), dry_run_(dry_run),
        capacity_(cache_capacity()), reporter_(reporter) {
    add(root, "", tree, {});
    entries_[root].state = root_ ? directory_state::existing : directory_state::missing;
  }

  /// One at a time. `name` must stay.
  std::uint32_t add(std::uint32_t parent, const char* name, const id& tree, const kept_metadata& metadata) {
    const auto number = entries_.append();
    auto& entry = entries_[number];
    entry.name = name;
    entry.tree = tree;
    entry.metadata = metadata;
    entry.parent = parent;
    entry.depth = number == root ? 0 : entries_[parent].depth + 1;
    return number;
  }

  [[nodiscard]] planned_directory& operator[](std::uint32_t number) noexcept { return entries_[number]; }
  [[nodiscard]] std::uint32_t size() const noexcept { return entries_.size(); }

  /// In the snapshot: "/" or "/home/u".
  [[nodiscard]] std::string path(std::uint32_t number) const {
    if (number == root) return "/";
    std::vector<std::string_view> names;
    names.reserve(entries_[number].depth);
    std::size_t length = 0;
    for (; number != root; number = entries_[number].parent) {
      names.emplace_back(entries_[number].name);
      length += names.back().size() + 1;
    }
    std::string text;
    text.reserve(length + 64);
    for (auto name = names.rbegin(); name != names.rend(); ++name) text.append("/").append(*name);
    return text;
  }

  [[nodiscard]] std::string path(std::uint32_t directory, std::string_view name) const {
    auto text = path(directory);
    if (directory != root) text += '/';
    return text.append(name);
  }

  /// Makes the directory if it is not there, and its parents. False if that fails, which is reported once.
  bool provide(std::uint32_t number) {
    if (const auto state = entries_[number].state.load(); state != directory_state::unknown)
      return state != directory_state::failed;
    const std::lock_guard lock(provide_mutex_);
    std::vector<std::uint32_t> chain;
    for (; entries_[number].state.load() == directory_state::unknown; number = entries_[number].parent)
      chain.push_back(number);
    bool usable = entries_[number].state.load() != directory_state::failed;
    for (auto each = chain.rbegin(); each != chain.rend(); ++each) usable = make(*each);
    return usable;
  }

  /// The same for a directory that no other thread knows yet and whose parent is provided.
  bool make(std::uint32_t number) {
    auto& entry = entries_[number];
    auto state = directory_state::failed;
    const auto parent_state = entries_[entry.parent].state.load();
    if (parent_state == directory_state::missing) {
      state = directory_state::missing;
    } else if (parent_state != directory_state::failed) {
      reporter_.attempt([&] { return path(number); },
                        [&] { state = dry_run_ ? probe(number) : make_or_find(number); });
    }
    entry.state.store(state);
    return state != directory_state::failed;
  }

  /// Throws if it cannot be opened as a directory, in particular if it was replaced by a symlink.
  [[nodiscard]] directory_handle open(std::uint32_t number) {
    std::vector<std::uint32_t> chain;
    directory_handle handle;
    {
      const std::lock_guard lock(cache_mutex_);
      while (!(handle = cached(number))) {
        chain.push_back(number);
        number = entries_[number].parent;
      }
    }
    // Of a long way down, the end is remembered and some places spread over the rest. So the directories of a long
    // chain can be visited from the bottom up in n log n steps, where remembering the end alone would take n squared.
    const auto half = std::max<std::size_t>(capacity_ / 2, 1);
    const auto stride = chain.size() / half + 1;
    for (auto left = chain.size(); left-- > 0;) {
      const auto each = chain[left];
      file_descriptor opened(
          ::openat(handle->get(), entries_[each].name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!opened) throw system_error(errno, "cannot open directory " + path(each));
      handle = std::make_shared<const file_descriptor>(std::move(opened));
      if (left >= half && left % stride != 0) continue;
      const std::lock_guard lock(cache_mutex_);
      remember(each, handle);
    }
    return handle;
  }

private:
  using recent_list = std::list<std::pair<std::uint32_t, directory_handle>>;

  /// A quarter of what the process may open; the rest is for files, the storage and the caller.
  [[nodiscard]] static std::size_t cache_capacity() noexcept {
    rlimit limit{};
    const bool known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
    return std::clamp<std::size_t>(known ? static_cast<std::size_t>(limit.rlim_cur) / 4 : 64, 4, 512);
  }

  [[nodiscard]] directory_handle cached(std::uint32_t number) {
    if (number == root) return root_;
    const auto found = by_number_.find(number);
    if (found == by_number_.end()) return nullptr;
    recent_.splice(recent_.begin(), recent_, found->second);
    return found->second->second;
  }

  void remember(std::uint32_t number, const directory_handle& handle) {
    if (by_number_.contains(number)) return;
    recent_.emplace_front(number, handle);
    by_number_[number] = recent_.begin();
    if (recent_.size() <= capacity_) return;
    by_number_.erase(recent_.back().first);
    recent_.pop_back();
  }

  [[nodiscard]] directory_state probe(std::uint32_t number) {
    struct stat status {};
    const auto parent = open(entries_[number].parent);
    const bool found = ::fstatat(parent->get(), entries_[number].name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    return found && S_ISDIR(status.st_mode) ? directory_state::existing : directory_state::missing;
  }

  [[nodiscard]] directory_state make_or_find(std::uint32_t number) {
    const auto* name = entries_[number].name;
    const auto parent = open(entries_[number].parent);
    // Nobody else may look in until the metadata is applied in the end.
    constexpr mode_t mode = 0700;
    if (::mkdirat(parent->get(), name, mode) == 0) return directory_state::fresh;
    const auto cannot = [&](int reason) { return system_error(reason, "cannot create directory " + path(number)); };
    if (errno != EEXIST) throw cannot(errno);
    struct stat status {};
    if (::fstatat(parent->get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode))
      return directory_state::existing;
    if (::unlinkat(parent->get(), name, 0) != 0 && errno != ENOENT) throw cannot(errno);
    if (::mkdirat(parent->get(), name, mode) != 0) throw cannot(errno);
    return directory_state::fresh;
  }

  const directory_handle root_;
  const bool dry_run_;
  const std::size_t capacity_;
  restore_reporter& reporter_;
  stable_table<planned_directory> entries_;
  std::mutex provide_mutex_;
  std::mutex cache_mutex_;
  recent_list recent_;
  std::unordered_map<std::uint32_t, recent_list::iterator> by_number_;
};

}  // namespace recoup
