// Reading a file in a snapshot from any place, as one reads a file on disk.
//
//   recoup::file_reader reader(*repo, node);
//   reader.read(reader.size() - 100, buffer);
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
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

/// Where a reader gets its data blobs from, if not from the repository itself: a cache that several files share, say.
using blob_source = std::function<std::shared_ptr<const bytes>(const id&)>;

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
    find_starts(file.name);
  }

  /// The same for a file of which only name and blobs are known. Blobs come from `source`, and the reader keeps none.
  file_reader(std::shared_ptr<repository> repo, const std::string& name, std::vector<id> blobs, blob_source source)
      : repo_(std::move(repo)), source_(std::move(source)), blobs_(std::move(blobs)) {
    find_starts(name);
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
    visit(offset, into.size(), [&](const std::shared_ptr<const bytes>&, byte_view part) {
      std::memcpy(into.data() + filled, part.data(), part.size());
      filled += part.size();
    });
    return filled;
  }

  /// Calls `take(blob, part)` for the parts of blobs that are at `offset`, `length` bytes or as far as the file goes. A part
  /// lives as long as its blob, a std::shared_ptr<const bytes>. Throws damaged or io.
  template <class Take>
  void visit(std::uint64_t offset, std::size_t length, Take&& take) {
    while (length != 0 && offset < size()) {
      const auto number = number_at(offset);
      const auto content = open(number);
      const auto part = byte_view(*content).subspan(static_cast<std::size_t>(offset - starts_[number]));
      const auto count = std::min(length, part.size());
      take(content, part.first(count));
      length -= count;
      offset += count;
    }
  }

  /// Which blob holds the byte at `offset`, which must be less than the size. Empty blobs are passed over.
  [[nodiscard]] std::size_t number_at(std::uint64_t offset) const noexcept {
    return static_cast<std::size_t>(std::ranges::upper_bound(starts_, offset) - starts_.begin()) - 1;
  }

private:
  void find_starts(const std::string& name) {
    starts_.reserve(blobs_.size() + 1);
    std::uint64_t at = 0;
    for (const auto& blob : blobs_) {
      starts_.push_back(at);
      const auto length = repo_->index().plaintext_length({blob_type::data, blob});
      if (!length)
        throw error(error_code::not_found, "\"" + name + "\": data blob " + blob.hex() + " is in no index; run `check`");
      at += *length;
    }
    starts_.push_back(at);
  }

  struct opened {
    std::size_t number;
    std::shared_ptr<const bytes> content;
  };

  [[nodiscard]] std::shared_ptr<const bytes> open(std::size_t number) {
    if (source_) return with_expected_length(number, source_(blobs_[number]));
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::ranges::find(recent_, number, &opened::number);
      if (found != recent_.end()) {
        recent_.splice(recent_.begin(), recent_, found);
        return recent_.front().content;
      }
    }
    auto content = with_expected_length(
        number, std::make_shared<const bytes>(repo_->load_blob(blob_type::data, blobs_[number])));
    const std::lock_guard lock(mutex_);
    recent_.push_front({number, content});
    if (recent_.size() > blobs_kept) recent_.pop_back();
    return content;
  }

  [[nodiscard]] std::shared_ptr<const bytes> with_expected_length(std::size_t number,
                                                                  std::shared_ptr<const bytes> content) const {
    if (content->size() != starts_[number + 1] - starts_[number])
      throw error(error_code::damaged, "data blob " + blobs_[number].hex() + " has another length than the index says");
    return content;
  }

  const std::shared_ptr<repository> repo_;
  const blob_source source_;
  std::vector<id> blobs_;
  std::vector<std::uint64_t> starts_;
  std::mutex mutex_;  // guards recent_
  std::list<opened> recent_;
};

}  // namespace recoup
