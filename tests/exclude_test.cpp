// What a backup leaves out: paths, tagged directories, large files, other devices; each rule as restic has it.
#include <recoup/fs/directory.hpp>
#include <recoup/fs/exclude.hpp>

#include <atomic>
#include <thread>

#include "test_data.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

class exclude : public ::testing::Test {
protected:
  void SetUp() override {
    on_warning = [this](const std::string&, const std::string& message) { warnings.push_back(message); };
  }

  std::unique_ptr<backup_filter> filter() {
    return std::make_unique<backup_filter>(options, std::vector<std::string>{directory.path()}, on_warning);
  }

  /// Asked both ways, which must agree.
  bool excludes(const backup_filter& asked, std::string_view name) {
    const auto path = directory / name;
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    const auto parent = path.substr(0, path.rfind('/'));
    const auto opened = open_directory(AT_FDCWD, parent.c_str());
    const bool with_rules = asked.excludes_entry(path, status, asked.rules_of(opened.get(), parent));
    EXPECT_EQ(asked.excludes_entry(path, status), with_rules) << path;
    return with_rules;
  }

  unique_directory directory;
  exclude_options options;
  warning_function on_warning;
  std::vector<std::string> warnings;
};

TEST_F(exclude, nothing_by_default) {
  directory.write("CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55");
  directory.write("file", "x");
  const auto asked = filter();
  EXPECT_FALSE(asked->excludes_path("/anything"));
  EXPECT_FALSE(excludes(*asked, "file"));
  EXPECT_FALSE(asked->needs_rules());
}

TEST_F(exclude, paths_by_patterns_of_all_four_kinds) {
  options.patterns = {"*.o", "!keep.o"};
  options.insensitive_patterns = {"Thumbs.DB"};
  options.pattern_files = {directory.write("patterns", "# comment\n/var/tmp/x\n")};
  options.insensitive_pattern_files = {directory.write("insensitive", "*.BAK\n")};
  const auto asked = filter();
  EXPECT_TRUE(asked->excludes_path("/src/a.o"));
  EXPECT_FALSE(asked->excludes_path("/src/keep.o"));
  EXPECT_FALSE(asked->excludes_path("/src/a.O"));
  EXPECT_TRUE(asked->excludes_path("/x/thumbs.db"));
  EXPECT_TRUE(asked->excludes_path("/var/tmp/x/deep"));
  EXPECT_FALSE(asked->excludes_path("/VAR/tmp/x"));
  EXPECT_TRUE(asked->excludes_path("/x/old.bak"));
}

TEST_F(exclude, malformed_patterns_are_refused_by_option) {
  options.patterns = {"[a"};
  expect_error(error_code::invalid_argument, "--exclude: invalid pattern(s)", [this] { filter(); });
  options.patterns = {};
  options.insensitive_pattern_files = {directory.write("file", "ok\n[b\n")};
  expect_error(error_code::invalid_argument, "--iexclude-file: invalid pattern(s) provided:\n[b", [this] { filter(); });
  options.insensitive_pattern_files = {directory / "absent"};
  expect_error(error_code::not_found, "absent", [this] { filter(); });
}

TEST_F(exclude, own_directories_with_all_below) {
  options.directories = {"/root/.cache/recoup/"};
  const auto asked = filter();
  EXPECT_TRUE(asked->excludes_path("/root/.cache/recoup"));
  EXPECT_TRUE(asked->excludes_path("/root/.cache/recoup/x/y"));
  EXPECT_FALSE(asked->excludes_path("/root/.cache/recoup2"));
  EXPECT_FALSE(asked->excludes_path("/root/.cache"));
}

TEST_F(exclude, larger_files_but_not_directories) {
  options.larger_than = 5;
  directory.write("five", "12345");
  directory.write("six", "123456");
  std::filesystem::create_directory(directory.path() / "inner");
  ASSERT_EQ(::symlink("a target of many bytes", (directory / "link").c_str()), 0);
  const auto asked = filter();
  EXPECT_FALSE(excludes(*asked, "five"));
  EXPECT_TRUE(excludes(*asked, "six"));
  EXPECT_FALSE(excludes(*asked, "inner"));
  EXPECT_TRUE(excludes(*asked, "link")) << "restic goes by st_size, whatever it is";
}

TEST_F(exclude, contents_of_tagged_directories_but_not_the_tag) {
  options.if_present = {".nobackup"};
  for (const char* name : {"tagged/.nobackup", "tagged/file", "tagged/inner/deep", "plain/file"}) directory.write(name);
  const auto asked = filter();
  EXPECT_FALSE(excludes(*asked, "tagged")) << "the directory stays, empty but for the tag";
  EXPECT_FALSE(excludes(*asked, "tagged/.nobackup"));
  EXPECT_TRUE(excludes(*asked, "tagged/file"));
  EXPECT_TRUE(excludes(*asked, "tagged/inner"));
  EXPECT_FALSE(excludes(*asked, "tagged/inner/deep")) << "never asked, and the tag lies elsewhere";
  EXPECT_FALSE(excludes(*asked, "plain/file"));
  EXPECT_TRUE(warnings.empty());
}

TEST_F(exclude, two_tags_exclude_each_other) {
  options.if_present = {"A", "B"};
  for (const char* name : {"both/A", "both/B", "one/A"}) directory.write(name);
  const auto asked = filter();
  EXPECT_TRUE(excludes(*asked, "both/A"));
  EXPECT_TRUE(excludes(*asked, "both/B"));
  EXPECT_FALSE(excludes(*asked, "one/A"));
}

TEST_F(exclude, tags_with_a_header) {
  options.caches = true;
  options.if_present = {"tag:two:parts"};
  const std::string signature = "Signature: 8a477f597d28d172789f06886806bc55";
  directory.write("cache/CACHEDIR.TAG", signature + "\n# by somebody\n");
  directory.write("wrong/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc56");
  directory.write("short/CACHEDIR.TAG", "Signature");
  directory.write("empty/CACHEDIR.TAG");
  directory.write("colon/tag", "two:parts and more");
  for (const char* name : {"cache/x", "wrong/x", "short/x", "empty/x", "colon/x"}) directory.write(name);
  std::filesystem::create_directories(directory.path() / "odd/CACHEDIR.TAG");
  directory.write("odd/x");
  const auto asked = filter();
  EXPECT_TRUE(excludes(*asked, "cache/x"));
  EXPECT_TRUE(excludes(*asked, "colon/x"));
  EXPECT_TRUE(warnings.empty());
  for (const auto& [name, warning] :
       {std::pair{"wrong", "invalid signature in"}, std::pair{"short", "invalid (too short) signature in"},
        std::pair{"empty", "invalid (too short) signature in"}, std::pair{"odd", "could not read signature from"}}) {
    warnings.clear();
    EXPECT_FALSE(excludes(*asked, std::string(name) + "/x"));
    ASSERT_EQ(warnings.size(), 2u) << "once asked with rules, once without";
    EXPECT_TRUE(warnings[0].starts_with(warning)) << warnings[0];
    EXPECT_NE(warnings[0].find(directory / name), std::string::npos);
  }
  warnings.clear();
  struct stat status {};
  ASSERT_EQ(::lstat((directory / "wrong/x").c_str(), &status), 0);
  EXPECT_FALSE(asked->excludes_entry(directory / "wrong/x", status));
  EXPECT_TRUE(warnings.empty()) << "remembered";
}

TEST_F(exclude, tags_without_a_name_are_refused) {
  for (const char* text : {"", ":header"}) {
    options.if_present = {text};
    expect_error(error_code::invalid_argument, "no name for exclusion tagfile", [this] { filter(); });
  }
}

TEST_F(exclude, a_directory_that_is_gone_has_no_rules) {
  options.if_present = {"tag"};
  const auto asked = filter();
  struct stat status {};
  EXPECT_FALSE(asked->excludes_entry(directory / "gone/file", status));
}

TEST_F(exclude, many_threads_may_ask) {
  options.if_present = {"tag"};
  options.insensitive_patterns = {"*.TMP"};
  for (int i = 0; i < 20; ++i) {
    directory.write(std::to_string(i) + "/file");
    if (i % 2) directory.write(std::to_string(i) + "/tag");
  }
  const auto asked = filter();
  struct stat status {};
  ASSERT_EQ(::lstat((directory / "0/file").c_str(), &status), 0);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const auto path = directory / (std::to_string(i % 20) + "/file");
        if (asked->excludes_entry(path, status) != (i % 2 == 1)) ++wrong;
        if (asked->excludes_path(path) || !asked->excludes_path(path + ".tmp")) ++wrong;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Devices are numbers in `struct stat`, so mount points can be told without mounting.
TEST_F(exclude, other_devices_but_not_their_mount_points) {
  options.one_file_system = true;
  std::filesystem::create_directory(directory.path() / "mounted");
  directory.write("file");
  const auto asked = filter();
  EXPECT_FALSE(excludes(*asked, "file"));
  EXPECT_FALSE(excludes(*asked, "mounted"));

  const auto here = asked->rules_of(directory.fd(), directory.path());
  struct stat other {};
  ASSERT_EQ(::lstat((directory / "mounted").c_str(), &other), 0);
  other.st_dev += 1;
  EXPECT_FALSE(asked->excludes_entry(directory / "mounted", other, here)) << "the mount point is kept";
  auto inside = here;
  inside.device = other.st_dev;
  EXPECT_TRUE(asked->excludes_entry(directory / "mounted/directory", other, inside));
  other.st_mode = S_IFREG | 0644;
  EXPECT_TRUE(asked->excludes_entry(directory / "mounted/file", other, inside));
  EXPECT_TRUE(asked->excludes_entry(directory / "file", other, here)) << "a file mounted over a file";
}

TEST_F(exclude, each_target_has_its_own_device) {
  if (std::filesystem::status("/proc/self").type() != std::filesystem::file_type::directory) GTEST_SKIP();
  options.one_file_system = true;
  const backup_filter asked(options, {"/", "/proc"}, on_warning);
  struct stat status {};
  ASSERT_EQ(::lstat("/proc/version", &status), 0);
  EXPECT_FALSE(asked.excludes_entry("/proc/version", status));
  const backup_filter root_only(options, {"/"}, on_warning);
  EXPECT_TRUE(root_only.excludes_entry("/proc/version", status));
  ASSERT_EQ(::lstat("/proc", &status), 0);
  EXPECT_FALSE(root_only.excludes_entry("/proc", status)) << "the mount point";
  ASSERT_EQ(::lstat("/proc/self/fd", &status), 0);
  EXPECT_TRUE(root_only.excludes_entry("/proc/self/fd", status));
}

TEST_F(exclude, devices_need_targets_that_exist) {
  options.one_file_system = true;
  expect_error(error_code::invalid_argument, "--one-file-system", [this] { backup_filter(options, {}, on_warning); });
  expect_error(error_code::not_found, "absent",
               [this] { backup_filter(options, {directory / "absent"}, on_warning); });
}

}  // namespace
}  // namespace recoup
