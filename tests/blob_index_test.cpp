// The index in memory against a simple one.
#include <recoup/repo/blob_index.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "blob_index_fixture.hpp"

namespace recoup {
namespace {

std::multiset<index_entry> as_set(const std::vector<blob_location>& found) {
  std::multiset<index_entry> result;
  for (const auto& each : found) result.insert(entry_of(each));
  return result;
}

/// What an index should hold, kept simply.
class model {
public:
  void add(const id& pack, const std::vector<packed_blob>& blobs) {
    if (known_packs_.insert(pack).second) packs_.push_back(pack);
    auto sorted = blobs;
    std::ranges::stable_sort(sorted, {}, &packed_blob::offset);
    for (const auto& blob : sorted) {
      if (!places_.emplace(pack, blob.handle.type, blob.handle.id, blob.offset).second) continue;
      order_.push_back({pack, blob});
      by_id_.emplace(std::pair(blob.handle.type, blob.handle.id), order_.size() - 1);
    }
  }

  [[nodiscard]] const std::vector<blob_location>& entries() const { return order_; }
  [[nodiscard]] const std::vector<id>& packs() const { return packs_; }

  [[nodiscard]] std::multiset<index_entry> find_all(const blob_handle& handle) const {
    std::multiset<index_entry> found;
    const auto [first, last] = by_id_.equal_range({handle.type, handle.id});
    for (auto at = first; at != last; ++at) found.insert(entry_of(order_[at->second]));
    return found;
  }

private:
  std::vector<blob_location> order_;
  std::vector<id> packs_;
  std::set<id> known_packs_;
  std::set<std::tuple<id, blob_type, id, std::uint32_t>> places_;
  std::multimap<std::pair<blob_type, id>, std::size_t> by_id_;
};

/// Packs as they are, and as nobody makes them.
class pack_maker {
public:
  explicit pack_maker(std::uint32_t seed) : random_(seed) {}

  std::uint32_t number(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }

  /// Few enough that blobs come again; some share all but one byte with others.
  blob_handle handle() {
    auto name = name_of_number(number(20'000));
    if (number(4) == 0) {
      std::fill(name.value.begin(), name.value.end(), std::uint8_t{7});
      name.value[number(32)] = static_cast<std::uint8_t>(number(256));
    }
    return {number(4) == 0 ? blob_type::tree : blob_type::data, name};
  }

  std::uint32_t any_length() { return static_cast<std::uint32_t>(random_()) >> number(32); }

  std::vector<packed_blob> blobs() {
    constexpr std::uint32_t sizes[] = {0, 1, 2, 11, 31, 32, 33, 64, 65, 300, 2048, 2049, 5000};
    const auto count = sizes[number(number(8) == 0 ? 13 : 10)];
    const auto kind = number(6);
    std::vector<packed_blob> made;
    std::uint32_t offset = number(3) == 0 ? number(1000) : 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      packed_blob blob{handle(), offset, 0, 0};
      blob.length = kind == 0 ? any_length() : 32 + number(40'000);
      if (kind == 1 && number(50) == 0) blob.length = 0;
      if (number(3) != 0) blob.uncompressed_length = kind == 0 ? any_length() : blob.length + number(blob.length / 2 + 1);
      made.push_back(blob);
      // Offsets of kind 0 run over 4 GiB, which no pack does; the index must give them back all the same.
      offset += blob.length;
      if (kind == 2) offset += number(3);
      if (kind == 3 && number(100) == 0) offset += 32;
    }
    // No two alike: an index file does not list a blob twice at one place.
    std::set<std::tuple<blob_type, id, std::uint32_t>> seen;
    std::erase_if(made, [&](const packed_blob& blob) {
      return !seen.emplace(blob.handle.type, blob.handle.id, blob.offset).second;
    });
    if (kind == 4) std::shuffle(made.begin(), made.end(), random_);
    return made;
  }

private:
  std::mt19937 random_;
};

void compare(const blob_index& index, const model& expected, pack_maker& make) {
  EXPECT_EQ(index.size(), expected.entries().size());
  EXPECT_EQ(index.packs(), expected.packs());

  std::vector<index_entry> visited, wanted;
  index.for_each([&](const blob_location& place) { visited.push_back(entry_of(place)); });
  for (const auto& place : expected.entries()) wanted.push_back(entry_of(place));
  EXPECT_EQ(visited, wanted);

  std::map<id, std::vector<index_entry>> by_pack, expected_by_pack;
  index.for_each_pack([&](const id& pack, std::span<const packed_blob> blobs) {
    EXPECT_FALSE(by_pack.contains(pack));
    for (const auto& blob : blobs) by_pack[pack].push_back(entry_of(pack, blob));
  });
  for (const auto& place : expected.entries()) expected_by_pack[place.pack].push_back(entry_of(place));
  EXPECT_EQ(by_pack, expected_by_pack);

  for (int i = 0; i < 300; ++i) {
    const auto handle = make.handle();
    const auto places = expected.find_all(handle);
    EXPECT_EQ(index.contains(handle), !places.empty());
    EXPECT_EQ(as_set(index.find_all(handle)), places);
    const auto one = index.find(handle);
    const auto numbered = index.find_numbered(handle);
    EXPECT_EQ(one.has_value(), !places.empty());
    EXPECT_EQ(numbered.has_value(), !places.empty());
    EXPECT_EQ(index.plaintext_length(handle).has_value(), !places.empty());
    if (!one || !numbered) continue;
    EXPECT_TRUE(places.contains(entry_of(*one)));
    EXPECT_EQ(index.plaintext_length(handle), one->blob.plaintext_length());
    EXPECT_EQ(entry_of(index.at(numbered->first)), entry_of(numbered->second));
    EXPECT_EQ(entry_of(expected.entries()[numbered->first]), entry_of(numbered->second));
  }
  for (const auto& pack : expected.packs()) {
    if (make.number(10) != 0) continue;
    EXPECT_TRUE(index.contains_pack(pack));
    std::vector<index_entry> listed;
    for (const auto& blob : index.blobs_in(pack)) listed.push_back(entry_of(pack, blob));
    EXPECT_EQ(listed, expected_by_pack[pack]);
  }
  EXPECT_FALSE(index.contains_pack(name_of_number(1)));
  EXPECT_TRUE(index.blobs_in(name_of_number(1)).empty());
}

TEST(blob_index, is_what_a_simple_one_is) {
  for (std::uint32_t seed = 0; seed < 4; ++seed) {
    SCOPED_TRACE(seed);
    pack_maker make(seed);
    blob_index index;
    model expected;
    std::vector<indexed_pack> added;
    for (std::uint32_t round = 0; round < 24; ++round) {
      std::vector<indexed_pack> batch;
      for (auto count = make.number(8); count > 0; --count) {
        indexed_pack pack{pack_of_number(make.number(1u << 30)), make.blobs()};
        if (make.number(5) == 0 && !added.empty()) {  // once more, whole or in part, or with something else
          pack = added[make.number(static_cast<std::uint32_t>(added.size()))];
          if (make.number(2) == 0) pack.blobs.resize(pack.blobs.size() / 2);
          if (make.number(2) == 0) pack.blobs.push_back(blob_of(make.number(20'000), blob_type::data, make.any_length()));
        }
        added.push_back(pack);
        batch.push_back(std::move(pack));
      }
      if (round % 2 == 0) {
        for (const auto& pack : batch) index.add_pack(pack.pack, pack.blobs);
        for (const auto& pack : batch) expected.add(pack.pack, pack.blobs);
      } else {
        index.add_packs(batch, make.number(100'000));
        // A batch puts those that the index knows, or that it has twice, behind the others.
        const auto is_new = [&, seen = std::set<id>(expected.packs().begin(), expected.packs().end())](
                                const indexed_pack& pack) mutable { return seen.insert(pack.pack).second; };
        std::vector<indexed_pack> known;
        for (auto test = is_new; const auto& pack : batch) {
          if (test(pack))
            expected.add(pack.pack, pack.blobs);
          else
            known.push_back(pack);
        }
        for (const auto& pack : known) expected.add(pack.pack, pack.blobs);
      }
      if (round % 8 == 7) compare(index, expected, make);
    }
  }
}

TEST(blob_index, numbers_stay) {
  blob_index index;
  std::vector<std::pair<std::uint32_t, index_entry>> remembered;
  for (std::uint32_t pack = 0; pack < 3000; ++pack) {
    std::vector<packed_blob> blobs;
    for (std::uint32_t i = 0; i < 20; ++i) blobs.push_back(blob_of(pack * 20 + i, blob_type::data, i * 2000));
    index.add_pack(pack_of_number(pack), blobs);
    const auto found = index.find_numbered(blobs[pack % 20].handle);
    remembered.emplace_back(found->first, entry_of(found->second));
  }
  for (const auto& [number, place] : remembered) EXPECT_EQ(entry_of(index.at(number)), place);
  EXPECT_THROW((void)index.at(60'000), std::out_of_range);
}

TEST(blob_index, all_lengths) {
  std::vector<packed_blob> blobs;
  std::uint64_t number = 0;
  std::uint32_t offset = 0;
  const auto add = [&](std::uint64_t length, std::uint64_t uncompressed) {
    auto blob = blob_of(number++);
    blob.offset = offset;
    blob.length = static_cast<std::uint32_t>(length);
    blob.uncompressed_length = static_cast<std::uint32_t>(uncompressed);
    offset += blob.length;
    blobs.push_back(blob);
  };
  for (unsigned bits = 0; bits < 32; ++bits)
    for (unsigned more = 0; more < 32; ++more)
      for (const std::int64_t by : {-1, 0, 1})
        add(static_cast<std::uint64_t>(std::max<std::int64_t>((std::int64_t{1} << bits) + by, 1)) >> (bits > 20 ? 10 : 0),
            static_cast<std::uint64_t>(std::max<std::int64_t>((std::int64_t{1} << more) + by, 0)));
  blob_index index;
  index.add_pack(pack_of_number(0), blobs);
  // Each largest length on its own, as they do not go into one pack.
  for (const std::uint32_t length : {UINT32_MAX, UINT32_MAX - 1, 1u << 31})
    for (const std::uint32_t uncompressed : {0u, 1u, UINT32_MAX}) {
      auto blob = blob_of(number++);
      blob.length = length;
      blob.uncompressed_length = uncompressed;
      index.add_pack(pack_of_number(number), std::span(&blob, 1));
      blobs.push_back(blob);
    }
  std::size_t next = 0;
  index.for_each([&](const blob_location& place) {
    EXPECT_EQ(entry_of(place), entry_of(place.pack, blobs[next]));
    EXPECT_EQ(entry_of(*index.find(blobs[next].handle)), entry_of(place));
    ++next;
  });
  EXPECT_EQ(next, blobs.size());
}

TEST(blob_index, ids_that_begin_alike) {
  blob_index index;
  std::vector<packed_blob> blobs;
  for (std::uint32_t i = 0; i < 3000; ++i) {
    packed_blob blob;
    std::memcpy(&blob.handle.id.value[28], &i, sizeof i);  // what neither line nor print of a cell depends on
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

TEST(blob_index, what_begins_with_given_digits) {
  pack_maker make(3);
  blob_index index;
  std::set<std::pair<id, blob_type>> all;
  std::set<id> packs;
  for (std::uint32_t pack = 0; pack < 400; ++pack) {
    const auto blobs = make.blobs();
    index.add_pack(pack_of_number(pack), blobs);
    packs.insert(pack_of_number(pack));
    for (const auto& blob : blobs) all.emplace(blob.handle.id, blob.handle.type);
  }
  const auto check = [&](const std::string& digits) {
    std::vector<std::pair<id, blob_type>> expected, found;
    for (const auto& each : all)
      if (each.first.hex().starts_with(digits)) expected.push_back(each);
    for (const auto& handle : index.find_blobs(digits)) found.emplace_back(handle.id, handle.type);
    EXPECT_EQ(found, expected) << digits;
    std::vector<id> expected_packs;
    for (const auto& pack : packs)
      if (pack.hex().starts_with(digits)) expected_packs.push_back(pack);
    EXPECT_EQ(index.find_packs(digits), expected_packs) << digits;
  };
  check("");
  for (int i = 0; i < 60; ++i) {
    const auto digits = (i % 3 == 0 ? pack_of_number(make.number(400)) : make.handle().id).hex();
    check(digits.substr(0, make.number(65)));
    check(digits.substr(0, 3));
  }
  check("070707");
  check("ffff");
  check("0000");
  for (const auto* const wrong : {"G", "AB", "0x", " "}) EXPECT_TRUE(index.find_blobs(wrong).empty()) << wrong;
  EXPECT_TRUE(index.find_blobs(std::string(65, '0')).empty());
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

TEST(blob_index, marked_packs_are_for_those_who_read) {
  blob_index index;
  index.add_pack(pack_of_number(1), std::vector{blob_of(1), blob_of(2, blob_type::data, 5000)});
  const indexed_pack both[]{{pack_of_number(2), {blob_of(2), blob_of(3, blob_type::tree, 5000)}},
                            {pack_of_number(3), {blob_of(4)}}};
  index.add_marked(both);
  const blob_handle counted{blob_type::data, name_of_number(2)}, marked{blob_type::tree, name_of_number(3)};
  EXPECT_FALSE(index.contains(marked));
  EXPECT_FALSE(index.contains_pack(pack_of_number(2)));
  EXPECT_EQ(index.size(), 2u);
  // What counts is found where it counts.
  EXPECT_EQ(index.find(counted)->pack, pack_of_number(1));
  EXPECT_EQ(index.find_all(counted).size(), 1u);
  EXPECT_FALSE(index.contains_pack(pack_of_number(2)));
  EXPECT_FALSE(index.find({blob_type::data, name_of_number(3)})) << "of the other type";
  EXPECT_EQ(index.find(marked)->pack, pack_of_number(2));
  // The pack has joined as a whole, the other one has not.
  EXPECT_TRUE(index.contains_pack(pack_of_number(2)));
  EXPECT_EQ(index.find_all(counted).size(), 2u);
  EXPECT_EQ(index.size(), 4u);
  EXPECT_LE(index.size(), index.most_entries());
  EXPECT_FALSE(index.contains_pack(pack_of_number(3)));
  EXPECT_EQ(index.plaintext_length({blob_type::data, name_of_number(4)}), blob_of(4).plaintext_length());
  EXPECT_EQ(index.marked()->blobs_in(pack_of_number(3)).size(), 1u);
}

TEST(blob_index, empty) {
  blob_index index;
  EXPECT_FALSE(index.contains({blob_type::data, id{}}));
  EXPECT_EQ(index.size(), 0u);
  index.add_pack(id{}, {});
  EXPECT_EQ(index.size(), 0u);
  EXPECT_TRUE(index.contains_pack(id{}));
  index.for_each_pack([](const id&, std::span<const packed_blob>) { ADD_FAILURE(); });
  const std::vector late{blob_of(1)};
  index.add_pack(id{}, late);
  EXPECT_EQ(index.packs().size(), 1u);
  EXPECT_EQ(index.find(late[0].handle)->pack, id{});
  EXPECT_THROW((void)index.at(1), std::out_of_range);
}

}  // namespace
}  // namespace recoup
