// Repositories with a cache: which get one, what is told, what it saves, and that it does not get in the way.
#include <recoup/ops/open_cached.hpp>

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <recoup/ops/backup/scan.hpp>
#include <recoup/storage/dry_run.hpp>
#include <recoup/storage/memory.hpp>

#include "remote_storage.hpp"
#include "test_data.hpp"
#include "test_repository.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

namespace fs = std::filesystem;

class opened_with_cache : public testing::Test {
protected:
  opened_with_cache() {
    const auto made = make_repository(memory_);
    made->load_index();
    const auto tree = save_tree(*made, {make_directory(*made, "dir", {make_file(*made, "file", {"text"})})});
    snapshot_ = save_snapshot(*made, tree);
    for (const char* name : {"HOME", "RESTIC_CACHE_DIR", "XDG_CACHE_HOME", "TMPDIR"})
      if (const char* value = std::getenv(name); value != nullptr) environment_[name] = value;
    ::setenv("HOME", (place_ / "home").c_str(), 1);
    for (const char* name : {"RESTIC_CACHE_DIR", "XDG_CACHE_HOME"}) ::unsetenv(name);
    ::setenv("TMPDIR", (place_ / "tmp").c_str(), 1);
    fs::create_directories(place_ / "tmp");
  }
  ~opened_with_cache() override {
    for (const char* name : {"HOME", "RESTIC_CACHE_DIR", "XDG_CACHE_HOME", "TMPDIR"}) ::unsetenv(name);
    for (const auto& [name, value] : environment_) ::setenv(name.c_str(), value.c_str(), 1);
  }

  cache_choice choice(cache_use use = cache_use::shared) {
    cache_choice chosen;
    chosen.use = use;
    chosen.directory = base_.string();
    chosen.on_note = [this](const std::string& text) { notes_.push_back(text); };
    chosen.on_hint = [this](const std::string& text) { hints_.push_back(text); };
    chosen.on_warning = [this](const std::string& text) { warnings_.push_back(text); };
    return chosen;
  }

  std::shared_ptr<repository> open(const cache_choice& chosen) {
    remote_->clear_log();
    return open_cached(remote_, test_password, {}, chosen);
  }

  std::map<std::string, std::string> read_everything(repository& repo) {
    for (const auto& [name, value] : repo.load_snapshots()) EXPECT_EQ(name, snapshot_.id);
    repo.load_index();
    return all_of(repo, snapshot_.snapshot.tree);
  }

  fs::path cache_of(const repository& repo) const { return base_ / repo.config().id; }

  std::map<std::string, std::string> environment_;
  unique_directory place_;
  const fs::path base_ = place_.path() / "cache";
  std::vector<std::string> notes_, hints_, warnings_;
  std::shared_ptr<memory_backend> memory_ = std::make_shared<memory_backend>();
  std::shared_ptr<remote_storage> remote_ = std::make_shared<remote_storage>(memory_);
  found_snapshot snapshot_;
};

TEST_F(opened_with_cache, the_second_time_only_what_is_never_kept_is_loaded) {
  const auto first = read_everything(*open(choice()));
  EXPECT_EQ(hints_, std::vector<std::string>{"created new cache in " + base_.string()});
  EXPECT_GT(remote_->loads(file_type::index), 0u);
  const auto second = read_everything(*open(choice()));
  EXPECT_EQ(first, second);
  EXPECT_EQ(first.at("/dir/file"), "text");
  EXPECT_EQ(remote_->loads(file_type::index), 0u);
  EXPECT_EQ(remote_->loads(file_type::snapshot), 0u);
  EXPECT_EQ(remote_->loads(file_type::pack), 1u) << "what is in the file";
  EXPECT_EQ(hints_.size(), 1u);
  EXPECT_TRUE(warnings_.empty() && notes_.empty());
}

TEST_F(opened_with_cache, damage_in_the_cache_is_mended_by_reading) {
  auto repo = open(choice());
  const auto right = read_everything(*repo);
  std::size_t harmed = 0;
  for (const auto& entry : fs::recursive_directory_iterator(cache_of(*repo)))
    if (entry.is_regular_file() && entry.path().filename() != "version") {
      fs::resize_file(entry.path(), 0);
      fs::resize_file(entry.path(), 5000);  // as long as before or longer, and all zero
      ++harmed;
    }
  EXPECT_EQ(harmed, 3u);
  EXPECT_EQ(read_everything(*open(choice())), right);
  EXPECT_EQ(remote_->loads(file_type::snapshot), 1u);
  EXPECT_EQ(read_everything(*open(choice())), right);
  EXPECT_EQ(remote_->loads(file_type::index) + remote_->loads(file_type::snapshot), 0u);
}

TEST_F(opened_with_cache, loading_the_index_drops_packs_that_it_does_not_know) {
  auto repo = open(choice());
  (void)read_everything(*repo);
  std::vector<fs::path> packs;
  for (const auto& entry : fs::recursive_directory_iterator(cache_of(*repo) / "data"))
    if (entry.is_regular_file()) packs.push_back(entry.path());
  ASSERT_EQ(packs.size(), 1u);
  const auto stranger = cache_of(*repo) / "data/ab" / ("ab" + std::string(62, '0'));
  fs::create_directories(stranger.parent_path());
  fs::copy_file(packs[0], stranger);
  open(choice())->load_index();
  EXPECT_FALSE(fs::exists(stranger));
  EXPECT_TRUE(fs::exists(packs[0]));

  // An index that is not all there knows too little.
  fs::copy_file(packs[0], stranger);
  remote_->reloads = false;
  const auto index = repo->list(file_type::index).at(0).name;
  memory_->save({file_type::index, index}, as_bytes("damaged"));
  fs::remove_all(cache_of(*repo) / "index");
  index_load_observer observer;
  observer.on_damaged = [](const id&, const error&) {};
  open(choice())->load_index(observer);
  EXPECT_TRUE(fs::exists(stranger));
}

TEST_F(opened_with_cache, local_storage_gets_none) {
  (void)read_everything(*open_cached(memory_, test_password, {}, choice()));
  (void)read_everything(*open_cached(memory_, test_password, {}, choice(cache_use::temporary)));
  EXPECT_FALSE(fs::exists(base_));
  EXPECT_TRUE(notes_.empty() && hints_.empty());
}

TEST_F(opened_with_cache, none_if_none_is_wanted) {
  auto chosen = choice(cache_use::none);
  chosen.remove_old = true;
  (void)read_everything(*open(chosen));
  EXPECT_FALSE(fs::exists(base_));
}

TEST_F(opened_with_cache, a_dry_run_leaves_nothing_in_it) {
  const auto prepare = [](std::shared_ptr<backend> storage, const repository_config&) {
    return std::make_shared<dry_run_backend>(std::move(storage));
  };
  const auto repo = open_cached(remote_, test_password, {}, choice(), prepare);
  repo->load_index();
  (void)save_tree(*repo, {make_node("new", node_type::fifo)});
  repo->flush();
  EXPECT_TRUE(fs::is_empty(cache_of(*repo) / "data"));
  EXPECT_EQ(repo->storage().cache_directory(), base_.string());
}

TEST_F(opened_with_cache, a_temporary_one_is_empty_at_first_and_gone_at_last) {
  (void)read_everything(*open(choice()));
  fs::path directory;
  {
    const auto repo = open(choice(cache_use::temporary));
    (void)read_everything(*repo);
    EXPECT_EQ(remote_->loads(file_type::snapshot), 1u);
    ASSERT_EQ(notes_.size(), 1u);
    const std::string beginning = "using temporary cache in " + base_.string() + "/restic-check-cache-";
    ASSERT_TRUE(notes_[0].starts_with(beginning)) << notes_[0];
    EXPECT_EQ(notes_[0].find_first_not_of("0123456789", beginning.size()), std::string::npos) << notes_[0];
    directory = notes_[0].substr(std::string("using temporary cache in ").size());
    EXPECT_TRUE(fs::exists(directory / repo->config().id / "version"));
    EXPECT_EQ(list_cache_directories(base_.string(), false).size(), 2u);
    (void)read_everything(*repo);
    EXPECT_EQ(remote_->loads(file_type::snapshot), 1u) << "it serves as long as it is there";
  }
  EXPECT_FALSE(fs::exists(directory));
  EXPECT_EQ(list_cache_directories(base_.string(), false).size(), 1u);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(opened_with_cache, a_temporary_one_goes_when_opening_fails_too) {
  EXPECT_THROW(
      (void)open_cached(remote_, test_password, {}, choice(cache_use::temporary),
                        [](std::shared_ptr<backend>, const repository_config&) -> std::shared_ptr<backend> {
                          throw error(error_code::interrupted, "stop");
                        }),
      error);
  EXPECT_EQ(notes_.size(), 1u);
  EXPECT_TRUE(fs::is_empty(base_));
}

TEST_F(opened_with_cache, a_temporary_one_lies_where_temporary_things_do_unless_told_otherwise) {
  auto chosen = choice(cache_use::temporary);
  chosen.directory.clear();
  (void)open(chosen);
  ::setenv("RESTIC_CACHE_DIR", (place_ / "own").c_str(), 1);
  (void)open(chosen);
  ::unsetenv("RESTIC_CACHE_DIR");
  ASSERT_EQ(notes_.size(), 2u);
  EXPECT_NE(notes_[0].find(place_ / "tmp/restic-check-cache-"), std::string::npos) << notes_[0];
  EXPECT_NE(notes_[1].find(place_ / "own/restic-check-cache-"), std::string::npos) << notes_[1];

  chosen.directory = place_.write("file") + "/below";
  (void)read_everything(*open(chosen));
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_TRUE(warnings_[0].starts_with("unable to create temporary directory for cache during check, disabling"))
      << warnings_[0];
}

TEST_F(opened_with_cache, the_default_place_is_restics) {
  auto chosen = choice();
  chosen.directory.clear();
  (void)open(chosen);
  EXPECT_TRUE(fs::exists(place_ / "home/.cache/restic/CACHEDIR.TAG"));
  ::unsetenv("HOME");  // as under systemd
  (void)read_everything(*open(chosen));
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_TRUE(warnings_[0].starts_with("unable to open cache: unable to locate cache directory")) << warnings_[0];
}

TEST_F(opened_with_cache, old_caches_are_told_of_or_removed) {
  const auto old = base_ / std::string(64, 'a'), young = base_ / std::string(64, 'b');
  for (const auto& path : {old, young}) fs::create_directories(path / "data");
  const auto long_ago = ::time(nullptr) - 31 * 86400;
  const timespec times[2]{{long_ago, 0}, {long_ago, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, old.c_str(), times, 0), 0);
  (void)open(choice());
  ASSERT_EQ(hints_.size(), 2u);
  EXPECT_EQ(hints_[1], "found 1 old cache directories in " + base_.string() +
                           ", run `recoup cache --cleanup` to remove them");
  EXPECT_TRUE(fs::exists(old));
  hints_.clear();
  auto chosen = choice();
  chosen.remove_old = true;
  (void)open_cached(memory_, test_password, {}, chosen);
  EXPECT_EQ(hints_, std::vector<std::string>{"removing 1 old cache dirs from " + base_.string()});
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(young));
}

TEST_F(opened_with_cache, a_backup_leaves_it_out) {
  const auto repo = open(choice());
  place_.write("source/file", "content");
  auto options = options_for({place_.path().string()});
  recording_backup observer;
  const auto result = backup(*repo, options, observer);
  EXPECT_EQ(result.errors, 0u);
  const auto saved = all_of(*repo, result.snapshot.tree);
  EXPECT_TRUE(saved.contains((place_.path() / "source/file").string()));
  EXPECT_FALSE(saved.contains(base_.string()));
  EXPECT_EQ(observer.excluded, std::vector<std::string>{base_.string()});
  EXPECT_EQ(scan_targets(options, {}, repo->storage().cache_directory()).files, 1u);
  EXPECT_GT(scan_targets(options, {}).files, 1u);
}

}  // namespace
}  // namespace recoup
