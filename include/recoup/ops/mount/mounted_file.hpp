// An open file of a mount. Who reads on from where the last reading ended gets the next blobs loaded ahead.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>
#include <recoup/ops/file_reader.hpp>
#include <recoup/ops/mount/blob_loader.hpp>

namespace recoup {

/// Any thread may read, several at once.
class mounted_file {
public:
  /// So much is read in order before anything is loaded ahead: whoever looks at the beginning of many files reads less.
  static constexpr std::uint64_t read_before_ahead = 256 << 10;
  /// The kernel reads ahead too, with several requests at once, which need not arrive in order.
  static constexpr std::uint64_t disorder = 1 << 20;
  static constexpr std::uint64_t most_ahead = 16 << 20;

  /// Throws not_found if a blob is in no index.
  mounted_file(std::shared_ptr<repository> repo, blob_loader& blobs, const std::string& name, std::vector<id> content)
      : blobs_(blobs), reader_(std::move(repo), name, std::move(content), [&blobs](const id& blob) { return blobs.get(blob); }) {}

  [[nodiscard]] std::uint64_t size() const noexcept { return reader_.size(); }

  /// See file_reader::visit.
  template <class Take>
  void visit(std::uint64_t offset, std::size_t length, Take&& take) {
    load_ahead(offset, length);
    reader_.visit(offset, length, take);
  }

private:
  void load_ahead(std::uint64_t offset, std::size_t length) {
    if (reader_.blobs().size() < 2 || offset >= size()) return;
    std::vector<id> wanted;
    {
      const std::lock_guard lock(mutex_);
      const auto end = std::min(offset + length, size());
      if (offset > expected_ + disorder || end + disorder < expected_) {
        in_order_ = 0;
        ahead_to_ = 0;
      }
      in_order_ += length;
      expected_ = in_order_ == length ? end : std::max(expected_, end);
      if (in_order_ < read_before_ahead) return;
      // As far ahead as has been read in order, within limits.
      const auto until = std::min(size(), expected_ + std::min(in_order_ * 2, most_ahead));
      auto number = std::max(reader_.number_at(offset) + 1, ahead_to_);
      for (; number < reader_.blobs().size() && reader_.starts()[number] < until; ++number)
        wanted.push_back(reader_.blobs()[number]);
      ahead_to_ = std::max(ahead_to_, number);
    }
    for (const auto& blob : wanted) blobs_.prefetch(blob);
  }

  blob_loader& blobs_;
  file_reader reader_;
  std::mutex mutex_;              // guards all below
  std::uint64_t expected_ = 0;    // where the next reading begins if it goes on in order
  std::uint64_t in_order_ = 0;    // bytes read in order so far
  std::size_t ahead_to_ = 0;      // the first blob that was not asked for yet
};

}  // namespace recoup
