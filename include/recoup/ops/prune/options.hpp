// What a prune is told, what it reports meanwhile, and what it finds.
#pragma once

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_set>
#include <variant>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/fs/parse_size.hpp>
#include <recoup/fs/pattern_file.hpp>
#include <recoup/repo/lock_holders.hpp>
#include <recoup/storage/stored_file.hpp>

namespace recoup {

/// How much of what nobody needs may stay, so that packs which are mostly needed are not written again.
class unused_limit {
public:
  /// "unlimited", "5%" (of what the repository has afterwards; below 100) or a size such as "500M". Throws
  /// invalid_argument.
  [[nodiscard]] static unused_limit parse(std::string_view text) {
    const std::string given(text);
    text = trim_space(text);
    const auto refuse = [](const std::string& why) { return error(error_code::invalid_argument, why); };
    unused_limit limit;
    if (text.empty()) throw refuse("invalid value for --max-unused: \"" + given + "\"");
    if (text == "unlimited") {
      limit.bytes_ = std::numeric_limits<std::uint64_t>::max();
    } else if (text.ends_with('%')) {
      const auto* const end = text.data() + text.size() - 1;
      const auto [stopped, problem] = std::from_chars(text.data(), end, limit.percent_);
      if (problem != std::errc{} || stopped != end)
        throw refuse("invalid percentage \"" + given + "\" passed for --max-unused: give a number, as in 5%");
      if (!(limit.percent_ >= 0)) throw refuse("percentage for --max-unused must be positive");
      if (limit.percent_ >= 100) throw refuse("percentage for --max-unused must be below 100%");
      limit.is_percentage_ = true;
    } else {
      try {
        limit.bytes_ = parse_size(text);
      } catch (const error& problem) {
        throw refuse("invalid number of bytes \"" + given + "\" for --max-unused: " + problem.what());
      }
    }
    return limit;
  }

  /// Bytes that may stay beside `used` bytes that are needed.
  [[nodiscard]] std::uint64_t beside(std::uint64_t used) const noexcept {
    return is_percentage_ ? static_cast<std::uint64_t>(percent_ / (100 - percent_) * static_cast<double>(used)) : bytes_;
  }

private:
  bool is_percentage_ = false;
  double percent_ = 0;
  std::uint64_t bytes_ = 0;
};

/// A prune under a lock that keeps nobody from making backups: see ops/prune.hpp.
struct two_phase_options {
  /// How long packs stay marked at least. It protects those who rely on packs without holding a lock: rustic, and readers
  /// with --no-lock.
  std::chrono::seconds delete_after{std::chrono::hours{23}};
  /// The locks that do not keep packs from going: the prune's own. Nothing: none, and no mark without a record of who may
  /// rely on the pack is ever acted upon.
  own_lock_test is_own_lock;
  /// Whoever has begun since may just be reading the old index files: they stay for so long.
  std::chrono::milliseconds time_to_load{5000};
};

struct prune_options {
  unused_limit max_unused = unused_limit::parse("5%");
  /// Packs of no more than this many bytes are written again; what is left over is for another time.
  std::uint64_t max_repack_bytes = std::numeric_limits<std::uint64_t>::max();
  /// Packs below this size are joined; 0: below 0.8 of the size that 3 % of the packs do not reach, at least of 4 MiB.
  std::uint64_t repack_below = 0;
  bool repack_only_trees = false;    ///< leaves packs with data alone (restic: --repack-cacheable-only)
  bool repack_uncompressed = false;  ///< data too; trees are compressed anyway
  /// For storage without any free space: nothing is repacked, and the index is removed before and written after all
  /// else. Interrupted in between, the repository has to be mended by `repair index`.
  bool recover_no_free_space = false;
  std::optional<two_phase_options> two_phase;  ///< nothing: packs are removed at once
  /// Snapshots that do not count: what only they need goes.
  std::unordered_set<id> ignored_snapshots;
  unsigned threads = 0;  ///< 0: one per processor, or one per connection of the storage if those are more
  std::stop_token stop{};
};

/// In which units a phase is counted: index files loaded, snapshots all of whose trees were read, packs looked at, packs
/// read, packs marked, index files read, old index files removed, packs removed. `unindexed` removes packs that no index
/// lists.
enum class prune_phase {
  index, snapshots, packs, unindexed, repack, mark, rewrite_index, remove_indexes, remove_packs, write_index
};

/// Called from any thread, but from one at a time.
class prune_observer {
public:
  prune_observer() = default;
  prune_observer(const prune_observer&) = delete;
  prune_observer& operator=(const prune_observer&) = delete;
  virtual ~prune_observer() = default;

  /// Each phase that there is begins with done = 0.
  virtual void on_progress(prune_phase /*phase*/, std::uint64_t /*done*/, std::uint64_t /*total*/) {}
  /// The index lists a pack that is not there, and nobody needs what it held.
  virtual void on_missing_pack(const id& /*pack*/) {}
  virtual void on_removed(const stored_file& /*file*/) {}
  /// The file stays. For packs that is no error: the next prune removes them.
  virtual void on_not_removed(const stored_file& /*file*/, const error& /*problem*/) {}
  /// Packs are marked, but it could not be seen who may rely on them: the next two-phase prune looks again.
  virtual void on_holders_unknown(const error& /*problem*/) {}
};

/// Sizes in bytes, as stored. Names are those of restic's JSON.
struct prune_stats {
  struct blob_counts {
    std::uint64_t used = 0, duplicate = 0, unused = 0, total = 0;
    std::uint64_t repack = 0, repack_remove = 0, remove = 0, remove_total = 0, remaining = 0;
  } blobs;
  struct byte_counts {
    std::uint64_t used = 0, duplicate = 0, unused = 0, unreferenced = 0, uncompressed = 0, total = 0;
    std::uint64_t repack = 0, repack_remove = 0, remove = 0, remove_total = 0, remaining = 0, remaining_unused = 0;
  } bytes;
  struct pack_counts {
    std::uint64_t used = 0, unused = 0, partly_used = 0, unreferenced = 0, total = 0;
    std::uint64_t keep = 0, repack = 0, remove = 0, remove_total = 0;
  } packs;
  /// Of packs that are marked for deletion, or to be. What is removed at once by a prune that is alone counts above.
  struct mark_counts {
    std::uint64_t packs_marked = 0, packs_waiting = 0, packs_recovered = 0, packs_removed = 0;
    std::uint64_t bytes_marked = 0, bytes_waiting = 0, bytes_recovered = 0, bytes_removed = 0;
  } marks;
};

}  // namespace recoup
