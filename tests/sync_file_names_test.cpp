// Keys as paths: what cannot leave the directory, and that every escaped path is of one key.
#include <recoup/ops/sync/file_names.hpp>

#include <random>
#include <set>

#include "test_data.hpp"

namespace recoup {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string path;
  for (const auto& name : names) (path += path.empty() ? "" : "/") += name;
  return path;
}

TEST(sync_file_names_test, keys_that_are_refused) {
  using namespace std::string_literals;
  for (const auto& key : {"../a"s, "a/../b"s, ".."s, "."s, "a/./b"s, "/a"s, "a//b"s, "a/"s, "/"s, ""s, "a\0b"s,
                          std::string(256, 'a'), "x/" + std::string(300, 'a') + "/y", ".recoup-sync-tmp-1"s})
    EXPECT_NE(problem_of_file_name(key), "") << key;
  for (const auto& key : {"a"s, "a/b"s, "..."s, "..a"s, "a.."s, " "s, "a b"s, "-"s, "~"s, "%2e%2e"s, "ä"s, "\n"s,
                          std::string(255, 'a'), "con"s, "a\\..\\b"s})
    EXPECT_EQ(problem_of_file_name(key), "") << key;
}

TEST(sync_file_names_test, escaped_names) {
  using namespace std::string_literals;
  const auto path = [](const std::string& key) { return joined(escaped_path(key, false)); };
  EXPECT_EQ(path("a/b"), "a/b");
  EXPECT_EQ(path("../a/.b/..c"), "%2E%2E/a/.b/..c");
  EXPECT_EQ(path("."), "%2E");
  EXPECT_EQ(path("/a//b/"), "%_/a/%_/b/%_");
  EXPECT_EQ(path("100%"), "100%25");
  EXPECT_EQ(path("a\0"s), "a%00");
  EXPECT_EQ(path(std::string(300, 'x')), std::string(240, 'x') + "%+/" + std::string(60, 'x'));
  EXPECT_EQ(joined(escaped_path("a", true)), "a%=");
  // What is left of a long segment must not lead away either; a fuzzer found it.
  const auto long_name = std::string(240, 'x');
  EXPECT_EQ(path(long_name + "../a"), long_name + "%+/%2E%2E/a");
  EXPECT_EQ(path(long_name + "."), long_name + "%+/%2E");
  EXPECT_EQ(path(long_name + ".recoup-sync-tmp-1"), long_name + "%+/%2Erecoup-sync-tmp-1");
  EXPECT_EQ(key_of_escaped_path(escaped_path(long_name + "..", false)), long_name + "..");
}

TEST(sync_file_names_test, every_key_comes_back_and_no_path_is_of_two) {
  using namespace std::string_literals;
  std::mt19937 random(7);  // NOLINT: the same keys each time
  const std::string letters = "ab./%_+=\0x2E5\xff"s;
  std::set<std::string> paths, keys;
  for (int i = 0; i < 50'000; ++i) {
    std::string key;
    const auto length = random() % (i % 100 == 0 ? 1024 : 12) + 1;
    while (key.size() < length) key += letters[random() % letters.size()];
    if (!keys.insert(key).second) continue;
    for (const bool is_directory_too : {false, true}) {
      const auto names = escaped_path(key, is_directory_too);
      for (const auto& name : names) {
        ASSERT_FALSE(name.empty());
        ASSERT_LE(name.size(), 255u);
        ASSERT_NE(name, ".");
        ASSERT_NE(name, "..");
        ASSERT_EQ(name.find('/'), std::string::npos);
        ASSERT_EQ(name.find('\0'), std::string::npos);
      }
      ASSERT_EQ(key_of_escaped_path(names), key) << joined(names);
      ASSERT_TRUE(paths.insert(joined(names)).second) << joined(names);
    }
  }
}

TEST(sync_file_names_test, paths_that_no_key_has) {
  const auto key = [](std::vector<std::string> names) { return key_of_escaped_path(names); };
  EXPECT_EQ(key({"a%"}), std::nullopt);
  EXPECT_EQ(key({"%41"}), std::nullopt);
  EXPECT_EQ(key({"%2e"}), std::nullopt);
  EXPECT_EQ(key({"a%+"}), std::nullopt);
  EXPECT_EQ(key({"a%+", "b"}), std::nullopt);
  EXPECT_EQ(key({"a%=", "b"}), std::nullopt);
  EXPECT_EQ(key({std::string(250, 'x')}), std::nullopt);
  EXPECT_EQ(key({"a", "b%="}), "a/b");
}

}  // namespace
}  // namespace recoup
