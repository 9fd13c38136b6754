// What every backend must do. A test file includes this and names its backends:
//
//     INSTANTIATE_TEST_SUITE_P(memory, storage_conformance, testing::Values(storage_under_test{…}), name_of_storage);
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/storage/layout.hpp>

#include "storage_helpers.hpp"

namespace recoup_test {

using namespace recoup;

/// One place to store things, empty when a test begins.
struct storage_place {
  std::shared_ptr<backend> storage;
  /// Another backend for the same place, as a second program would open it.
  std::function<std::shared_ptr<backend>()> open_again;
  /// Kept for as long as the place is used: a temporary directory, a bucket to be removed.
  std::shared_ptr<void> owner;
};

struct storage_under_test {
  std::string name;
  std::function<storage_place()> make;
  /// Files to list at once; more than one page of them for storage that lists in pages.
  std::size_t many = 300;
  /// Bytes of the largest file saved; the default is more than a pack's usual size.
  std::size_t largest = 17 << 20;
  /// Object stores do not tell whether there was something to remove.
  bool reports_missing_removals = true;
};

inline void PrintTo(const storage_under_test& storage, std::ostream* out) { *out << storage.name; }

[[nodiscard]] inline std::string name_of_storage(const testing::TestParamInfo<storage_under_test>& info) {
  return info.param.name;
}

class storage_conformance : public testing::TestWithParam<storage_under_test> {
protected:
  void SetUp() override {
    place_ = GetParam().make();
    place_.storage->create();
  }

  backend& storage() { return *place_.storage; }

  void expect_removal_of_missing(const stored_file& file) {
    std::string message;
    const auto code = code_of([&] { storage().remove(file); }, &message);
    if (!GetParam().reports_missing_removals) {
      EXPECT_FALSE(code.has_value()) << message;
      return;
    }
    EXPECT_EQ(code, error_code::not_found);
    EXPECT_NE(message.find(file.describe()), std::string::npos) << message;
  }

  storage_place place_;
};

TEST_P(storage_conformance, names_where_it_is_and_how_many_operations_are_worth_it) {
  EXPECT_FALSE(storage().location().empty());
  EXPECT_GE(storage().connections(), 1u);
}

TEST_P(storage_conformance, creating_again_keeps_what_is_there) {
  const auto content = random_content(100, 1);
  storage().save({file_type::config, {}}, content);
  storage().save(named_by(file_type::pack, content), content);
  storage().create();
  EXPECT_EQ(storage().load_all({file_type::config, {}}), content);
  EXPECT_EQ(storage().load_all(named_by(file_type::pack, content)), content);
}

TEST_P(storage_conformance, missing_files_are_not_found_and_the_message_names_them) {
  std::vector<stored_file> missing{{file_type::config, {}}};
  for (const auto type : listed_file_types) missing.push_back({type, numbered_id(7)});
  for (const auto& file : missing) {
    bytes into(1);
    const std::vector<std::function<void()>> attempts{
        [&] { (void)storage().load_all(file); }, [&] { storage().load(file, 0, into); },
        [&] { storage().load(file, 1000, into); }, [&] { (void)storage().size(file); }};
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      std::string message;
      EXPECT_EQ(code_of(attempts[i], &message), error_code::not_found) << file.describe() << ", attempt " << i;
      EXPECT_NE(message.find(file.describe()), std::string::npos) << message;
    }
    expect_removal_of_missing(file);
  }
}

TEST_P(storage_conformance, an_empty_place_lists_nothing) {
  for (const auto type : listed_file_types) EXPECT_TRUE(listed(storage(), type).empty()) << name_of(type);
}

TEST_P(storage_conformance, the_config_has_no_name) {
  const auto content = random_content(155, 2);
  storage().save({file_type::config, numbered_id(1)}, content);
  EXPECT_EQ(storage().load_all({file_type::config, {}}), content);
  EXPECT_EQ(storage().load_all({file_type::config, numbered_id(2)}), content);
  EXPECT_EQ(storage().size({file_type::config, numbered_id(3)}), content.size());
  storage().remove({file_type::config, numbered_id(4)});
  EXPECT_EQ(code_of([&] { (void)storage().load_all({file_type::config, {}}); }), error_code::not_found);
}

TEST_P(storage_conformance, every_type_gives_back_what_was_saved) {
  std::uint64_t seed = 10;
  for (const auto type : listed_file_types) {
    for (const std::size_t length : {0u, 1u, 31u, 4095u, 4096u, 4097u, 1048577u}) {
      const auto content = random_content(length, ++seed);
      const auto file = named_by(type, content, (seed & 1) != 0);
      storage().save(file, content);
      EXPECT_EQ(storage().size(file), length);
      EXPECT_TRUE(storage().load_all(file) == content) << file.describe() << " of " << length << " bytes";
    }
  }
}

TEST_P(storage_conformance, a_large_file_survives) {
  const auto content = random_content(GetParam().largest, 3);
  const auto file = named_by(file_type::pack, content);
  storage().save(file, content);
  EXPECT_EQ(storage().size(file), content.size());
  EXPECT_TRUE(storage().load_all(file) == content);
}

TEST_P(storage_conformance, a_file_that_grows_is_stored_once_it_has_a_name) {
  std::mt19937_64 random(31);
  for (const std::size_t pieces : {0u, 1u, 2u, 9u}) {
    bytes content;
    const auto file = storage().begin(file_type::pack, bytes(1000, std::uint8_t{0xee}));
    EXPECT_TRUE(file->tail.empty());
    for (std::size_t i = 0; i < pieces; ++i) {
      const auto piece = random_content(1 + random() % 300'000, 100 * pieces + i);
      append(content, piece);
      append(file->tail, piece);
      if (i % 3 != 1) file->take_tail();
      bytes taken;
      file->read_taken(taken);
      append(taken, file->tail);
      EXPECT_TRUE(taken == content) << "piece " << i << " of " << pieces;
    }
    EXPECT_EQ(listed(storage(), file_type::pack).count(sha256(content)), 0u);
    file->save(named_by(file_type::pack, content));
    EXPECT_TRUE(storage().load_all(named_by(file_type::pack, content)) == content);
  }
}

TEST_P(storage_conformance, a_file_that_was_not_saved_leaves_nothing) {
  {
    const auto file = storage().begin(file_type::pack, {});
    append(file->tail, random_content(100'000, 32));
    file->take_tail();
    append(file->tail, random_content(10, 33));
  }
  EXPECT_TRUE(listed(storage(), file_type::pack).empty());
}

TEST_P(storage_conformance, ranges_are_exact) {
  const auto content = random_content(300'007, 4);
  const auto file = named_by(file_type::pack, content);
  storage().save(file, content);
  std::mt19937_64 generator(5);
  for (int i = 0; i < 60; ++i) {
    const std::size_t offset = generator() % content.size();
    const std::size_t length = i % 5 == 0 ? content.size() - offset : generator() % (content.size() - offset + 1);
    bytes into(length + 2, std::uint8_t{0xee});  // a byte more at either side, to see that they stay
    storage().load(file, offset, byte_span(into).subspan(1, length));
    EXPECT_TRUE(std::equal(into.begin() + 1, into.end() - 1, content.begin() + static_cast<std::ptrdiff_t>(offset)))
        << length << " bytes from " << offset;
    EXPECT_EQ(into.front(), 0xee);
    EXPECT_EQ(into.back(), 0xee);
  }
}

TEST_P(storage_conformance, ranges_beyond_the_end_are_damage_not_absence) {
  const auto content = random_content(1000, 6);
  const auto file = named_by(file_type::pack, content);
  storage().save(file, content);
  bytes into(100);
  for (const std::uint64_t offset : {std::uint64_t{901}, std::uint64_t{999}, std::uint64_t{1000}, std::uint64_t{1100},
                                     std::uint64_t{1} << 40, std::uint64_t{1} << 62,
                                     std::numeric_limits<std::uint64_t>::max() - 50,
                                     std::numeric_limits<std::uint64_t>::max()}) {
    std::string message;
    EXPECT_EQ(code_of([&] { storage().load(file, offset, into); }, &message), error_code::damaged) << offset;
    EXPECT_NE(message.find(file.describe()), std::string::npos) << message;
  }
}

TEST_P(storage_conformance, saving_equal_bytes_again_is_fine) {
  const auto content = random_content(5000, 7);
  const auto file = named_by(file_type::pack, content);
  storage().save(file, content);
  storage().save(file, content);
  EXPECT_TRUE(storage().load_all(file) == content);
  EXPECT_EQ(listed(storage(), file_type::pack).size(), 1u);
}

TEST_P(storage_conformance, a_removed_file_is_gone_and_can_be_saved_again) {
  for (const auto type : listed_file_types) {
    const auto content = random_content(2000, 8), other_content = random_content(2000, 9);
    const auto file = named_by(type, content), other = named_by(type, other_content);
    storage().save(file, content);
    storage().save(other, other_content);
    storage().remove(file);
    EXPECT_EQ(code_of([&] { (void)storage().size(file); }), error_code::not_found);
    expect_removal_of_missing(file);
    EXPECT_EQ(listed(storage(), type), (std::map<id, std::uint64_t>{{other.name, 2000}}));
    storage().save(file, content);
    EXPECT_TRUE(storage().load_all(file) == content);
  }
}

TEST_P(storage_conformance, types_do_not_mix) {
  const auto content = random_content(2000, 10);
  const auto name = sha256(content);
  for (const auto removed : listed_file_types) {
    for (const auto type : listed_file_types) storage().save({type, name}, content);
    storage().remove({removed, name});
    for (const auto type : listed_file_types)
      EXPECT_EQ(listed(storage(), type).size(), type == removed ? 0u : 1u) << name_of(type) << ", " << name_of(removed);
  }
}

TEST_P(storage_conformance, lists_each_of_many_files_once_with_its_size) {
  for (const auto type : {file_type::pack, file_type::snapshot}) {
    std::map<id, std::uint64_t> expected;
    std::vector<bytes> contents;
    for (std::uint64_t i = 0; i < GetParam().many; ++i) contents.push_back(random_content(8 + i % 97, i));
    for (const auto& content : contents) expected.emplace(sha256(content), content.size());
    parallel_for_each(storage().connections(), contents,
                      [&](const bytes& content) { storage().save(named_by(type, content), content); });
    EXPECT_EQ(listed(storage(), type), expected);
  }
}

TEST_P(storage_conformance, a_visitor_may_use_the_storage_and_remove_what_it_is_shown) {
  for (std::uint64_t i = 0; i < 40; ++i) {
    const auto content = random_content(i, i);
    storage().save(named_by(file_type::lock, content), content);
  }
  std::size_t visited = 0;
  storage().list(file_type::lock, [&](const listed_file& file) {
    EXPECT_EQ(storage().load_all({file_type::lock, file.name}).size(), file.size);
    storage().remove({file_type::lock, file.name});
    ++visited;
  });
  EXPECT_EQ(visited, 40u);
  EXPECT_TRUE(listed(storage(), file_type::lock).empty());
}

TEST_P(storage_conformance, what_a_visitor_throws_ends_the_list) {
  for (std::uint64_t i = 0; i < 5; ++i) {
    const auto content = random_content(i, i);
    storage().save(named_by(file_type::index, content), content);
  }
  int visited = 0;
  EXPECT_THROW(storage().list(file_type::index,
                              [&](const listed_file&) {
                                ++visited;
                                throw std::out_of_range("enough");
                              }),
               std::out_of_range);
  EXPECT_EQ(visited, 1);
  EXPECT_EQ(listed(storage(), file_type::index).size(), 5u);
}

TEST_P(storage_conformance, a_second_program_sees_it) {
  const auto other = place_.open_again();
  const auto content = random_content(3000, 11);
  const auto file = named_by(file_type::snapshot, content);
  storage().save(file, content);
  EXPECT_TRUE(other->load_all(file) == content);
  EXPECT_EQ(listed(*other, file_type::snapshot).size(), 1u);
  other->remove(file);
  EXPECT_EQ(code_of([&] { (void)storage().load_all(file); }), error_code::not_found);
}

TEST_P(storage_conformance, many_threads_at_once) {
  constexpr std::uint64_t per_thread = 12;
  worker_group group;
  std::atomic<std::uint64_t> next_thread{0};
  group.add(6, [&](const std::stop_token&) {
    const auto first = ++next_thread * 1000;
    for (std::uint64_t i = first; i < first + per_thread; ++i) {
      const auto content = random_content(20'000 + i, i);
      const auto file = named_by(file_type::pack, content);
      storage().save(file, content);
      EXPECT_TRUE(storage().load_all(file) == content);
      bytes part(500);
      storage().load(file, 1234, part);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), content.begin() + 1234));
      storage().list(file_type::pack, [](const listed_file& found) { EXPECT_GE(found.size, 20'000u); });
      if (i % 2 == 0) storage().remove(file);
    }
  });
  group.join();
  EXPECT_EQ(listed(storage(), file_type::pack).size(), 6 * per_thread / 2);
}

TEST_P(storage_conformance, many_threads_may_save_the_same_file) {
  const auto content = random_content(200'000, 12);
  const auto file = named_by(file_type::pack, content);
  worker_group group;
  group.add(4, [&](const std::stop_token&) {
    for (int i = 0; i < 5; ++i) storage().save(file, content);
  });
  group.join();
  EXPECT_EQ(listed(storage(), file_type::pack), (std::map<id, std::uint64_t>{{file.name, 200'000}}));
  EXPECT_TRUE(storage().load_all(file) == content);
}

TEST_P(storage_conformance, readers_see_nothing_or_the_whole_file) {
  const auto content = random_content(400'000, 13);
  const auto file = named_by(file_type::pack, content);
  worker_group group;
  std::atomic<bool> done{false};
  group.add(1, [&](const std::stop_token&) {
    for (int i = 0; i < 25; ++i) {
      storage().save(file, content);
      storage().remove(file);
    }
    done = true;
  });
  group.add(2, [&](const std::stop_token& stop) {
    bytes tail(1000);
    while (!done && !stop.stop_requested()) {
      try {
        EXPECT_TRUE(storage().load_all(file) == content);
        storage().load(file, content.size() - tail.size(), tail);
        EXPECT_TRUE(std::equal(tail.begin(), tail.end(), content.end() - 1000));
      } catch (const error& caught) {
        EXPECT_EQ(caught.code(), error_code::not_found) << caught.what();
      }
      storage().list(file_type::pack, [&](const listed_file& found) { EXPECT_EQ(found.size, content.size()); });
    }
  });
  group.join();
}

}  // namespace recoup_test
