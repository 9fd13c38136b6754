// How much there is: files as they would be restored, as different contents, or blobs as they are stored.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/ops/used_blobs.hpp>
#include <recoup/ops/walk.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

enum class stats_mode {
  restore_size,       ///< all items of all snapshots; of hard links the first counts
  files_by_contents,  ///< files with the same blobs in the same order count once
  blobs_per_file,     ///< of files with different contents, each different blob of each path
  raw_data,           ///< each different blob once, with what encryption and compression make of it
};

[[nodiscard]] constexpr const char* name_of(stats_mode mode) noexcept {
  switch (mode) {
    case stats_mode::restore_size: return "restore-size";
    case stats_mode::files_by_contents: return "files-by-contents";
    case stats_mode::blobs_per_file: return "blobs-per-file";
    case stats_mode::raw_data: return "raw-data";
  }
  return "";
}

[[nodiscard]] inline std::optional<stats_mode> parse_stats_mode(std::string_view text) noexcept {
  for (const auto mode :
       {stats_mode::restore_size, stats_mode::files_by_contents, stats_mode::blobs_per_file, stats_mode::raw_data})
    if (text == name_of(mode)) return mode;
  return std::nullopt;
}

/// Fields that a mode does not fill are 0.
struct repository_stats {
  std::uint64_t total_size = 0;               ///< bytes
  std::uint64_t total_uncompressed_size = 0;  ///< bytes, of raw_data in a version 2 repository
  double compression_ratio = 0;               ///< of the blobs that are compressed: before / after
  double compression_progress = 0;            ///< percent of the bytes that are compressed
  double compression_space_saving = 0;        ///< percent
  std::uint64_t total_file_count = 0;
  std::uint64_t total_blob_count = 0;
  std::uint64_t snapshots_count = 0;
};

struct stats_options {
  stats_mode mode = stats_mode::restore_size;
  unsigned threads = 0;  ///< 0: one per processor
  std::stop_token stop{};
};

/// Called from the calling thread.
class stats_observer {
public:
  stats_observer() = default;
  stats_observer(const stats_observer&) = delete;
  stats_observer& operator=(const stats_observer&) = delete;
  virtual ~stats_observer() = default;

  /// A snapshot's turn has come.
  virtual void on_snapshot(const found_snapshot& /*each*/) {}
  /// So much more was counted.
  virtual void on_progress(std::uint64_t /*items*/, std::uint64_t /*blobs*/, std::uint64_t /*bytes*/) {}
};

class stats_counter {
public:
  stats_counter(repository& repo, const stats_options& options, stats_observer& observer)
      : repo_(repo), options_(options), observer_(observer) {}

  [[nodiscard]] repository_stats run(std::span<const found_snapshot> snapshots) {
    if (options_.mode == stats_mode::raw_data) {
      count_raw_data(snapshots);
      return result_;
    }
    for (const auto& each : snapshots) {
      start(each);
      hard_links_.clear();
      tree_walk walk(repo_, each.snapshot.tree, {"", {}, options_.stop});
      while (const auto* at = walk.next()) {
        observer_.on_progress(1, 0, at->node.size);
        if (options_.mode == stats_mode::restore_size)
          count_restored(at->node);
        else
          count_contents(*at);
      }
    }
    return result_;
  }

private:
  void start(const found_snapshot& each) {
    ++result_.snapshots_count;
    observer_.on_snapshot(each);
  }

  void count_restored(const node& of) {
    ++result_.total_file_count;
    const bool counts = of.links == 1 || of.type == node_type::dir || of.inode == 0 ||
                        hard_links_.emplace(of.inode, of.device_id).second;
    if (counts) result_.total_size += of.size;
  }

  /// Everything that is not a file has the same contents, none: together they count as one, as restic counts them.
  void count_contents(const walked_node& at) {
    static const std::vector<id> nothing;
    const auto& content = at.node.content ? *at.node.content : nothing;
    sha256_stream hash;
    for (const auto& blob : content) hash.update(blob.view());
    if (!contents_.insert(hash.finish()).second) return;
    if (options_.mode == stats_mode::files_by_contents) {
      result_.total_size += at.node.size;
      ++result_.total_file_count;
      return;
    }
    for (const auto& blob : content) {
      observer_.on_progress(0, 1, 0);
      const auto [known, is_new] = blobs_of_paths_.try_emplace(at.path);
      if (is_new) ++result_.total_file_count;
      if (!known->second.insert(blob).second) continue;
      const auto length = repo_.index().plaintext_length({blob_type::data, blob});
      if (!length)
        throw error(error_code::not_found, "blob " + blob.hex() + " of " + at.path + " is in no index; run `check`");
      result_.total_size += *length;
      ++result_.total_blob_count;
    }
  }

  void count_raw_data(std::span<const found_snapshot> snapshots) {
    std::vector<id> roots;
    for (const auto& each : snapshots) {
      start(each);
      roots.push_back(each.snapshot.tree);
    }
    const auto blobs = find_used_blobs(repo_, roots, {options_.threads, {}, options_.stop});
    std::uint64_t compressed_before = 0, compressed_after = 0;
    for (const auto& blob : blobs) {
      const auto place = repo_.index().find(blob);
      if (!place)
        throw error(error_code::not_found,
                    std::string(name_of(blob.type)) + " blob " + blob.id.hex() + " is in no index; run `check`");
      const std::uint64_t stored = place->blob.length;
      const std::uint64_t uncompressed = std::uint64_t{place->blob.plaintext_length()} + box_overhead;
      result_.total_size += stored;
      if (repo_.config().version >= 2) {
        result_.total_uncompressed_size += uncompressed;
        if (place->blob.is_compressed()) {
          compressed_after += stored;
          compressed_before += uncompressed;
        }
      }
      ++result_.total_blob_count;
      observer_.on_progress(0, 1, stored);
    }
    const auto share = [](std::uint64_t part, std::uint64_t of) {
      return static_cast<double>(part) / static_cast<double>(of);
    };
    if (compressed_after > 0) result_.compression_ratio = share(compressed_before, compressed_after);
    if (result_.total_uncompressed_size == 0) return;
    result_.compression_progress = share(compressed_before, result_.total_uncompressed_size) * 100;
    result_.compression_space_saving = (1 - share(result_.total_size, result_.total_uncompressed_size)) * 100;
  }

  repository& repo_;
  const stats_options& options_;
  stats_observer& observer_;
  repository_stats result_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> hard_links_;  // inode and device, of the snapshot at hand
  std::unordered_set<id> contents_;
  std::unordered_map<std::string, std::unordered_set<id>> blobs_of_paths_;
};

/// Counts what the snapshots hold. The index must be loaded. Throws if a tree cannot be read or a blob is not indexed:
/// a sum with something missing would not be one.
[[nodiscard]] inline repository_stats stats(repository& repo, std::span<const found_snapshot> snapshots,
                                            const stats_options& options, stats_observer& observer) {
  return stats_counter(repo, options, observer).run(snapshots);
}

}  // namespace recoup
