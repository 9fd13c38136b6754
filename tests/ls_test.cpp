// Listings: which nodes, in which order, and as ncdu reads them.
#include <recoup/ops/ls.hpp>
#include <recoup/ops/ls/ncdu.hpp>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

class ls_test : public testing::Test {
protected:
  ls_test() : repo_(make_repository(std::make_shared<memory_backend>())) {
    auto& r = *repo_;
    auto old = make_file(r, "old.txt", {"12345"});
    old.mtime = {1000, 5, 3600};
    auto older = make_file(r, "older.c", {"123"});
    older.mtime = {1000, 4, 0};
    older.atime = {2'000'000'000, 0, 0};
    older.ctime = {2'000'000'001, 0, 0};
    tree_ = save_tree(r, {make_directory(r, "a", {make_file(r, "x", {"1"}), make_directory(r, "deep", {old})}),
                          make_directory(r, "ab", {make_file(r, "y.d/", {})}), older, make_symlink("link", "a")});
    repo_->flush();
  }

  std::vector<std::string> list(ls_options options) {
    std::vector<std::string> seen;
    ls(*repo_, tree_, options,
       [&](const walked_node& at, bool leading) { seen.push_back((leading ? "(" : "") + at.path); });
    return seen;
  }
  std::vector<std::string> list(std::vector<std::string> directories, bool recursive = false) {
    ls_options options;
    options.directories = std::move(directories);
    options.recursive = recursive;
    return list(options);
  }
  std::vector<std::string> sorted(ls_sort by, bool reverse = false) {
    ls_options options;
    options.sort = by;
    options.reverse = reverse;
    return list(options);
  }

  std::shared_ptr<repository> repo_;
  id tree_;
};

using paths = std::vector<std::string>;

TEST_F(ls_test, everything_or_single_directories) {
  const paths all{"/a", "/a/deep", "/a/deep/old.txt", "/a/x", "/ab", "/ab/y.d/", "/link", "/older.c"};
  EXPECT_EQ(list(ls_options{}), all);
  EXPECT_EQ(list({"/"}), (paths{"/a", "/ab", "/link", "/older.c"}));
  EXPECT_EQ(list({"/"}, true), all);
  EXPECT_EQ(list({"/a"}), (paths{"/a", "/a/deep", "/a/x"}));
  EXPECT_EQ(list({"/a"}, true), (paths{"/a", "/a/deep", "/a/deep/old.txt", "/a/x"}));
  EXPECT_EQ(list({"/a/deep/", "//ab"}), (paths{"/a/deep", "/a/deep/old.txt", "/ab", "/ab/y.d/"}));
  EXPECT_EQ(list({"/older.c"}), paths{"/older.c"});
  EXPECT_EQ(list({"/none"}), paths{});
  expect_error(error_code::invalid_argument, "must be absolute", [&] { (void)list({"a"}); });
}

TEST_F(ls_test, directories_that_lead_there) {
  ls_options options;
  options.directories = {"/a/deep"};
  options.with_leading = true;
  EXPECT_EQ(list(options), (paths{"(/a", "/a/deep", "/a/deep/old.txt"}));
}

TEST_F(ls_test, orders) {
  EXPECT_EQ(sorted(ls_sort::name, true),
            (paths{"/older.c", "/link", "/ab/y.d/", "/ab", "/a/x", "/a/deep/old.txt", "/a/deep", "/a"}));
  const auto by_size = sorted(ls_sort::size);
  EXPECT_EQ(by_size, (paths{"/a", "/a/deep", "/ab", "/ab/y.d/", "/link", "/a/x", "/older.c", "/a/deep/old.txt"}));
  EXPECT_EQ(sorted(ls_sort::size, true), paths(by_size.rbegin(), by_size.rend()));
  const auto by_time = sorted(ls_sort::mtime);  // the instant counts, not the zone it is shown in
  EXPECT_EQ(paths(by_time.begin(), by_time.begin() + 3), (paths{"/older.c", "/a/deep/old.txt", "/a"}));
  EXPECT_EQ(sorted(ls_sort::atime).back(), "/older.c");
  EXPECT_EQ(sorted(ls_sort::ctime).back(), "/older.c");
  const auto by_extension = sorted(ls_sort::extension);  // ".d/" ends in a slash, so its name has none
  EXPECT_EQ(paths(by_extension.end() - 2, by_extension.end()), (paths{"/older.c", "/a/deep/old.txt"}));
}

TEST(ls_sort, has_names) {
  EXPECT_EQ(parse_ls_sort("time"), ls_sort::mtime);
  EXPECT_EQ(parse_ls_sort("mtime"), ls_sort::mtime);
  EXPECT_EQ(parse_ls_sort("extension"), ls_sort::extension);
  EXPECT_FALSE(parse_ls_sort("Size"));
}

TEST_F(ls_test, ncdu) {
  auto& r = *repo_;
  auto file = make_file(r, "f\n", {std::string(513, 'x')});
  file.mode = 0640 | go_mode::setuid | go_mode::sticky;
  file.mtime = {-5, 0, 0};
  file.inode = 7, file.device_id = 8, file.links = 2, file.uid = 1, file.gid = 2;
  snapshot of;
  of.time = {0, 0, 0};
  of.tree = save_tree(r, {make_directory(r, "d", {make_directory(r, "e", {})}), file, make_symlink("l", "x")});
  r.flush();
  ncdu_export exporting;
  ls_options options;
  options.with_leading = true;
  auto text = ncdu_export::begin(of);
  ls(r, of.tree, options, [&](const walked_node& at, bool) { text += exporting.add(at); });
  text += exporting.end();
  const std::string rest = "\"uid\":0,\"gid\":0,\"mode\":";
  EXPECT_EQ(text,
            "[1, 2, {\"time\":\"1970-01-01T00:00:00Z\",\"tree\":\"" + of.tree.hex() +
                "\",\"paths\":[]}, [{\"name\":\"/\"},\n"
                "  [\n"
                "    {\"name\":\"d\",\"asize\":0,\"dsize\":0,\"dev\":0,\"ino\":0,\"nlink\":1,\"notreg\":false," +
                rest +
                "493,\"mtime\":1600000000},\n"
                "    [\n"
                "      {\"name\":\"e\",\"asize\":0,\"dsize\":0,\"dev\":0,\"ino\":0,\"nlink\":1,\"notreg\":false," +
                rest +
                "493,\"mtime\":1600000000}\n"
                "    ]\n"
                "  ],\n"
                "  "
                "{\"name\":\"f\\n\",\"asize\":513,\"dsize\":1024,\"dev\":8,\"ino\":7,\"nlink\":2,\"notreg\":false,"
                "\"uid\":1,\"gid\":2,\"mode\":2976,\"mtime\":0},\n"
                "  {\"name\":\"l\",\"asize\":0,\"dsize\":0,\"dev\":0,\"ino\":0,\"nlink\":1,\"notreg\":true," +
                rest +
                "511,\"mtime\":1600000000}\n"
                "]\n]\n");
}

}  // namespace
}  // namespace recoup
