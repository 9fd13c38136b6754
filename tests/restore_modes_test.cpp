// Restoring with --delete, --dry-run, --sparse and --verify.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include <recoup/ops/restore.hpp>

#include "restore_fixture.hpp"

namespace restore_tests {
namespace {

TEST_F(Restore, DeletesWhatTheSnapshotLacksIfAsked) {
  put("kept", "old");
  put("extra", "x");
  put("extra-tree/deeper/file", "x");
  put("d/extra", "x");
  fs::create_symlink(directory / "outside", path("extra-link"));
  directory.write("outside/file", "not yours");
  const auto tree = snapshot.tree({snapshot.file("kept", {"new"}), snapshot.directory("d", {})});
  EXPECT_EQ(restore_tree(tree).files_deleted, 0u);
  EXPECT_TRUE(fs::exists(path("extra")));

  options.delete_extra = true;
  options.dry_run = true;
  EXPECT_EQ(again(tree).files_deleted, 6u);
  EXPECT_TRUE(fs::exists(path("extra-tree/deeper/file")));

  options.dry_run = false;
  const auto result = again(tree);
  EXPECT_EQ(result.errors, 0u);
  EXPECT_EQ(result.files_deleted, 6u);
  EXPECT_EQ(observer->items.at(path("extra-tree/deeper")), restore_action::deleted);
  EXPECT_EQ(content("kept"), "new");
  EXPECT_TRUE(fs::is_directory(path("d")));
  strings left;
  for (const auto& entry : fs::recursive_directory_iterator(out)) left.push_back(entry.path().filename());
  std::ranges::sort(left);
  EXPECT_EQ(left, (strings{"d", "kept"}));
  EXPECT_EQ(read_file(directory / "outside/file"), "not yours");
  expect_time(path("d"), {1'600'000'000, 123'456'789, 0});
}

TEST_F(Restore, DeletingHonoursTheSelection) {
  put("d/extra.tmp", "x");
  put("d/extra.txt", "x");
  put("untouched/extra.tmp", "x");
  options.delete_extra = true;
  options.select = [](std::string_view path, const node& entry) {
    return recoup::selection{path.ends_with(".tmp"), entry.type == node_type::dir && path == "/d"};
  };
  EXPECT_EQ(restore({snapshot.directory("d", {snapshot.file("new.tmp", {"x"})}),
                     snapshot.directory("untouched", {snapshot.file("new.tmp", {"x"})})})
                .errors,
            0u);
  EXPECT_FALSE(fs::exists(path("d/extra.tmp")));
  EXPECT_TRUE(fs::exists(path("d/extra.txt")));
  EXPECT_TRUE(fs::exists(path("untouched/extra.tmp")));
}

TEST_F(Restore, WhereATreeCannotBeReadNothingIsDeleted) {
  put("d/file", "precious");
  put("extra", "x");
  auto broken = snapshot.directory("d", {});
  broken.subtree = recoup::sha256(recoup::as_bytes("no such tree"));
  options.delete_extra = true;
  EXPECT_EQ(restore({broken}).errors, 1u);
  EXPECT_EQ(content("d/file"), "precious");
  EXPECT_FALSE(fs::exists(path("extra")));
}

TEST_F(Restore, RefusesToDeleteEverythingOutsideTheSnapshotFromTheRoot) {
  options.delete_extra = true;
  out = "/./";
  expect_error(error_code::invalid_argument, "refused", [&] { restore({}); });
}

TEST_F(Restore, ADryRunReportsAndTouchesNothing) {
  const auto half = random_text(600'000, 1);
  put("same", "same");
  put("changed", "old");
  put("half", half + "old");
  const auto before = status(path("changed")), same_before = status(path("same"));
  options.dry_run = true;
  const auto tree = snapshot.tree({snapshot.file("same", {"same"}), snapshot.file("changed", {"new"}),
                                   snapshot.file("half", {half, "new"}), snapshot.file("new", {"new"}),
                                   made_snapshot::symlink("link", "x"),
                                   snapshot.directory("d", {snapshot.file("f", {"new"})})});
  const auto result = restore_tree(tree);
  EXPECT_EQ(result.errors, 0u);
  EXPECT_EQ(content("changed"), "old");
  EXPECT_EQ(status(path("changed")).st_mtim.tv_nsec, before.st_mtim.tv_nsec);
  EXPECT_EQ(status(path("same")).st_ctim.tv_nsec, same_before.st_ctim.tv_nsec) << "not even its metadata";
  EXPECT_EQ(std::distance(fs::directory_iterator(out), {}), 3);
  EXPECT_EQ(observer->items.at("/same"), restore_action::file_unchanged);
  EXPECT_EQ(observer->items.at("/changed"), restore_action::file_updated);
  EXPECT_EQ(observer->items.at("/new"), restore_action::file_restored);
  EXPECT_EQ(observer->items.at("/d/f"), restore_action::file_restored);
  EXPECT_EQ(result.files_restored, 6u);
  EXPECT_EQ(result.bytes_restored, result.total_bytes);

  out = directory / "missing";
  EXPECT_EQ(again(tree).errors, 0u);
  EXPECT_FALSE(fs::exists(out));
  options.verify = true;
  expect_error(error_code::invalid_argument, "dry run", [&] { again(tree); });
}

TEST_F(Restore, LeavesHolesForZerosIfAsked) {
  const std::string zeros(1 << 20, '\0'), words = random_text(300'000, 1);
  options.sparse = true;
  EXPECT_EQ(restore({snapshot.file("holes", {zeros, words + zeros, zeros}), snapshot.file("all", {zeros + zeros}),
                     snapshot.file("none", {words}), snapshot.file("odd", {"x" + zeros + "y" + zeros})})
                .errors,
            0u);
  EXPECT_TRUE(content("holes") == zeros + words + zeros + zeros);
  EXPECT_TRUE(content("all") == zeros + zeros);
  EXPECT_TRUE(content("none") == words);
  EXPECT_TRUE(content("odd") == "x" + zeros + "y" + zeros);
  EXPECT_LT(status(path("holes")).st_blocks * 512, 400'000);
  EXPECT_LT(status(path("all")).st_blocks * 512, 10'000);
  EXPECT_LT(status(path("odd")).st_blocks * 512, 20'000);
}

TEST_F(Restore, SparseDoesNotKeepOldContentWhereZerosBelong) {
  const std::string zeros(1 << 20, '\0');
  put("file", std::string(3 << 20, 'x'));
  options.sparse = true;
  EXPECT_EQ(restore({snapshot.file("file", {zeros, zeros})}).errors, 0u);
  EXPECT_TRUE(content("file") == zeros + zeros);
}

TEST_F(Restore, VerifyReadsEverythingAgain) {
  strings chunks;
  for (unsigned i = 0; i < 40; ++i) chunks.push_back(random_text(10'000, i));
  options.verify = true;
  const auto tree = snapshot.tree({snapshot.file("long", chunks), snapshot.file("empty", {}),
                                   snapshot.file("small", {"abc"}), snapshot.file("cut", {"abcdef"})});
  EXPECT_EQ(restore_tree(tree).files_verified, 4u);

  fs::remove_all(out);
  at_phase[recoup::restore_phase::verifying] = [this] {
    std::fstream file(path("long"));
    file.seekp(395'000);
    file << "damage";
    fs::resize_file(path("cut"), 3);
  };
  const auto result = again(tree);
  EXPECT_EQ(result.files_verified, 2u);
  EXPECT_EQ(result.errors, 2u);
  EXPECT_EQ(observer->failed(), (strings{"/cut", "/long"}));
}

TEST_F(Restore, VerifyAlsoReadsWhatStayedInUpdatedFiles) {
  const auto a = random_text(600'000, 1);
  put("file", a + "old");
  options.verify = true;
  at_phase[recoup::restore_phase::verifying] = [this] { std::fstream(path("file")) << "damage"; };
  EXPECT_EQ(restore({snapshot.file("file", {a, "new"})}).errors, 1u);
}

}  // namespace
}  // namespace restore_tests
