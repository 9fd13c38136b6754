// Rewriting index files: some packs must not be listed any more.
//
//   each index file, on all threads: load it
//     lists such a pack, or one that another file listed with the same blobs, or is not full?
//       -> the rest of its packs goes into new files, each written once it is full
//     else it stays
//   all new files are durable -> the old ones are removed
//
// Killed in between, a pack stands in two files, which is harmless. Packs that are marked for deletion stay so, unless
// it is asked for the contrary; a file that lists nothing else is left alone then.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/release_free_memory.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/ops/full_index_files.hpp>
#include <recoup/ops/remove_files.hpp>
#include <recoup/repo/index_file.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

struct index_rewrite_options {
  std::unordered_set<id> without_packs;
  std::unordered_set<id> without_marks;  ///< packs that shall be marked for deletion no more
  std::vector<indexed_pack> added;       ///< packs that new files shall list too
  /// Index files that are removed whatever they hold, such as damaged ones: they are not read.
  std::unordered_set<id> obsolete;
  /// Only these files are touched; nothing: all.
  std::optional<std::unordered_set<id>> only;
  std::stop_token stop{};
};

/// Called from any thread, but only from one at a time.
struct index_rewrite_observer {
  std::function<void(std::size_t done, std::size_t total)> on_processed;  ///< index files read
  std::function<void()> on_stored;                                        ///< new files are there, and old ones still
  removal_observer removal;                                               ///< of the old files
};

/// The index in memory is dropped: it will not be right any more, and its memory is needed.
class index_rewrite {
public:
  index_rewrite(repository& repo, const index_rewrite_options& options, const index_rewrite_observer& observer)
      : repo_(repo), options_(options), observer_(observer) {}

  /// Returns the number of files that were replaced. Throws what reading or storing threw, with all old files in place;
  /// throws failure if old files could not be removed.
  std::size_t run() {
    repo_.drop_index();
    release_free_memory();
    std::vector<id> files;
    for (const auto& file : repo_.list(file_type::index))
      if (!options_.obsolete.contains(file.name) && (!options_.only || options_.only->contains(file.name)))
        files.push_back(file.name);
    obsolete_.assign(options_.obsolete.begin(), options_.obsolete.end());
    has_changed_ = !obsolete_.empty() || !options_.added.empty();
    total_ = files.size();
    for (const auto& pack : options_.added) write(new_files_.add(pack));
    parallel_for_each(processor_count(), files, [this](const id& file) { process(file); }, options_.stop);
    // One file that only is not full would be written again as it was.
    if (!has_changed_ && obsolete_.size() == 1) return 0;
    write(new_files_.take_rest());
    if (observer_.on_stored) observer_.on_stored();
    remove_old();
    return obsolete_.size();
  }

private:
  void remove_old() {
    auto told = observer_.removal;
    std::string why;
    told.on_failed = [&](const id& file, const error& problem) {
      why = problem.what();
      if (observer_.removal.on_failed) observer_.removal.on_failed(file, problem);
    };
    const auto left = remove_files(repo_, file_type::index, obsolete_, told, options_.stop);
    if (left.empty()) return;
    throw error(error_code::failure, std::to_string(left.size()) + " old index files could not be removed, among them " +
                                         left.front().hex() + ": " + why +
                                         "\nWhat they list is in new ones already: remove the cause and run this again");
  }

  struct file_content {
    index_contents listed;
    std::vector<id> listings;  ///< names of what the file says of each pack that counts
    std::size_t blobs = 0;     ///< in these
  };

  void process(const id& file) {
    for (const auto& full : take_over(file, load(file))) write(full);
    const std::lock_guard lock(mutex_);
    if (observer_.on_processed) observer_.on_processed(++done_, total_);
  }

  [[nodiscard]] file_content load(const id& file) {
    file_content content;
    try {
      decode_index(
          repo_.load_unpacked(file_type::index, file),
          [&](const indexed_pack& pack) {
            content.listed.packs.push_back(pack);
            content.listings.push_back(name_of_listing(pack));
            content.blobs += pack.blobs.size();
          },
          [&](const marked_pack& pack) { content.listed.marked.push_back(pack); });
    } catch (const error& problem) {
      throw error(problem.code(), "index " + file.hex() + " cannot be read: " + problem.what() +
                                      "; run `recoup repair index` first");
    }
    return content;
  }

  /// Decides about a file. Returns what is to be written now.
  [[nodiscard]] std::vector<index_contents> take_over(const id& file, file_content content) {
    const std::lock_guard lock(mutex_);
    auto& [packs, marked] = content.listed;
    index_contents rest;
    for (std::size_t i = 0; i < packs.size(); ++i)
      if (!options_.without_packs.contains(packs[i].pack) && listings_.insert(content.listings[i]).second)
        rest.packs.push_back(std::move(packs[i]));
    for (auto& pack : marked)
      if (!options_.without_marks.contains(pack.listing.pack)) rest.marked.push_back(std::move(pack));
    const bool has_changed = rest.packs.size() != packs.size() || rest.marked.size() != marked.size();
    const bool has_good_size =
        content.blobs >= most_blobs_per_index_file && content.blobs < 3 * most_blobs_per_index_file;
    const bool has_only_marks = packs.empty() && !marked.empty();
    if (!has_changed && (has_good_size || has_only_marks)) return {};
    has_changed_ = has_changed_ || has_changed;
    obsolete_.push_back(file);
    std::vector<index_contents> full;
    const auto add = [&](auto& pack) {
      auto file_to_write = new_files_.add(std::move(pack));
      if (file_to_write.empty()) return;
      full.push_back(std::move(file_to_write));
      has_changed_ = true;
    };
    for (auto& pack : rest.packs) add(pack);
    for (auto& pack : rest.marked) add(pack);
    return full;
  }

  /// Old versions of restic divided a pack among several files: these are different listings of it.
  [[nodiscard]] static id name_of_listing(const indexed_pack& pack) {
    bytes text(pack.pack.value.begin(), pack.pack.value.end());
    for (const auto& blob : pack.blobs) {
      text.insert(text.end(), blob.handle.id.value.begin(), blob.handle.id.value.end());
      for (const std::uint32_t number : {blob.offset, blob.length, blob.uncompressed_length,
                                         static_cast<std::uint32_t>(blob.handle.type)}) {
        const auto at = text.size();
        text.resize(at + sizeof number);
        store_u32_le(text.data() + at, number);
      }
    }
    return sha256(text);
  }

  void write(const index_contents& contents) {
    throw_if_stopped(options_.stop);
    save_index_file(repo_, contents);
  }

  repository& repo_;
  const index_rewrite_options& options_;
  const index_rewrite_observer& observer_;
  std::mutex mutex_;  // guards what follows
  std::unordered_set<id> listings_;
  full_index_files new_files_;
  std::size_t done_ = 0, total_ = 0;
  bool has_changed_ = false;
  std::vector<id> obsolete_;
};

/// See index_rewrite. Whoever calls it holds an exclusive lock, or is a two-phase prune and names the files.
inline std::size_t rewrite_index(repository& repo, const index_rewrite_options& options,
                                 const index_rewrite_observer& observer = {}) {
  return index_rewrite(repo, options, observer).run();
}

}  // namespace recoup
