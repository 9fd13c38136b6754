// Restoring when something is missing, damaged, full or unwilling.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <string>
#include <vector>

#include <recoup/ops/restore.hpp>
#include <recoup/storage/fault.hpp>

#include "restore_fixture.hpp"

namespace restore_tests {
namespace {

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
  const recoup::stored_file pack{recoup::file_type::pack, place->pack};
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
    for (const auto kind :
         {recoup::fault_kind::fail_before, recoup::fault_kind::flip_bit, recoup::fault_kind::cut_off}) {
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
}  // namespace restore_tests
