// Repositories with something to prune, and what must hold afterwards.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <recoup/ops/prune.hpp>
#include <recoup/ops/used_blobs.hpp>
#include <recoup/storage/memory.hpp>

#include "test_repository.hpp"

namespace recoup {

[[nodiscard]] inline repository_options small_packs() {
  repository_options options;
  options.pack_size = std::size_t{1} << 20;
  return options;
}

[[nodiscard]] inline std::string noise(std::uint64_t seed, std::size_t size) {
  std::mt19937_64 random(seed);
  std::string text(size, '\0');
  for (auto& c : text) c = static_cast<char>(random());
  return text;
}

/// Files of `sizes` bytes below one directory, of which each snapshot has those in its list.
class history {
public:
  explicit history(std::shared_ptr<memory_backend> storage, unsigned version = 2)
      : repo_(make_repository(std::move(storage), version, small_packs())) {
    repo_->load_index();
  }

  /// A snapshot with the files of these numbers; the first of them is stored first.
  id add(const std::vector<int>& files, std::size_t size = 60'000) {
    std::vector<node> nodes;
    for (const int file : files)
      nodes.push_back(make_file(*repo_, "f" + std::to_string(file), {noise(static_cast<std::uint64_t>(file), size)}));
    std::vector<node> top{make_directory(*repo_, "d", std::move(nodes)),
                          make_directory(*repo_, "s", {make_file(*repo_, "text", {std::string(5000, 'a')})})};
    return save_snapshot(*repo_, save_tree(*repo_, std::move(top)), 1'700'000'000 + ++count_).id;
  }

  [[nodiscard]] repository& repo() { return *repo_; }

private:
  std::shared_ptr<repository> repo_;
  int count_ = 0;
};

[[nodiscard]] inline std::vector<int> numbers(int first, int end, int step = 1) {
  std::vector<int> result;
  for (int i = first; i < end; i += step) result.push_back(i);
  return result;
}

/// Everything in every snapshot, by the snapshot's id.
[[nodiscard]] inline std::map<std::string, std::map<std::string, std::string>> contents_of(
    std::shared_ptr<backend> storage) {
  const auto repo = open_repository(std::move(storage));
  std::map<std::string, std::map<std::string, std::string>> all;
  for (const auto& [name, value] : repo->load_snapshots()) all.emplace(name.hex(), all_of(*repo, value.tree));
  return all;
}

[[nodiscard]] inline prune_stats prune(const std::shared_ptr<backend>& storage, const prune_options& options = {},
                                       const repository_options& how = small_packs()) {
  const auto repo = repository::open(storage, test_password, how);
  prune_observer nobody;
  const auto plan = plan_prune(*repo, options, nobody);
  execute_prune(*repo, plan, options, nobody);
  return plan.stats;
}

/// Blobs that no snapshot needs or that lie twice, in bytes, and packs that no index lists.
struct leftovers {
  std::uint64_t unused = 0, used = 0;
  std::size_t unindexed = 0;
};

/// Counted without any of the code that prunes.
[[nodiscard]] inline leftovers leftovers_in(const std::shared_ptr<backend>& storage) {
  const auto repo = open_repository(storage);
  std::vector<id> roots;
  for (const auto& [name, value] : repo->load_snapshots()) roots.push_back(value.tree);
  auto needed = find_used_blobs(*repo, roots);
  leftovers found;
  repo->index().for_each([&](const blob_location& place) {
    (needed.erase(place.blob.handle) == 1 ? found.used : found.unused) += place.blob.length;
  });
  EXPECT_TRUE(needed.empty());
  for (const auto& file : repo->list(file_type::pack)) found.unindexed += repo->index().contains_pack(file.name) ? 0 : 1;
  return found;
}

}  // namespace recoup
