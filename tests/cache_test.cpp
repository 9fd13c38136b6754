// The cache in front of remote storage: what is kept where, that it serves, and that it goes when it must.
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <recoup/storage/local.hpp>
#include <recoup/storage/memory.hpp>

#include "cache_fixture.hpp"
#include "storage_conformance.hpp"
#include "file_rights.hpp"
#include "test_data.hpp"

namespace recoup_test {
namespace {

storage_place over_memory() {
  const auto directory = std::make_shared<unique_directory>();
  const auto inner = std::make_shared<memory_backend>();
  const auto open = [=] { return cache_in(directory->path() / "cache", inner); };
  return {open(), open, directory};
}

storage_place over_a_directory() {
  const auto directory = std::make_shared<unique_directory>();
  const auto open = [=] {
    return cache_in(directory->path() / "cache", std::make_shared<local_backend>(directory->path() / "repository"));
  };
  return {open(), open, directory};
}

storage_place without_a_directory() {
  const auto inner = std::make_shared<memory_backend>();
  const auto open = [=] { return cache_in("/dev/null/cache", inner); };
  return {open(), open, nullptr};
}

INSTANTIATE_TEST_SUITE_P(cache, storage_conformance,
                         testing::Values(storage_under_test{"over_memory", over_memory},
                                         storage_under_test{"over_a_directory", over_a_directory},
                                         storage_under_test{"without_a_directory", without_a_directory}),
                         name_of_storage);

// --- what is kept, and where ---

TEST_F(cached_storage, lays_its_files_out_as_restic_does) {
  const auto cache = open();
  EXPECT_TRUE(cache->is_new());
  EXPECT_EQ(cache->cache_directory(), base_.string());
  const auto content = random_content(1000, 1);
  std::vector<stored_file> kept, not_kept{{file_type::config, {}}};
  for (const auto type : {file_type::index, file_type::snapshot, file_type::pack})
    kept.push_back({type, sha256(content), type == file_type::pack});
  for (const auto type : {file_type::key, file_type::lock}) not_kept.push_back({type, sha256(content)});
  not_kept.push_back({file_type::pack, sha256(random_content(10, 2)), false});
  for (const auto& file : kept) cache->save(file, content);
  for (const auto& file : not_kept) cache->save(file, content);
  for (const auto& file : kept) {
    EXPECT_EQ(read_file(path_of(file)), as_text(content)) << file.describe();
    EXPECT_EQ(mode_of(path_of(file)), 0600u);
    EXPECT_EQ(mode_of(path_of(file).parent_path()), 0700u);
    EXPECT_EQ(mode_of(path_of(file).parent_path().parent_path()), 0700u);
  }
  EXPECT_EQ(copies(), kept.size());
  EXPECT_EQ(mode_of(base_), 0700u);
  EXPECT_EQ(mode_of(base_ / repository_id), 0700u);
  EXPECT_EQ(read_file(base_ / repository_id / "version"), "1");
  EXPECT_EQ(read_file(base_ / "CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n");
  EXPECT_FALSE(open()->is_new());
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(cached_storage, keeps_nothing_that_could_not_be_stored) {
  remote_->set_plan({{{.operation = storage_operation::save}}, {}});
  const auto cache = open();
  const auto content = random_content(100, 1);
  EXPECT_EQ(code_of([&] { cache->save({file_type::snapshot, sha256(content)}, content); }), error_code::io);
  EXPECT_EQ(copies(), 0u);
}

TEST_F(cached_storage, the_first_piece_of_a_pack_of_trees_brings_all_of_it) {
  const auto content = random_content(100'000, 1);
  const auto pack = put(file_type::pack, content);
  const auto cache = open();
  EXPECT_TRUE(part(*cache, pack, 500, 70) == part(content, 500, 70));
  EXPECT_EQ(remote_->log().at(0).describe(), "load_all " + pack.describe());
  for (std::size_t offset = 0; offset < content.size(); offset += 997)
    EXPECT_TRUE(part(*cache, pack, offset, 3) == part(content, offset, 3));
  EXPECT_TRUE(cache->load_all(pack) == content);
  EXPECT_TRUE(open()->load_all(pack) == content);
  // Whoever reads a header does not know what the pack holds.
  EXPECT_TRUE(part(*cache, {file_type::pack, pack.name}, 99'000, 1000) == part(content, 99'000, 1000));
  EXPECT_EQ(remote_->loads(), 1u);
}

TEST_F(cached_storage, packs_of_data_are_read_piece_by_piece_and_not_kept) {
  const auto content = random_content(10'000, 1);
  const auto pack = put(file_type::pack, content, false);
  const auto cache = open();
  EXPECT_TRUE(part(*cache, pack, 500, 70) == part(content, 500, 70));
  EXPECT_TRUE(cache->load_all(pack) == content);
  const auto log = remote_->log();
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[0].operation, storage_operation::load);
  EXPECT_EQ(log[0].offset, 500u);
  EXPECT_EQ(log[0].length, 70u);
  EXPECT_EQ(copies(), 0u);
}

TEST_F(cached_storage, what_was_saved_need_not_be_loaded) {
  const auto cache = open();
  const auto content = random_content(2000, 1);
  for (const auto type : {file_type::index, file_type::snapshot, file_type::pack}) {
    const stored_file file{type, sha256(content), true};
    cache->save(file, content);
    EXPECT_TRUE(cache->load_all(file) == content);
  }
  EXPECT_EQ(remote_->loads(), 0u);
}

TEST_F(cached_storage, a_range_beyond_the_end_is_damage_and_the_copy_stays) {
  const auto pack = put(file_type::pack, random_content(1000, 1));
  const auto cache = open();
  for (int i = 0; i < 3; ++i) {
    std::string message;
    EXPECT_EQ(code_of([&] { (void)part(*cache, pack, 990, 11); }, &message), error_code::damaged);
    EXPECT_NE(message.find(pack.describe()), std::string::npos) << message;
  }
  EXPECT_EQ(remote_->loads(), 1u);
  EXPECT_EQ(copies(), 1u);
}

// --- many at once ---

TEST_F(cached_storage, threads_that_want_the_same_pack_wait_for_one_download) {
  const auto content = random_content(100'000, 1);
  const auto pack = put(file_type::pack, content);
  remote_->set_plan({{{.kind = fault_kind::delay, .pause = std::chrono::milliseconds(100)}}, {}});
  const auto cache = open();
  worker_group group;
  std::atomic<std::size_t> next{0};
  group.add(12, [&](const std::stop_token&) {
    const auto offset = next++ * 1000;
    EXPECT_TRUE(part(*cache, pack, offset, 1000) == part(content, offset, 1000));
  });
  group.join();
  EXPECT_EQ(remote_->loads(), 1u);
}

TEST_F(cached_storage, all_who_wait_hear_of_a_failure_and_the_next_one_tries_again) {
  const auto content = random_content(1000, 1);
  const auto pack = put(file_type::pack, content);
  remote_->before_each([&](const storage_event&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    throw error(error_code::io, "the line is dead");
  });
  const auto cache = open();
  worker_group group;
  std::atomic<unsigned> failed{0};
  group.add(6, [&](const std::stop_token&) {
    std::string message;
    if (code_of([&] { (void)part(*cache, pack, 0, 10); }, &message) == error_code::io &&
        message == "the line is dead")
      ++failed;
  });
  group.join();
  EXPECT_EQ(failed, 6u);
  EXPECT_LT(remote_->loads(), 6u);
  remote_->before_each({});
  EXPECT_TRUE(part(*cache, pack, 0, 10) == part(content, 0, 10));
}

TEST_F(cached_storage, no_more_than_a_few_packs_are_in_memory_at_once) {
  std::atomic<int> now{0}, most{0};
  remote_->before_each([&](const storage_event&) {
    const int there = ++now;
    for (int seen = most; there > seen && !most.compare_exchange_weak(seen, there);) {}
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    --now;
  });
  std::vector<std::pair<stored_file, bytes>> packs;
  for (std::uint64_t i = 0; i < 20; ++i) {
    auto content = random_content(1000 + i, i);
    packs.emplace_back(put(file_type::pack, content), content);
  }
  const auto cache = open();
  parallel_for_each(16, packs, [&](const auto& pack) {
    EXPECT_TRUE(part(*cache, pack.first, 100, 100) == part(pack.second, 100, 100));
  });
  EXPECT_EQ(remote_->loads(), 20u);
  EXPECT_LE(most, 4);
  EXPECT_GT(most, 1);
}

TEST_F(cached_storage, two_programs_and_one_that_removes_what_it_finds) {
  std::vector<std::pair<stored_file, bytes>> files;
  for (std::uint64_t i = 0; i < 12; ++i)
    for (const auto type : {file_type::pack, file_type::index, file_type::snapshot}) {
      auto content = random_content(3000 + 500 * i, i);
      files.emplace_back(put(type, content), content);
    }
  const std::vector<std::shared_ptr<cache_backend>> programs{open(), open()};
  std::atomic<bool> done{false};
  std::thread remover([&] {
    for (unsigned round = 0; !done; ++round) {
      std::error_code ignored;
      if (round % 20 == 19) fs::remove_all(base_ / repository_id, ignored);
      for (fs::recursive_directory_iterator at(base_, ignored), end; !ignored && at != end; at.increment(ignored)) {
        std::error_code also_ignored;
        if (std::hash<std::string>{}(at->path().string() + std::to_string(round)) % 3 == 0)
          fs::remove(at->path(), also_ignored);
      }
    }
  });
  worker_group group;
  std::atomic<unsigned> next{0};
  group.add(4, [&](const std::stop_token&) {
    const auto self = next++;
    auto& storage = *programs[self % programs.size()];
    for (std::size_t round = 0; round < 25; ++round)
      for (std::size_t i = 0; i < files.size(); ++i) {
        const auto& [file, content] = files[(i * 7 + self * 5 + round) % files.size()];
        switch (i % 3) {
          case 0: EXPECT_TRUE(storage.load_all(file) == content); break;
          case 1: EXPECT_TRUE(part(storage, file, 1000, 50) == part(content, 1000, 50)); break;
          default: storage.save(file, content);
        }
        if (i == 10) storage.list(file_type::index, [](const listed_file&) {});
      }
  });
  group.join();
  done = true;
  remover.join();
  EXPECT_TRUE(warnings_.empty()) << warnings_[0];
  const auto last = open();
  for (const auto& [file, content] : files) EXPECT_TRUE(last->load_all(file) == content);
  EXPECT_EQ(copies(), files.size());
}


// --- tidying up ---

TEST_F(cached_storage, opening_it_marks_it_as_used) {
  (void)open();
  const auto directory = base_ / repository_id;
  const timespec old[2]{{1'000'000'000, 0}, {1'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, directory.c_str(), old, 0), 0);
  (void)open();
  struct stat status {};
  ASSERT_EQ(::stat(directory.c_str(), &status), 0);
  EXPECT_GT(status.st_mtime, ::time(nullptr) - 100);
}

TEST_F(cached_storage, copies_of_what_is_not_listed_any_more_go) {
  for (const auto type : {file_type::index, file_type::snapshot, file_type::pack}) {
    const auto stays = put(type, random_content(10, 1)), goes = put(type, random_content(10, 2));
    const auto cache = open();
    (void)cache->load_all(stays), (void)cache->load_all(goes);
    memory_->remove(goes);  // by another host
    EXPECT_EQ(code_of([&] { cache->list(type, [](const listed_file&) { throw error(error_code::io, "enough"); }); }),
              error_code::io);
    EXPECT_TRUE(fs::exists(path_of(goes))) << "a list that was not seen to its end says nothing";
    EXPECT_EQ(listed(*cache, type).size(), 1u);
    EXPECT_TRUE(fs::exists(path_of(stays)));
    EXPECT_FALSE(fs::exists(path_of(goes)));
  }
}

TEST_F(cached_storage, copies_of_what_turns_out_to_be_gone_go) {
  const auto cache = open();
  const auto first = put(file_type::snapshot, random_content(10, 1));
  const auto second = put(file_type::snapshot, random_content(10, 2));
  const auto third = put(file_type::snapshot, random_content(10, 3));
  for (const auto& file : {first, second, third}) (void)cache->load_all(file);
  cache->remove(first);
  EXPECT_FALSE(fs::exists(path_of(first)));
  memory_->remove(second);
  EXPECT_EQ(code_of([&] { (void)cache->size(second); }), error_code::not_found);
  EXPECT_FALSE(fs::exists(path_of(second)));
  memory_->remove(third);
  EXPECT_EQ(code_of([&] { cache->remove(third); }), error_code::not_found);
  EXPECT_FALSE(fs::exists(path_of(third)));
  EXPECT_EQ(code_of([&] { (void)cache->load_all(first); }), error_code::not_found);
}

TEST_F(cached_storage, copies_of_packs_that_no_index_knows_go) {
  const auto stays = put(file_type::pack, random_content(10, 1)), goes = put(file_type::pack, random_content(10, 2));
  const auto index = put(file_type::index, random_content(10, 3));
  const auto cache = open();
  for (const auto& file : {stays, goes, index}) (void)cache->load_all(file);
  cache->forget_packs_other_than([&](const id& pack) { return pack == stays.name; });
  EXPECT_TRUE(fs::exists(path_of(stays)));
  EXPECT_FALSE(fs::exists(path_of(goes)));
  EXPECT_TRUE(fs::exists(path_of(index)));
}

TEST_F(cached_storage, old_temporary_files_go_and_young_ones_stay) {
  const auto snapshot = put(file_type::snapshot, random_content(10, 1));
  const auto cache = open();
  (void)cache->load_all(snapshot);
  const auto directory = path_of(snapshot).parent_path();
  const timespec old[2]{{::time(nullptr) - 7200, 0}, {::time(nullptr) - 7200, 0}};
  const std::vector<fs::path> leftovers{directory / "tmp-123", directory / (snapshot.name.hex() + "-tmp-4")};
  const std::vector<fs::path> others{directory / "tmp-young", directory / "something-else"};
  for (const auto& path : leftovers) {
    replace(path, "x");
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), old, 0), 0);
  }
  for (const auto& path : others) replace(path, "x");
  ASSERT_EQ(::utimensat(AT_FDCWD, others[1].c_str(), old, 0), 0);
  (void)listed(*cache, file_type::snapshot);
  for (const auto& path : leftovers) EXPECT_FALSE(fs::exists(path)) << path;
  for (const auto& path : others) EXPECT_TRUE(fs::exists(path)) << path;
}

TEST_F(cached_storage, what_it_belongs_to_lives_as_long) {
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = owned;
  auto cache = std::make_shared<cache_backend>(remote_, cache_options{base_.string(), repository_id, {}, owned});
  owned.reset();
  EXPECT_FALSE(watch.expired());
  cache.reset();
  EXPECT_TRUE(watch.expired());
}

}  // namespace
}  // namespace recoup_test
