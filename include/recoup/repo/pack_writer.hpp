// Collects sealed blobs into packs, stores full packs in the background, and writes the index of what is stored.
//
// The order that makes a crash harmless is kept here: a pack enters an index file only after the backend has said that
// the pack is durable, and a blob counts as known only then too (until that moment it is `pending`, which is enough
// not to store it twice). Index files are written when they hold 50,000 blobs or ten minutes' worth, so that an
// interrupted first backup of a terabyte does not start from nothing.
#pragma once

#include <algorithm>
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
#include <recoup/core/worker_group.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/index_file.hpp>
#include <recoup/repo/pack_builder.hpp>
#include <recoup/storage/backend.hpp>

namespace recoup {

/// Packs are lent: whoever has blobs to store takes an open pack of their type, appends, and gives it back. take() may be
/// called from any thread; it blocks while as many packs are in hand as may be.
class pack_writer {
public:
  /// Called from the storing threads once for each durable pack.
  using pack_stored = std::function<void(const indexed_pack&)>;
  /// Stores one index file's JSON; called from the storing threads and from finish().
  using save_index = std::function<void(std::string json)>;

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

  /// An open pack, for one thread; none once it was given back. Lost without that, it takes the blobs that were added to it
  /// with it; then nothing more can be stored.
  class open_pack {
  public:
    open_pack(pack_writer& writer, std::unique_ptr<pack_builder> pack, blob_type type)
        : writer_(&writer), pack_(std::move(pack)), type_(type) {}
    open_pack(open_pack&&) = default;
    open_pack& operator=(open_pack&& other) noexcept {
      std::swap(writer_, other.writer_);
      std::swap(pack_, other.pack_);
      std::swap(type_, other.type_);
      return *this;
    }
    ~open_pack() {
      if (pack_) lose(std::make_exception_ptr(error(error_code::failure, "a pack was lost")));
    }

    [[nodiscard]] pack_builder* operator->() const noexcept { return pack_.get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return pack_ != nullptr; }
    [[nodiscard]] bool is_full() const noexcept { return pack_->is_full(writer_->pack_size_); }

    /// See pack_builder::advance. If storage does not take it, the pack is lost.
    void advance(std::size_t count) {
      try {
        pack_->advance(count);
      } catch (...) {
        lose(std::current_exception());
        throw;
      }
    }

    /// For the next thread, or to be stored if it is full. Returns by how many bytes the repository grows then beside the
    /// blobs: the header's own frame, as restic counts it.
    std::size_t give_back() { return writer_->take_back(std::move(pack_), type_); }

  private:
    void lose(const std::exception_ptr& why) noexcept {
      pack_.reset();
      writer_->lose(type_, why);
    }

    pack_writer* writer_;
    std::unique_ptr<pack_builder> pack_;
    blob_type type_;
  };

  /// A pack for blobs of a type, the first of which has `length` bytes: as large as a pack, it gets one of its own. Throws
  /// what an earlier pack's storing threw.
  [[nodiscard]] open_pack take(blob_type type, std::size_t length = 0) {
    std::unique_lock lock(mutex_);
    add_threads();
    auto& kind = open_[static_cast<std::size_t>(type)];
    // Two packs of each type are open at least, and chance decides: who sees the packs' sizes must not learn from
    // consecutive chunk lengths which polynomial cuts them (restic #5291).
    constexpr std::size_t choices = 2;
    const auto is_alone = [&] { return length >= pack_size_; };
    const auto may_open = [&] { return kind.packs < std::max<std::size_t>(choices, processor_count()) + threads_.size(); };
    may_take_.wait(lock, [&] { return failure_ || is_alone() || may_open() || !kind.idle.empty(); });
    if (failure_) std::rethrow_exception(failure_);
    const bool few = kind.idle.size() + kind.lent < choices && may_open();
    const auto chosen = randombytes_uniform(static_cast<std::uint32_t>(few ? choices : std::max<std::size_t>(1, kind.idle.size())));
    if (!is_alone() && chosen < kind.idle.size()) {
      std::swap(kind.idle[chosen], kind.idle.back());
      auto pack = std::move(kind.idle.back());
      kind.idle.pop_back();
      ++kind.lent;
      return {*this, std::move(pack), type};
    }
    ++kind.packs;
    ++kind.lent;
    bytes memory;
    if (!spare_.empty()) {
      memory = std::move(spare_.back());
      spare_.pop_back();
    }
    lock.unlock();
    try {
      // With room for a last chunk that begins just below the size: growing would take the memory of two packs. Only
      // pages that are written to become real.
      memory.reserve(pack_size_ + max_chunk + (std::size_t{128} << 10));
      return {*this, std::make_unique<pack_builder>(storage_.begin(file_type::pack, std::move(memory))), type};
    } catch (...) {
      lose(type, std::current_exception());
      throw;
    }
  }

  /// Stores what is open, waits until all of it is durable, and writes the index. Throws what storing threw.
  void finish() {
    for (auto& kind : open_) finish_open(kind);
    {
      std::unique_lock lock(mutex_);
      may_take_.wait(lock, [this] { return failure_ || (waiting_.empty() && storing_ == 0); });
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
    must_store_.notify_all();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

  /// The packs of one type. All under mutex_.
  struct packs_of_type {
    std::vector<std::unique_ptr<pack_builder>> idle;
    std::size_t lent = 0;
    std::size_t packs = 0;  ///< idle, lent, waiting or being stored
  };

  std::size_t take_back(std::unique_ptr<pack_builder> pack, blob_type type) {
    const bool full = pack->is_full(pack_size_);
    const std::lock_guard lock(mutex_);
    auto& kind = open_[static_cast<std::size_t>(type)];
    --kind.lent;
    if (failure_) std::rethrow_exception(failure_);
    if (!full) {
      kind.idle.push_back(std::move(pack));
      may_take_.notify_all();  // those who wait may want packs of the other type
      return 0;
    }
    waiting_.push_back(std::move(pack));
    must_store_.notify_one();
    return pack_format::empty_box + pack_format::length_field;
  }

  void lose(blob_type type, const std::exception_ptr& why) noexcept {
    const std::lock_guard lock(mutex_);
    auto& kind = open_[static_cast<std::size_t>(type)];
    --kind.lent;
    --kind.packs;
    fail(why);
  }

  /// Under mutex_.
  void fail(const std::exception_ptr& why) noexcept {
    if (!failure_) failure_ = why;
    may_take_.notify_all();
    must_store_.notify_all();
  }

  /// Joins what fits into one pack, and stores all.
  void finish_open(packs_of_type& kind) {
    std::vector<std::unique_ptr<pack_builder>> left;
    {
      const std::lock_guard lock(mutex_);
      left = std::exchange(kind.idle, {});
    }
    std::ranges::sort(left, std::greater{}, [](const auto& pack) { return pack->size(); });
    std::vector<std::unique_ptr<pack_builder>> joined;
    for (auto& pack : left) {
      const auto room = std::ranges::find_if(joined, [&](const auto& other) {
        return other->size() + pack->size() <= pack_size_ &&
               other->blobs().size() + pack->blobs().size() <= pack_builder::max_blobs;
      });
      if (room == joined.end()) {
        joined.push_back(std::move(pack));
        continue;
      }
      (*room)->merge(*pack);
      const std::lock_guard lock(mutex_);
      --kind.packs;
    }
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    for (auto& pack : joined) {
      if (pack->empty())
        --kind.packs;
      else
        waiting_.push_back(std::move(pack));
    }
    must_store_.notify_all();
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
      must_store_.wait(lock, [this] { return closing_ || failure_ || !waiting_.empty(); });
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
      --open_[static_cast<std::size_t>(type)].packs;
      if (failure) fail(failure);
      if (spare_.empty()) spare_.push_back(pack->take_memory());
      may_take_.notify_all();
    }
  }

  void store(pack_builder& pack, box& sealer) {
    pack.finish(sealer);
    indexed_pack stored{pack.name(), {pack.blobs().begin(), pack.blobs().end()}};
    const bool trees = pack.blobs().front().handle.type == blob_type::tree;
    pack.save({file_type::pack, stored.pack, trees});
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
    const bool due = indexed_blobs_ >= most_blobs_per_index_file ||
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

  std::mutex mutex_;  // guards all down to `threads_`
  std::condition_variable may_take_;    // a pack came back or was stored; finish() waits for the last of these too
  std::condition_variable must_store_;  // a pack is full
  std::deque<std::unique_ptr<pack_builder>> waiting_;
  std::array<packs_of_type, 2> open_;  // [blob_type]
  std::vector<bytes> spare_;           // memory for the next pack
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
