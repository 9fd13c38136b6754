// Reading a file in a snapshot from any place, as one reads a file on disk.
//
//   recoup::file_reader reader(*repo, node);
//   reader.read(reader.size() - 100, buffer);
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/repo/node.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Any thread may read, several at once. Keeps the repository alive.
class file_reader {
public:
  /// Opened blobs that are kept: enough for readers that go back and forth between a few places. Blobs have 8 MiB at
  /// most.
  static constexpr std::size_t blobs_kept = 4;

  /// Throws invalid_argument if `file` is no file, not_found if a blob is in no index. The index must be loaded.
  file_reader(std::shared_ptr<repository> repo, const node& file) : repo_(std::move(repo)) {
    if (file.type != node_type::file)
      throw error(error_code::invalid_argument, "\"" + file.name + "\" is not a file but a " + name_of(file.type));
    if (file.content) blobs_ = *file.content;
    starts_.reserve(blobs_.size() + 1);
    std::uint64_t at = 0;
    for (const auto& blob : blobs_) {
      starts_.push_back(at);
      const auto length = repo_->index().plaintext_length({blob_type::data, blob});
      if (!length)
        throw error(error_code::not_found,
                    "\"" + file.name + "\": data blob " + blob.hex() + " is in no index; run `check`");
      at += *length;
    }
    starts_.push_back(at);
  }

  /// Bytes: what the blobs add up to, even if the node says something else.
  [[nodiscard]] std::uint64_t size() const noexcept { return starts_.back(); }
  [[nodiscard]] const std::vector<id>& blobs() const noexcept { return blobs_; }
  /// Where each blob begins, and at the end the size.
  [[nodiscard]] const std::vector<std::uint64_t>& starts() const noexcept { return starts_; }

  /// Fills `into` with what is at `offset`, as far as the file goes; returns how many bytes that was. Throws damaged or
  /// io.
  std::size_t read(std::uint64_t offset, byte_span into) {
    std::size_t filled = 0;
    while (filled < into.size() && offset < size()) {
      // The last blob that begins at or before the offset: the empty blobs before it are passed over.
      const auto number = static_cast<std::size_t>(std::ranges::upper_bound(starts_, offset) - starts_.begin()) - 1;
      const auto content = open(number);
      const auto skipped = static_cast<std::size_t>(offset - starts_[number]);
      const auto count = std::min(into.size() - filled, content->size() - skipped);
      std::memcpy(into.data() + filled, content->data() + skipped, count);
      filled += count;
      offset += count;
    }
    return filled;
  }

private:
  struct opened {
    std::size_t number;
    std::shared_ptr<const bytes> content;
  };

  [[nodiscard]] std::shared_ptr<const bytes> open(std::size_t number) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::ranges::find(recent_, number, &opened::number);
      if (found != recent_.end()) {
        recent_.splice(recent_.begin(), recent_, found);
        return recent_.front().content;
      }
    }
    auto content = std::make_shared<const bytes>(repo_->load_blob(blob_type::data, blobs_[number]));
    if (content->size() != starts_[number + 1] - starts_[number])
      throw error(error_code::damaged, "data blob " + blobs_[number].hex() + " has another length than the index says");
    const std::lock_guard lock(mutex_);
    recent_.push_front({number, content});
    if (recent_.size() > blobs_kept) recent_.pop_back();
    return content;
  }

  const std::shared_ptr<repository> repo_;
  std::vector<id> blobs_;
  std::vector<std::uint64_t> starts_;
  std::mutex mutex_;  // guards recent_
  std::list<opened> recent_;
};

}  // namespace recoup
