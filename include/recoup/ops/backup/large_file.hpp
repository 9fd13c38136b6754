// A file that is more than one chunk, on its way into the repository.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>
#include <recoup/ops/backup/chunk_buffers.hpp>
#include <recoup/ops/backup/directory_job.hpp>
#include <recoup/ops/backup/journal_entry.hpp>
#include <recoup/ops/backup/options.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

/// A file that threads take turns to read, and store at the same time.
struct large_file {
  std::shared_ptr<directory_job> directory;
  std::size_t slot = 0;
  std::optional<node> previous;
  node made;
  std::chrono::steady_clock::time_point started;
  std::string path;

  // One thread at a time: whoever has the turn.
  std::function<std::size_t(byte_span)> read;  // fills the span as far as there are bytes
  chunk_buffers::buffer next;                  // begins with what was read behind the last chunk

  std::optional<std::pair<journal_hash, noted_status>> noted;  // as what; nothing: it is not noted

  std::atomic<std::size_t> unstored{1};  // groups of chunks, and one more for the reader
  std::atomic<bool> failed{false};       // reading failed: the chunks that were stored stay without a file
  std::mutex mutex;                      // guards the two below
  std::vector<id> content;
  item_stats stats;
};

/// Chunks that lie behind one another in a buffer.
struct chunk_group {
  chunk_buffers::buffer buffer;
  std::vector<std::size_t> lengths;
  std::size_t first = 0;  ///< number of the first in the file
};

}  // namespace recoup
