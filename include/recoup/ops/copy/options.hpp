// What a copy is told, what it reports meanwhile, and what it says in the end.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/ops/snapshots.hpp>

namespace recoup {

struct copy_options {
  /// Ids, unique prefixes or "latest", in this order; none: all snapshots that match the filter, oldest first.
  std::vector<std::string> snapshots;
  snapshot_filter filter;

  /// Take over what is compressed already. False compresses everything anew, as the destination's options say; so does
  /// a compression level among them.
  bool reuse_compressed = true;
  /// Look for packs in the destination that a killed program stored but could not index any more, and use them. The
  /// caller must hold a lock on the destination.
  bool adopt_unindexed_packs = false;

  /// Snapshots are copied together, so that what is left of their last packs shares packs too: a batch ends once it had
  /// this many bytes to copy, and took this long. The defaults are restic's: at worst, one pack in a hundred is small.
  std::uint64_t batch_bytes = 0;  ///< 0: a hundred packs of the destination
  std::chrono::milliseconds batch_time = std::chrono::minutes{1};

  unsigned threads = 0;  ///< 0: one per processor, or one per connection of the source if those are more
  std::stop_token stop{};
};

/// What has to be copied for one snapshot: all that neither the destination has nor an earlier snapshot brought.
struct copy_plan {
  std::uint64_t blobs = 0;
  std::uint64_t bytes = 0;  ///< as stored in the source
  std::uint64_t packs = 0;  ///< of the source that are read
};

/// In which units a phase is counted: index files of either repository, trees that were read (how many there will be
/// is not known before), packs of which all that is needed was read.
enum class copy_phase { source_index, destination_index, trees, packs };

/// Called from any thread, but from one at a time.
class copy_observer {
public:
  copy_observer() = default;
  copy_observer(const copy_observer&) = delete;
  copy_observer& operator=(const copy_observer&) = delete;
  virtual ~copy_observer() = default;

  /// `total` is 0 in the phase `trees`. The phases `trees` and `packs` come once for each snapshot.
  virtual void on_progress(copy_phase /*phase*/, std::uint64_t /*done*/, std::uint64_t /*total*/) {}
  /// The destination has the snapshot already, under the name `copy`.
  virtual void on_skipped(const found_snapshot& /*source*/, const id& /*copy*/) {}
  virtual void on_started(const found_snapshot& /*source*/) {}
  /// All trees were read.
  virtual void on_planned(const found_snapshot& /*source*/, const copy_plan& /*plan*/) {}
  /// All blobs are copied; the snapshot is written once they are durable, together with others.
  virtual void on_complete(const found_snapshot& /*source*/) {}
  /// This snapshot of the source is not copied, because it or something it needs cannot be read; the others are.
  virtual void on_error(const id& /*source*/, const error& /*problem*/) {}
  /// The blobs of so many snapshots are durable: on_saved follows for each.
  virtual void on_batch(std::size_t /*snapshots*/) {}
  virtual void on_saved(const found_snapshot& /*source*/, const id& /*copy*/) {}
};

struct copied_snapshot {
  id source, copy;
};

struct copy_result {
  std::vector<copied_snapshot> copied;
  std::vector<copied_snapshot> skipped;  ///< were in the destination before
  std::uint64_t errors = 0;              ///< snapshots that could not be copied
  std::uint64_t blobs = 0;               ///< that the destination did not have
  std::uint64_t bytes_stored = 0;        ///< by which its packs grew
};

/// Something in the source cannot be read: the snapshot that needs it fails and the others go on.
class copy_source_error : public error {
public:
  using error::error;
  explicit copy_source_error(const error& cause) : error(cause) {}
};

}  // namespace recoup
