// What all threads of one copy share.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include <recoup/core/worker_group.hpp>
#include <recoup/ops/copy/options.hpp>
#include <recoup/ops/entry_set.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// A blob to be copied. 12 bytes: a first copy of a large repository wants millions.
struct wanted_blob {
  std::uint32_t pack = 0;    ///< numbered in the order in which the trees need them
  std::uint32_t offset = 0;  ///< of the stored blob in its pack
  std::uint32_t entry = 0;   ///< in the source's index
};

/// What both halves share.
struct copy_context {
  /// The index of the source must be loaded.
  copy_context(repository& from, repository& to, const copy_options& chosen, copy_observer& told)
      : source(from), destination(to), options(chosen), observer(told),
        threads(chosen.threads != 0 ? chosen.threads : std::max(processor_count(), from.storage().connections())),
        seen(from.index().most_entries()) {}

  repository& source;
  repository& destination;
  const copy_options& options;
  copy_observer& observer;
  const unsigned threads;
  entry_set seen;
  std::mutex reporting;  ///< held around calls of the observer by threads that are not alone
  std::atomic<std::uint64_t> blobs{0}, bytes_stored{0};

  void store(const blob_handle& handle, opened_blob blob) {
    if (!options.reuse_compressed) blob.compressed = {};
    const auto saved = destination.save_blob(handle, blob);
    blobs += saved.is_new ? 1 : 0;
    bytes_stored += saved.stored_length;
  }
};

}  // namespace recoup
