// Stores blobs once: names them, decides whether they are new, seals the new ones into packs, and indexes what is durable.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/chunker/rabin.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/blob_codec.hpp>
#include <recoup/repo/blob_index.hpp>
#include <recoup/repo/index_file.hpp>
#include <recoup/repo/pack_writer.hpp>
#include <recoup/storage/backend.hpp>

namespace recoup {

struct saved_blob {
  recoup::id id{};
  bool is_new = false;
  std::uint64_t stored_length = 0;  ///< bytes added to packs; 0 if the blob was known
};

/// Part of a repository. Members may be called from any thread unless they say otherwise.
class blob_saver {
public:
  /// Blobs that are saved at once, at most.
  static constexpr std::size_t most_at_once = 64;

  using save_index = std::function<void(const std::string& json)>;

  /// All but `on_index` must outlive this.
  blob_saver(backend& storage, const box_key& key, codec_pool& codecs, blob_index& index, std::size_t pack_size,
             save_index on_index)
      : storage_(storage), key_(key), codecs_(codecs), index_(index), pack_size_(pack_size),
        on_index_(std::move(on_index)) {}

  /// Names all blobs in one go, which takes half as long as one after the other, and stores those that are new.
  /// results[i] is for contents[i]. No more than most_at_once, at least one.
  void save(blob_type type, std::span<const byte_view> contents, std::span<saved_blob> results) {
    if (contents.size() == 1 && contents.front().size() < much_unhashed) {
      results.front() = save({type, sha256(contents.front())}, {contents.front()});
      return;
    }
    auto pack = writer().take(type, contents.front().size());
    name(contents, results, pack);
    auto codec = codecs_.take();
    for (std::size_t i = 0; i < contents.size(); ++i) {
      const blob_handle handle{type, results[i].id};
      results[i].is_new = claim(handle);
      results[i].stored_length = results[i].is_new ? store(handle, {contents[i]}, *codec, pack) : 0;
    }
    if (pack) pack.give_back();
  }

  /// One blob whose name is known, and which may come with a compressed form: see blob_codec::seal.
  saved_blob save(const blob_handle& handle, const opened_blob& blob) {
    if (!claim(handle)) return {handle.id, false, 0};
    auto pack = writer().take(handle.type, blob.content.size());
    hash_some(pack);
    auto codec = codecs_.take();
    const auto stored = store(handle, blob, *codec, pack);
    if (pack) pack.give_back();
    return {handle.id, true, stored};
  }

  /// True if a blob is stored already, or on its way to a pack since the last flush().
  [[nodiscard]] bool has(const blob_handle& handle) {
    const std::lock_guard lock(pending_mutex_);
    return pending_.contains(handle) || index_.contains(handle);
  }

  /// Waits until every blob saved so far is durable and indexed. If it throws, blobs saved since the last flush may
  /// have to be saved again; also after save() threw, this must be called before blobs count as stored. Not at the
  /// same time as save().
  void flush() {
    std::unique_ptr<pack_writer> finished;
    {
      const std::lock_guard lock(writer_mutex_);
      finished = std::move(writer_);
    }
    try {
      // Durable packs that an earlier, failed flush could not put into an index any more.
      if (!unindexed_.empty()) on_index_(encode_index(unindexed_));
      unindexed_.clear();
      if (finished) finished->finish();
    } catch (...) {
      if (finished) {
        auto durable = finished->abandon();
        unindexed_.insert(unindexed_.end(), std::make_move_iterator(durable.begin()),
                          std::make_move_iterator(durable.end()));
      }
      // The rest is lost with the writer. It must not pass for stored when this object is used again.
      const std::lock_guard lock(pending_mutex_);
      pending_.clear();
      throw;
    }
  }

private:
  /// From here on the pack's own hash does not wait for blobs of the same length to be hashed beside it.
  static constexpr std::size_t much_unhashed = std::size_t{256} << 10;

  /// Hashes the blobs, and beside them what the pack got before: several streams at once cost little more than one.
  static void name(std::span<const byte_view> contents, std::span<saved_blob> results, pack_writer::open_pack& pack) {
    std::array<sha256_job, most_at_once + 1> jobs;
    std::size_t total = 0, count = 0;
    for (std::size_t i = 0; i < contents.size(); ++i) {
      if (is_zero_chunk(contents[i])) {
        results[i].id = name_of_zero_chunk();
        continue;
      }
      jobs[count++] = {.data = contents[i], .name = &results[i].id};
      total += contents[i].size();
    }
    const auto of_pack = pack->hashing(pack->unhashed() >= much_unhashed ? SIZE_MAX : total);
    if (!of_pack.data.empty()) jobs[count++] = of_pack;
    sha256_update(std::span(jobs).first(count));
    pack.advance(of_pack.data.size());
  }

  /// What a sparse file consists of: zeros are cut as soon as a chunk may end. Comparing is ten times as fast as hashing.
  [[nodiscard]] static bool is_zero_chunk(byte_view content) noexcept {
    return content.size() == min_chunk && is_all_zero(content);
  }
  [[nodiscard]] static const id& name_of_zero_chunk() {
    static const id name = sha256(bytes(min_chunk, std::uint8_t{0}));
    return name;
  }

  static void hash_some(pack_writer::open_pack& pack) {
    if (pack->unhashed() < 4 * much_unhashed) return;
    const std::array jobs{pack->hashing(SIZE_MAX)};
    sha256_update(jobs);
    pack.advance(jobs[0].data.size());
  }

  [[nodiscard]] bool claim(const blob_handle& handle) {
    const std::lock_guard lock(pending_mutex_);
    return !index_.contains(handle) && pending_.insert(handle).second;
  }

  void give_up(const blob_handle& handle) {
    const std::lock_guard lock(pending_mutex_);
    pending_.erase(handle);
  }

  /// Seals a claimed blob into the pack, or another if this one was stored or should not hold it. Returns by how many bytes
  /// the repository grows: the blob's box, its entry in the header, and the header's frame if the pack is complete now.
  std::uint64_t store(const blob_handle& handle, const opened_blob& blob, blob_codec& codec,
                      pack_writer::open_pack& pack) {
    try {
      if (pack && blob.content.size() >= pack_size_ && !pack->empty()) pack.give_back();
      if (!pack) pack = writer().take(handle.type, blob.content.size());
      auto& tail = pack->tail();
      const auto start = tail.size();
      const auto uncompressed_length = codec.seal(handle, blob, tail);
      const auto length = static_cast<std::uint32_t>(tail.size() - start);
      pack->note(handle, length, uncompressed_length);
      std::uint64_t grown =
          length + (uncompressed_length != 0 ? pack_format::compressed_entry : pack_format::plain_entry);
      if (pack.is_full()) grown += pack.give_back();
      return grown;
    } catch (...) {
      if (pack) pack.give_back();
      give_up(handle);
      throw;
    }
  }

  [[nodiscard]] pack_writer& writer() {
    const std::lock_guard lock(writer_mutex_);
    if (!writer_) {
      const auto stored = [this](const indexed_pack& pack) {
        // Into the index first: a blob must never be in neither place.
        index_.add_pack(pack.pack, pack.blobs);
        const std::lock_guard pending_lock(pending_mutex_);
        for (const auto& blob : pack.blobs) pending_.erase(blob.handle);
      };
      writer_ = std::make_unique<pack_writer>(storage_, key_, pack_size_, stored, on_index_);
    }
    return *writer_;
  }

  backend& storage_;
  const box_key& key_;
  codec_pool& codecs_;
  blob_index& index_;
  const std::size_t pack_size_;
  const save_index on_index_;

  std::mutex pending_mutex_;
  std::unordered_set<blob_handle, blob_handle_hash> pending_;  // saved, but in no durable pack yet

  std::vector<indexed_pack> unindexed_;  // durable, and in index_, but in no index file; flush() writes one

  std::mutex writer_mutex_;
  std::unique_ptr<pack_writer> writer_;  // last: its threads use what is above
};

}  // namespace recoup
