// A repository that somebody tampered with, or a target that somebody prepared: nothing outside the target may be
// touched.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <recoup/ops/restore.hpp>

#include "made_snapshot.hpp"
#include "test_data.hpp"
#include "unique_directory.hpp"

namespace {

namespace fs = std::filesystem;
using recoup::node;
using recoup::node_type;
using recoup::restore_options;
using strings = std::vector<std::string>;

/// Everything below a directory with its type, size, mode and time, so that any touch shows.
std::map<std::string, std::string> picture(const fs::path& of) {
  std::map<std::string, std::string> seen;
  for (const auto& entry : fs::recursive_directory_iterator(of)) {
    struct stat status {};
    EXPECT_EQ(::lstat(entry.path().c_str(), &status), 0);
    seen[entry.path()] = std::to_string(status.st_mode) + " " + std::to_string(status.st_size) + " " +
                         std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) + " " +
                         std::to_string(status.st_nlink) + " " + std::to_string(status.st_ino);
  }
  return seen;
}

class quiet_observer : public recoup::restore_observer {
public:
  [[nodiscard]] bool wants_items() const override { return false; }
};

class HostileRestore : public ::testing::Test {
protected:
  HostileRestore() {
    directory.write("outside/file", "canary");
    directory.write("outside/d/inner", "canary");
    directory.write("file", "canary beside the target");
    before = picture(directory.path());
  }

  /// Restores and checks that nothing but the target changed.
  recoup::restore_result restore_tree(const recoup::id& tree) {
    snapshot.repo->flush();
    options.target = out;
    observer.emplace();
    observer->at_phase = at_phase;
    const auto result = recoup::restore(*snapshot.repo, tree, options, *observer);
    auto after = picture(directory.path());
    std::erase_if(after, [&](const auto& entry) { return entry.first.starts_with(out); });
    EXPECT_EQ(after, before);
    return result;
  }
  recoup::restore_result restore(std::vector<node> entries) { return restore_tree(snapshot.tree(std::move(entries))); }
  recoup::restore_result restore_as_it_is(const std::vector<node>& entries) {
    return restore_tree(snapshot.tree_as_it_is(entries));
  }

  [[nodiscard]] std::string path(const std::string& name) const { return out + "/" + name; }
  [[nodiscard]] std::string outside() const { return directory / "outside"; }

  made_snapshot snapshot;
  unique_directory directory;
  std::string out = directory / "target";
  std::map<std::string, std::string> before;
  restore_options options;
  std::optional<remembering_observer> observer;
  std::map<recoup::restore_phase, std::function<void()>> at_phase;
};

TEST_F(HostileRestore, NamesThatAreNoNamesAreRefusedAndTheRestIsRestored) {
  const strings names{"..",  ".",   "", "/", "../file", "/etc/recoup",
                      "a/b", "../outside/file", std::string("nul\0here", 8)};
  for (const auto& name : names)
    for (const auto type : {node_type::file, node_type::dir, node_type::symlink}) {
      fs::remove_all(out);
      node evil = type == node_type::file  ? snapshot.file(name, {"evil"})
                  : type == node_type::dir ? snapshot.directory(name, {snapshot.file("file", {"evil"})})
                                           : made_snapshot::symlink(name, outside());
      const auto result = restore_as_it_is({evil, snapshot.file("good", {"good"})});
      EXPECT_EQ(result.errors, 1u) << name;
      EXPECT_EQ(read_file(path("good")), "good");
      EXPECT_EQ(std::distance(fs::directory_iterator(out), {}), 1) << name;
    }
}

TEST_F(HostileRestore, NothingIsDeletedOnTheWordOfATreeWithSuchNames) {
  fs::create_directories(path("d"));
  directory.write("target/precious", "x");
  directory.write("target/d/precious", "x");
  options.delete_extra = true;
  restore_as_it_is({snapshot.directory("d", {}), snapshot.file("..", {"evil"})});
  EXPECT_TRUE(fs::exists(path("precious")));
  EXPECT_TRUE(fs::exists(path("d/precious")));
}

TEST_F(HostileRestore, ASymlinkAndADirectoryOfTheSameNameDoNotLeadOutside) {
  const auto link = made_snapshot::symlink("d", outside());
  const auto folder = snapshot.directory("d", {snapshot.file("file", {"evil"}), snapshot.file("new", {"evil"})});
  for (const auto& entries :
       {std::vector{link, folder}, std::vector{folder, link}, std::vector{link, folder, folder}}) {
    fs::remove_all(out);
    const auto result = restore_as_it_is(entries);
    EXPECT_EQ(result.errors, entries.size() - 1);
    EXPECT_EQ(observer->failed(), strings{"/d"});
  }
}

TEST_F(HostileRestore, ASymlinkAndAFileOfTheSameNameDoNotLeadOutside) {
  const auto link = made_snapshot::symlink("f", outside() + "/file");
  const auto file = snapshot.file("f", {"evil"});
  for (const auto& entries : {std::vector{link, file}, std::vector{file, link}}) {
    fs::remove_all(out);
    EXPECT_EQ(restore_as_it_is(entries).errors, 1u);
  }
}

TEST_F(HostileRestore, ARepeatedNameIsFoundInTreesInAnyOrder) {
  const auto result = restore_as_it_is({snapshot.file("b", {"1"}), snapshot.file("a", {"2"}), snapshot.file("c", {"3"}),
                                        snapshot.file("b", {"evil"}), snapshot.file("a", {"evil"})});
  EXPECT_EQ(result.errors, 2u);
  EXPECT_EQ(read_file(path("a")), "2");
  EXPECT_EQ(read_file(path("b")), "1");
  EXPECT_EQ(read_file(path("c")), "3");
}

TEST_F(HostileRestore, SymlinksWaitingInTheTargetAreReplacedNotFollowed) {
  fs::create_directories(out);
  fs::create_symlink(outside(), path("d"));
  fs::create_symlink(outside() + "/file", path("f"));
  fs::create_symlink(outside() + "/file", path("big"));
  fs::create_symlink("no/such/place", path("dangling"));
  const auto result = restore({snapshot.directory("d", {snapshot.file("file", {"1"})}), snapshot.file("f", {"2"}),
                               snapshot.file("big", {"3", "4"}), snapshot.file("dangling", {"5"})});
  EXPECT_EQ(result.errors, 0u);
  EXPECT_EQ(read_file(path("d/file")), "1");
  EXPECT_EQ(read_file(path("f")), "2");
  EXPECT_EQ(read_file(path("big")), "34");
  EXPECT_EQ(read_file(path("dangling")), "5");
}

TEST_F(HostileRestore, DeletingStopsAtSymlinks) {
  fs::create_directories(path("extra"));
  fs::create_symlink(outside(), path("link"));
  fs::create_symlink(outside(), path("extra/link"));
  options.delete_extra = true;
  EXPECT_EQ(restore({snapshot.file("f", {"x"})}).errors, 0u);
  EXPECT_FALSE(fs::exists(path("extra")));
}

TEST_F(HostileRestore, ASymlinkPutInPlaceOfADirectoryMeanwhileIsAnError) {
  std::vector<node> entries;
  for (int i = 0; i < 700; ++i)  // more than are kept open
    entries.push_back(
        snapshot.directory("d" + std::to_string(i), {snapshot.file("file", {"evil" + std::to_string(i)})}));
  at_phase[recoup::restore_phase::writing] = [this] {
    for (int i = 0; i < 700; ++i) {
      fs::remove(path("d" + std::to_string(i)));
      fs::create_symlink(outside(), path("d" + std::to_string(i)));
    }
  };
  EXPECT_GT(restore(entries).errors, 0u);
}

TEST_F(HostileRestore, ASymlinkPutInPlaceOfAFileMeanwhileIsReplaced) {
  fs::create_directories(out);
  at_phase[recoup::restore_phase::writing] = [this] { fs::create_symlink(outside() + "/file", path("f")); };
  EXPECT_EQ(restore({snapshot.file("f", {"new"})}).errors, 0u);
  EXPECT_EQ(read_file(path("f")), "new");
}

TEST_F(HostileRestore, AHardLinkCannotReachOutside) {
  auto file = snapshot.file("file", {"x"});
  file.inode = 1, file.links = 2;
  auto twin = file;
  twin.name = "../linked";
  auto broken = file;
  broken.name = "broken";
  broken.inode = 2;
  broken.content->front() = recoup::sha256(recoup::as_bytes("never stored"));
  auto its_twin = broken;
  its_twin.name = "broken twin";
  EXPECT_EQ(restore_as_it_is({file, twin, broken, its_twin}).errors, 3u);
}

TEST_F(HostileRestore, TenThousandLevelsTakeNeitherStackNorDescriptors) {
  auto tree = snapshot.tree({snapshot.file("bottom", {"reached"})});
  constexpr int levels = 10'000;
  for (int i = 0; i < levels; ++i) {
    auto level = made_snapshot::entry("level", node_type::dir, 0755 | recoup::go_mode::dir);
    level.subtree = tree;
    tree = snapshot.tree({level});
  }
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit tight = old;
  tight.rlim_cur = 256;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  const auto shallow = snapshot.tree({snapshot.file("f", {"x"})});
  snapshot.repo->flush();
  options.target = out;
  quiet_observer told, deleting;  // 10,000 paths of 60 KB are more than a test should remember
  EXPECT_EQ(recoup::restore(*snapshot.repo, tree, options, told).errors, 0u);
  int fd = ::open(out.c_str(), O_PATH | O_DIRECTORY);
  for (int i = 0; i < levels && fd >= 0; ++i) {
    const int below = ::openat(fd, "level", O_PATH | O_DIRECTORY);
    ::close(fd);
    fd = below;
  }
  ASSERT_GE(fd, 0);
  struct stat status {};
  EXPECT_EQ(::fstatat(fd, "bottom", &status, 0), 0);
  EXPECT_EQ(status.st_size, 7);
  ::close(fd);

  options.delete_extra = true;
  const auto result = recoup::restore(*snapshot.repo, shallow, options, deleting);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_EQ(result.errors, 0u);
  EXPECT_EQ(result.files_deleted, levels + 1u);
  EXPECT_EQ(std::distance(fs::directory_iterator(out), {}), 1);
}

TEST_F(HostileRestore, DamagedTreesAreErrorsOfTheirDirectory) {
  const auto with_subtree = [&](const std::string& name, const recoup::id& tree) {
    auto made = made_snapshot::entry(name, node_type::dir, 0755 | recoup::go_mode::dir);
    made.subtree = tree;
    return made;
  };
  auto none = made_snapshot::entry("none", node_type::dir, 0755 | recoup::go_mode::dir);
  const auto result = restore({with_subtree("empty", snapshot.raw_tree("")),
                               with_subtree("text", snapshot.raw_tree("hello")),
                               with_subtree("cut", snapshot.raw_tree("{\"nodes\":[{\"name\":\"a\",\"type\":")),
                               with_subtree("missing", recoup::sha256(recoup::as_bytes("missing"))), none,
                               with_subtree("nested", snapshot.raw_tree(std::string(100'000, '['))),
                               snapshot.file("good", {"good"})});
  EXPECT_EQ(result.errors, 6u);
  EXPECT_EQ(observer->failed(), (strings{"/cut", "/empty", "/missing", "/nested", "/none", "/text"}));
  EXPECT_EQ(read_file(path("good")), "good");
}

TEST_F(HostileRestore, ADataBlobIsNotTakenForATree) {
  const auto json = std::string("{\"nodes\":[]}\n");
  auto made = made_snapshot::entry("d", node_type::dir, 0755 | recoup::go_mode::dir);
  made.subtree = snapshot.data(json);
  EXPECT_EQ(restore({made}).errors, 1u);
}

TEST_F(HostileRestore, OddTypesAndTargetsAreRefused) {
  auto strange = made_snapshot::entry("strange", node_type::irregular, 0644);
  auto nothing = made_snapshot::symlink("nothing", "");
  auto nul = made_snapshot::symlink("nul", std::string("a\0b", 3));
  auto endless = made_snapshot::symlink("endless", std::string(100'000, 'x'));
  EXPECT_EQ(restore({strange, nothing, nul, endless, snapshot.file("good", {"1"})}).errors, 4u);
  EXPECT_EQ(read_file(path("good")), "1");
}

TEST_F(HostileRestore, LengthsInTheIndexAreNotBelieved) {
  const auto blob_of = [](const std::string& text, std::uint32_t offset, std::uint32_t length, std::uint32_t claimed) {
    const auto name = recoup::sha256(recoup::as_bytes(text));
    return recoup::packed_blob{{recoup::blob_type::data, name}, offset, length, claimed};
  };
  recoup::id pack = recoup::sha256(recoup::as_bytes("pack"));
  const recoup::bytes content(1000);
  snapshot.memory->save({recoup::file_type::pack, pack}, content);
  snapshot.repo->index().add_pack(pack, std::vector{blob_of("beyond", 4'000'000'000u, 100'000'000u, 0),
                                                    blob_of("huge", 0, 1'000, 4'000'000'000u),
                                                    blob_of("zero", 0, 32, 0)});
  const auto file = [&](const std::string& name) {
    auto made = made_snapshot::entry(name, node_type::file, 0644);
    made.content = std::vector{recoup::sha256(recoup::as_bytes(name))};
    return made;
  };
  EXPECT_EQ(restore({file("beyond"), file("huge"), file("zero"), snapshot.file("good", {"1"})}).errors, 3u);
  EXPECT_EQ(read_file(path("good")), "1");
}

TEST_F(HostileRestore, ALieAboutALengthDoesNotShiftTheBlobsBehind) {
  const std::string text = "the content of the blob";
  const auto tree = snapshot.tree({snapshot.file("file", {text, "and what follows"}), snapshot.file("good", {"1"})});
  snapshot.repo->flush();
  auto lie = snapshot.repo->index().find({recoup::blob_type::data, recoup::sha256(recoup::as_bytes(text))})->blob;
  lie.uncompressed_length = 5;
  // The lie is in the index first, so it is what lengths are computed from; the true place comes second.
  snapshot.repo = recoup::repository::open(snapshot.memory, "password");
  snapshot.repo->index().add_pack(recoup::sha256(recoup::as_bytes("pack")), std::vector{lie});
  snapshot.repo->load_index();
  EXPECT_EQ(restore_tree(tree).errors, 1u);
  EXPECT_EQ(observer->failed(), strings{"/file"});
  EXPECT_EQ(read_file(path("good")), "1");
}

}  // namespace
