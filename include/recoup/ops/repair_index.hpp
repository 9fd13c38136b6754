// Makes the index say what the packs hold.
//
//   index files that cannot be read                        -> are left out
//   packs that no index lists, or with another length      -> their headers are read
//   packs that are not there                               -> are left out
//   packs that are marked for deletion                     -> stay marked: if a snapshot needs them, `prune` keeps them
//   new index files, durable                               -> the old ones are removed
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <stop_token>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/ops/check/pack_check.hpp>
#include <recoup/ops/full_index_files.hpp>
#include <recoup/ops/rewrite_index.hpp>
#include <recoup/repo/pack_reader.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/working_threads.hpp>

namespace recoup {

struct repair_index_options {
  bool read_all_packs = false;  ///< believes no index file at all
  std::stop_token stop{};
};

/// Called from any thread, but only from one at a time.
class repair_index_observer {
public:
  repair_index_observer() = default;
  repair_index_observer(const repair_index_observer&) = delete;
  repair_index_observer& operator=(const repair_index_observer&) = delete;
  virtual ~repair_index_observer() = default;

  enum class phase { load, list_packs, read_packs, rewrite, remove };

  /// Each phase that there is begins with done = 0.
  virtual void on_progress(phase /*at*/, std::uint64_t /*done*/, std::uint64_t /*total*/) {}
  virtual void on_damaged_index(const id& /*index*/, const error& /*problem*/) {}
  virtual void on_added(const id& /*pack*/) {}
  virtual void on_wrong_size(const id& /*pack*/, std::uint64_t /*found*/, std::uint64_t /*expected*/) {}
  virtual void on_missing(const id& /*pack*/) {}
  /// Its header cannot be read, so nothing of it is in the index.
  virtual void on_unreadable(const id& /*pack*/, const error& /*problem*/) {}
  virtual void on_index_removed(const id& /*index*/) {}
};

struct repair_index_result {
  std::size_t damaged_indexes = 0, packs_read = 0, packs_missing = 0, packs_unreadable = 0;
  std::size_t indexes_replaced = 0;
};

/// For a repository whose index is not loaded. Whoever calls this holds an exclusive lock.
class index_repair {
public:
  index_repair(repository& repo, const repair_index_options& options, repair_index_observer& observer)
      : repo_(repo), options_(options), observer_(observer) {}

  [[nodiscard]] repair_index_result run() {
    load();
    list_packs();
    read_packs();
    rewrite();
    return result_;
  }

private:
  using phase = repair_index_observer::phase;

  void load() {
    std::unordered_set<id> files;
    for (const auto& file : repo_.list(file_type::index)) files.insert(file.name);
    if (options_.read_all_packs) {
      rewrite_.obsolete = std::move(files);
      rewrite_.only.emplace();
      return;
    }
    observer_.on_progress(phase::load, 0, files.size());
    index_load_observer loading;
    loading.on_progress = [this](std::size_t done, std::size_t total) {
      observer_.on_progress(phase::load, done, total);
    };
    loading.on_damaged = [this, &files](const id& file, const error& problem) {
      observer_.on_damaged_index(file, problem);
      rewrite_.obsolete.insert(file);
      files.erase(file);
      ++result_.damaged_indexes;
    };
    repo_.load_index(loading);
    rewrite_.only = std::move(files);
    repo_.index().for_each_pack([this](const id& pack, std::span<const packed_blob> blobs) {
      sizes_.emplace(pack, pack_size_of(blobs));
    });
    for (const auto& pack : repo_.index().packs()) sizes_.try_emplace(pack, 0);  // listed without blobs
    for (const auto& [pack, mark] : repo_.marked().all()) marks_missing_.insert(pack);
  }

  void list_packs() {
    observer_.on_progress(phase::list_packs, 0, 0);
    for (const auto& pack : repo_.list(file_type::pack)) {
      const auto known = sizes_.find(pack.name);
      if (marks_missing_.erase(pack.name) > 0 && known == sizes_.end()) continue;
      if (known != sizes_.end() && known->second == pack.size) {
        sizes_.erase(known);
        continue;
      }
      if (known == sizes_.end()) {
        observer_.on_added(pack.name);
      } else {
        observer_.on_wrong_size(pack.name, pack.size, known->second);
        sizes_.erase(known);
      }
      unread_.push_back(pack);
      rewrite_.without_packs.insert(pack.name);
    }
    rewrite_.without_marks = std::move(marks_missing_);
    for (const auto& [pack, size] : sizes_) {
      observer_.on_missing(pack);
      rewrite_.without_packs.insert(pack);
      ++result_.packs_missing;
    }
  }

  void read_packs() {
    if (unread_.empty()) return;
    observer_.on_progress(phase::read_packs, 0, unread_.size());
    std::mutex mutex;
    full_index_files files;
    std::size_t done = 0;
    const auto read = [&](const listed_file& pack) {
      std::vector<packed_blob> blobs;
      try {
        auto codec = repo_.codecs().take();
        blobs = read_pack_header(repo_.storage(), {file_type::pack, pack.name}, pack.size, codec->box());
      } catch (const error& problem) {
        if (problem.code() == error_code::interrupted) throw;
        const std::lock_guard lock(mutex);
        observer_.on_unreadable(pack.name, problem);
        ++result_.packs_unreadable;
      }
      index_contents full;
      {
        const std::lock_guard lock(mutex);
        observer_.on_progress(phase::read_packs, ++done, unread_.size());
        if (blobs.empty()) return;
        ++result_.packs_read;
        full = files.add(indexed_pack{pack.name, std::move(blobs)});
      }
      save_index_file(repo_, full);
    };
    parallel_for_each(working_threads(repo_.storage(), 16), unread_, read, options_.stop);
    save_index_file(repo_, files.take_rest());
  }

  void rewrite() {
    rewrite_.stop = options_.stop;
    observer_.on_progress(phase::rewrite, 0, rewrite_.only->size());
    index_rewrite_observer told;
    told.on_processed = [this](std::size_t done, std::size_t total) {
      observer_.on_progress(phase::rewrite, done, total);
    };
    told.removal.on_progress = [this](std::size_t done, std::size_t total) {
      observer_.on_progress(phase::remove, done, total);
    };
    told.removal.on_removed = [this](const id& index) { observer_.on_index_removed(index); };
    result_.indexes_replaced = rewrite_index(repo_, rewrite_, told);
  }

  repository& repo_;
  const repair_index_options& options_;
  repair_index_observer& observer_;
  repair_index_result result_;
  index_rewrite_options rewrite_;
  std::unordered_map<id, std::uint64_t> sizes_;  // of packs, as the index makes them
  std::unordered_set<id> marks_missing_;         // packs that are marked for deletion, until they are found
  std::vector<listed_file> unread_;              // packs whose headers are to be read
};

/// See index_repair. Afterwards the index is not loaded.
inline repair_index_result repair_index(repository& repo, const repair_index_options& options,
                                        repair_index_observer& observer) {
  return index_repair(repo, options, observer).run();
}

}  // namespace recoup
