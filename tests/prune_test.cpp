#include <recoup/ops/prune.hpp>

#include "prune_fixture.hpp"
#include "test_data.hpp"

namespace recoup {
namespace {

class prune_test : public testing::TestWithParam<unsigned> {
protected:
  /// Three snapshots, of which the first two go: a third of their files is in the last one too.
  prune_test() {
    const auto first = files_.add(numbers(0, 60));
    const auto second = files_.add(numbers(30, 90));
    files_.add(numbers(0, 90, 3));
    files_.repo().remove(file_type::snapshot, first);
    files_.repo().remove(file_type::snapshot, second);
    before_ = contents_of(storage_);
  }

  void expect_whole() {
    const auto damage = damage_in(storage_);
    EXPECT_TRUE(damage.empty()) << damage.front();
    EXPECT_EQ(contents_of(storage_), before_);
  }

  std::shared_ptr<memory_backend> storage_ = std::make_shared<memory_backend>(2);
  history files_{storage_, GetParam()};
  std::map<std::string, std::map<std::string, std::string>> before_;
};

TEST_P(prune_test, leaves_no_more_unused_than_the_limit) {
  for (const auto* limit : {"unlimited", "2M", "40%", "20%", "5%", "0"}) {
    SCOPED_TRACE(limit);
    prune_options options;
    options.max_unused = unused_limit::parse(limit);
    const auto stats = prune(storage_, options);
    const auto left = leftovers_in(storage_);
    EXPECT_LE(left.unused, options.max_unused.beside(left.used));
    EXPECT_EQ(left.unused, stats.bytes.remaining_unused);
    EXPECT_EQ(left.used, stats.bytes.used);
    EXPECT_EQ(left.unindexed, 0u);
    expect_whole();
  }
  EXPECT_EQ(leftovers_in(storage_).unused, 0u);
}

TEST_P(prune_test, has_nothing_to_do_the_second_time) {
  prune_options options;
  options.max_unused = unused_limit::parse("0");
  (void)prune(storage_, options);
  const auto list = [&](file_type type) {
    std::set<std::string> names;
    storage_->list(type, [&](const listed_file& file) { names.insert(file.name.hex()); });
    return names;
  };
  const auto packs_before = list(file_type::pack), indexes_before = list(file_type::index);
  const auto stats = prune(storage_, options);
  EXPECT_EQ(stats.blobs.remove_total, 0u);
  EXPECT_EQ(stats.packs.repack, 0u);
  EXPECT_EQ(list(file_type::pack), packs_before);
  EXPECT_EQ(list(file_type::index), indexes_before);
}

TEST_P(prune_test, a_plan_changes_nothing) {
  const auto repo = repository::open(storage_, test_password, small_packs());
  const auto before = leftovers_in(storage_);
  prune_observer nobody;
  const auto plan = plan_prune(*repo, {}, nobody);
  EXPECT_GT(plan.stats.bytes.remove_total, 0u);
  EXPECT_EQ(leftovers_in(storage_).unused, before.unused);
  EXPECT_EQ(plan.stats.bytes.unused, before.unused);
  EXPECT_EQ(plan.stats.bytes.used, before.used);
}

TEST_P(prune_test, writes_no_more_than_it_may) {
  prune_options options;
  options.max_unused = unused_limit::parse("0");
  options.max_repack_bytes = 0;
  EXPECT_EQ(prune(storage_, options).packs.repack, 0u);
  options.max_repack_bytes = 2'500'000;
  const auto stats = prune(storage_, options);
  EXPECT_GT(stats.packs.repack, 0u);
  EXPECT_LT(stats.bytes.repack, options.max_repack_bytes);
  expect_whole();
}

TEST_P(prune_test, only_trees) {
  prune_options options;
  options.max_unused = unused_limit::parse("0");
  options.repack_only_trees = true;
  const auto repo = repository::open(storage_, test_password, small_packs());
  prune_observer nobody;
  const auto plan = plan_prune(*repo, options, nobody);
  for (const auto& pack : plan.repack)
    for (const auto& blob : repo->index().blobs_in(pack)) EXPECT_EQ(blob.handle.type, blob_type::tree);
  execute_prune(*repo, plan, options, nobody);
  expect_whole();
}

TEST_P(prune_test, a_snapshot_that_does_not_count) {
  const auto last = *files_.repo().load_snapshots().begin();
  prune_options options;
  options.ignored_snapshots.insert(last.first);
  const auto repo = repository::open(storage_, test_password);
  prune_observer nobody;
  const auto plan = plan_prune(*repo, options, nobody);
  EXPECT_EQ(plan.stats.blobs.used, 0u);
  EXPECT_EQ(plan.stats.blobs.remaining, 0u);
}

TEST_P(prune_test, packs_that_no_index_lists_go) {
  const auto file = files_.repo().list(file_type::index).front();
  files_.repo().remove(file_type::index, file.name);
  const auto repo = open_repository(storage_);
  for (const auto& [name, value] : repo->load_snapshots()) repo->remove(file_type::snapshot, name);
  EXPECT_GT(leftovers_in(storage_).unindexed, 0u);
  (void)prune(storage_);
  EXPECT_TRUE(files_.repo().list(file_type::pack).empty());
  EXPECT_TRUE(files_.repo().list(file_type::index).empty());
}

TEST_P(prune_test, small_packs_are_joined) {
  for (int i = 0; i < 14; ++i) files_.add({1000 + i}, 1000);
  before_ = contents_of(storage_);
  const auto packs = [&] { return files_.repo().list(file_type::pack).size(); };
  const auto before = packs();
  prune_options options;
  options.max_unused = unused_limit::parse("unlimited");
  options.repack_below = 1 << 20;
  (void)prune(storage_, options);
  EXPECT_LT(packs() + 14, before);
  expect_whole();
}

TEST_P(prune_test, without_free_space) {
  prune_options options;
  options.recover_no_free_space = true;
  const auto stats = prune(storage_, options);
  EXPECT_EQ(stats.packs.repack, 0u);
  EXPECT_GT(stats.packs.remove, 0u);
  EXPECT_EQ(leftovers_in(storage_).unindexed, 0u);
  expect_whole();
}

INSTANTIATE_TEST_SUITE_P(versions, prune_test, testing::Values(1u, 2u),
                         [](const auto& of) { return "v" + std::to_string(of.param); });

// --- copies, damage, refusals ---

class prune_damage_test : public testing::Test {
protected:
  prune_damage_test() {
    const auto first = files_.add(numbers(0, 40));
    files_.add(numbers(0, 40, 2));
    files_.repo().remove(file_type::snapshot, first);
    before_ = contents_of(storage_);
  }

  /// Every blob a second time, as two backups at once can leave them.
  void store_all_twice() {
    const auto repo = open_repository(storage_);
    blob_index empty;
    blob_saver saver(repo->storage(), repo->master_key(), repo->codecs(), empty, 1 << 20,
                     [&](const std::string& json) { repo->save_unpacked(file_type::index, json); });
    std::vector<blob_handle> all;
    repo->index().for_each([&](const blob_location& place) { all.push_back(place.blob.handle); });
    std::ranges::reverse(all);
    for (const auto& handle : all) {
      const auto content = repo->load_blob(handle);
      saver.save(handle, {content});
    }
    saver.flush();
  }

  [[nodiscard]] id pack_with_data_of(std::size_t which) {
    std::vector<id> packs;
    const auto repo = open_repository(storage_);
    repo->index().for_each_pack([&](const id& pack, std::span<const packed_blob> blobs) {
      if (blobs.front().handle.type == blob_type::data) packs.push_back(pack);
    });
    return packs.at(which);
  }

  std::shared_ptr<memory_backend> storage_ = std::make_shared<memory_backend>(2);
  history files_{storage_};
  std::map<std::string, std::map<std::string, std::string>> before_;
};

TEST_F(prune_damage_test, one_copy_of_each_blob_stays) {
  store_all_twice();
  prune_options options;
  options.max_unused = unused_limit::parse("0");
  const auto stats = prune(storage_, options);
  EXPECT_GT(stats.blobs.duplicate, 0u);
  EXPECT_EQ(leftovers_in(storage_).unused, 0u);
  EXPECT_EQ(contents_of(storage_), before_);
  EXPECT_TRUE(damage_in(storage_).empty());
}

TEST_F(prune_damage_test, a_missing_pack_is_no_loss_if_there_are_copies) {
  store_all_twice();
  storage_->remove({file_type::pack, pack_with_data_of(0)});
  (void)prune(storage_);
  EXPECT_EQ(contents_of(storage_), before_);
  EXPECT_TRUE(damage_in(storage_).empty());
}

TEST_F(prune_damage_test, nothing_is_removed_if_a_needed_pack_is_missing) {
  storage_->remove({file_type::pack, pack_with_data_of(0)});
  const auto packs = files_.repo().list(file_type::pack).size();
  expect_error(error_code::damaged, "packs from index missing in repo", [&] { (void)prune(storage_); });
  EXPECT_EQ(files_.repo().list(file_type::pack).size(), packs);
}

TEST_F(prune_damage_test, nothing_is_removed_if_a_needed_pack_has_another_length) {
  const stored_file pack{file_type::pack, pack_with_data_of(0)};
  auto content = storage_->load_all(pack);
  content.pop_back();
  storage_->remove(pack);
  storage_->save(pack, content);
  expect_error(error_code::damaged, "does not match real size", [&] { (void)prune(storage_); });
}

TEST_F(prune_damage_test, nothing_is_removed_if_a_blob_is_in_no_index) {
  const auto repo = open_repository(storage_);
  auto lost = make_file(*repo, "lost", {"x"});
  lost.content->front() = sha256(as_bytes("never stored"));
  (void)save_snapshot(*repo, save_tree(*repo, {lost}));
  const auto packs = files_.repo().list(file_type::pack).size();
  expect_error(error_code::damaged, sha256(as_bytes("never stored")).hex() + " not found in the index",
               [&] { (void)prune(storage_); });
  EXPECT_EQ(files_.repo().list(file_type::pack).size(), packs);
}

TEST_F(prune_damage_test, a_damaged_blob_is_not_repacked) {
  prune_options options;
  options.max_unused = unused_limit::parse("0");
  std::vector<stored_file> packs;
  {
    const auto repo = repository::open(storage_, test_password, small_packs());
    prune_observer nobody;
    for (const auto& pack : plan_prune(*repo, options, nobody).repack) packs.push_back({file_type::pack, pack});
  }
  ASSERT_FALSE(packs.empty());
  for (const auto& pack : packs) {
    auto content = storage_->load_all(pack);
    for (std::size_t at = 20; at + 4000 < content.size(); at += 3000) content[at] ^= 1;
    storage_->remove(pack);
    storage_->save(pack, content);
  }
  expect_error(error_code::damaged, "cannot be repacked", [&] { (void)prune(storage_, options); });
  for (const auto& pack : packs) EXPECT_NO_THROW((void)storage_->size(pack));
}

TEST_F(prune_damage_test, a_missing_pack_that_nobody_needs_is_forgotten) {
  prune_options options;
  options.max_unused = unused_limit::parse("unlimited");
  (void)prune(storage_, options);
  for (const auto& [name, value] : files_.repo().load_snapshots()) files_.repo().remove(file_type::snapshot, name);
  storage_->remove({file_type::pack, pack_with_data_of(0)});
  struct : prune_observer {
    void on_missing_pack(const id&) override { ++missing; }
    int missing = 0;
  } told;
  const auto repo = repository::open(storage_, test_password);
  const auto plan = plan_prune(*repo, options, told);
  execute_prune(*repo, plan, options, told);
  EXPECT_EQ(told.missing, 1);
  EXPECT_TRUE(repo->list(file_type::pack).empty());
  EXPECT_TRUE(repo->list(file_type::index).empty());
}

TEST(prune_options_test, limits) {
  EXPECT_EQ(unused_limit::parse("0").beside(1000), 0u);
  EXPECT_EQ(unused_limit::parse(" 50% ").beside(1000), 1000u);
  EXPECT_EQ(unused_limit::parse("2K").beside(0), 2048u);
}

TEST(prune_options_test, limits_that_make_no_sense) {
  for (const auto* text : {"", " ", "x", "%", "-1%", "100%", "nan%", "5 %", "-5", "1e3"}) {
    SCOPED_TRACE(text);
    expect_error(error_code::invalid_argument, "--max-unused", [&] { (void)unused_limit::parse(text); });
  }
}

}  // namespace
}  // namespace recoup
