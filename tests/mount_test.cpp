// The directories of a mounted repository, its inodes and what they answer, without a kernel in between.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include <recoup/ops/mount/mounted_repository.hpp>

#include "made_snapshot.hpp"

namespace {

using namespace recoup;

id numbered(std::uint8_t first) {
  id result;
  result.value.fill(0x78);
  result.value[0] = first;
  return result;
}

std::shared_ptr<const listed_snapshot> made(std::uint8_t first, const char* time, std::string host, std::string user,
                                            std::vector<std::string> tags) {
  listed_snapshot one;
  one.id = numbered(first);
  one.snapshot.time = parse_rfc3339(time).value();
  one.snapshot.hostname = std::move(host);
  one.snapshot.username = std::move(user);
  one.snapshot.tags = std::move(tags);
  return std::make_shared<const listed_snapshot>(std::move(one));
}

/// Every path: "" for a directory, the first byte of the snapshot's id in digits, or "-> target".
std::map<std::string, std::string> all_paths(const snapshot_directory& of) {
  std::map<std::string, std::string> found;
  const std::function<void(const snapshot_directory_entry&, std::string)> visit = [&](const auto& entry, std::string path) {
    found[path] = entry.is_link()        ? "-> " + entry.link_target
                  : entry.is_directory() ? ""
                                         : std::to_string(entry.snapshot->id.value[0]);
    for (const auto& [name, inner] : entry.names) visit(*inner, path + "/" + name);
  };
  visit(of.root(), "");
  return found;
}

// Expectations are those of restic's own test of the same snapshots (internal/fuse/snapshots_dirstruct_test.go).
TEST(snapshot_directory, is_what_restic_makes_of_the_same_templates) {
  const snapshot_directory made_of({{"ids/%i", "snapshots/%T", "tags/%t/%T", "%T/%h"}, "2006/01/02"},
                                   {made(0, "2020-12-31T00:00:01Z", "host", "user", {"tag1", "tag2"}),
                                    made(1, "2021-01-01T00:00:01Z", "host", "user", {"tag1", "tag2"}),
                                    made(2, "2021-01-01T01:02:03Z", "host2", "user2", {"tag2", "tag3"}),
                                    made(3, "2021-01-01T01:02:03Z", "host", "user2", {})});
  const auto found = all_paths(made_of);
  const std::map<std::string, std::string> some = {
      {"/ids/00787878", "0"},          {"/ids/03787878", "3"},
      {"/snapshots/2020", ""},         {"/snapshots/2020/12/31", "0"},
      {"/snapshots/2021/01/01", "1"},  {"/snapshots/2021/01/01-1", "2"},
      {"/snapshots/2021/01/01-2", "3"}, {"/snapshots/latest", "-> 2021/01/01-2"},
      {"/tags/tag1/2021/01/01", "1"},  {"/tags/tag1/latest", "-> 2021/01/01"},
      {"/tags/tag2/2021/01/01-1", "2"}, {"/tags/tag2/latest", "-> 2021/01/01-1"},
      {"/2020/12/31/host", "0"},       {"/2021/01/01/host-1", "3"},
      {"/2021/01/01/host2", "2"},      {"/2021", ""}};
  for (const auto& [path, what] : some) {
    ASSERT_TRUE(found.contains(path)) << path;
    EXPECT_EQ(found.at(path), what) << path;
  }
  EXPECT_FALSE(found.contains("/tags/latest"));
}

TEST(snapshot_directory, without_snapshots_has_the_fixed_directories) {
  const snapshot_directory made_of({{"ids/%i", "hosts/%h/%T", "longids/id-%I", "%T/%h", "id-%i", "fixed/%%/x"}, "2006"}, {});
  EXPECT_EQ(all_paths(made_of), (std::map<std::string, std::string>{{"", ""}, {"/ids", ""}, {"/hosts", ""}, {"/longids", ""}}));
}

TEST(snapshot_directory, shows_no_name_that_a_directory_cannot_have) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "a/";
  const snapshot_directory made_of({{"%h", "tags/%t"}, "2006"},
                                   {made(1, "2021-01-01T00:00:01Z", "../..", "", {"..", "", "a/b"}),
                                    made(2, "2021-01-01T00:00:01Z", std::string("x\0y", 3), "", {".."}),
                                    made(3, "2021-01-01T00:00:01Z", std::string(2000, 'l'), "", {}),
                                    made(4, "2021-01-01T00:00:01Z", deep, "", {})});
  for (const auto& [path, what] : all_paths(made_of)) {
    EXPECT_EQ(path.find('\0'), path.npos);
    EXPECT_LT(path.size(), 1100u);
    EXPECT_EQ(path.find("//"), path.npos) << path;
  }
  EXPECT_TRUE(all_paths(made_of).contains("/tags/a_b"));
}

// What Go 1.22's time.Format gives.
TEST(time_template, writes_what_go_writes) {
  const auto at = [](const char* time, const char* sample) { return format_like_go(parse_rfc3339(time).value(), sample); };
  constexpr auto time = "2024-02-09T15:04:05.120000Z";
  EXPECT_EQ(at(time, "2006-01-02T15:04:05Z07:00"), "2024-02-09T15:04:05Z");
  EXPECT_EQ(at("2024-02-09T15:04:05+05:30", "2006-01-02T15:04:05Z07:00"), "2024-02-09T15:04:05+05:30");
  EXPECT_EQ(at("2024-02-09T15:04:05-03:30", "-0700 -07 -07:00:00 Z070000 MST"), "-0330 -03 -03:30:00 -033000 -0330");
  EXPECT_EQ(at(time, "Mon Jan _2 3:4:5 PM 06 002 __2 MST"), "Fri Feb  9 3:4:5 PM 24 040  40 UTC");
  EXPECT_EQ(at(time, "Monday January 1 2 pm .000 .999 ,000000"), "Friday February 2 9 pm .120 .12 ,120000");
  EXPECT_EQ(at("2024-02-09T00:04:05Z", "03 3 15 PM.999x"), "12 12 00 AMx");
  EXPECT_EQ(at(time, "Janus Month _2006 x.0001"), "Janus Month _2024 x.0002");
}

class mounted : public ::testing::Test {
protected:
  made_snapshot files;

  void save(const id& tree, const char* time = "2024-01-01T00:00:00Z") {
    snapshot one;
    one.time = parse_rfc3339(time).value();
    one.tree = tree;
    one.hostname = "h";
    files.repo->flush();
    files.repo->save_snapshot(one);
  }
  std::unique_ptr<mounted_repository> show(mount_options options = {}) {
    return std::make_unique<mounted_repository>(files.repo, std::move(options));
  }
  static inode_handle find(mounted_repository& shown, std::initializer_list<const char*> path) {
    auto at = root_inode;
    for (const auto* name : path) at = shown.look_up(at, name).handle;
    return at;
  }
  static int refusal(const std::function<void()>& of) {
    try {
      of();
    } catch (const mount_refusal& refused) {
      return refused.number();
    }
    return 0;
  }
};

TEST_F(mounted, forgets_what_the_kernel_forgets_and_not_what_is_above_it) {
  save(files.tree({files.directory("d", {files.file("f", {"content"})})}));
  const auto shown = show();
  const auto root = find(*shown, {"snapshots", "2024-01-01T00:00:00Z"});
  const auto directory = shown->look_up(root, "d").handle;
  const auto file = shown->look_up(directory, "f");
  EXPECT_EQ(shown->look_up(directory, "f").handle, file.handle);
  EXPECT_EQ(shown->inodes_known(), 2u);
  shown->forget(directory, 1);  // the file needs it
  EXPECT_EQ(shown->inodes_known(), 2u);
  EXPECT_EQ(shown->stat(file.handle).attributes.size, 7u);
  shown->forget(file.handle, 1);
  EXPECT_EQ(shown->inodes_known(), 2u);
  shown->forget(file.handle, 1);
  EXPECT_EQ(shown->inodes_known(), 0u);
  const auto again = shown->look_up(shown->look_up(root, "d").handle, "f");
  EXPECT_EQ(again.stat.number, file.stat.number) << "st_ino stays";
}

TEST_F(mounted, lists_with_attributes_only_while_somebody_asks_for_those_of_files) {
  save(files.tree({files.directory("d", {files.file("f", {"content"})})}));
  const auto shown = show();
  const auto directory = find(*shown, {"snapshots", "2024-01-01T00:00:00Z", "d"});
  EXPECT_FALSE(shown->next_listing_has_attributes()) << "walking through directories is no reason";
  for (int round = 0; round < 2; ++round) {
    (void)shown->look_up(directory, "f");
    int listings = 0;
    while (shown->next_listing_has_attributes()) ASSERT_LT(++listings, 1000) << "never finds out that they are no longer wanted";
    EXPECT_GT(listings, 10) << "each listing without them costs a question for each file";
  }
}

TEST_F(mounted, answers_from_several_threads_with_caches_that_hold_nothing) {
  std::vector<node> entries;
  for (int i = 0; i < 40; ++i)
    entries.push_back(files.directory("d" + std::to_string(i), {files.file("f", {"content " + std::to_string(i), "more"})}));
  save(files.tree(entries));
  mount_options tight;
  tight.blob_memory = tight.directory_memory = 1;
  const auto shown = show(tight);
  const auto root = find(*shown, {"ids"});
  const auto top = shown->look_up(root, shown->entry(*shown->open_directory(root), 0).name).handle;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 40; ++i) {
        const auto directory = shown->look_up(top, "d" + std::to_string(i)).handle;
        const auto file = shown->look_up(directory, "f").handle;
        std::string read;
        shown->open_file(file)->visit(2, 100, [&](const auto&, byte_view part) { read += as_text(part); });
        EXPECT_EQ(read, "ntent " + std::to_string(i) + "more");
        shown->forget(file, 1);
        shown->forget(directory, 1);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(shown->inodes_known(), 0u);
}

TEST_F(mounted, sees_snapshots_that_come_and_go) {
  save(files.tree({files.file("f", {"1"})}));
  mount_options options;
  options.reload_interval = std::chrono::milliseconds(0);
  const auto shown = show(options);
  const auto snapshots = find(*shown, {"snapshots"});
  EXPECT_EQ(shown->open_directory(snapshots)->size(), 2u);
  const auto latest = shown->look_up(snapshots, "latest").handle;
  save(files.tree({files.file("g", {"2"})}), "2024-01-02T00:00:00Z");
  EXPECT_EQ(shown->open_directory(snapshots)->size(), 3u);
  const auto new_latest = shown->look_up(snapshots, "latest").handle;
  EXPECT_NE(new_latest, latest) << "the kernel keeps a link's target for as long as the inode";
  EXPECT_EQ(shown->read_link(new_latest), "2024-01-02T00:00:00Z");
  EXPECT_EQ(shown->read_link(latest), "2024-01-01T00:00:00Z");
  EXPECT_EQ(shown->look_up(find(*shown, {"snapshots", "2024-01-02T00:00:00Z"}), "g").stat.attributes.size, 1u);
  for (const auto& file : files.repo->list(file_type::snapshot)) files.repo->remove(file_type::snapshot, file.name);
  EXPECT_EQ(shown->open_directory(snapshots)->size(), 0u);
  EXPECT_EQ(refusal([&] { (void)shown->look_up(snapshots, "latest"); }), ENOENT);
}

TEST_F(mounted, gives_all_names_of_a_file_one_number) {
  auto one = files.file("one", {"x"}), two = files.file("two", {"x"}), other = files.file("other", {"x"});
  for (auto* each : {&one, &two, &other}) each->links = 2, each->inode = 77, each->device_id = 1;
  other.device_id = 2;
  save(files.tree({one, two, other}));
  const auto shown = show();
  const auto root = find(*shown, {"snapshots", "2024-01-01T00:00:00Z"});
  EXPECT_EQ(shown->look_up(root, "one").stat.number, shown->look_up(root, "two").stat.number);
  EXPECT_NE(shown->look_up(root, "one").stat.number, shown->look_up(root, "other").stat.number);
  EXPECT_EQ(shown->look_up(root, "one").stat.attributes.links, 2u);
}

TEST_F(mounted, reads_ahead_and_keeps_within_its_memory) {
  std::vector<std::string> chunks;
  std::string whole;
  for (int i = 0; i < 60; ++i) whole += chunks.emplace_back(100'000, static_cast<char>('a' + i % 26)) + "";
  for (std::size_t i = 0; i < chunks.size(); ++i) chunks[i][0] = static_cast<char>('A' + i), whole[i * 100'000] = chunks[i][0];
  save(files.tree({files.file("f", chunks)}));
  const auto shown = show();
  const auto file = shown->open_file(shown->look_up(find(*shown, {"snapshots", "2024-01-01T00:00:00Z"}), "f").handle);
  std::string read;
  while (read.size() < whole.size()) {
    const auto before = read.size();
    file->visit(read.size(), 70'000, [&](const auto&, byte_view part) { read += as_text(part); });
    ASSERT_GT(read.size(), before);
  }
  EXPECT_TRUE(read == whole);
  blob_loader tight(*files.repo, 250'000);
  for (const auto& chunk : chunks) (void)tight.get(sha256(as_bytes(chunk)));
  EXPECT_LE(tight.bytes_kept(), 250'000u);
  EXPECT_GT(tight.bytes_kept(), 100'000u);
}

}  // namespace
