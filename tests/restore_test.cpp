#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <random>
#include <string>
#include <vector>

#include <recoup/ops/restore.hpp>

#include "restore_fixture.hpp"

namespace restore_tests {
namespace {

TEST_F(Restore, MakesFilesDirectoriesSymlinksAndFifos) {
  auto program = snapshot.file("program", {"#!/bin/sh\n"});
  program.mode = 0750 | recoup::go_mode::setgid;
  auto old = snapshot.file("old", {"x"});
  old.mtime = {-1'000'000'000, 5, 0};
  auto closed = snapshot.directory("closed", {snapshot.file("inside", {"secret"})});
  closed.mode = 0500 | recoup::go_mode::dir;
  const auto result = restore({snapshot.file("a", {"hello"}), snapshot.file("empty", {}), program, old, closed,
                               snapshot.directory("d", {snapshot.directory("e", {snapshot.file("f", {"deep"})})}),
                               made_snapshot::symlink("link", "a/../nowhere"),
                               made_snapshot::entry("pipe", node_type::fifo, 0640 | recoup::go_mode::named_pipe),
                               made_snapshot::entry("socket", node_type::socket, 0600 | recoup::go_mode::socket)});
  EXPECT_EQ(result.errors, 0u);
  EXPECT_EQ(content("a"), "hello");
  EXPECT_EQ(content("empty"), "");
  EXPECT_EQ(content("d/e/f"), "deep");
  EXPECT_EQ(content("closed/inside"), "secret");
  EXPECT_EQ(status(path("program")).st_mode, static_cast<mode_t>(S_IFREG | S_ISGID | 0750));
  EXPECT_EQ(status(path("closed")).st_mode, static_cast<mode_t>(S_IFDIR | 0500));
  EXPECT_EQ(status(path("pipe")).st_mode, static_cast<mode_t>(S_IFIFO | 0640));
  EXPECT_EQ(fs::read_symlink(path("link")), "a/../nowhere");
  EXPECT_FALSE(fs::exists(path("socket"))) << "sockets are passed over";
  for (const auto* name : {"a", "empty", "d", "d/e", "d/e/f", "closed", "closed/inside", "pipe", "link"})
    expect_time(path(name), {1'600'000'000, 123'456'789, 0});
  expect_time(path("old"), old.mtime);
  EXPECT_EQ(result.total_files, 11u);
  EXPECT_EQ(result.files_restored, 11u);
  EXPECT_EQ(result.total_bytes, 26u);
  EXPECT_EQ(result.bytes_restored, 26u);
  EXPECT_EQ(observer->items.at("/d/e/f"), restore_action::file_restored);
  EXPECT_EQ(observer->items.at("/d/e"), restore_action::directory_restored);
  EXPECT_EQ(observer->items.at("/link"), restore_action::other_restored);
}

TEST_F(Restore, AnEmptySnapshotMakesTheTargetOnly) {
  out = directory / "not/there/yet";
  EXPECT_EQ(restore({}).errors, 0u);
  EXPECT_TRUE(fs::is_directory(out));
}

TEST_F(Restore, PutsTheBlobsOfManyFilesFromManyPacksInTheirPlaces) {
  options.threads = 4;
  strings chunks;
  for (unsigned i = 0; i < 40; ++i) chunks.push_back(random_text(600'000 + i * 1'000, i));
  std::vector<node> entries;
  strings expected(30);
  std::mt19937 generator(7);
  for (unsigned i = 0; i < expected.size(); ++i) {
    strings mine;
    for (auto left = generator() % 12; left > 0; --left) mine.push_back(chunks[generator() % chunks.size()]);
    for (const auto& chunk : mine) expected[i] += chunk;
    entries.push_back(snapshot.file("file" + std::to_string(i), mine));
  }
  const auto result = restore(entries);
  EXPECT_EQ(result.errors, 0u);
  EXPECT_EQ(result.bytes_restored, result.total_bytes);
  for (unsigned i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(content("file" + std::to_string(i)) == expected[i]) << i;
    expect_time(path("file" + std::to_string(i)), {1'600'000'000, 123'456'789, 0});
  }
}

TEST_F(Restore, MoreFilesAreWrittenAtOnceThanMayBeOpen) {
  // Every file has its two blobs in different packs, so all of them wait half-done between the packs.
  strings first, second;
  for (unsigned i = 0; i < 400; ++i) first.push_back(random_text(20'000, i)), snapshot.data(first.back());
  snapshot.repo->flush();
  for (unsigned i = 0; i < 400; ++i) second.push_back(random_text(20'000, 1'000 + i)), snapshot.data(second.back());
  std::vector<node> entries;
  for (unsigned i = 0; i < 400; ++i) entries.push_back(snapshot.file(std::to_string(i), {first[i], second[i]}));
  options.threads = 3;
  EXPECT_EQ(restore(entries).errors, 0u);
  for (unsigned i = 0; i < 400; ++i) {
    EXPECT_TRUE(content(std::to_string(i)) == first[i] + second[i]);
    expect_time(path(std::to_string(i)), {1'600'000'000, 123'456'789, 0});
  }
}

TEST_F(Restore, RestoresExtendedAttributesThatTheFilterLetsThrough) {
  auto file = snapshot.file("file", {"x"});
  file.extended_attributes = {{"user.kept", recoup::bytes{'1'}}, {"user.dropped", recoup::bytes{'2'}}};
  auto folder = snapshot.directory("folder", {});
  folder.extended_attributes = {{"user.kept", recoup::bytes{'3'}}};
  options.restores_attribute = [](std::string_view name) { return name != "user.dropped"; };
  EXPECT_EQ(restore({file, folder}).errors, 0u);
  char value = 0;
  EXPECT_EQ(::lgetxattr(path("file").c_str(), "user.kept", &value, 1), 1);
  EXPECT_EQ(value, '1');
  EXPECT_EQ(::lgetxattr(path("folder").c_str(), "user.kept", &value, 1), 1);
  EXPECT_EQ(value, '3');
  EXPECT_LT(::lgetxattr(path("file").c_str(), "user.dropped", &value, 1), 0);
}

// --- hard links ---

TEST_F(Restore, JoinsHardLinksByInodeAndDevice) {
  auto one = snapshot.file("one", {"linked"});
  one.inode = 7, one.device_id = 1, one.links = 3;
  auto two = one, three = one, other = one, alone = one;
  two.name = "two", three.name = "three";
  other.name = "other", other.device_id = 2;
  alone.name = "alone", alone.links = 1;
  const auto tree = snapshot.tree({one, two, other, alone, snapshot.directory("d", {three})});
  const auto result = restore_tree(tree);
  EXPECT_EQ(result.errors, 0u);
  EXPECT_EQ(status(path("one")).st_nlink, 3u);
  EXPECT_EQ(status(path("one")).st_ino, status(path("two")).st_ino);
  EXPECT_EQ(status(path("one")).st_ino, status(path("d/three")).st_ino);
  EXPECT_EQ(status(path("other")).st_nlink, 1u);
  EXPECT_EQ(status(path("alone")).st_nlink, 1u);
  expect_time(path("one"), one.mtime);
  EXPECT_EQ(result.total_bytes, 18u) << "each inode counts once";

  const auto inode = status(path("one")).st_ino;
  EXPECT_EQ(again(tree).errors, 0u);
  EXPECT_EQ(status(path("one")).st_ino, inode) << "what is right already stays";
  EXPECT_EQ(status(path("one")).st_nlink, 3u);
}

TEST_F(Restore, WhichNameIsTheFileFollowsFromTheOrderOfTheTrees) {
  options.threads = 4;
  const auto named = [&](const std::string& name, const std::string& content) {
    auto made = snapshot.file(name, {content});
    made.inode = 7, made.links = 4;
    return made;
  };
  const auto tree = snapshot.tree(
      {named("e", "no"), snapshot.directory("d", {named("y", "no"), snapshot.directory("a", {named("z", "yes")})}),
       snapshot.directory("f", {named("a", "no")})});
  for (int i = 0; i < 5; ++i) {
    fs::remove_all(out);
    EXPECT_EQ(restore_tree(tree).errors, 0u);
    EXPECT_EQ(content("e"), "yes");
    EXPECT_EQ(status(path("f/a")).st_nlink, 4u);
  }
}

TEST_F(Restore, AnExistingFileWithOtherNamesIsReplacedAndTheyKeepTheirContent) {
  const auto half = random_text(700'000, 1);
  put("file", half + "old end");
  put("elsewhere", "");
  fs::remove(path("elsewhere"));
  fs::create_hard_link(path("file"), directory / "elsewhere");
  EXPECT_EQ(restore({snapshot.file("file", {half, "new end"})}).errors, 0u);
  EXPECT_TRUE(content("file") == half + "new end");
  EXPECT_TRUE(read_file(directory / "elsewhere") == half + "old end");
}

// --- what is there already ---

TEST_F(Restore, RewritesOnlyWhatDiffersInExistingFiles) {
  const auto a = random_text(600'000, 1), b = random_text(600'000, 2), c = random_text(600'000, 3);
  put("changed", a + std::string(600'000, 'x') + c + "too long");
  put("same", a + c);
  put("short", a);
  put("tail", b + "tail");
  const auto inode = status(path("changed")).st_ino;
  const auto result = restore({snapshot.file("changed", {a, b, c}), snapshot.file("same", {a, c}),
                               snapshot.file("short", {a, b}), snapshot.file("tail", {b}),
                               snapshot.file("new", {c})});
  EXPECT_EQ(result.errors, 0u);
  EXPECT_TRUE(content("changed") == a + b + c);
  EXPECT_TRUE(content("short") == a + b);
  EXPECT_TRUE(content("tail") == b);
  EXPECT_EQ(status(path("changed")).st_ino, inode);
  EXPECT_EQ(observer->items.at("/changed"), restore_action::file_updated);
  EXPECT_EQ(observer->items.at("/tail"), restore_action::file_updated);
  EXPECT_EQ(observer->items.at("/same"), restore_action::file_unchanged);
  EXPECT_EQ(observer->items.at("/new"), restore_action::file_restored);
  EXPECT_EQ(result.files_skipped, 1u);
  EXPECT_EQ(result.bytes_skipped, 1'200'000u);
  EXPECT_EQ(result.bytes_restored, result.total_bytes);
  for (const auto* name : {"changed", "same", "short", "tail", "new"})
    expect_time(path(name), {1'600'000'000, 123'456'789, 0});
}

TEST_F(Restore, IfChangedBelievesSizeAndTime) {
  put("trusted", "wrong");
  set_time(path("trusted"), 1'600'000'000, 123'456'789);
  put("touched", "wrong");
  put("longer", "wrong and longer");
  set_time(path("longer"), 1'600'000'000, 123'456'789);
  options.overwrite = overwrite_mode::if_changed;
  EXPECT_EQ(restore({snapshot.file("trusted", {"right"}), snapshot.file("touched", {"right"}),
                     snapshot.file("longer", {"right"})})
                .errors,
            0u);
  EXPECT_EQ(content("trusted"), "wrong");
  EXPECT_EQ(content("touched"), "right");
  EXPECT_EQ(content("longer"), "right");
  EXPECT_EQ(observer->items.at("/trusted"), restore_action::file_unchanged);
}

TEST_F(Restore, IfNewerSparesWhatIsAsNewAndNeverSparesEverything) {
  const auto tree = snapshot.tree({snapshot.file("older", {"snapshot"}), snapshot.file("newer", {"snapshot"}),
                                   snapshot.file("equal", {"snapshot"}), snapshot.file("missing", {"snapshot"}),
                                   made_snapshot::symlink("link", "snapshot")});
  const auto prepare = [&] {
    fs::remove_all(out);
    for (const auto* name : {"older", "newer", "equal"}) put(name, "target");
    set_time(path("older"), 1'500'000'000);
    set_time(path("newer"), 1'700'000'000);
    set_time(path("equal"), 1'600'000'000, 123'456'789);
    fs::create_symlink("target", path("link"));
  };
  prepare();
  options.overwrite = overwrite_mode::if_newer;
  auto result = restore_tree(tree);
  EXPECT_EQ(content("older"), "snapshot");
  EXPECT_EQ(content("newer"), "target");
  EXPECT_EQ(content("equal"), "target");
  EXPECT_EQ(content("missing"), "snapshot");
  EXPECT_EQ(fs::read_symlink(path("link")), "target") << "it is newer";
  EXPECT_EQ(result.files_skipped, 3u);
  expect_time(path("newer"), {1'700'000'000, 0, 0});

  prepare();
  options.overwrite = overwrite_mode::never;
  result = again(tree);
  EXPECT_EQ(content("older"), "target");
  EXPECT_EQ(content("missing"), "snapshot");
  EXPECT_EQ(fs::read_symlink(path("link")), "target");
  EXPECT_EQ(result.files_skipped, 4u);
  expect_time(path("older"), {1'500'000'000, 0, 0});
}

TEST_F(Restore, ReplacesWhatIsOfAnotherType) {
  fs::create_directories(path("file-for-directory"));
  put("directory-for-file", "a file");
  fs::create_symlink("/dev/null", path("file-for-symlink"));
  fs::create_symlink(directory / "outside", path("directory-for-symlink"));
  fs::create_directory(directory / "outside");
  ASSERT_EQ(::mkfifo(path("file-for-fifo").c_str(), 0600), 0);
  put("symlink-for-file", "a file");
  fs::create_directory(path("symlink-for-directory"));
  const auto result = restore(
      {snapshot.file("file-for-directory", {"1"}),
       snapshot.directory("directory-for-file", {snapshot.file("x", {"2"})}),
       snapshot.file("file-for-symlink", {"3"}),
       snapshot.directory("directory-for-symlink", {snapshot.file("y", {"4"})}),
       snapshot.file("file-for-fifo", {"5"}), made_snapshot::symlink("symlink-for-file", "6"),
       made_snapshot::symlink("symlink-for-directory", "7")});
  EXPECT_EQ(result.errors, 0u);
  EXPECT_EQ(content("file-for-directory"), "1");
  EXPECT_EQ(content("directory-for-file/x"), "2");
  EXPECT_EQ(content("file-for-symlink"), "3");
  EXPECT_EQ(content("directory-for-symlink/y"), "4");
  EXPECT_EQ(content("file-for-fifo"), "5");
  EXPECT_EQ(fs::read_symlink(path("symlink-for-file")), "6");
  EXPECT_EQ(fs::read_symlink(path("symlink-for-directory")), "7");
  EXPECT_TRUE(fs::is_empty(directory / "outside"));
}

TEST_F(Restore, ADirectoryWithContentGoesOnlyWhenDeletingIsAllowed) {
  put("name/kept", "content");
  const auto tree = snapshot.tree({snapshot.file("name", {"file"}), snapshot.file("other", {"file"})});
  EXPECT_EQ(restore_tree(tree).errors, 1u);
  EXPECT_EQ(observer->failed(), strings{"/name"});
  EXPECT_EQ(content("name/kept"), "content");
  EXPECT_EQ(content("other"), "file");
  options.delete_extra = true;
  EXPECT_EQ(again(tree).errors, 0u);
  EXPECT_EQ(content("name"), "file");
}

// --- selection ---

TEST_F(Restore, SelectsAndGivesParentsTheirMetadata) {
  const auto tree = snapshot.tree(
      {snapshot.directory("a", {snapshot.directory("b", {snapshot.file("wanted", {"1"}), snapshot.file("not", {"2"})}),
                                snapshot.directory("c", {snapshot.file("not", {"3"})})}),
       snapshot.directory("z", {snapshot.file("not", {"4"})}), snapshot.file("not", {"5"})});
  options.select = [](std::string_view path, const node&) {
    return recoup::selection{path == "/a/b/wanted", std::string_view("/a/b/wanted").starts_with(path)};
  };
  const auto result = restore_tree(tree);
  EXPECT_EQ(result.errors, 0u);
  EXPECT_EQ(content("a/b/wanted"), "1");
  EXPECT_FALSE(fs::exists(path("a/b/not")));
  EXPECT_FALSE(fs::exists(path("a/c")));
  EXPECT_FALSE(fs::exists(path("z")));
  expect_time(path("a"), {1'600'000'000, 123'456'789, 0});
  expect_time(path("a/b"), {1'600'000'000, 123'456'789, 0});
  EXPECT_EQ(status(path("a/b")).st_mode & 0777u, 0755u);
}

TEST_F(Restore, AnExcludedDirectoryIsNotLookedInto) {
  options.select = [](std::string_view path, const node&) {
    EXPECT_NE(path, "/no/inside");
    return recoup::selection{path != "/no", path != "/no"};
  };
  const auto no = snapshot.directory("no", {snapshot.file("inside", {"1"})});
  EXPECT_EQ(restore({no, snapshot.file("yes", {"2"})}).errors, 0u);
  EXPECT_FALSE(fs::exists(path("no")));
  EXPECT_EQ(content("yes"), "2");
}

}  // namespace
}  // namespace restore_tests
