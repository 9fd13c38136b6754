// Copying snapshots from one repository to another.
//
//   recoup::copy_options options;
//   options.snapshots = {"latest"};
//   recoup::copy_observer nobody;
//   auto result = recoup::copy(*source, *destination, options, nobody);
//
//   list the snapshots of both -> read the index of both -> for each snapshot that the destination does not have:
//     trees: read each once, store its bytes, note what its files need            copy/tree_copier.hpp
//     contents: pack by pack, what is not in the destination                      copy/data_copier.hpp
//   after some snapshots: packs durable -> index -> these snapshots
//
// Blobs are copied as they are, never cut anew, so files that were backed up into both repositories are stored twice
// there unless both have the same chunker polynomial. A snapshot appears only when all that it needs is durable. If the
// process dies, the destination is as it was, plus packs that the next copy finds and uses.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/ops/copy/context.hpp>
#include <recoup/ops/copy/data_copier.hpp>
#include <recoup/ops/copy/options.hpp>
#include <recoup/ops/copy/snapshot_copies.hpp>
#include <recoup/ops/copy/tree_copier.hpp>
#include <recoup/ops/save_and_flush.hpp>
#include <recoup/ops/snapshot_groups.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/unindexed_packs.hpp>

namespace recoup {

class repository_copy {
public:
  repository_copy(repository& source, repository& destination, const copy_options& options, copy_observer& observer)
      : source_(source), destination_(destination), options_(options), observer_(observer) {}

  [[nodiscard]] copy_result run() {
    if (is_same_repository(source_, destination_))
      throw error(error_code::invalid_argument, "source and destination are the same repository, " +
                                                    destination_.storage().location() +
                                                    ": name two different ones to copy from and to");
    // Snapshots before the index: what a snapshot needs is indexed before it appears.
    const auto selected = select();
    if (std::ranges::all_of(selected, &selected_snapshot::is_there)) {
      for (const auto& each : selected) skip(each);
      return std::move(result_);
    }
    load_index(source_, copy_phase::source_index);
    load_index(destination_, copy_phase::destination_index);
    if (options_.adopt_unindexed_packs) (void)adopt_unindexed_packs(destination_, options_.stop);
    context_.emplace(source_, destination_, options_, observer_);
    for (auto next = selected.begin(); next != selected.end();) save_snapshots(copy_batch(next, selected.end()));
    result_.blobs = context_->blobs;
    result_.bytes_stored = context_->bytes_stored;
    return std::move(result_);
  }

private:
  struct selected_snapshot : found_snapshot {
    std::optional<recoup::id> copy;  ///< that the destination has

    [[nodiscard]] bool is_there() const noexcept { return copy.has_value(); }
  };
  using snapshots = std::vector<selected_snapshot>;

  void fail(const id& name, const error& problem) {
    ++result_.errors;
    observer_.on_error(name, problem);
  }

  [[nodiscard]] std::vector<found_snapshot> find_wanted() {
    if (!options_.snapshots.empty()) return find_snapshots(source_, options_.snapshots, options_.filter);
    std::vector<found_snapshot> wanted;
    auto all = source_.load_snapshots([this](const id& name, const error& problem) { fail(name, problem); });
    for (auto& [name, value] : all)
      if (options_.filter.matches(value)) wanted.push_back({name, std::move(value), {}});
    return wanted;
  }

  [[nodiscard]] snapshots select() {
    auto wanted = find_wanted();
    const snapshot_copies copies(destination_.load_snapshots([this](const id& name, const error& problem) {
      // Should it be a copy of one that is wanted, then that is copied once more, and nothing is lost.
      destination_.warn("snapshot " + name.hex() + " of the destination is passed over: " + problem.what());
    }));
    snapshots selected;
    for (auto& each : wanted) {
      auto copy = copies.find(each.id, each.snapshot);
      selected.push_back({std::move(each), copy});
    }
    return selected;
  }

  void skip(const selected_snapshot& each) {
    observer_.on_skipped(each, *each.copy);
    result_.skipped.push_back({each.id, *each.copy});
  }

  void load_index(repository& repo, copy_phase phase) {
    index_load_observer loading;
    loading.on_progress = [&](std::size_t done, std::size_t total) {
      throw_if_stopped(options_.stop);
      observer_.on_progress(phase, done, total);
    };
    repo.load_index(loading);
  }

  /// Copies the blobs of some snapshots from `next` on, until there is enough for a batch, and makes them durable.
  [[nodiscard]] std::vector<const found_snapshot*> copy_batch(snapshots::const_iterator& next,
                                                              snapshots::const_iterator end) {
    constexpr std::uint64_t packs_per_batch = 100;
    const auto enough =
        options_.batch_bytes != 0 ? options_.batch_bytes : packs_per_batch * destination_.options().pack_size;
    const auto began = std::chrono::steady_clock::now();
    return save_and_flush(destination_, [&] {
      std::vector<const found_snapshot*> batch;
      std::uint64_t copied = 0;
      while (next != end && (copied < enough || std::chrono::steady_clock::now() - began < options_.batch_time)) {
        const auto& snapshot = *next++;
        if (snapshot.is_there())
          skip(snapshot);
        else if (copy_blobs(snapshot, copied))
          batch.push_back(&snapshot);
      }
      return batch;
    });
  }

  /// False if the source does not have all that the snapshot needs; then it is reported, and the others go on.
  [[nodiscard]] bool copy_blobs(const found_snapshot& from, std::uint64_t& copied) {
    throw_if_stopped(options_.stop);
    observer_.on_started(from);
    try {
      tree_copier trees(*context_);
      trees.run(from.snapshot.tree);
      const auto& plan = trees.plan();
      observer_.on_planned(from, plan);
      data_copier(*context_, trees.wanted(), static_cast<std::size_t>(plan.packs)).run();
      copied += plan.bytes;
    } catch (const copy_source_error& problem) {
      fail(from.id, problem);
      // Others that need the same must not take it for copied.
      context_->seen.clear();
      // If it is the storage that is gone, rather than one file, then going on would fail for each of them.
      if (problem.code() == error_code::io) (void)source_.storage().size({file_type::config});
      return false;
    }
    observer_.on_complete(from);
    return true;
  }

  void save_snapshots(const std::vector<const found_snapshot*>& batch) {
    if (batch.empty()) return;
    observer_.on_batch(batch.size());
    for (const auto* each : batch) {
      throw_if_stopped(options_.stop);
      const auto copy = destination_.save_snapshot(make_copy(each->id, each->snapshot));
      result_.copied.push_back({each->id, copy});
      observer_.on_saved(*each, copy);
    }
  }

  repository& source_;
  repository& destination_;
  const copy_options& options_;
  copy_observer& observer_;
  std::optional<copy_context> context_;
  copy_result result_;
};

/// Copies snapshots that the destination does not have. Loads both indexes if nobody has. A snapshot of which something
/// cannot be read is reported and counted, and the others go on. Throws if either repository cannot be used, if both
/// are the same, if a snapshot that was asked for does not exist, or if interrupted. Callers hold a lock on each.
[[nodiscard]] inline copy_result copy(repository& source, repository& destination, const copy_options& options,
                                      copy_observer& observer) {
  return repository_copy(source, destination, options, observer).run();
}

}  // namespace recoup
