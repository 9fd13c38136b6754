// The index in memory against a simple one, and under several threads.
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/blob_index.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>

namespace recoup {
namespace {

id name_of_number(std::uint64_t number) {
  return sha256({reinterpret_cast<const std::uint8_t*>(&number), sizeof number});
}

packed_blob blob_of(std::uint64_t number, blob_type type = blob_type::data, std::uint32_t offset = 0) {
  return {{type, name_of_number(number)},
          offset,
          static_cast<std::uint32_t>(number % 1000 + 32),
          number % 2 == 0 ? 77u : 0u};
}

using places = std::multiset<std::tuple<id, std::uint32_t, std::uint32_t, std::uint32_t>>;

places as_set(const std::vector<blob_location>& found) {
  places result;
  for (const auto& each : found)
    result.emplace(each.pack, each.blob.offset, each.blob.length, each.blob.uncompressed_length);
  return result;
}

TEST(blob_index, finds_what_was_added_and_nothing_else) {
  blob_index index;
  std::map<std::pair<blob_type, id>, places> expected;
  std::mt19937 random(1);
  for (std::uint64_t pack = 0; pack < 2000; ++pack) {
    std::vector<packed_blob> blobs;
    for (unsigned i = 0; i < random() % 20; ++i) {
      const auto blob = blob_of(random() % 5000, random() % 4 == 0 ? blob_type::tree : blob_type::data, i * 2000);
      blobs.push_back(blob);
      expected[{blob.handle.type, blob.handle.id}].emplace(name_of_number(1u << 30 | pack), blob.offset, blob.length,
                                                           blob.uncompressed_length);
    }
    index.add_pack(name_of_number(1u << 30 | pack), blobs);
    if (pack % 7 == 0) index.add_pack(name_of_number(1u << 30 | pack), blobs);  // again, from another index file
  }
  std::size_t total = 0;
  for (std::uint64_t number = 0; number < 6000; ++number) {
    for (const auto type : {blob_type::data, blob_type::tree}) {
      const blob_handle handle{type, name_of_number(number)};
      const auto known = expected.find({handle.type, handle.id});
      EXPECT_EQ(index.contains(handle), known != expected.end());
      if (known == expected.end()) {
        EXPECT_FALSE(index.find(handle) || index.find_numbered(handle) || index.plaintext_length(handle));
        EXPECT_TRUE(index.find_all(handle).empty());
        continue;
      }
      total += known->second.size();
      EXPECT_EQ(as_set(index.find_all(handle)), known->second);
      const auto one = index.find(handle);
      ASSERT_TRUE(one);
      EXPECT_EQ(one->blob.handle, handle);
      EXPECT_EQ(index.plaintext_length(handle), one->blob.plaintext_length());
      const auto numbered = index.find_numbered(handle);
      EXPECT_EQ(index.at(numbered->first).pack, numbered->second.pack);
      EXPECT_EQ(index.at(numbered->first).blob.offset, numbered->second.blob.offset);
    }
  }
  EXPECT_EQ(index.size(), total);
  std::size_t visited = 0;
  index.for_each([&](const blob_location&) { ++visited; });
  EXPECT_EQ(visited, total);
  EXPECT_EQ(index.packs().size(), 2000u);
  EXPECT_TRUE(index.contains_pack(name_of_number(1u << 30)));
  EXPECT_FALSE(index.contains_pack(name_of_number(5)));
}

TEST(blob_index, ids_that_begin_alike) {
  blob_index index;
  std::vector<packed_blob> blobs;
  for (std::uint8_t i = 0; i < 200; ++i) {
    packed_blob blob;
    blob.handle.id.value[31] = i;
    blob.length = 32;
    blob.offset = i * 32u;
    blobs.push_back(blob);
  }
  index.add_pack(name_of_number(1), blobs);
  for (const auto& blob : blobs) EXPECT_EQ(index.find(blob.handle)->blob.offset, blob.offset);
  packed_blob other;
  other.handle.id.value[31] = 200;
  EXPECT_FALSE(index.contains(other.handle));
}

TEST(blob_index, a_pack_that_two_index_files_list_in_parts) {
  blob_index index;
  const std::vector first{blob_of(1, blob_type::data, 0)},
      second{blob_of(2, blob_type::data, 500), blob_of(1, blob_type::data, 0)};
  index.add_pack(name_of_number(9), first);
  index.add_pack(name_of_number(9), second);
  EXPECT_EQ(index.size(), 2u);
  EXPECT_EQ(index.packs().size(), 1u);
}

TEST(blob_index, empty) {
  blob_index index;
  EXPECT_FALSE(index.contains({blob_type::data, id{}}));
  EXPECT_EQ(index.size(), 0u);
  index.add_pack(id{}, {});
  EXPECT_EQ(index.size(), 0u);
}

TEST(blob_index, readers_while_packs_are_added) {
  blob_index index;
  std::atomic<std::uint64_t> added{0};
  std::thread writer([&] {
    for (std::uint64_t pack = 0; pack < 3000; ++pack) {
      const std::vector blobs{blob_of(pack), blob_of(pack, blob_type::tree, 5000)};
      index.add_pack(name_of_number(1u << 30 | pack), blobs);
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
        EXPECT_EQ(index.find({blob_type::data, name_of_number(number)})->pack, name_of_number(1u << 30 | number));
      }
    });
  writer.join();
  for (auto& reader : readers) reader.join();
}

}  // namespace
}  // namespace recoup
