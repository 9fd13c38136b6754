// What a verification is told, what it reports meanwhile, and what it says in the end.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>

#include <recoup/core/error.hpp>
#include <recoup/ops/restore/options.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

/// Some of a snapshot's files, chosen at random; as many as there are if that is less. A percentage is rounded up.
struct file_percentage {
  double percent = 100;
};
struct file_count {
  std::uint64_t files = 0;
};
struct file_sample {
  std::variant<file_percentage, file_count> share;
  std::uint64_t seed = 0;  ///< the same seed chooses the same files of the same snapshot, on every machine
};

struct verify_options {
  /// As restore_options::select.
  std::function<selection(std::string_view path, const node&)> select;
  /// Whose contents to verify; nothing: of all that are selected. Trees are read whole in any case.
  std::optional<file_sample> sample;
  unsigned threads = 0;  ///< 0: one per processor, and up to 12 if the storage has as many connections
  std::stop_token stop{};
};

enum class verify_phase : std::uint8_t {
  trees,     ///< reading trees; totals grow
  contents,  ///< reading blobs, or with live files: reading those
  naming,    ///< reading trees once more, to name the files that need a blob that is damaged
};

/// May be read at any time by whoever shows progress. Damaged files count as verified too.
struct verify_counters {
  std::atomic<std::uint64_t> entries{0};                   ///< of trees, of any type
  std::atomic<std::uint64_t> total_files{0};               ///< that were selected
  std::atomic<std::uint64_t> files{0}, bytes{0};           ///< of those, what is to be verified
  std::atomic<std::uint64_t> blobs{0}, blob_bytes{0};      ///< that these files need, each once
  std::atomic<std::uint64_t> blobs_read{0}, bytes_read{0};
  std::atomic<std::uint64_t> damaged{0};                   ///< files and directories
};

/// Told what happens, from any thread at any time, several at once.
class verify_observer {
public:
  verify_observer() = default;
  verify_observer(const verify_observer&) = delete;
  verify_observer& operator=(const verify_observer&) = delete;
  virtual ~verify_observer() = default;

  virtual void on_phase(verify_phase /*phase*/) {}
  /// This item cannot be restored whole. Told once for each: of several causes the first, and how many more there are.
  /// Below a directory whose tree cannot be read nothing is known.
  virtual void on_damaged(const std::string& /*path*/, const error& /*problem*/) {}

  verify_counters counters;
};

/// The counters' last values. The snapshot is sound if `damaged` is 0.
struct verify_result {
  std::uint64_t entries = 0, total_files = 0, files = 0, bytes = 0, blobs = 0, blob_bytes = 0, damaged = 0;
};

}  // namespace recoup
