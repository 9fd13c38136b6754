// The index in memory while several threads add to it and read it.
#include <recoup/repo/blob_index.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "blob_index_fixture.hpp"

namespace recoup {
namespace {

TEST(blob_index_threads, readers_while_packs_are_added) {
  blob_index index;
  std::atomic<std::uint64_t> added{0};
  std::thread writer([&] {
    for (std::uint64_t pack = 0; pack < 3000; ++pack) {
      const std::vector blobs{blob_of(pack), blob_of(pack, blob_type::tree, 5000)};
      index.add_pack(pack_of_number(pack), blobs);
      added = pack + 1;
    }
  });
  std::vector<std::thread> readers;
  for (unsigned seed = 0; seed < 3; ++seed)
    readers.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (auto seen = added.load(); seen < 3000; seen = added.load()) {
        if (seen == 0) continue;
        const auto number = random() % seen;
        EXPECT_TRUE(index.contains({blob_type::tree, name_of_number(number)}));
        EXPECT_EQ(index.find({blob_type::data, name_of_number(number)})->pack, pack_of_number(number));
      }
    });
  writer.join();
  for (auto& reader : readers) reader.join();
}

/// Packs that are marked for deletion join the index when somebody looks for what they hold: all at the same time here.
TEST(blob_index_threads, marked_packs_join) {
  constexpr std::uint64_t packs = 400, per_pack = 20;
  blob_index index;
  std::vector<indexed_pack> marked;
  for (std::uint64_t pack = 0; pack < packs; ++pack) {
    marked.push_back({pack_of_number(pack), {}});
    for (std::uint64_t i = 0; i < per_pack; ++i)
      marked.back().blobs.push_back(
          blob_of(pack * per_pack + i, blob_type::data, static_cast<std::uint32_t>(i) * 1100));
  }
  index.add_marked(marked);
  EXPECT_EQ(index.size(), 0u);
  EXPECT_EQ(index.most_entries(), packs * per_pack);
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed)
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 3000; ++i) {
        const auto number = random() % (packs * per_pack);
        const auto found = index.find_numbered({blob_type::data, name_of_number(number)});
        ASSERT_TRUE(found);
        EXPECT_LT(found->first, packs * per_pack);
        EXPECT_EQ(found->second.pack, pack_of_number(number / per_pack));
        EXPECT_FALSE(index.find({blob_type::data, name_of_number(packs * per_pack + i)}));
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(index.size() % per_pack, 0u) << "a pack joins as a whole, and once";
  EXPECT_LE(index.size(), packs * per_pack);
}

/// Each pack comes from two threads, as from two index files, and in batches; others read all the while.
TEST(blob_index_threads, several_add_the_same) {
  constexpr std::uint64_t packs = 1200, per_pack = 40;
  blob_index index;
  std::atomic<unsigned> adding{4};
  const auto pack_of = [](std::uint64_t pack) {
    indexed_pack made{pack_of_number(pack), {}};
    for (std::uint64_t i = 0; i < per_pack; ++i)
      made.blobs.push_back(blob_of(pack * per_pack + i, blob_type::data, static_cast<std::uint32_t>(i) * 1100));
    return made;
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::vector<indexed_pack> batch;
      for (std::uint64_t pack = t / 2; pack < packs; pack += 2) {
        batch.push_back(pack_of(t % 2 == 0 ? pack : packs - 1 - pack));
        if (t < 2) {
          index.add_pack(batch.back().pack, batch.back().blobs);
          EXPECT_EQ(index.find(batch.back().blobs[7].handle)->pack, batch.back().pack);
          batch.clear();
        } else if (batch.size() == 17) {
          index.add_packs(batch, packs * per_pack);
          for (const auto& each : batch) EXPECT_TRUE(index.contains(each.blobs.back().handle));
          batch.clear();
        }
      }
      index.add_packs(batch);
      --adding;
    });
  threads.emplace_back([&] {
    while (adding > 0) {
      std::size_t entries = 0;
      const auto before = index.size();
      index.for_each([&](const blob_location& place) { entries += place.blob.length >= 32; });
      EXPECT_GE(entries, before);
      index.for_each_pack([&](const id& pack, std::span<const packed_blob> blobs) {
        EXPECT_EQ(blobs.size(), per_pack) << pack.hex();
      });
      for (const auto& handle : index.find_blobs("12")) EXPECT_EQ(index.find_all(handle).size(), 1u);
      if (before > 0) {
        EXPECT_GE(index.at(static_cast<std::uint32_t>(before - 1)).blob.length, 32u);
      }
    }
  });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(index.size(), packs * per_pack);
  EXPECT_EQ(index.packs().size(), packs);
  for (std::uint64_t pack = 0; pack < packs; ++pack)
    for (const auto& blob : pack_of(pack).blobs) {
      const auto places = index.find_all(blob.handle);
      ASSERT_EQ(places.size(), 1u);
      EXPECT_EQ(entry_of(places[0]), entry_of(pack_of_number(pack), blob));
    }
}

}  // namespace
}  // namespace recoup
