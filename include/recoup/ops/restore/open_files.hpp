// Files that are being written by several threads, or that wait for blobs from another pack.
#pragma once

#include <atomic>
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
  };
  using handle = std::shared_ptr<slot>;

  explicit open_files(std::size_t capacity) : capacity_(capacity) {}

  /// The file's slot, possibly not open yet. Slots that had to make room are given to `evicted`, for the caller to close.
  [[nodiscard]] handle find(std::uint32_t file, std::vector<handle>& evicted) {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_file_.find(file); found != by_file_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return *found->second;
    }
    recent_.push_front(std::make_shared<slot>(file));
    by_file_[file] = recent_.begin();
    auto made = recent_.front();
    evict(evicted);
    return made;
  }

  /// Forgets the file; the caller has the last reference once all other users are done.
  [[nodiscard]] handle take(std::uint32_t file) {
    const std::lock_guard lock(mutex_);
    const auto found = by_file_.find(file);
    if (found == by_file_.end()) return nullptr;
    auto taken = std::move(*found->second);
    recent_.erase(found->second);
    by_file_.erase(found);
    return taken;
  }

  /// All of them, when no thread uses any.
  [[nodiscard]] std::vector<handle> take_all() {
    const std::lock_guard lock(mutex_);
    std::vector<handle> all(std::make_move_iterator(recent_.begin()), std::make_move_iterator(recent_.end()));
    recent_.clear();
    by_file_.clear();
    return all;
  }

private:
  /// Slots in use stay: a second descriptor of the same file could be opened before the first has made it.
  void evict(std::vector<handle>& evicted) {
    for (auto each = recent_.end(); recent_.size() > capacity_ && each != recent_.begin();) {
      --each;
      if (each->use_count() > 1) continue;
      std::atomic_thread_fence(std::memory_order_acquire);  // what the last user wrote, before it let go
      by_file_.erase((*each)->file);
      evicted.push_back(std::move(*each));
      each = recent_.erase(each);
    }
  }

  const std::size_t capacity_;
  std::mutex mutex_;
  std::list<handle> recent_;
  std::unordered_map<std::uint32_t, std::list<handle>::iterator> by_file_;
};

}  // namespace recoup
