// Where caches are, how old they are, and that nothing else is removed.
#include <recoup/ops/cache_directories.hpp>

#include <sys/stat.h>

#include "test_data.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

class variable {
public:
  variable(const char* name, const char* value) : name_(name) {
    const char* before = std::getenv(name);
    if (before != nullptr) before_ = before, was_set_ = true;
    value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;
  ~variable() { was_set_ ? ::setenv(name_, before_.c_str(), 1) : ::unsetenv(name_); }

private:
  const char* name_;
  std::string before_;
  bool was_set_ = false;
};

TEST(cache_directories, the_default_is_restics) {
  const variable home("HOME", "/home/u"), base("XDG_CACHE_HOME", nullptr), own("RESTIC_CACHE_DIR", nullptr);
  EXPECT_EQ(default_cache_directory(), "/home/u/.cache/restic");
  {
    const variable xdg("XDG_CACHE_HOME", "/x");
    EXPECT_EQ(default_cache_directory(), "/x/restic");
    const variable restic("RESTIC_CACHE_DIR", "/r");
    EXPECT_EQ(default_cache_directory(), "/r");
  }
  const variable relative("XDG_CACHE_HOME", "x");
  expect_error(error_code::invalid_argument, "relative", [] { (void)default_cache_directory(); });
  const variable none("XDG_CACHE_HOME", ""), homeless("HOME", nullptr);
  expect_error(error_code::failure, "set RESTIC_CACHE_DIR", [] { (void)default_cache_directory(); });
}

class cache_test : public testing::Test {
protected:
  void make(const std::string& name, int days_old, std::string_view content) {
    directory_.write(name + "/data/00/x", content);
    directory_.write(name + "/version", "1");
    const auto then = current_time().seconds - days_old * 86400 - 60;
    const timespec times[2] = {{then, 0}, {then, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (directory_ / name).c_str(), times, 0), 0);
  }
  std::string base() const { return directory_.path().string(); }

  unique_directory directory_;
  const std::string first_ = std::string(64, 'a'), second_ = std::string(64, 'b');
};

TEST_F(cache_test, listed_by_age_with_sizes) {
  make(first_, 3, "12345");
  make(second_, 40, "123");
  make("restic-check-cache-123", 1, "");
  make("something else", 100, "");
  make(std::string(63, 'a'), 100, "");
  make("restic-check-cache-", 100, "");
  directory_.write(std::string(64, 'c'), "a file");
  const auto found = list_cache_directories(base(), true);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].name, second_);
  EXPECT_EQ(found[0].bytes, 4u);
  EXPECT_EQ(found[1].bytes, 6u);
  EXPECT_TRUE(found[2].is_temporary());
  const auto now = current_time();
  EXPECT_EQ(found[0].days_since_use(now), 40);
  EXPECT_TRUE(found[0].is_older_than(max_cache_age, now));
  EXPECT_FALSE(found[1].is_older_than(max_cache_age, now));
  EXPECT_EQ(list_cache_directories(base(), false)[0].bytes, 0u);
}

TEST_F(cache_test, only_old_caches_are_removed) {
  make(first_, 3, "12345");
  make(second_, 40, "123");
  make("something else", 100, "");
  const auto on_error = [](const cache_directory& which, const error& problem) {
    ADD_FAILURE() << which.name << problem.what();
  };
  const auto removed = remove_old_cache_directories(base(), max_cache_age, on_error);
  ASSERT_EQ(removed.size(), 1u);
  EXPECT_EQ(removed[0].name, second_);
  EXPECT_FALSE(std::filesystem::exists(directory_ / second_));
  EXPECT_TRUE(std::filesystem::exists(directory_ / first_));
  EXPECT_TRUE(std::filesystem::exists(directory_ / "something else"));
}

TEST_F(cache_test, symlinks_are_no_caches) {
  const auto elsewhere = directory_.write("elsewhere/keep", "x");
  std::filesystem::create_directory_symlink(directory_ / "elsewhere", directory_ / first_);
  EXPECT_TRUE(list_cache_directories(base(), true).empty());
}

TEST_F(cache_test, a_missing_directory_holds_none) {
  EXPECT_TRUE(list_cache_directories(directory_ / "not there", true).empty());
  const auto file = directory_.write("file");
  expect_error(error_code::io, "cannot read the cache directory", [&] { (void)list_cache_directories(file, true); });
}

}  // namespace
}  // namespace recoup
