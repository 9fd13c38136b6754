// What earlier, interrupted backups have read: made of a journal, asked for each file that would have to be read.
//
// A file costs 24 bytes and, if it has more than one blob, 4 for each: its path and all of its status that counts are
// one keyed hash, a blob is the number of its entry in the index. Two files with equal hashes of 128 bits under a key
// that nobody knows are not to be expected.
#pragma once

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>
#include <recoup/ops/backup/journal_entry.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/blob_index.hpp>

namespace recoup {

/// A keyed hash of 128 bits (SipHash-2-4): without the key nobody can make two inputs collide.
class journal_hasher {
public:
  static constexpr std::size_t key_size = crypto_shorthash_siphashx24_KEYBYTES;
  static_assert(sizeof(journal_hash) == crypto_shorthash_siphashx24_BYTES);

  explicit journal_hasher(byte_view key) { std::copy_n(key.begin(), key_size, key_.begin()); }

  [[nodiscard]] journal_hash operator()(byte_view content) const noexcept {
    journal_hash result;
    ::crypto_shorthash_siphashx24(result.data(), content.data(), content.size(), key_.data());
    return result;
  }

private:
  std::array<std::uint8_t, key_size> key_{};
};

/// Which parts of a file's status must be as they were.
struct status_rules {
  bool ctime = true, inode = true;
};

/// First one thread adds everything, then finish(), then any number of threads ask.
class noted_files {
public:
  /// The beginning of a file: this is not all of it.
  struct beginning {
    std::vector<id> blobs;
    std::uint64_t bytes = 0;
  };

  /// `index` must outlive this.
  noted_files(const blob_index& index, const journal_hasher& hasher, status_rules rules)
      : index_(index), hasher_(hasher), rules_(rules) {}

  /// Tells that there will be at most this many entries. Memory is taken only when it is used.
  void expect(std::size_t entries) { files_.reserve(entries); }

  /// What has a blob that is not in the index, or that `is_known` does not take, is left out.
  template <class Known>
  void add(const journal_entry& entry, const Known& is_known) {
    const auto begin = numbers_.size();
    std::uint32_t number = 0;
    for (const auto& blob : entry.blobs) {
      // A blob that is only in a pack marked for deletion can be found, but not relied upon: no snapshot keeps it.
      const blob_handle handle{blob_type::data, blob};
      const auto found = index_.contains(handle) && is_known(blob) ? index_.find_numbered(handle) : std::nullopt;
      if (!found) {
        numbers_.resize(begin);
        return;
      }
      number = found->first;
      numbers_.push_back(number);
    }
    const auto key = key_of(entry.path, entry.status);
    const auto count = static_cast<std::uint32_t>(entry.blobs.size());
    if (entry.first == 0 && entry.is_end) {
      if (count == 1) numbers_.pop_back();
      files_.push_back({key, count == 1 ? number : static_cast<std::uint32_t>(begin), count});
    } else {
      auto& parts = parts_[key];
      parts.size = entry.status.size;
      if (entry.is_end) parts.total = entry.first + count;
      if (count != 0) parts.groups.push_back({entry.first, static_cast<std::uint32_t>(begin), count});
    }
  }

  /// Puts the parts of large files together. Of several entries that say the same of a file one is kept.
  void finish() {
    for (auto& [key, parts] : parts_) join(key, parts);
    parts_ = {};
    std::ranges::sort(files_, {}, &file::key);
    files_.erase(std::unique(files_.begin(), files_.end(), [](const file& a, const file& b) { return a.key == b.key; }),
                 files_.end());
    files_.shrink_to_fit();
    numbers_.shrink_to_fit();
  }

  [[nodiscard]] std::size_t size() const noexcept { return files_.size(); }
  [[nodiscard]] bool empty() const noexcept { return files_.empty() && beginnings_.empty(); }
  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    return files_.capacity() * sizeof(file) + numbers_.capacity() * sizeof(std::uint32_t);
  }

  /// The blobs of a file that was read whole, and whose status was this.
  [[nodiscard]] std::optional<std::vector<id>> find(const journal_hash& path, const noted_status& status) const {
    if (files_.empty()) return std::nullopt;
    const auto key = key_of(path, status);
    const auto at = std::ranges::lower_bound(files_, key, {}, &file::key);
    if (at == files_.end() || at->key != key) return std::nullopt;
    if (at->count == 1) return std::vector{index_.at(at->begin).blob.handle.id};
    return ids(std::span(numbers_).subspan(at->begin, at->count));
  }

  /// What was stored of a file while it was read, if not all of it; nothing if nothing was.
  [[nodiscard]] beginning find_beginning(const journal_hash& path, const noted_status& status) const {
    if (beginnings_.empty()) return {};
    const auto at = beginnings_.find(key_of(path, status));
    return at != beginnings_.end() ? at->second : beginning{};
  }

private:
  struct file {
    journal_hash key;
    std::uint32_t begin;  ///< in numbers_; of a file of one blob, its number itself
    std::uint32_t count;
  };
  static_assert(sizeof(file) == 24);

  struct group {
    std::uint32_t first, begin, count;
  };
  struct parts_of_file {
    std::vector<group> groups;
    std::optional<std::uint32_t> total;
    std::uint64_t size = 0;
  };
  struct key_hash {  // it is a hash already
    [[nodiscard]] std::size_t operator()(const journal_hash& key) const noexcept {
      std::size_t first;
      std::memcpy(&first, key.data(), sizeof first);
      return first;
    }
  };

  [[nodiscard]] journal_hash key_of(const journal_hash& path, const noted_status& status) const noexcept {
    std::array<std::uint8_t, 56> all{};
    std::ranges::copy(path, all.begin());
    store_u64_le(&all[16], status.size);
    store_u64_le(&all[24], static_cast<std::uint64_t>(status.mtime_seconds));
    store_u32_le(&all[32], status.mtime_nanoseconds);
    if (rules_.ctime) {
      store_u64_le(&all[36], static_cast<std::uint64_t>(status.ctime_seconds));
      store_u32_le(&all[44], status.ctime_nanoseconds);
    }
    if (rules_.inode) store_u64_le(&all[48], status.inode);
    return hasher_(all);
  }

  [[nodiscard]] std::vector<id> ids(std::span<const std::uint32_t> numbers) const {
    std::vector<id> result;
    result.reserve(numbers.size());
    for (const auto number : numbers) result.push_back(index_.at(number).blob.handle.id);
    return result;
  }

  void join(const journal_hash& key, parts_of_file& parts) {
    std::ranges::sort(parts.groups, {}, &group::first);
    std::vector<std::uint32_t> numbers;
    for (const auto& each : parts.groups) {
      if (each.first > numbers.size()) break;
      const auto known = static_cast<std::uint32_t>(numbers.size()) - each.first;
      for (auto i = known; i < each.count; ++i) numbers.push_back(numbers_[each.begin + i]);
    }
    std::uint64_t length = 0;
    for (const auto number : numbers) length += index_.at(number).blob.plaintext_length();
    if (parts.total && numbers.size() == *parts.total && length == parts.size) {
      const auto begin = static_cast<std::uint32_t>(numbers_.size());
      const auto count = static_cast<std::uint32_t>(numbers.size());
      if (count != 1) numbers_.insert(numbers_.end(), numbers.begin(), numbers.end());
      files_.push_back({key, count == 1 ? numbers.front() : begin, count});
    } else if (!numbers.empty() && length <= parts.size) {
      beginnings_.emplace(key, beginning{ids(numbers), length});
    }
  }

  const blob_index& index_;
  const journal_hasher hasher_;
  const status_rules rules_;
  std::vector<file> files_;  ///< ordered by key once finished
  std::vector<std::uint32_t> numbers_;
  std::unordered_map<journal_hash, parts_of_file, key_hash> parts_;   ///< while adding
  std::unordered_map<journal_hash, beginning, key_hash> beginnings_;  ///< of the few that were being read
};

}  // namespace recoup
