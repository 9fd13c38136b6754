#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <recoup/ops/restore.hpp>
#include <recoup/storage/fault.hpp>

#include "made_snapshot.hpp"
#include "test_data.hpp"
#include "unique_directory.hpp"

namespace {

namespace fs = std::filesystem;
using recoup::error_code;
using recoup::node;
using recoup::node_type;
using recoup::overwrite_mode;
using recoup::restore_action;
using recoup::restore_options;
using strings = std::vector<std::string>;

std::string random_text(std::size_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::string text(size, '\0');
  for (auto& byte : text) byte = static_cast<char>(generator());
  return text;
}

struct stat status(const std::string& path) {
  struct stat found {};
  EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
  return found;
}

void expect_time(const std::string& path, const recoup::timestamp& expected) {
  const auto found = status(path);
  EXPECT_EQ(found.st_mtim.tv_sec, expected.seconds) << path;
  EXPECT_EQ(found.st_mtim.tv_nsec, expected.nanoseconds) << path;
}

void set_time(const std::string& path, std::int64_t seconds, std::int32_t nanoseconds = 0) {
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
      {snapshot.file("file-for-directory", {"1"}), snapshot.directory("directory-for-file", {snapshot.file("x", {"2"})}),
       snapshot.file("file-for-symlink", {"3"}), snapshot.directory("directory-for-symlink", {snapshot.file("y", {"4"})}),
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
  EXPECT_EQ(restore({snapshot.directory("no", {snapshot.file("inside", {"1"})}), snapshot.file("yes", {"2"})}).errors, 0u);
  EXPECT_FALSE(fs::exists(path("no")));
  EXPECT_EQ(content("yes"), "2");
}

// --- deleting, dry run, sparse, verify ---

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

// --- what goes wrong ---

TEST_F(Restore, EachFileThatNeedsAMissingBlobIsNamedAndTheRestIsRestored) {
  auto unknown = snapshot.file("unknown", {"x"});
  unknown.content->front() = recoup::sha256(recoup::as_bytes("never stored"));
  const auto result = restore({unknown, snapshot.file("good", {"y"})});
  EXPECT_EQ(result.errors, 1u);
  EXPECT_EQ(observer->failed(), strings{"/unknown"});
  EXPECT_EQ(content("good"), "y");
  EXPECT_FALSE(fs::exists(path("unknown")));
}

TEST_F(Restore, DamageInAPackTouchesOnlyTheFilesThatNeedIt) {
  const auto bad = random_text(50'000, 1), good = random_text(50'000, 2);
  const auto tree = snapshot.tree({snapshot.file("a", {bad}), snapshot.file("b", {good, bad, good}),
                                   snapshot.file("c", {good}), snapshot.file("d", {bad})});
  snapshot.repo->flush();
  const auto place = snapshot.repo->index().find({recoup::blob_type::data, recoup::sha256(recoup::as_bytes(bad))});
  ASSERT_TRUE(place);
  const recoup::file_handle pack{recoup::file_type::pack, place->pack};
  auto content_of_pack = snapshot.memory->load_all(pack);
  content_of_pack[place->blob.offset + place->blob.length / 2] ^= 1;
  snapshot.memory->save(pack, content_of_pack);

  const auto result = restore_tree(tree);
  EXPECT_EQ(result.errors, 3u);
  EXPECT_EQ(observer->failed(), (strings{"/a", "/b", "/d"}));
  EXPECT_TRUE(content("c") == good);
  EXPECT_FALSE(fs::exists(path("a")));
  const auto half_done = content("b");
  EXPECT_TRUE(half_done.starts_with(good) && half_done.ends_with(good)) << "what can be had of it is there";
  EXPECT_EQ(observer->items.count("/b"), 0u);
}

TEST_F(Restore, AnotherCopyOfADamagedBlobIsUsed) {
  const auto text = random_text(50'000, 1);
  snapshot.data(text);
  snapshot.repo->flush();
  const recoup::blob_handle blob{recoup::blob_type::data, recoup::sha256(recoup::as_bytes(text))};
  const auto place = *snapshot.repo->index().find(blob);
  auto pack = snapshot.memory->load_all({recoup::file_type::pack, place.pack});
  auto copy_name = place.pack;
  copy_name.value[0] ^= 1;
  snapshot.memory->save({recoup::file_type::pack, copy_name}, pack);
  snapshot.repo->index().add_pack(copy_name, std::vector{place.blob});
  snapshot.memory->remove({recoup::file_type::pack, snapshot.repo->index().find(blob)->pack});
  EXPECT_EQ(restore({snapshot.file("a", {text}), snapshot.file("b", {text, "more"})}).errors, 0u);
  EXPECT_TRUE(content("a") == text);
}

TEST_F(Restore, EverySingleFailingReadIsReportedOrMadeUpFor) {
  const auto tree = snapshot.tree({snapshot.directory("d", {snapshot.file("a", {"1"}), snapshot.file("b", {"2"})}),
                                   snapshot.file("c", {random_text(3 << 20, 1), random_text(3 << 20, 2)})});
  snapshot.repo->flush();
  auto faulty = std::make_shared<recoup::fault_backend>(snapshot.memory);
  auto repo = recoup::repository::open(faulty, "password");
  repo->load_index();
  for (std::uint64_t nth = 1; nth <= 8; ++nth)
    for (const auto kind : {recoup::fault_kind::fail_before, recoup::fault_kind::flip_bit, recoup::fault_kind::cut_off}) {
      fs::remove_all(out);
      recoup::fault fault;
      fault.kind = kind;
      fault.operation = recoup::storage_operation::load;
      fault.nth = nth;
      fault.at = 999;
      faulty->set_plan({{fault}, {}});
      options.target = out;
      remembering_observer told;
      const auto result = recoup::restore(*repo, tree, options, told);
      faulty->set_plan({});
      const bool complete = fs::exists(path("d/a")) && fs::exists(path("d/b")) && fs::exists(path("c")) &&
                            fs::file_size(path("c")) == (6u << 20);
      EXPECT_TRUE(complete || result.errors > 0) << nth;
      if (kind == recoup::fault_kind::cut_off && nth < 4) {
        EXPECT_GT(result.errors, 0u);
      }
    }
}

TEST_F(Restore, AFullDiskEndsItWithOneClearError) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to mount a small file system";
  fs::create_directory(directory / "small");
  if (::mount("tmpfs", (directory / "small").c_str(), "tmpfs", 0, "size=2m") != 0)
    GTEST_SKIP() << "cannot mount here";
  std::vector<node> entries;
  for (unsigned i = 0; i < 50; ++i) entries.push_back(snapshot.file(std::to_string(i), {random_text(200'000, i)}));
  out = directory / "small/out";
  expect_error(error_code::no_space, "No space left", [&] { restore(entries); });
  EXPECT_LT(observer->errors.size(), 10u);
  ASSERT_EQ(::umount((directory / "small").c_str()), 0);
}

TEST_F(Restore, StopsWhenAskedAndKeepsWhatIsDone) {
  std::stop_source stop;
  options.stop = stop.get_token();
  std::vector<node> entries;
  for (unsigned i = 0; i < 20; ++i) entries.push_back(snapshot.file(std::to_string(i), {random_text(100, i)}));
  at_phase[recoup::restore_phase::finishing] = [&] { stop.request_stop(); };
  entries.push_back(snapshot.directory("d", {}));
  const auto tree = snapshot.tree(entries);
  expect_error(error_code::interrupted, "interrupted", [&] { restore_tree(tree); });
  EXPECT_TRUE(content("7") == random_text(100, 7));
  EXPECT_EQ(observer->errors.size(), 0u);
  expect_error(error_code::interrupted, "interrupted", [&] { again(tree); });
}

TEST_F(Restore, ATargetThatIsAFileIsRefused) {
  put("x", "");
  out += "/x";
  EXPECT_THROW(restore({}), recoup::error);
}

TEST_F(Restore, AReadOnlyFileIsOverwrittenByItsOwner) {
  put("file", "old");
  fs::permissions(path("file"), fs::perms::owner_read);
  EXPECT_EQ(restore({snapshot.file("file", {"new"})}).errors, 0u);
  EXPECT_EQ(content("file"), "new");
  EXPECT_EQ(status(path("file")).st_mode & 0777u, 0644u);
}

TEST_F(Restore, SizeThatDisagreesWithTheContentIsAWarning) {
  auto file = snapshot.file("file", {"content"});
  file.size = 3;
  EXPECT_EQ(restore({file}).errors, 0u);
  EXPECT_EQ(observer->warnings.size(), 1u);
  EXPECT_EQ(content("file"), "content");
}

}  // namespace
