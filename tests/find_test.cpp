// Finding files by name and time, and the places that blobs, trees and packs are needed in.
#include <recoup/ops/find.hpp>
#include <recoup/ops/find/object_search.hpp>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

using paths = std::vector<std::string>;

class find_test : public testing::Test {
protected:
  find_test() : storage_(std::make_shared<memory_backend>()), repo_(make_repository(storage_)) {
    auto& r = *repo_;
    auto old = make_file(r, "Report.PDF", {"old"});
    old.mtime = {1000, 0, 0};
    tree_ = save_tree(
        r,
        {make_directory(r, "docs", {old, make_file(r, "report.txt", {"text"})}), make_file(r, "report.txt", {"text"}),
         make_directory(r, "src", {make_directory(r, "lib", {make_file(r, "a.c", {"text", "more", "text"})})})});
    repo_->flush();
  }

  paths find(find_options options) {
    paths found;
    file_search search(std::move(options));
    search.run(*repo_, tree_, [&](const walked_node& at) { found.push_back(at.path); });
    return found;
  }
  paths find(paths patterns) {
    find_options options;
    options.patterns = std::move(patterns);
    return find(options);
  }

  paths find_objects(object_kind kind, const paths& ids) {
    paths found;
    object_search search(*repo_, kind, ids);
    search.run(tree_, [&](const found_object& each) {
      found.push_back(std::string(name_of(each.object.type)) + " " + each.path);
    });
    return found;
  }

  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
  id tree_;
};

TEST_F(find_test, patterns) {
  EXPECT_EQ(find({"*.txt"}), (paths{"/docs/report.txt", "/report.txt"}));
  EXPECT_EQ(find({"/report*"}), (paths{"/report.txt"}));
  EXPECT_EQ(find({"lib"}), (paths{"/src/lib", "/src/lib/a.c"}));
  EXPECT_EQ(find({"/src/**/*.c", "*.PDF"}), (paths{"/docs/Report.PDF", "/src/lib/a.c"}));
  EXPECT_EQ(find({"nothing"}), paths{});
  expect_error(error_code::invalid_argument, "[a-", [&] { (void)find({"[a-"}); });
  expect_error(error_code::invalid_argument, "no pattern", [&] { (void)find(paths{}); });
}

TEST_F(find_test, ignoring_case) {
  find_options options;
  options.patterns = {"REPORT.*"};
  EXPECT_EQ(find(options), paths{});
  options.ignore_case = true;
  EXPECT_EQ(find(options), (paths{"/docs/Report.PDF", "/docs/report.txt", "/report.txt"}));
}

TEST_F(find_test, between_times) {
  find_options options;
  options.patterns = {"?eport.*"};
  options.newest = timestamp{1000, 0, 3600};
  EXPECT_EQ(find(options), paths{"/docs/Report.PDF"});
  options.newest = timestamp{999, 999'999'999, 0};
  EXPECT_EQ(find(options), paths{});
  options.newest.reset();
  options.oldest = timestamp{1000, 1, 0};
  EXPECT_EQ(find(options), (paths{"/docs/report.txt", "/report.txt"}));
  options.newest = timestamp{1000, 0, 0};
  expect_error(error_code::invalid_argument, "--oldest must specify a time before --newest",
               [&] { (void)find(options); });
}

TEST_F(find_test, blobs) {
  const auto text = sha256(as_bytes("text"));
  const paths places{"data /docs/report.txt", "data /report.txt", "data /src/lib/a.c", "data /src/lib/a.c"};
  EXPECT_EQ(find_objects(object_kind::blob, {text.hex()}), places);
  EXPECT_EQ(find_objects(object_kind::blob, {text.short_hex()}), places);
  EXPECT_EQ(find_objects(object_kind::blob, {sha256(as_bytes("more")).hex().substr(0, 20), "00000000"}),
            paths{"data /src/lib/a.c"});
  EXPECT_EQ(find_objects(object_kind::blob, {tree_.hex()}), paths{});
  for (const auto* bad : {"", "xyz", "ABCD"})
    expect_error(error_code::invalid_argument, "not the beginning of an id",
                 [&] { (void)find_objects(object_kind::blob, {bad}); });
}

TEST_F(find_test, where_a_blob_is) {
  const auto text = sha256(as_bytes("text"));
  object_search search(*repo_, object_kind::blob, paths{text.short_hex(), "0123456789"});
  std::set<id> parents;
  search.run(tree_, [&](const found_object& each) { parents.insert(each.parent_tree); });
  EXPECT_EQ(parents.size(), 3u);
  EXPECT_TRUE(parents.contains(tree_));
  EXPECT_EQ(search.objects(), (blob_set{{blob_type::data, text}}));
  EXPECT_EQ(search.unmatched(), paths{"0123456789"});
}

TEST_F(find_test, one_prefix_may_begin_another) {
  const auto hex = sha256(as_bytes("more")).hex();
  EXPECT_EQ(find_objects(object_kind::blob, {hex.substr(0, 4), hex.substr(0, 3) + (hex[3] == '0' ? "1" : "0")}),
            paths{"data /src/lib/a.c"});
  EXPECT_EQ(find_objects(object_kind::blob, {hex, hex.substr(0, 6)}), paths{"data /src/lib/a.c"});
}

TEST_F(find_test, trees) {
  EXPECT_EQ(find_objects(object_kind::tree, {tree_.hex()}), paths{"tree /"});
  const auto src = find_subtree(*repo_, tree_, "src"), lib = find_subtree(*repo_, tree_, "src/lib");
  EXPECT_EQ(find_objects(object_kind::tree, {src.short_hex(), lib.hex()}), (paths{"tree /src", "tree /src/lib"}));
}

TEST_F(find_test, packs) {
  std::vector<id> packs = repo_->index().packs();
  ASSERT_EQ(packs.size(), 2u);  // one of data, one of trees
  const auto holds_trees = [&](const id& pack) {
    bool trees = false;
    repo_->index().for_each(
        [&](const blob_location& at) { trees = trees || (at.pack == pack && at.blob.handle.type == blob_type::tree); });
    return trees;
  };
  if (holds_trees(packs[0])) std::swap(packs[0], packs[1]);
  EXPECT_EQ(find_objects(object_kind::pack, {packs[0].short_hex()}).size(), 6u);
  EXPECT_EQ(find_objects(object_kind::pack, {packs[1].hex()}),
            (paths{"tree /", "tree /docs", "tree /src", "tree /src/lib"}));
  // What the header cannot say any more, the index does.
  storage_->save({file_type::pack, packs[0]}, as_bytes("damaged"));
  EXPECT_EQ(find_objects(object_kind::pack, {packs[0].short_hex()}).size(), 6u);
  repo_->remove(file_type::pack, packs[0]);
  EXPECT_EQ(find_objects(object_kind::pack, {packs[0].hex()}).size(), 6u);
  expect_error(error_code::not_found, "unable to find pack(s): [0000000000]",
               [&] { (void)find_objects(object_kind::pack, {"0000000000"}); });
}

}  // namespace
}  // namespace recoup
