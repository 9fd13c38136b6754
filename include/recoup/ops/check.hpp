// Is everything there, and is it what it was?
//
//   every key file readable? -> every snapshot readable? -> every index readable? -> every indexed pack there, and of
//   the right length? -> every tree readable, every blob it needs in the index? -> on request: packs read whole and
//   verified -> on request, if anything is damaged: which snapshots and files need it?
#pragma once

#include <algorithm>
#include <cstdint>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sodium.h>

#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/ops/check/affected_search.hpp>
#include <recoup/ops/check/lost_blobs.hpp>
#include <recoup/ops/check/options.hpp>
#include <recoup/ops/check/pack_check.hpp>
#include <recoup/ops/check/tree_check.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/keys.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/working_threads.hpp>

namespace recoup {

class repository_check {
public:
  repository_check(repository& repo, const check_options& options, check_observer& observer)
      : repo_(repo), options_(options), observer_(observer),
        threads_(options.threads != 0 ? options.threads : processor_count()) {}

  [[nodiscard]] check_result run() {
    // Nothing waits for the keys, and far away each question takes a round trip.
    auto keys = std::async(std::launch::async, [this] { return broken_keys(); });
    const auto snapshots = options_.snapshots ? *options_.snapshots : load_snapshots();
    for (const auto& problem : keys.get()) complain(problem);
    load_index();
    if (!result_.damaged_indexes.empty()) return std::move(result_);  // all that follows would be the same error again
    group_by_pack();
    const auto errors_before = result_.errors;
    check_packs();
    check_trees(snapshots);
    read_packs();
    if (options_.find_affected && result_.errors != errors_before) find_affected(snapshots);
    return std::move(result_);
  }

private:
  void complain(const std::string& text) {
    ++result_.errors;
    observer_.on_error(text);
  }

  /// The key that opened the repository is fine, but others may be what somebody relies on one day.
  [[nodiscard]] std::vector<std::string> broken_keys() {
    std::vector<std::string> problems;
    for (const auto& file : repo_.list(file_type::key)) {
      try {
        (void)load_key_file(repo_.storage(), file.name);
      } catch (const error& problem) {
        problems.push_back(std::string(problem.what()) + "; remove it with `key remove` and add a new one");
      }
    }
    return problems;
  }

  [[nodiscard]] std::vector<found_snapshot> load_snapshots() {
    std::vector<found_snapshot> snapshots;
    auto loaded = repo_.load_snapshots([this](const id& name, const error& problem) {
      result_.broken_snapshots.insert(name);
      complain("snapshot " + name.hex() + " cannot be read: " + problem.what());
    });
    for (auto& [name, value] : loaded) snapshots.push_back({name, std::move(value), {}});
    return snapshots;
  }

  void load_index() {
    std::unordered_map<id, std::size_t> listings;
    index_load_observer loading;
    loading.on_progress = [this](std::size_t done, std::size_t total) {
      observer_.on_progress(check_phase::index, done, total);
    };
    loading.on_damaged = [this](const id& name, const error& problem) {
      result_.damaged_indexes.insert(name);
      result_.suggest_repair_index = true;
      complain("index " + name.hex() + " cannot be read: " + problem.what());
    };
    loading.on_pack = [&](const id&, const indexed_pack& pack) { ++listings[pack.pack]; };
    repo_.load_index(loading);
    for (const auto& [pack, times] : listings) {
      if (times < 2) continue;
      observer_.on_hint("pack " + pack.hex() + " is listed in " + std::to_string(times) + " indexes");
      result_.suggest_repair_index = true;
    }
  }

  void group_by_pack() {
    repo_.index().for_each_pack([this](const id& pack, std::span<const packed_blob> blobs) {
      pack_sizes_.emplace(pack, pack_size_of(blobs));
      const auto type = blobs.front().handle.type;
      if (std::ranges::all_of(blobs, [&](const packed_blob& blob) { return blob.handle.type == type; })) return;
      observer_.on_hint("pack " + pack.hex() + " holds both trees and data");
      result_.suggest_prune = true;
    });
  }

  void check_packs() {
    std::unordered_map<id, std::uint64_t> stored;
    repo_.storage().list(file_type::pack, [&](const listed_file& file) { stored.emplace(file.name, file.size); });
    for (const auto& [pack, expected] : pack_sizes_) {
      const auto found = stored.find(pack);
      if (found == stored.end()) {
        result_.broken_packs.insert(pack);
        complain("pack " + pack.hex() + ": does not exist");
        lost_.add_all(repo_.index().blobs_in(pack), {pack, true});
        continue;
      }
      if (found->second != expected) {
        result_.broken_packs.insert(pack);
        unread_.insert(pack);
        complain("pack " + pack.hex() + ": unexpected file size: got " + std::to_string(found->second) + ", expected " +
                 std::to_string(expected));
      }
      stored.erase(found);
    }
    for (const auto& [pack, size] : stored) {
      if (const auto mark = repo_.marked().find(pack)) {
        ++result_.marked_packs;
        marked_sizes_.emplace(pack, size);
        observer_.on_hint("pack " + pack.hex() + ": marked for deletion" +
                          (mark->time ? " since " + to_rfc3339(*mark->time) : ""));
        continue;
      }
      ++result_.unreferenced_packs;
      observer_.on_hint("pack " + pack.hex() + ": not referenced in any index");
    }
    result_.suggest_prune = result_.suggest_prune || result_.unreferenced_packs > 0;
  }

  /// Snapshots of backups that were under way when a pack was marked may need it: until the next prune only we find that.
  void check_marked_packs() {
    for (const auto& [pack, mark] : repo_.marked().all()) {
      if (pack_sizes_.contains(pack) || !repo_.index().contains_pack(pack)) continue;
      const auto blobs = repo_.index().blobs_in(pack);
      if (blobs.empty()) continue;
      const auto expected = pack_size_of(blobs);
      ++result_.needed_marked_packs;
      result_.suggest_prune = true;
      observer_.on_hint("pack " + pack.hex() + ": marked for deletion, but needed; the next prune keeps it");
      if (const auto found = marked_sizes_.find(pack); found == marked_sizes_.end() || found->second != expected) {
        result_.broken_packs.insert(pack);
        complain("pack " + pack.hex() + ": marked for deletion, but needed; " +
                 (found == marked_sizes_.end() ? "it does not exist" : "its size is wrong"));
      } else {
        pack_sizes_.emplace(pack, expected);
      }
    }
  }

  void check_trees(const std::vector<found_snapshot>& snapshots) {
    std::mutex mutex;
    std::uint64_t done = 0;
    observer_.on_progress(check_phase::snapshots, 0, snapshots.size());
    tree_check trees(
        repo_, threads_, options_.snapshots.has_value(), [this](const std::string& text) { complain(text); },
        [&] {
          const std::lock_guard lock(mutex);
          observer_.on_progress(check_phase::snapshots, ++done, snapshots.size());
        });
    trees.run(snapshots, options_.stop);
    check_marked_packs();
    if (!options_.snapshots) return;
    repo_.index().for_each_pack([&](const id& pack, std::span<const packed_blob> blobs) {
      if (std::ranges::none_of(blobs, [&](const packed_blob& blob) { return trees.blobs().contains(blob.handle); }))
        pack_sizes_.erase(pack);
    });
  }

  void read_packs() {
    const auto chosen = choose_packs();
    if (chosen.empty()) return;
    std::uint64_t done = 0, bytes_done = 0, total = 0;
    for (const auto& pack : chosen) total += pack_sizes_.at(pack);
    observer_.on_bytes_read(0, total);
    observer_.on_progress(check_phase::data, 0, chosen.size());
    verify(chosen, [&](const id& pack, const pack_findings& found) {
      for (const auto& problem : found.problems) complain("pack " + pack.hex() + ": " + problem);
      if (!found.problems.empty()) result_.broken_packs.insert(pack);
      observer_.on_bytes_read(bytes_done += pack_sizes_.at(pack), total);
      observer_.on_progress(check_phase::data, ++done, chosen.size());
    });
  }

  /// Calls `take(const id& pack, const pack_findings&)` for each pack, from one thread at a time. Notes what is lost.
  template <class Take>
  void verify(const std::vector<id>& packs, const Take& take) {
    std::mutex mutex;
    const auto check = [&](const id& pack, pack_memory& memory) {
      const auto found = verify_pack(repo_, pack, repo_.index().blobs_in(pack), memory);
      const std::lock_guard lock(mutex);
      unread_.erase(pack);
      lost_.add_all(found.lost, {pack});
      take(pack, found);
    };
    // Storage far away wants more packs under way than there are processors; each takes the memory of a pack.
    const auto threads = options_.threads != 0 ? threads_ : working_threads(repo_.storage(), 5);
    parallel_for_each_with(threads, packs, [] { return pack_memory{}; }, check, options_.stop);
  }

  void find_affected(const std::vector<found_snapshot>& snapshots) {
    std::erase_if(unread_, [this](const id& pack) { return !pack_sizes_.contains(pack); });
    if (const std::vector<id> unread(unread_.begin(), unread_.end()); !unread.empty()) {
      std::uint64_t done = 0;
      observer_.on_progress(check_phase::damaged, 0, unread.size());
      verify(unread, [&](const id&, const pack_findings&) {
        observer_.on_progress(check_phase::damaged, ++done, unread.size());
      });
    }
    lost_.forget_where_another_copy_is_intact(repo_, threads_, options_.stop);
    observer_.on_progress(check_phase::affected, 0, 0);
    affected_search search(repo_, lost_, threads_, [this](std::uint64_t trees) {
      observer_.on_progress(check_phase::affected, trees, 0);
    });
    result_.affected = search.run(snapshots, options_.stop);
  }

  [[nodiscard]] std::vector<id> choose_packs() const {
    std::vector<id> all;
    for (const auto& [pack, size] : pack_sizes_) all.push_back(pack);
    if (std::holds_alternative<no_packs>(options_.read_data)) return {};
    if (const auto* part = std::get_if<pack_group>(&options_.read_data)) {
      std::erase_if(all, [&](const id& pack) { return pack.value[0] % part->groups != part->group - 1; });
    } else if (const auto* share = std::get_if<pack_percentage>(&options_.read_data)) {
      keep_random(all, share->percent / 100);
    } else if (const auto* amount = std::get_if<pack_bytes>(&options_.read_data)) {
      std::uint64_t total = 0;
      for (const auto& [pack, size] : pack_sizes_) total += size;
      keep_random(all, total == 0 ? 1 : std::min(1.0, static_cast<double>(amount->bytes) / static_cast<double>(total)));
    }
    return all;
  }

  static void keep_random(std::vector<id>& packs, double share) {
    if (packs.empty()) return;
    const auto wanted = static_cast<std::size_t>(static_cast<double>(packs.size()) * share);
    for (std::size_t i = packs.size() - 1; i > 0; --i)
      std::swap(packs[i], packs[randombytes_uniform(static_cast<std::uint32_t>(i + 1))]);
    packs.resize(std::clamp<std::size_t>(wanted, 1, packs.size()));
    std::ranges::sort(packs);
  }

  repository& repo_;
  const check_options& options_;
  check_observer& observer_;
  const unsigned threads_;
  std::unordered_map<id, std::uint64_t> marked_sizes_;  // of packs that are marked for deletion, as stored
  std::map<id, std::uint64_t> pack_sizes_;  // as the index makes them, of the packs to check
  std::set<id> unread_;                     // packs of the wrong length that were not read
  lost_blobs lost_;                         // by what is known so far
  check_result result_;
};

/// Checks the repository. Damage is reported and counted; throws only if the storage itself cannot be used.
[[nodiscard]] inline check_result check(repository& repo, const check_options& options, check_observer& observer) {
  return repository_check(repo, options, observer).run();
}

}  // namespace recoup
