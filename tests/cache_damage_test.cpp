// No state of the cache's directory matters: copies that are no good, places that cannot be used, disks that are full.
#include <gtest/gtest.h>

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <recoup/storage/memory.hpp>

#include "cache_fixture.hpp"
#include "file_rights.hpp"
#include "test_data.hpp"

namespace recoup_test {
namespace {

// --- copies that are no good ---

struct harm {
  std::string name;
  std::function<void(const fs::path&)> to;
  bool is_noticed_at_once;  ///< otherwise whoever verifies the bytes complains
};
const std::vector<harm> harms{
    {"flipped",
     [](const fs::path& path) {
       auto text = read_file(path);
       text[600] = static_cast<char>(~text[600]);
       replace(path, text);
     },
     false},
    {"zeroed", [](const fs::path& path) { replace(path, std::string(fs::file_size(path), '\0')); }, false},
    {"truncated", [](const fs::path& path) { fs::resize_file(path, 550); }, true},
    {"empty", [](const fs::path& path) { fs::resize_file(path, 0); }, true},
    {"longer", [](const fs::path& path) { replace(path, "more" + read_file(path)); }, false},
    {"a_directory",
     [](const fs::path& path) { fs::remove(path); fs::create_directories(path / "with/something"); },
     true},
    {"a_fifo", [](const fs::path& path) { fs::remove(path); ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0); }, true},
    {"a_symlink", [](const fs::path& path) { fs::remove(path); fs::create_symlink("/etc/passwd", path); }, true},
    {"a_dead_symlink", [](const fs::path& path) { fs::remove(path); fs::create_symlink("/nowhere", path); }, true},
};

class harmed_copy : public cached_storage, public testing::WithParamInterface<harm> {};

TEST_P(harmed_copy, is_dropped_and_loaded_again) {
  const auto content = random_content(1000, 1);
  const auto pack = put(file_type::pack, content);
  const auto cache = open();
  (void)part(*cache, pack, 0, 1);
  GetParam().to(path_of(pack));
  remote_->clear_log();
  const auto right = part(content, 500, 300);
  if (!GetParam().is_noticed_at_once) {
    ASSERT_FALSE(part(*cache, pack, 500, 300) == right);
    remote_->reloads = false;
    EXPECT_TRUE(cache->reload_may_help(pack)) << "whatever the storage says: the bytes came from here";
    EXPECT_FALSE(fs::exists(path_of(pack)));
  }
  EXPECT_TRUE(part(*cache, pack, 500, 300) == right);
  EXPECT_EQ(remote_->loads(), 1u);
  EXPECT_EQ(read_file(path_of(pack)), as_text(content));
  EXPECT_TRUE(part(*cache, pack, 500, 300) == right);
  EXPECT_EQ(remote_->loads(), 1u);
  EXPECT_TRUE(warnings_.empty());
}

TEST_P(harmed_copy, as_a_whole_too) {
  const auto content = random_content(1000, 1);
  for (const auto type : {file_type::index, file_type::snapshot}) {
    const auto file = put(type, content);
    const auto cache = open();
    (void)cache->load_all(file);
    GetParam().to(path_of(file));
    auto loaded = cache->load_all(file);
    if (loaded != content) {
      EXPECT_TRUE(cache->reload_may_help(file));
      loaded = cache->load_all(file);
    }
    EXPECT_TRUE(loaded == content);
    EXPECT_EQ(read_file(path_of(file)), as_text(content));
  }
}

INSTANTIATE_TEST_SUITE_P(harms, harmed_copy, testing::ValuesIn(harms),
                         [](const auto& chosen) { return chosen.param.name; });

TEST_F(cached_storage, a_copy_that_may_not_be_read) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  ::chmod(place_.path().c_str(), 0777);
  const auto content = random_content(1000, 1);
  const auto pack = put(file_type::pack, content);
  as_nobody([&] {
    const auto cache = open();
    (void)part(*cache, pack, 0, 1);
    ASSERT_EQ(::chmod(path_of(pack).c_str(), 0), 0);
    EXPECT_TRUE(part(*cache, pack, 500, 300) == part(content, 500, 300));
    EXPECT_EQ(mode_of(path_of(pack)), 0600u);
    // Nor removed: then the storage serves.
    ASSERT_EQ(::chmod(path_of(pack).c_str(), 0), 0);
    ASSERT_EQ(::chmod(path_of(pack).parent_path().c_str(), 0500), 0);
    EXPECT_TRUE(part(*cache, pack, 500, 300) == part(content, 500, 300));
    EXPECT_EQ(remote_->log().back().describe(), "load " + pack.describe());
    EXPECT_TRUE(warnings_.empty());
    ::chmod(path_of(pack).parent_path().c_str(), 0700);
  });
}

TEST_F(cached_storage, a_new_copy_is_not_dropped_for_what_was_wrong_with_the_old_one) {
  const auto content = random_content(1000, 1);
  const auto pack = put(file_type::pack, content);
  const auto cache = open();
  (void)cache->load_all(pack);
  replace(path_of(pack), std::string(1000, 'x'));
  // Three threads have read it before the first complains.
  EXPECT_TRUE(cache->reload_may_help(pack));
  EXPECT_TRUE(cache->reload_may_help(pack));
  EXPECT_TRUE(cache->load_all(pack) == content);
  EXPECT_TRUE(cache->reload_may_help(pack));
  EXPECT_TRUE(fs::exists(path_of(pack)));
  EXPECT_EQ(remote_->loads(), 2u);
}

TEST_F(cached_storage, a_file_whose_copies_keep_breaking_is_not_kept_any_more) {
  const auto content = random_content(1000, 1);
  const auto pack = put(file_type::pack, content);
  const auto cache = open();
  for (int i = 0; i < 2; ++i) {
    (void)cache->load_all(pack);
    replace(path_of(pack), std::string(1000, 'x'));
    EXPECT_TRUE(cache->reload_may_help(pack));
  }
  remote_->clear_log();
  EXPECT_TRUE(part(*cache, pack, 5, 5) == part(content, 5, 5));
  EXPECT_EQ(remote_->log().at(0).describe(), "load " + pack.describe());
  EXPECT_EQ(copies(), 0u);
}

TEST_F(cached_storage, what_arrives_damaged_is_passed_on_but_not_kept) {
  const auto content = random_content(1000, 1);
  const auto pack = put(file_type::pack, content);
  remote_->set_plan({{{.kind = fault_kind::flip_bit, .at = 8 * 500}}, {}});
  const auto cache = open();
  EXPECT_FALSE(part(*cache, pack, 500, 1) == part(content, 500, 1));
  EXPECT_EQ(copies(), 0u);
  EXPECT_TRUE(cache->reload_may_help(pack)) << "the storage says so";
  EXPECT_TRUE(part(*cache, pack, 500, 1) == part(content, 500, 1));
  remote_->reloads = false;
  EXPECT_FALSE(cache->reload_may_help(pack));
  EXPECT_FALSE(cache->reload_may_help({file_type::key, pack.name}));
}

// --- a directory that cannot be used ---

TEST_F(cached_storage, a_place_that_cannot_be_made_is_one_warning) {
  const auto content = random_content(1000, 1);
  const auto pack = put(file_type::pack, content);
  const auto file_in_the_way = place_.write("file", "x");
  const auto cache = cache_in(fs::path(file_in_the_way) / "cache", remote_, &warnings_);
  EXPECT_FALSE(cache->is_usable());
  EXPECT_EQ(cache->cache_directory(), "");
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_TRUE(warnings_[0].starts_with("unable to open cache: cannot make ")) << warnings_[0];
  cache->save(pack, content);
  EXPECT_TRUE(part(*cache, pack, 1, 2) == part(content, 1, 2));
  EXPECT_EQ(remote_->log().back().describe(), "load " + pack.describe()) << "not the whole pack for two bytes";
  EXPECT_TRUE(cache->load_all(pack) == content);
  cache->list(file_type::pack, [](const listed_file&) {});
  cache->forget_packs_other_than([](const id&) { return false; });
  cache->remove(pack);
  EXPECT_EQ(warnings_.size(), 1u);
}

TEST_F(cached_storage, versions_that_are_not_known_are_left_alone) {
  const auto content = random_content(1000, 1);
  const auto pack = put(file_type::pack, content);
  (void)open()->load_all(pack);
  for (const std::string version : {"2", "1\n", "x", "18446744073709551617"}) {
    replace(base_ / repository_id / "version", version);
    warnings_.clear();
    const auto cache = open();
    EXPECT_FALSE(cache->is_usable());
    EXPECT_EQ(warnings_.size(), 1u);
    cache->list(file_type::index, [](const listed_file&) {});
    EXPECT_TRUE(cache->reload_may_help(pack));
    cache->forget_packs_other_than([](const id&) { return false; });
    EXPECT_EQ(read_file(base_ / repository_id / "version"), version);
    EXPECT_EQ(copies(), 1u);
  }
  warnings_.clear();
  replace(base_ / repository_id / "version", "");  // restic is about to write it
  EXPECT_TRUE(open()->is_usable());
  EXPECT_EQ(read_file(base_ / repository_id / "version"), "1");
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(cached_storage, ids_that_are_paths_are_refused) {
  for (const auto& wrong : {std::string("../x"), std::string(63, 'a'), std::string(64, 'A'), std::string()})
    EXPECT_EQ(code_of([&] { cache_backend(remote_, {base_.string(), wrong, {}, {}}); }), error_code::invalid_argument);
}

/// A small file system of its own, if we may mount one.
class cache_on_a_small_disk : public cached_storage {
protected:
  void SetUp() override {
    fs::create_directories(base_);
    mounted_ = ::mount("none", base_.c_str(), "tmpfs", 0, "size=1m,mode=700") == 0;
    if (!mounted_) GTEST_SKIP() << "mounting a tmpfs is not permitted here";
  }
  ~cache_on_a_small_disk() override {
    if (mounted_) ::umount2(base_.c_str(), MNT_DETACH);
  }
  bool mounted_ = false;
};

TEST_F(cache_on_a_small_disk, that_is_full) {
  const auto small = random_content(1000, 1), large = random_content(2 << 20, 2);
  const auto first = put(file_type::pack, small), second = put(file_type::pack, large);
  const auto cache = open();
  EXPECT_TRUE(part(*cache, first, 1, 2) == part(small, 1, 2));
  EXPECT_TRUE(part(*cache, second, 1, 2) == part(large, 1, 2));
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("No space left on device"), std::string::npos) << warnings_[0];
  EXPECT_EQ(copies(), 1u) << "no part of a file stays behind";
  EXPECT_TRUE(part(*cache, second, 1, 2) == part(large, 1, 2));
  EXPECT_EQ(remote_->log().back().describe(), "load " + second.describe()) << "not all of it again for two bytes";
  cache->save(second, large);
  EXPECT_TRUE(cache->load_all(second) == large);
  const auto loads = remote_->loads();
  EXPECT_TRUE(part(*cache, first, 1, 2) == part(small, 1, 2)) << "what is there serves on";
  EXPECT_EQ(remote_->loads(), loads);
  EXPECT_EQ(warnings_.size(), 1u);
}

TEST_F(cache_on_a_small_disk, that_becomes_read_only) {
  const auto content = random_content(1000, 1), other = random_content(1000, 2);
  const auto first = put(file_type::pack, content), second = put(file_type::pack, other);
  (void)open()->load_all(first);
  ASSERT_EQ(::mount("none", base_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  const auto cache = open();
  remote_->clear_log();
  EXPECT_TRUE(part(*cache, first, 1, 2) == part(content, 1, 2));
  cache->list(file_type::index, [](const listed_file&) {});
  cache->forget_packs_other_than([&](const id& pack) { return pack == first.name; });
  EXPECT_EQ(remote_->loads(), 0u);
  EXPECT_TRUE(warnings_.empty()) << "nothing was amiss: " << warnings_[0];
  EXPECT_TRUE(part(*cache, second, 1, 2) == part(other, 1, 2));
  EXPECT_TRUE(cache->load_all(second) == other);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("Read-only file system"), std::string::npos) << warnings_[0];
}

TEST_F(cached_storage, another_users_directory) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  const auto content = random_content(1000, 1);
  const auto pack = put(file_type::pack, content);
  (void)open()->load_all(pack);
  as_nobody([&] {
    const auto cache = open();
    EXPECT_TRUE(part(*cache, pack, 1, 2) == part(content, 1, 2));
    EXPECT_EQ(warnings_.size(), 1u);
  });
}

TEST_F(cached_storage, a_cache_that_was_removed_meanwhile_is_made_again) {
  const auto content = random_content(1000, 1);
  const auto pack = put(file_type::pack, content);
  const auto cache = open();
  fs::remove_all(base_);
  EXPECT_TRUE(part(*cache, pack, 1, 2) == part(content, 1, 2));
  EXPECT_EQ(read_file(path_of(pack)), as_text(content));
  EXPECT_EQ(read_file(base_ / repository_id / "version"), "1");
  EXPECT_TRUE(warnings_.empty());
}

}  // namespace
}  // namespace recoup_test
