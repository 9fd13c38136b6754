// Saves what is left of damaged packs.
//
//   each pack: what the index says and what its header says is in it
//     each of these blobs that can be opened and has the right hash -> into a new pack
//   new packs durable -> indexed -> the index without the damaged packs -> these are removed
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stop_token>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/ops/remove_files.hpp>
#include <recoup/ops/rewrite_index.hpp>
#include <recoup/ops/store_again.hpp>
#include <recoup/repo/pack_reader.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

struct repair_packs_options {
  std::vector<id> packs;
  std::stop_token stop{};
};

/// Called from one thread at a time.
class repair_packs_observer {
public:
  repair_packs_observer() = default;
  repair_packs_observer(const repair_packs_observer&) = delete;
  repair_packs_observer& operator=(const repair_packs_observer&) = delete;
  virtual ~repair_packs_observer() = default;

  enum class phase { packs, rewrite, remove_indexes, remove_packs };

  virtual void on_progress(phase /*at*/, std::uint64_t /*done*/, std::uint64_t /*total*/) {}
  virtual void on_lost_blob(const id& /*pack*/, const blob_handle& /*blob*/, const error& /*problem*/) {}
  virtual void on_incomplete_index(const id& /*pack*/) {}
  virtual void on_nothing_found(const id& /*pack*/) {}
  virtual void on_not_removed(const id& /*pack*/, const error& /*problem*/) {}
};

struct repair_packs_result {
  std::uint64_t saved_blobs = 0, lost_blobs = 0;  ///< of those lost, other packs may hold copies
};

/// The index must be loaded, and is not any more afterwards. Whoever calls this holds an exclusive lock.
class pack_repair {
public:
  pack_repair(repository& repo, const repair_packs_options& options, repair_packs_observer& observer)
      : repo_(repo), options_(options), observer_(observer), saved_(repo) {}

  [[nodiscard]] repair_packs_result run() {
    std::size_t done = 0;
    observer_.on_progress(phase::packs, 0, options_.packs.size());
    for (const auto& pack : options_.packs) {
      throw_if_stopped(options_.stop);
      salvage(pack);
      observer_.on_progress(phase::packs, ++done, options_.packs.size());
    }
    saved_.flush();
    forget_packs();
    return result_;
  }

private:
  using phase = repair_packs_observer::phase;

  void salvage(const id& name) {
    auto indexed = repo_.index().blobs_in(name);
    if (const auto* const marked = repo_.index().marked(); indexed.empty() && marked != nullptr)
      indexed = marked->blobs_in(name);
    const stored_file pack{file_type::pack, name, !indexed.empty() && indexed.front().handle.type == blob_type::tree};
    bytes content;
    try {
      repo_.storage().load_all(pack, content);
    } catch (const error& problem) {
      if (problem.code() != error_code::not_found && problem.code() != error_code::damaged) throw;
      content.clear();
    }
    std::vector<packed_blob> listed;
    try {
      auto codec = repo_.codecs().take();
      listed = read_pack_header(pack, content, codec->box());
    } catch (const error&) {
      // Then what the index says is all there is to go by.
    }
    const auto is_before = [](const packed_blob& a, const packed_blob& b) { return key_of(a) < key_of(b); };
    const auto is_same = [](const packed_blob& a, const packed_blob& b) { return key_of(a) == key_of(b); };
    std::ranges::sort(indexed, is_before);
    std::ranges::sort(listed, is_before);
    if (indexed.empty() && listed.empty()) observer_.on_nothing_found(name);
    if (!listed.empty() && !std::ranges::equal(indexed, listed, is_same)) observer_.on_incomplete_index(name);
    indexed.insert(indexed.end(), listed.begin(), listed.end());
    std::ranges::sort(indexed, is_before);
    indexed.erase(std::unique(indexed.begin(), indexed.end(), is_same), indexed.end());
    for (const auto& blob : indexed) save(name, blob, content);
  }

  [[nodiscard]] static std::tuple<std::uint32_t, id, blob_type, std::uint32_t, std::uint32_t> key_of(
      const packed_blob& blob) {
    return {blob.offset, blob.handle.id, blob.handle.type, blob.length, blob.uncompressed_length};
  }

  void save(const id& pack, const packed_blob& blob, byte_view content) {
    try {
      if (std::uint64_t{blob.offset} + blob.length > content.size())
        throw error(error_code::damaged, "it lies beyond the pack's end");
      auto codec = repo_.codecs().take();
      codec->open(blob, content.subspan(blob.offset, blob.length), opened_);
    } catch (const error& problem) {
      return note_lost(pack, blob, problem);
    } catch (const std::bad_alloc&) {
      return note_lost(pack, blob, error(error_code::damaged, "it claims to have " +
                                                                  std::to_string(blob.plaintext_length()) + " bytes"));
    }
    result_.saved_blobs += saved_.save(blob.handle, {opened_}).is_new ? 1 : 0;
  }

  void note_lost(const id& pack, const packed_blob& blob, const error& problem) {
    ++result_.lost_blobs;
    observer_.on_lost_blob(pack, blob.handle, problem);
  }

  void forget_packs() {
    index_rewrite_options rewrite;
    rewrite.without_packs.insert(options_.packs.begin(), options_.packs.end());
    rewrite.without_marks = rewrite.without_packs;
    rewrite.stop = options_.stop;
    index_rewrite_observer told;
    told.on_processed = [this](std::size_t done, std::size_t total) {
      observer_.on_progress(phase::rewrite, done, total);
    };
    told.removal.on_progress = [this](std::size_t done, std::size_t total) {
      observer_.on_progress(phase::remove_indexes, done, total);
    };
    rewrite_index(repo_, rewrite, told);
    removal_observer removal;
    removal.on_progress = [this](std::size_t done, std::size_t total) {
      observer_.on_progress(phase::remove_packs, done, total);
    };
    removal.on_failed = [this](const id& pack, const error& problem) { observer_.on_not_removed(pack, problem); };
    observer_.on_progress(phase::remove_packs, 0, options_.packs.size());
    // What stays is removed by the next prune, as no index lists it.
    (void)remove_files(repo_, file_type::pack, options_.packs, removal, options_.stop);
  }

  repository& repo_;
  const repair_packs_options& options_;
  repair_packs_observer& observer_;
  repair_packs_result result_;
  bytes opened_;
  blobs_stored_again saved_;
};

/// See pack_repair.
inline repair_packs_result repair_packs(repository& repo, const repair_packs_options& options,
                                        repair_packs_observer& observer) {
  return pack_repair(repo, options, observer).run();
}

}  // namespace recoup
