// Walking through trees: order, skipping, trees that cannot be read, and trees that no file system has.
#include <recoup/ops/used_blobs.hpp>
#include <recoup/ops/walk.hpp>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

class walk_test : public testing::Test {
protected:
  walk_test() : storage_(std::make_shared<memory_backend>()), repo_(make_repository(storage_)) {
    auto& r = *repo_;
    tree_ = save_tree(
        r, {make_file(r, "a", {"1"}),
            make_directory(r, "b", {make_file(r, "x", {"2"}), make_directory(r, "y", {make_file(r, "z", {"3"})})}),
            make_directory(r, "b-c", {}), make_file(r, "c", {})});
    repo_->flush();
  }

  using paths = std::vector<std::string>;
  template <class Step>
  paths walk(const id& tree, Step&& step, tree_walk_options options = {}) {
    paths seen;
    tree_walk walking(*repo_, tree, std::move(options));
    while (auto* at = walking.next()) {
      seen.push_back(at->path);
      step(walking, *at);
    }
    EXPECT_EQ(walking.next(), nullptr);  // stays at the end
    return seen;
  }
  paths walk(const id& tree) {
    return walk(tree, [](auto&, auto&) {});
  }

  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
  id tree_;
};

TEST_F(walk_test, directories_come_before_what_is_in_them) {
  std::vector<std::size_t> depths;
  const auto seen = walk(tree_, [&](auto&, const walked_node& at) { depths.push_back(at.depth); });
  EXPECT_EQ(seen, (paths{"/a", "/b", "/b/x", "/b/y", "/b/y/z", "/b-c", "/c"}));
  EXPECT_EQ(depths, (std::vector<std::size_t>{0, 0, 1, 1, 2, 0, 0}));
}

TEST_F(walk_test, nodes_may_be_moved_away) {
  const auto seen = walk(tree_, [](auto&, walked_node& at) {
    const auto taken = std::move(at);
    EXPECT_FALSE(taken.path.empty());
  });
  EXPECT_EQ(seen.size(), 7u);
}

TEST_F(walk_test, the_prefix_begins_every_path) {
  EXPECT_EQ(walk(tree_, [](auto&, auto&) {}, {"/home/u", {}, {}}).front(), "/home/u/a");
}

TEST_F(walk_test, parent_tree_is_the_one_that_lists_the_node) {
  tree_walk walking(*repo_, tree_);
  EXPECT_EQ(walking.next()->parent_tree, tree_);
  const auto subtree = *walking.next()->node.subtree;
  EXPECT_EQ(walking.next()->parent_tree, subtree);
}

TEST_F(walk_test, skipping) {
  EXPECT_EQ(walk(tree_,
                 [](tree_walk& walking, const walked_node& at) {
                   if (at.path == "/b") walking.skip();
                 }),
            (paths{"/a", "/b", "/b-c", "/c"}));
  EXPECT_EQ(walk(tree_,
                 [](tree_walk& walking, const walked_node& at) {
                   if (at.path == "/b/x") walking.skip_rest_of_directory();
                 }),
            (paths{"/a", "/b", "/b/x", "/b-c", "/c"}));
}

TEST_F(walk_test, a_tree_that_is_missing_is_told_and_passed_over) {
  auto gone = make_node("gone", node_type::dir);
  gone.subtree = sha256(as_bytes("no such tree"));
  auto none = make_node("none", node_type::dir);
  const auto tree = save_tree(*repo_, {gone, none, make_file(*repo_, "z", {"9"})});
  repo_->flush();
  std::vector<std::string> told;
  const auto seen = walk(
      tree, [](auto&, auto&) {},
      {"",
       [&](const std::string& path, const id&, const error& problem) { told.push_back(path + ": " + problem.what()); },
       {}});
  EXPECT_EQ(seen, (paths{"/gone", "/none", "/z"}));
  ASSERT_EQ(told.size(), 2u);
  EXPECT_TRUE(told[0].starts_with("/gone: tree " + gone.subtree->hex()));
  EXPECT_TRUE(told[1].starts_with("/none: directory /none has no tree"));
  expect_error(error_code::not_found, "of /gone cannot be read", [&] { (void)walk(tree); });
  expect_error(error_code::not_found, "of / cannot be read", [&] { (void)walk(*gone.subtree); });
}

TEST_F(walk_test, as_deep_as_anybody_likes) {
  auto tree = save_tree(*repo_, {});
  for (int i = 0; i < 20'000; ++i) {
    auto above = make_node("d", node_type::dir);
    above.subtree = tree;
    tree = save_tree(*repo_, {above});
  }
  repo_->flush();
  std::size_t deepest = 0;
  tree_walk walking(*repo_, tree);
  while (const auto* at = walking.next()) deepest = std::max(deepest, at->path.size());
  EXPECT_EQ(deepest, 40'000u);
  EXPECT_EQ(find_used_blobs(*repo_, std::vector{tree}).size(), 20'001u);
}

TEST_F(walk_test, can_be_stopped) {
  std::stop_source stop;
  tree_walk walking(*repo_, tree_, {"", {}, stop.get_token()});
  EXPECT_NE(walking.next(), nullptr);
  stop.request_stop();
  expect_error(error_code::interrupted, "interrupted", [&] { (void)walking.next(); });
}

TEST(is_within, is_about_whole_names) {
  EXPECT_TRUE(is_within("/a", "/a"));
  EXPECT_TRUE(is_within("/a", "/a/b"));
  EXPECT_TRUE(is_within("/", "/a"));
  EXPECT_FALSE(is_within("/a", "/ab"));
  EXPECT_FALSE(is_within("/a/b", "/a"));
}

TEST_F(walk_test, used_blobs_are_all_trees_and_contents) {
  const auto used = find_used_blobs(*repo_, std::vector{tree_});
  EXPECT_EQ(used.size(), 4 + 3u);  // trees of /, /b, /b/y and /b-c; three contents
  EXPECT_TRUE(used.contains({blob_type::tree, tree_}));
  EXPECT_TRUE(used.contains({blob_type::data, sha256(as_bytes("3"))}));
  EXPECT_EQ(find_used_blobs(*repo_, std::vector{tree_, tree_}).size(), used.size());

  auto gone = make_node("gone", node_type::dir);
  gone.subtree = sha256(as_bytes("no such tree"));
  const auto broken = save_tree(*repo_, {gone, make_file(*repo_, "z", {"9"})});
  repo_->flush();
  expect_error(error_code::not_found, "no index lists it", [&] { (void)find_used_blobs(*repo_, std::vector{broken}); });
  std::vector<id> told;
  used_blobs_options options;
  options.on_error = [&](const id& tree, const error&) { told.push_back(tree); };
  EXPECT_EQ(find_used_blobs(*repo_, std::vector{broken}, options).size(), 3u);
  EXPECT_EQ(told, std::vector{*gone.subtree});
}

}  // namespace
}  // namespace recoup
