// Files that are being written by several threads, or that wait for blobs from another pack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/file_descriptor.hpp>

namespace recoup {

/// Keeps the descriptors of the files last used. Any thread may call any member.
class open_files {
public:
  struct slot {
    explicit slot(std::uint32_t its_file) : file(its_file) {}
    const std::uint32_t file;
    std::mutex opening;
    file_descriptor descriptor;  ///< set once, under `opening`

  private:
    friend open_files;
    unsigned users = 0;  ///< under the cache's mutex
  };

  explicit open_files(std::size_t capacity) : capacity_(capacity) {}

  /// The file's slot, possibly not open yet. It stays where it is until it is released.
  [[nodiscard]] slot& acquire(std::uint32_t file) {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_file_.find(file); found != by_file_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
    } else {
      recent_.push_front(std::make_unique<slot>(file));
      by_file_[file] = recent_.begin();
    }
    ++recent_.front()->users;
    return *recent_.front();
  }

  /// The other half of acquire. Slots that nobody uses and for which there is no room any more are returned, for the
  /// caller to close.
  [[nodiscard]] std::vector<std::unique_ptr<slot>> release(slot& used) {
    std::vector<std::unique_ptr<slot>> evicted;
    const std::lock_guard lock(mutex_);
    --used.users;
    for (auto each = recent_.end(); recent_.size() > capacity_ && each != recent_.begin();) {
      --each;
      if ((*each)->users != 0) continue;
      by_file_.erase((*each)->file);
      evicted.push_back(std::move(*each));
      each = recent_.erase(each);
    }
    return evicted;
  }

  /// Forgets the file, which nobody may be using. Null if it is not here.
  [[nodiscard]] std::unique_ptr<slot> take(std::uint32_t file) {
    const std::lock_guard lock(mutex_);
    const auto found = by_file_.find(file);
    if (found == by_file_.end()) return nullptr;
    auto taken = std::move(*found->second);
    recent_.erase(found->second);
    by_file_.erase(found);
    return taken;
  }

  /// All of them, when nobody uses any.
  [[nodiscard]] std::vector<std::unique_ptr<slot>> take_all() {
    const std::lock_guard lock(mutex_);
    std::vector<std::unique_ptr<slot>> all;
    for (auto& each : recent_) all.push_back(std::move(each));
    recent_.clear();
    by_file_.clear();
    return all;
  }

private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::list<std::unique_ptr<slot>> recent_;
  std::unordered_map<std::uint32_t, std::list<std::unique_ptr<slot>>::iterator> by_file_;
};

}  // namespace recoup
