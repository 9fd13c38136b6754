// Blobs of which a check has found no intact copy, and why files cannot be restored whole.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Why a file or directory cannot be restored whole.
struct damage_cause {
  std::optional<blob_handle> blob;  ///< none: it is the node itself
  std::optional<id> pack;           ///< where the blob should be, if that is known
  std::string problem;              ///< "is damaged", "is in no index", …

  /// "data blob 0123… in pack 4567… is damaged"
  [[nodiscard]] std::string text() const {
    if (!blob) return problem;
    auto text = std::string(name_of(blob->type)) + " blob " + blob->id.hex();
    if (pack) text += " in pack " + pack->hex();
    return text + " " + problem;
  }
};

class lost_blobs {
public:
  struct place {
    id pack{};
    bool pack_is_missing = false;
  };

  [[nodiscard]] bool empty() const noexcept { return lost_.empty(); }

  void add(const blob_handle& blob, const place& where) { lost_.try_emplace(blob, where); }

  void add_all(std::span<const packed_blob> blobs, const place& where) {
    for (const auto& blob : blobs) add(blob.handle, where);
  }

  [[nodiscard]] const place* find(const blob_handle& blob) const {
    const auto found = lost_.find(blob);
    return found == lost_.end() ? nullptr : &found->second;
  }

  [[nodiscard]] damage_cause cause(const blob_handle& blob, const place& where) const {
    return {blob, where.pack, where.pack_is_missing ? "is lost: the pack does not exist" : "is damaged"};
  }

  /// Forgets blobs of which another pack has an intact copy: nobody misses the one that is lost.
  void forget_where_another_copy_is_intact(repository& repo, unsigned threads, const std::stop_token& stop) {
    std::vector<blob_handle> several;
    for (const auto& [blob, where] : lost_)
      if (repo.index().find_all(blob).size() > 1) several.push_back(blob);
    std::mutex mutex;
    parallel_for_each(threads, several, [&](const blob_handle& blob) {
      try {
        (void)repo.load_blob(blob);
      } catch (const error&) {
        return;
      }
      const std::lock_guard lock(mutex);
      lost_.erase(blob);
    }, stop);
  }

private:
  std::unordered_map<blob_handle, place, blob_handle_hash> lost_;
};

}  // namespace recoup
