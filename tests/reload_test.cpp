// What arrives damaged is loaded once more where that may help, and given up then; wherever bytes are verified.
#include <recoup/storage/load_verified.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <recoup/ops/cat.hpp>
#include <recoup/ops/check.hpp>
#include <recoup/ops/dump.hpp>
#include <recoup/ops/file_reader.hpp>
#include <recoup/ops/restore.hpp>
#include <recoup/repo/unindexed_packs.hpp>
#include <recoup/storage/dry_run.hpp>
#include <recoup/storage/memory.hpp>

#include "made_snapshot.hpp"
#include "remote_storage.hpp"
#include "test_data.hpp"
#include "test_repository.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

/// Bit 77 is in the tenth byte, which no format leaves unprotected.
fault flipped(file_type type, std::uint64_t times) {
  fault planned;
  planned.kind = fault_kind::flip_bit;
  planned.type = type;
  planned.times = times;
  planned.at = 77;
  return planned;
}

class reloading : public testing::Test {
protected:
  reloading() {
    auto made = make_repository(memory_);
    made->load_index();
    const auto tree = save_tree(*made, {make_file(*made, "file", {"one part", "another part"})});
    snapshot_ = recoup::save_snapshot(*made, tree);
    repo_ = open_repository(remote_, options());
    remote_->clear_log();
  }

  repository_options options() {
    repository_options chosen;
    chosen.on_warning = [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      warnings_.push_back(text);
    };
    return chosen;
  }

  void plan(const fault& planned) {
    remote_->set_plan({{planned}, {}});
    remote_->clear_log();
    remote_->complaints = 0;
  }

  id pack_of(blob_type type) {
    id found;
    repo_->index().for_each([&](const blob_location& place) {
      if (place.blob.handle.type == type) found = place.pack;
    });
    return found;
  }

  /// `action` loads and verifies one file of this type.
  void expect_reloading(file_type type, const std::function<void()>& action, std::uint64_t at = 77) {
    const auto wrong = [&](std::uint64_t times) {
      auto planned = flipped(type, times);
      planned.at = at;
      return planned;
    };
    plan(wrong(1));
    EXPECT_NO_THROW(action());
    EXPECT_EQ(remote_->loads(type), 2u);
    EXPECT_EQ(remote_->complaints, 1u);

    plan(wrong(fault::forever));
    expect_error(error_code::damaged, "", action);
    EXPECT_EQ(remote_->loads(type), 2u) << "once more, and no oftener";
    EXPECT_EQ(remote_->complaints, 1u);

    remote_->reloads = false;
    plan(wrong(1));
    expect_error(error_code::damaged, "", action);
    EXPECT_EQ(remote_->loads(type), 1u);
    remote_->reloads = true;

    fault broken;
    broken.type = type;
    plan(broken);
    expect_error(error_code::io, "planned fault", action);
    EXPECT_EQ(remote_->complaints, 0u) << "what failed is not damaged";
    plan({.nth = fault::forever});
  }

  std::mutex mutex_;  // guards warnings_ while anything runs
  std::vector<std::string> warnings_;
  std::shared_ptr<memory_backend> memory_ = std::make_shared<memory_backend>();
  std::shared_ptr<remote_storage> remote_ = std::make_shared<remote_storage>(memory_);
  found_snapshot snapshot_;
  std::shared_ptr<repository> repo_;
};

TEST_F(reloading, snapshots) {
  expect_reloading(file_type::snapshot, [&] { (void)repo_->load_snapshot(snapshot_.id); });
}

TEST_F(reloading, index_files) {
  const auto name = repo_->list(file_type::index).at(0).name;
  expect_reloading(file_type::index, [&] { (void)repo_->load_unpacked(file_type::index, name); });
}

TEST_F(reloading, truncated_files) {
  auto cut = flipped(file_type::snapshot, 1);
  cut.kind = fault_kind::truncate;
  plan(cut);
  EXPECT_NO_THROW((void)repo_->load_snapshot(snapshot_.id));
  EXPECT_EQ(remote_->loads(), 2u);
  cut.type = file_type::pack;
  plan(cut);
  EXPECT_NO_THROW((void)repo_->load_blob(blob_type::tree, snapshot_.snapshot.tree));
  EXPECT_EQ(remote_->loads(), 2u);
}

TEST_F(reloading, blobs) {
  expect_reloading(file_type::pack, [&] { (void)repo_->load_blob(blob_type::tree, snapshot_.snapshot.tree); });
  expect_reloading(file_type::pack, [&] { (void)repo_->load_blob(blob_type::data, sha256(as_bytes("one part"))); });
}

TEST_F(reloading, keys) {
  const auto name = repo_->key_id();
  expect_reloading(file_type::key, [&] { (void)load_key_file(*remote_, name); });
}

TEST_F(reloading, the_config) {
  plan(flipped(file_type::config, 1));
  EXPECT_EQ(open_repository(remote_)->config().id, repo_->config().id);
  EXPECT_EQ(remote_->loads(file_type::config), 2u);
  plan(flipped(file_type::config, fault::forever));
  expect_error(error_code::damaged, "config file: ", [&] { (void)open_repository(remote_); });
  EXPECT_EQ(remote_->loads(file_type::config), 2u);
}

TEST_F(reloading, headers_of_packs) {
  const stored_file pack{file_type::pack, pack_of(blob_type::data)};
  const auto size = memory_->size(pack);
  const auto read = [&] {
    auto codec = repo_->codecs().take();
    EXPECT_EQ(read_pack_header(*remote_, pack, size, codec->box()).size(), 2u);
  };
  expect_reloading(file_type::pack, read, 8 * (size - 30));
  expect_reloading(file_type::pack, read, 8 * (size - 1) + 5);  // in its length
}

TEST_F(reloading, a_check_of_packs_finds_no_error_but_warns) {
  check_options chosen;
  chosen.read_data = all_packs{};
  auto planned = flipped(file_type::pack, 1);
  planned.operation = storage_operation::load_all;
  plan(planned);
  recording_check report;
  EXPECT_TRUE(check(*repo_, chosen, report).clean()) << testing::PrintToString(report.errors);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("arrived damaged"), std::string::npos) << warnings_[0];

  planned.times = fault::forever;
  plan(planned);
  const auto result = check(*repo_, chosen, report);
  EXPECT_EQ(result.broken_packs.size(), 2u);
  EXPECT_EQ(remote_->loads(file_type::pack), 1 + 2 * 2u) << "the tree, and two packs twice";
}

TEST_F(reloading, a_check_whose_packs_cannot_be_loaded_says_so) {
  check_options chosen;
  chosen.read_data = all_packs{};
  fault broken;
  broken.type = file_type::pack;
  broken.operation = storage_operation::load_all;
  broken.times = fault::forever;
  plan(broken);
  recording_check report;
  EXPECT_EQ(check(*repo_, chosen, report).broken_packs.size(), 2u);
  EXPECT_EQ(remote_->complaints, 0u);
  ASSERT_EQ(report.errors.size(), 2u);
  EXPECT_NE(report.errors[0].find("planned fault"), std::string::npos) << report.errors[0];
}

TEST_F(reloading, packs_that_are_in_no_index) {
  for (const auto& file : repo_->list(file_type::index)) memory_->remove({file_type::index, file.name});
  const auto adopt = [&] {
    const auto blank = open_repository(remote_, options());
    remote_->clear_log();
    return adopt_unindexed_packs(*blank).packs;
  };
  auto planned = flipped(file_type::pack, fault::forever);
  planned.operation = storage_operation::load_all;
  plan(planned);
  EXPECT_EQ(adopt(), 0u);
  EXPECT_EQ(remote_->loads(file_type::pack), 4u);
  planned.times = 1;
  plan(planned);
  EXPECT_EQ(adopt(), 2u);
  EXPECT_EQ(remote_->loads(file_type::pack), 3u);
}

TEST_F(reloading, packs_that_are_printed) {
  const auto pack = pack_of(blob_type::data);
  const auto stored = memory_->load_all({file_type::pack, pack});
  bytes printed;
  const auto print = [&](byte_view content) { printed.assign(content.begin(), content.end()); };
  plan(flipped(file_type::pack, 1));
  cat(*repo_, cat_object::pack, pack.hex(), print);
  EXPECT_TRUE(printed == stored);
  EXPECT_TRUE(warnings_.empty());
  plan(flipped(file_type::pack, fault::forever));
  cat(*repo_, cat_object::pack, pack.hex(), print);
  EXPECT_FALSE(printed == stored) << "who asks for a damaged pack gets it as it is";
  EXPECT_EQ(warnings_.size(), 1u);
}

TEST_F(reloading, restored_files) {
  const unique_directory target;
  restore_options chosen;
  remembering_observer observer;
  auto planned = flipped(file_type::pack, 1);
  planned.nth = 2;  // the first is the tree
  plan(planned);
  chosen.target = target / "out";
  (void)restore(*repo_, snapshot_.snapshot.tree, chosen, observer);
  EXPECT_TRUE(observer.errors.empty()) << observer.errors.begin()->second;
  EXPECT_EQ(read_file(target.path() / "out/file"), "one partanother part");
}

TEST_F(reloading, files_that_are_read_or_dumped) {
  const auto nodes = decode_tree(repo_->load_blob(blob_type::tree, snapshot_.snapshot.tree));
  plan(flipped(file_type::pack, 1));
  file_reader reader(repo_, nodes.at(0));
  bytes content(8);
  EXPECT_EQ(reader.read(0, content), 8u);
  EXPECT_EQ(as_text(content), "one part");
  EXPECT_EQ(remote_->loads(), 2u);
}

TEST_F(reloading, decorators_pass_the_question_on) {
  dry_run_backend view(remote_);
  EXPECT_TRUE(view.reload_may_help({file_type::snapshot, snapshot_.id}));
  EXPECT_TRUE(view.is_worth_caching());
  EXPECT_EQ(remote_->complaints, 1u);
  fault_backend faults(memory_);
  EXPECT_FALSE(faults.reload_may_help({file_type::snapshot, snapshot_.id}));
  EXPECT_FALSE(faults.is_worth_caching());
}

}  // namespace
}  // namespace recoup
