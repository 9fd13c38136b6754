// Collects sealed blobs into packs, stores full packs in the background, and writes the index of what is stored.
//
// The order that makes a crash harmless is kept here: a pack enters an index file only after the backend has said that
// the pack is durable, and a blob counts as known only then too (until that moment it is `pending`, which is enough
// not to store it twice). Index files are written when they hold 50,000 blobs or ten minutes' worth, so that an
// interrupted first backup of a terabyte does not start from nothing.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <sodium.h>

#include <recoup/chunker/rabin.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/index_file.hpp>
#include <recoup/repo/pack_builder.hpp>
#include <recoup/storage/backend.hpp>

namespace recoup {

/// add() may be called from any thread; it blocks when it needs a new pack while as many full ones are in hand as the
/// backend has connections.
class pack_writer {
public:
  /// Called from the storing threads once for each durable pack.
  using pack_stored = std::function<void(const indexed_pack&)>;
  /// Stores one index file's JSON; called from the storing threads and from finish().
  using save_index = std::function<void(std::string json)>;

  static constexpr std::size_t blobs_per_index = 50'000;
  static constexpr std::chrono::minutes index_age{10};

  pack_writer(backend& storage, const box_key& key, std::size_t pack_size, pack_stored on_stored, save_index on_index)
      : storage_(storage), key_(key), pack_size_(pack_size), on_stored_(std::move(on_stored)),
        on_index_(std::move(on_index)) {}

  pack_writer(const pack_writer&) = delete;
  pack_writer& operator=(const pack_writer&) = delete;

  ~pack_writer() { stop(); }

  /// Gives up after an error: what is in no durable pack by now is dropped. Returns the packs that are durable but
  /// stand in no index file yet.
  [[nodiscard]] std::vector<indexed_pack> abandon() {
    stop();
    const std::lock_guard lock(index_mutex_);
    return std::exchange(indexed_, {});
  }

  /// Adds one sealed blob. Returns by how many bytes the repository grows: the blob's box, its entry in the header, and
  /// the header's own frame if this blob completes a pack, as restic counts it. Throws what an earlier pack's storing
  /// threw.
  std::size_t add(const blob_handle& handle, byte_view sealed, std::uint32_t uncompressed_length) {
    // Two packs of each type are open and chance decides: who sees the packs' sizes must not learn from consecutive
    // chunk lengths which polynomial cuts them (restic #5291).
    auto& slot = open_[static_cast<std::size_t>(handle.type)][randombytes_random() & 1];
    std::unique_ptr<pack_builder> full;
    {
      const std::lock_guard lock(slot.mutex);
      if (!slot.pack) slot.pack = fresh_builder(handle.type);
      if (sealed.size() >= pack_size_ && !slot.pack->empty()) {
        full = fresh_builder(handle.type);
        full->add(handle, sealed, uncompressed_length);
      } else {
        slot.pack->add(handle, sealed, uncompressed_length);
        if (slot.pack->is_full(pack_size_)) full = std::move(slot.pack);
      }
    }
    const auto grown =
        sealed.size() + (uncompressed_length != 0 ? pack_format::compressed_entry : pack_format::plain_entry);
    if (!full) return grown;
    enqueue(std::move(full));
    return grown + pack_format::empty_box + pack_format::length_field;
  }

  /// Stores what is open, waits until all of it is durable, and writes the index. Throws what storing threw.
  void finish() {
    for (auto& pair : open_) finish_open(pair);
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return failure_ || (waiting_.empty() && storing_ == 0); });
      if (failure_) std::rethrow_exception(failure_);
    }
    write_index(take_index(true));
  }

private:
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      waiting_.clear();
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

  struct open_pack {
    std::mutex mutex;
    std::unique_ptr<pack_builder> pack;
  };

  void finish_open(std::array<open_pack, 2>& pair) {
    const std::scoped_lock lock(pair[0].mutex, pair[1].mutex);
    auto first = std::move(pair[0].pack), second = std::move(pair[1].pack);
    if (first && second && first->size() + second->size() <= pack_size_ &&
        first->blobs().size() + second->blobs().size() <= pack_builder::max_blobs) {
      first->merge(*second);
      second.reset();
      const std::lock_guard counting(mutex_);
      --packs_[static_cast<std::size_t>(first->blobs().front().handle.type)];
    }
    if (first && !first->empty()) enqueue(std::move(first));
    if (second && !second->empty()) enqueue(std::move(second));
  }

  /// Waits while there are as many packs as may be: two open ones of each type, and one for each operation that is worth
  /// having in flight now. With packs of 16 MiB this is what bounds the memory. The caller may hold a slot's mutex: storing
  /// needs none.
  [[nodiscard]] std::unique_ptr<pack_builder> fresh_builder(blob_type type) {
    auto& count = packs_[static_cast<std::size_t>(type)];
    {
      std::unique_lock lock(mutex_);
      add_threads();
      changed_.wait(lock, [&] { return failure_ || count < open_[0].size() + threads_.size(); });
      if (failure_) std::rethrow_exception(failure_);
      ++count;
      if (!spare_.empty()) {
        auto builder = std::move(spare_.back());
        spare_.pop_back();
        return builder;
      }
    }
    auto builder = std::make_unique<pack_builder>();
    // With room for a last chunk that begins just below the size: growing would take the memory of two packs.
    builder->reserve(pack_size_ + max_chunk + (std::size_t{64} << 10));
    return builder;
  }

  void enqueue(std::unique_ptr<pack_builder> pack) {
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    waiting_.push_back(std::move(pack));
    changed_.notify_all();
  }

  /// One for each operation worth having in flight; there are more of them when storage has found that more are.
  void add_threads() {
    const auto count = std::max(1u, storage_.connections_now());
    while (threads_.size() < count) threads_.emplace_back([this] { store_packs(); });
  }

  void store_packs() {
    box sealer(key_);
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return closing_ || failure_ || !waiting_.empty(); });
      if (closing_ || failure_) return;
      auto pack = std::move(waiting_.front());
      waiting_.pop_front();
      ++storing_;
      const auto type = pack->blobs().front().handle.type;
      lock.unlock();
      std::exception_ptr failure;
      try {
        store(*pack, sealer);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      --storing_;
      --packs_[static_cast<std::size_t>(type)];
      if (failure && !failure_) failure_ = failure;
      pack->clear();
      if (spare_.empty()) spare_.push_back(std::move(pack));
      changed_.notify_all();
    }
  }

  void store(pack_builder& pack, box& sealer) {
    pack.finish(sealer);
    indexed_pack stored{sha256(pack.content()), {pack.blobs().begin(), pack.blobs().end()}};
    const bool trees = pack.blobs().front().handle.type == blob_type::tree;
    storage_.save({file_type::pack, stored.pack, trees}, pack.content());
    on_stored_(stored);
    {
      const std::lock_guard lock(index_mutex_);
      if (indexed_.empty()) index_since_ = std::chrono::steady_clock::now();
      indexed_blobs_ += stored.blobs.size();
      indexed_.push_back(std::move(stored));
    }
    write_index(take_index(false));
  }

  /// What the next index file should hold: nothing yet, unless it is full, old or `all` is asked for.
  [[nodiscard]] std::vector<indexed_pack> take_index(bool all) {
    const std::lock_guard lock(index_mutex_);
    const bool due = indexed_blobs_ >= blobs_per_index ||
                     (!indexed_.empty() && std::chrono::steady_clock::now() - index_since_ >= index_age);
    if (!all && !due) return {};
    indexed_blobs_ = 0;
    return std::exchange(indexed_, {});
  }

  void write_index(const std::vector<indexed_pack>& packs) {
    if (packs.empty()) return;
    try {
      on_index_(encode_index(packs));
    } catch (...) {
      const std::lock_guard lock(index_mutex_);
      indexed_.insert(indexed_.end(), packs.begin(), packs.end());
      throw;
    }
  }

  backend& storage_;
  const box_key& key_;
  const std::size_t pack_size_;
  const pack_stored on_stored_;
  const save_index on_index_;

  std::array<std::array<open_pack, 2>, 2> open_;  // [blob_type][either of two]

  std::mutex mutex_;  // guards all down to `threads_`
  std::condition_variable changed_;
  std::deque<std::unique_ptr<pack_builder>> waiting_;
  std::vector<std::unique_ptr<pack_builder>> spare_;
  std::array<std::size_t, 2> packs_{};  // [blob_type]: open, waiting or being stored
  std::size_t storing_ = 0;
  bool closing_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;

  std::mutex index_mutex_;
  std::vector<indexed_pack> indexed_;
  std::size_t indexed_blobs_ = 0;
  std::chrono::steady_clock::time_point index_since_;
};

}  // namespace recoup
