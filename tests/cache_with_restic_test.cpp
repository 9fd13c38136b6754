// restic and recoup use one cache: each works from what the other has put into it, with nothing else left to work from.
#include <gtest/gtest.h>

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <recoup/ops/open_cached.hpp>
#include <recoup/storage/local.hpp>

#include "remote_storage.hpp"
#include "test_data.hpp"
#include "test_repository.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

namespace fs = std::filesystem;

class cache_with_restic : public testing::Test {
protected:
  void SetUp() override {
    ::setenv("RESTIC_PASSWORD", test_password, 1);
    ::setenv("RESTIC_REPOSITORY", repository_.c_str(), 1);
    ::setenv("RESTIC_CACHE_DIR", cache_.c_str(), 1);
    if (shell("command -v \"$RESTIC\"") != 0) GTEST_SKIP() << "no restic here: " << output_;
    for (int i = 0; i < 40; ++i)
      source_.write("dir" + std::to_string(i) + "/file", "content " + std::to_string(i));
    ASSERT_EQ(shell("\"$RESTIC\" init && cd " + source_.path().string() + " && \"$RESTIC\" backup ."), 0) << output_;
  }

  /// Runs it with $RESTIC set; what it prints is in output_.
  int shell(const std::string& command) {
    const char* tests = std::getenv("RECOUP_TESTS");
    const auto log = place_ / "log";
    std::ofstream(place_ / "script") << "eval \"$(" << (tests != nullptr ? tests : ".")
                                     << "/../tools/restic.sh 2>/dev/null)\"\n" << command << '\n';
    const int code = std::system(("bash " + (place_ / "script") + " > " + log + " 2>&1").c_str());
    output_ = read_file(log);
    return code;
  }

  [[nodiscard]] std::vector<fs::path> files_below(const fs::path& directory) const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(directory))
      if (entry.is_regular_file()) found.push_back(entry.path());
    std::ranges::sort(found);
    return found;
  }

  /// Opens it and reads all but what is in files.
  void read_all_trees() {
    const auto repo = open_cached(remote_, test_password);
    const auto snapshots = repo->load_snapshots();
    ASSERT_EQ(snapshots.size(), 1u);
    repo->load_index();
    tree_walk walk(*repo, snapshots[0].second.tree);
    std::size_t files = 0;
    while (const auto* at = walk.next())
      if (at->node.type == node_type::file) ++files;
    EXPECT_EQ(files, 40u);
  }

  unique_directory place_, source_;
  const std::string repository_ = place_ / "repository", cache_ = place_ / "cache";
  std::shared_ptr<remote_storage> remote_ =
      std::make_shared<remote_storage>(std::make_shared<local_backend>(repository_));
  std::string output_;
};

TEST_F(cache_with_restic, what_restic_keeps_serves_us) {
  read_all_trees();
  EXPECT_EQ(remote_->loads(file_type::index), 0u);
  EXPECT_EQ(remote_->loads(file_type::snapshot), 0u);
  EXPECT_EQ(remote_->loads(file_type::pack), 0u);
  EXPECT_EQ(remote_->loads(), remote_->loads(file_type::config) + remote_->loads(file_type::key));
}

TEST_F(cache_with_restic, what_we_keep_serves_restic) {
  fs::remove_all(cache_);
  read_all_trees();
  EXPECT_GT(remote_->loads(file_type::pack), 0u);
  const auto kept = files_below(cache_);

  // restic lists what is there, and now can read none of it.
  for (const auto* directory : {"index", "snapshots", "data"})
    for (const auto& path : files_below(fs::path(repository_) / directory)) {
      fs::permissions(path, fs::perms::owner_write, fs::perm_options::add);
      std::ofstream(path, std::ios::trunc) << "nothing";
    }
  ASSERT_EQ(shell("\"$RESTIC\" --no-lock ls latest"), 0) << output_;
  for (int i = 0; i < 40; ++i)
    EXPECT_NE(output_.find("/dir" + std::to_string(i) + "/file\n"), std::string::npos) << output_;
  EXPECT_EQ(files_below(cache_), kept) << "restic removed or added something";
  EXPECT_NE(shell("\"$RESTIC\" --no-lock --no-cache ls latest"), 0) << "without our cache it cannot";
}

TEST_F(cache_with_restic, both_lay_out_the_same_files) {
  const auto restics = files_below(cache_);
  std::vector<std::string> contents;
  for (const auto& path : restics) contents.push_back(read_file(path));
  fs::remove_all(cache_);
  read_all_trees();
  ASSERT_EQ(files_below(cache_), restics);
  for (std::size_t i = 0; i < restics.size(); ++i) EXPECT_EQ(read_file(restics[i]), contents[i]) << restics[i];
}

TEST_F(cache_with_restic, what_one_saves_the_other_need_not_load) {
  {
    const auto repo = open_cached(remote_, test_password);
    repo->load_index();
    source_.write("new/file", "new");
    (void)back_up(*repo, options_for({source_.path().string()}));
  }
  const auto kept = files_below(cache_);
  ASSERT_EQ(shell("cd " + source_.path().string() + " && \"$RESTIC\" backup . && \"$RESTIC\" check --with-cache"), 0)
      << output_;
  for (const auto& path : kept) EXPECT_TRUE(fs::exists(path)) << path;
  remote_->clear_log();
  const auto repo = open_cached(remote_, test_password);
  repo->load_index();
  for (const auto& [name, value] : repo->load_snapshots()) {
    tree_walk walk(*repo, value.tree);
    while (walk.next() != nullptr) {}
  }
  EXPECT_EQ(remote_->loads(file_type::index) + remote_->loads(file_type::snapshot) + remote_->loads(file_type::pack),
            0u);
}

TEST_F(cache_with_restic, both_at_once_in_a_cache_that_is_cleared_all_the_time) {
  std::ofstream(place_ / "clear") << "while :; do find " << cache_
                                  << " -type f -regex '.*/[0-9a-f]*[0-7]' -delete; sleep 0.02; done";
  const std::string command =
      "bash " + (place_ / "clear") + " 2>/dev/null & trap \"kill $!\" EXIT\n"
      "for i in $(seq 6); do \"$RESTIC\" --no-lock ls latest >/dev/null || exit 1; done";
  std::string problem;
  std::thread other([&] {
    if (shell(command) != 0) problem = output_;
  });
  for (int i = 0; i < 30; ++i) read_all_trees();
  other.join();
  EXPECT_EQ(problem, "");
}

}  // namespace
}  // namespace recoup
