// The packs that index files mark for deletion, and what the marks say. What is in them: blob_index::marked().
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include <recoup/core/id.hpp>
#include <recoup/repo/pack_mark.hpp>

namespace recoup {

/// Any number of threads may call any member at once. That a pack is marked means nothing if an index file lists it as
/// one that counts: ask the index first.
class marked_packs {
public:
  void add(const id& pack, const pack_mark& mark) {
    const std::lock_guard lock(mutex_);
    const auto [known, is_new] = marks_.try_emplace(pack, mark);
    if (!is_new) known->second = merged(std::move(known->second), mark);
  }

  [[nodiscard]] bool contains(const id& pack) const {
    const std::lock_guard lock(mutex_);
    return marks_.contains(pack);
  }

  [[nodiscard]] std::optional<pack_mark> find(const id& pack) const {
    const std::lock_guard lock(mutex_);
    const auto known = marks_.find(pack);
    return known == marks_.end() ? std::nullopt : std::optional(known->second);
  }

  /// All of them, ordered by the packs' names.
  [[nodiscard]] std::map<id, pack_mark> all() const {
    const std::lock_guard lock(mutex_);
    return marks_;
  }

private:
  mutable std::mutex mutex_;  // guards the following
  std::map<id, pack_mark> marks_;
};

}  // namespace recoup
