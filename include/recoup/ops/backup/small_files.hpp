// Small files that were read and wait to be stored together: hashing several at once takes half the time.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <recoup/chunker/rabin.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/ops/backup/directory_job.hpp>
#include <recoup/ops/backup/journal_entry.hpp>
#include <recoup/repo/blob_saver.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

struct small_file {
  std::shared_ptr<directory_job> directory;
  std::size_t slot = 0;
  const node* previous = nullptr;  ///< in the first repository's parent snapshot
  node made;                       ///< all but content; its size is what stat said
  std::size_t length = 0;          ///< bytes
  std::chrono::steady_clock::time_point started{};
  journal_hash noted_as{};
  std::size_t begin = 0;  ///< in the memory of all
};

/// Of one thread.
class small_files {
public:
  /// One byte more than what is surely a single chunk: who gets so many has read a large file's beginning.
  static constexpr std::size_t longest = min_chunk + 1;
  static constexpr std::size_t most = blob_saver::most_at_once;

  small_files() : memory_(capacity) { waiting_.reserve(most); }

  /// Bytes that can be read into rest(); none if there are enough files.
  [[nodiscard]] std::size_t room() const noexcept { return waiting_.size() == most ? 0 : memory_.size() - filled_; }
  /// Where the next file is read to, up to `longest` bytes.
  [[nodiscard]] byte_span rest() noexcept { return byte_span(memory_).subspan(filled_, longest); }

  /// The file's content lies at the beginning of rest().
  void add(small_file file) {
    file.begin = filled_;
    filled_ += file.length;
    waiting_.push_back(std::move(file));
  }

  [[nodiscard]] std::vector<small_file>& waiting() noexcept { return waiting_; }
  [[nodiscard]] byte_view content(const small_file& file) const noexcept {
    return byte_view(memory_).subspan(file.begin, file.length);
  }
  void clear() noexcept {
    waiting_.clear();
    filled_ = 0;
  }

private:
  /// With what they compress to, it stays in the second-level cache.
  static constexpr std::size_t capacity = 2 * longest;

  bytes memory_;
  std::size_t filled_ = 0;
  std::vector<small_file> waiting_;
};

}  // namespace recoup
