// Differences between two trees.
#include <recoup/ops/diff.hpp>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

class recording_diff : public diff_observer {
public:
  void on_change(const std::string& path, std::string_view modifier) override {
    changes.push_back(std::string(modifier) + " " + path);
  }
  void on_error(const error& problem) override { errors.emplace_back(problem.what()); }
  std::vector<std::string> changes, errors;
};

using lines = std::vector<std::string>;

class diff_test : public testing::Test {
protected:
  diff_test() : repo_(make_repository(std::make_shared<memory_backend>())) {}

  node file(const std::string& name, const std::string& content, std::uint64_t inode = 1) {
    auto made = make_file(*repo_, name, {content});
    made.inode = inode;
    return made;
  }
  node directory(const std::string& name, std::vector<node> nodes) {
    return make_directory(*repo_, name, std::move(nodes));
  }

  diff_result run(std::vector<node> before, std::vector<node> after, bool metadata = false) {
    const auto first = save_tree(*repo_, std::move(before)), second = save_tree(*repo_, std::move(after));
    repo_->flush();
    diff_options options;
    options.metadata = metadata;
    observed_ = std::make_unique<recording_diff>();
    return diff(*repo_, first, second, options, *observed_);
  }

  std::shared_ptr<repository> repo_;
  std::unique_ptr<recording_diff> observed_;
};

TEST_F(diff_test, added_removed_and_modified) {
  const auto result = run(
      {directory("gone", {file("x", "only before")}), file("same", "s"), file("m", "before"), make_symlink("l", "t")},
      {directory("new", {directory("sub", {file("y", "only after")})}), file("same", "s"), file("m", "after", 2),
       make_symlink("k", "t")});
  EXPECT_EQ(observed_->changes,
            (lines{"- /gone/", "- /gone/x", "+ /k", "- /l", "M /m", "+ /new/", "+ /new/sub/", "+ /new/sub/y"}));
  EXPECT_EQ(result.changed_files, 1u);
  EXPECT_EQ(result.added.files, 1u);
  EXPECT_EQ(result.added.dirs, 2u);
  EXPECT_EQ(result.added.others, 1u);
  EXPECT_EQ(result.added.data_blobs, 2u);
  EXPECT_EQ(result.added.tree_blobs, 3u);  // the root is another one too
  EXPECT_EQ(result.removed.files, 1u);
  EXPECT_EQ(result.removed.dirs, 1u);
  EXPECT_EQ(result.removed.others, 1u);
  EXPECT_EQ(result.removed.data_blobs, 2u);
  EXPECT_EQ(result.removed.tree_blobs, 2u);
  EXPECT_GT(result.removed.bytes, 17u);
  EXPECT_TRUE(observed_->errors.empty());
}

TEST_F(diff_test, types) {
  (void)run({file("a", "1"), directory("b", {file("x", "1")})}, {directory("a", {}), file("b", "1")});
  EXPECT_EQ(observed_->changes, (lines{"T /a/", "T /b"}));
}

TEST_F(diff_test, other_content_with_the_same_metadata_is_suspicious) {
  (void)run({file("a", "rust")}, {file("a", "dust")});
  EXPECT_EQ(observed_->changes, lines{"M? /a"});
}

TEST_F(diff_test, metadata_only_if_asked_for) {
  auto before = file("a", "1"), after = file("a", "1");
  after.mode = 0600;
  (void)run({before}, {after});
  EXPECT_EQ(observed_->changes, lines{});
  (void)run({before}, {after}, true);
  EXPECT_EQ(observed_->changes, lines{"U /a"});
  after = before;
  after.mtime.zone_offset = 3600;  // the same instant
  (void)run({before}, {after}, true);
  EXPECT_EQ(observed_->changes, lines{});
}

TEST_F(diff_test, blobs_in_unchanged_directories_are_neither_added_nor_removed) {
  const auto result = run({directory("same", {file("f", "content")}), file("gone", "content")},
                          {directory("same", {file("f", "content")})});
  EXPECT_EQ(observed_->changes, lines{"- /gone"});
  EXPECT_EQ(result.removed.data_blobs, 0u);
  EXPECT_EQ(result.removed.tree_blobs, 1u);
}

TEST_F(diff_test, equal_trees) {
  const auto result = run({file("a", "1")}, {file("a", "1")}, true);
  EXPECT_EQ(observed_->changes, lines{});
  EXPECT_EQ(result.added.bytes + result.removed.bytes, 0u);
}

TEST_F(diff_test, a_tree_that_cannot_be_read_is_told_and_the_rest_compared) {
  auto gone = make_node("d", node_type::dir);
  gone.subtree = sha256(as_bytes("no such tree"));
  (void)run({gone, file("z", "1")}, {directory("d", {}), file("z", "2", 2)});
  EXPECT_EQ(observed_->changes, lines{"M /z"});
  ASSERT_FALSE(observed_->errors.empty());
  EXPECT_TRUE(observed_->errors[0].starts_with("/d/: ")) << observed_->errors[0];
  diff_observer nobody;
  expect_error(error_code::not_found, "no index lists it",
               [&] { (void)diff(*repo_, *gone.subtree, id{}, {}, nobody); });
}

}  // namespace
}  // namespace recoup
