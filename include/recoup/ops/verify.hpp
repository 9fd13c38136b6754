// Is everything there that a restore of a snapshot needs? Restores into nothing.
//
//   1. read all trees; mark the blobs that the files need; tell what is in no index                    snapshot_walk
//   2. read each of these blobs once, verify it, and throw it away                                      blob_reading
//   3. only if some are damaged: read the trees once more, and name the files that need them
//
// A sample needs one walk more, because how many files there are decides which are chosen (sample_choice.hpp). Memory
// is a bit for each blob of the index, 12 bytes for each that is read, and what is damaged; nothing for each file.
// How the snapshot compares with files as they are now is another question: verify/live.hpp.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/ops/entry_set.hpp>
#include <recoup/ops/verify/blob_reading.hpp>
#include <recoup/ops/verify/options.hpp>
#include <recoup/ops/verify/sample_choice.hpp>
#include <recoup/ops/verify/snapshot_walk.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/working_threads.hpp>

namespace recoup {

class snapshot_verification {
public:
  snapshot_verification(repository& repo, const verify_options& options, verify_observer& observer)
      : repo_(repo), options_(options), observer_(observer),
        // As a restore: see there.
        threads_(options.threads != 0 ? options.threads : working_threads(repo.storage(), 12)),
        needed_(repo.index().size()) {
    if (options.sample) sample_.emplace(*options.sample);
  }

  [[nodiscard]] verify_result run(const id& root) {
    auto& counted = observer_.counters;
    observer_.on_phase(verify_phase::trees);
    walk(root, step::plan);
    if (sample_) {
      sample_->settle();
      walk(root, step::choose);
    }
    observer_.on_phase(verify_phase::contents);
    damaged_ = blob_reading(repo_, threads_, counted).run(needed_, options_.stop);
    if (!damaged_.empty()) {
      observer_.on_phase(verify_phase::naming);
      walk(root, step::name);
    }
    return {counted.entries, counted.total_files, counted.files, counted.bytes, counted.blobs, counted.blob_bytes,
            counted.damaged};
  }

private:
  enum class step : std::uint8_t {
    plan,    ///< the first walk: tells what trees alone can tell
    choose,  ///< marks what a sample needs
    name,    ///< tells which files need what is damaged
  };

  /// What snapshot_walk asks for.
  struct visitor {
    struct scratch {};
    struct directory {};

    [[nodiscard]] directory begin(const std::string&) const { return {}; }
    void end(directory, bool, scratch) const {}
    [[nodiscard]] bool visit(directory, const std::string& path, const node& entry, scratch) const {
      return owner.visit(path, entry, at);
    }
    void refuse(const std::string& path, const node* entry, const error& problem) const {
      if (at == step::plan && (entry == nullptr || owner.choice_of(path, *entry).selected)) owner.refuse(path, problem);
    }

    snapshot_verification& owner;
    const step at;
  };

  void walk(const id& root, step at) {
    visitor asked{*this, at};
    snapshot_walk(repo_, threads_, asked, options_.stop).run(root);
  }

  void refuse(const std::string& path, const error& problem) {
    ++observer_.counters.damaged;
    observer_.on_damaged(path, problem);
  }

  [[nodiscard]] selection choice_of(const std::string& path, const node& entry) const {
    return options_.select ? options_.select(path, entry) : selection{};
  }

  [[nodiscard]] bool visit(const std::string& path, const node& entry, step at) {
    if (at == step::plan) ++observer_.counters.entries;
    const auto choice = choice_of(path, entry);
    if (entry.type == node_type::file && choice.selected) visit_file(path, entry, at);
    return choice.child_may_be_selected;
  }

  void visit_file(const std::string& path, const node& entry, step at) {
    if (at == step::plan) {
      ++observer_.counters.total_files;
      if (const auto problem = problem_of(entry)) refuse(path, *problem);
      if (sample_) return sample_->add(path);
    } else if (sample_ && !sample_->contains(path)) {
      return;
    }
    if (at == step::name) return name(path, entry);
    ++observer_.counters.files;
    observer_.counters.bytes += entry.size;
    for (const auto& blob : *entry.content)
      if (const auto place = repo_.index().find_numbered({blob_type::data, blob})) needed_.add(place->first);
  }

  /// What can be said without reading contents.
  [[nodiscard]] std::optional<error> problem_of(const node& entry) const {
    std::uint64_t size = 0, missing = 0;
    std::optional<id> first;
    for (const auto& blob : *entry.content) {
      const auto length = repo_.index().plaintext_length({blob_type::data, blob});
      if (!length) {
        if (missing++ == 0) first = blob;
      } else if (*length > std::numeric_limits<std::uint64_t>::max() - size) {
        return error(error_code::damaged, "its blobs are more than a file can hold");
      } else {
        size += *length;
      }
    }
    if (first)
      return error(error_code::damaged, "data blob " + first->hex() + " is in no index" + and_more(missing - 1));
    if (size != entry.size)
      return error(error_code::damaged, "the snapshot says " + std::to_string(entry.size) +
                                            " bytes, but its content has " + std::to_string(size));
    return std::nullopt;
  }

  /// A file of which the first walk said that it is damaged is not told again.
  void name(const std::string& path, const node& entry) {
    const error* first = nullptr;
    std::unordered_set<std::uint32_t> damaged;
    for (const auto& blob : *entry.content) {
      const auto place = repo_.index().find_numbered({blob_type::data, blob});
      if (!place) return;
      const auto found = damaged_.find(place->first);
      if (found == damaged_.end()) continue;
      if (damaged.insert(place->first).second && damaged.size() == 1) first = &found->second;
    }
    if (first == nullptr || problem_of(entry)) return;
    refuse(path, error(first->code(), first->what() + and_more(damaged.size() - 1)));
  }

  [[nodiscard]] static std::string and_more(std::uint64_t blobs) {
    return blobs == 0 ? "" : "; and " + std::to_string(blobs) + (blobs == 1 ? " more blob" : " more blobs") + " of it";
  }

  repository& repo_;
  const verify_options& options_;
  verify_observer& observer_;
  const unsigned threads_;
  entry_set needed_;
  std::optional<sample_choice> sample_;
  damaged_entries damaged_;
};

/// Verifies what is in the tree `root`. The index must be loaded. Damage goes to the observer and is counted; throws
/// interrupted.
[[nodiscard]] inline verify_result verify(repository& repo, const id& root, const verify_options& options,
                                          verify_observer& observer) {
  return snapshot_verification(repo, options, observer).run(root);
}

}  // namespace recoup
