// What all tests of restoring share: a made-up snapshot, a place to restore it to, and what was said meanwhile.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <recoup/ops/restore.hpp>

#include "made_snapshot.hpp"
#include "test_data.hpp"
#include "unique_directory.hpp"

namespace restore_tests {

namespace fs = std::filesystem;
using recoup::error_code;
using recoup::node;
using recoup::node_type;
using recoup::overwrite_mode;
using recoup::restore_action;
using recoup::restore_options;
using strings = std::vector<std::string>;

inline std::string random_text(std::size_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::string text(size, '\0');
  for (auto& byte : text) byte = static_cast<char>(generator());
  return text;
}

inline struct stat status(const std::string& path) {
  struct stat found {};
  EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
  return found;
}

inline void expect_time(const std::string& path, const recoup::timestamp& expected) {
  const auto found = status(path);
  EXPECT_EQ(found.st_mtim.tv_sec, expected.seconds) << path;
  EXPECT_EQ(found.st_mtim.tv_nsec, expected.nanoseconds) << path;
}

inline void set_time(const std::string& path, std::int64_t seconds, std::int32_t nanoseconds = 0) {
  timespec times[2]{};
  times[0].tv_sec = times[1].tv_sec = seconds;
  times[0].tv_nsec = times[1].tv_nsec = nanoseconds;
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
}

class Restore : public ::testing::Test {
protected:
  /// Restores the tree of `entries` into out/.
  recoup::restore_result restore(std::vector<node> entries) { return restore_tree(snapshot.tree(std::move(entries))); }

  recoup::restore_result restore_tree(const recoup::id& tree) {
    snapshot.repo->flush();
    return again(tree);
  }

  recoup::restore_result again(const recoup::id& tree) {
    last_tree = tree;
    options.target = out;
    observer.emplace();
    observer->at_phase = at_phase;
    return recoup::restore(*snapshot.repo, tree, options, *observer);
  }

  [[nodiscard]] std::string path(const std::string& name) const { return out + "/" + name; }
  [[nodiscard]] std::string content(const std::string& name) const { return read_file(path(name)); }
  void put(const std::string& name, const std::string& text) const { directory.write("out/" + name, text); }

  made_snapshot snapshot;
  unique_directory directory;
  std::string out = directory / "out";
  restore_options options;
  recoup::id last_tree;
  std::optional<remembering_observer> observer;
  std::map<recoup::restore_phase, std::function<void()>> at_phase;
};

}  // namespace restore_tests
