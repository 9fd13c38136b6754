// Reads blobs and verifies them, each once: pack by pack, what lies near each other with one request, on all threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/ops/entry_set.hpp>
#include <recoup/ops/verify/options.hpp>
#include <recoup/repo/pack_parts.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Entry of the index -> why no copy of its blob is intact.
using damaged_entries = std::unordered_map<std::uint32_t, error>;

class blob_reading {
public:
  blob_reading(repository& repo, unsigned threads, verify_counters& counters)
      : repo_(repo), threads_(threads), counters_(counters) {}

  /// Reads the blobs of these entries. Memory is 12 bytes for each, and a part and a group of blobs for each thread.
  [[nodiscard]] damaged_entries run(const entry_set& wanted, const std::stop_token& stop) {
    list(wanted);
    const auto parts = divide_into_parts(blobs_.size(), [&](std::size_t i) {
      return pack_place{blobs_[i].pack, blobs_[i].offset, repo_.index().at(blobs_[i].entry).blob.length};
    });
    std::atomic<std::size_t> next{0};
    worker_group group(stop);
    const auto work = [&](const std::stop_token& token) {
      part_reader reader(repo_);
      while (!token.stop_requested()) {
        const auto mine = next.fetch_add(1);
        if (mine >= parts.size()) return;
        read(parts[mine], reader, token);
      }
    };
    group.add(static_cast<unsigned>(std::min<std::size_t>(threads_, parts.size() + 1)) - 1, work);
    group.work_here(work);
    group.join();
    return std::move(damaged_);
  }

private:
  struct wanted_blob {
    std::uint32_t pack, offset, entry;
  };

  /// Entries are numbered in the order of packs and offsets; what is not goes on as if it were another pack.
  void list(const entry_set& wanted) {
    std::optional<id> last_pack;
    std::uint32_t pack = 0;
    for (std::uint32_t entry = 0; entry < repo_.index().size(); ++entry) {
      if (!wanted.contains(entry)) continue;
      const auto place = repo_.index().at(entry);
      if (last_pack && (*last_pack != place.pack || blobs_.back().offset > place.blob.offset)) ++pack;
      last_pack = place.pack;
      blobs_.push_back({pack, place.blob.offset, entry});
      ++counters_.blobs;
      counters_.blob_bytes += place.blob.plaintext_length();
    }
  }

  void read(const pack_part& part, part_reader& reader, const std::stop_token& stop) {
    const auto& index = repo_.index();
    reader.load({file_type::pack, index.at(blobs_[part.first].entry).pack}, part.offset, part.length);
    reader.open_all(part.end - part.first, [&](std::size_t i) { return index.at(blobs_[part.first + i].entry).blob; },
                    [&](std::size_t i, const error* problem, byte_view content) {
                      if (stop.stop_requested()) return;
                      ++counters_.blobs_read;
                      if (problem == nullptr) {
                        counters_.bytes_read += content.size();
                        return;
                      }
                      const auto entry = blobs_[part.first + i].entry;
                      counters_.bytes_read += index.at(entry).blob.plaintext_length();
                      const std::lock_guard lock(mutex_);
                      damaged_.emplace(entry, *problem);
                    });
  }

  repository& repo_;
  const unsigned threads_;
  verify_counters& counters_;
  std::vector<wanted_blob> blobs_;
  std::mutex mutex_;
  damaged_entries damaged_;
};

}  // namespace recoup
