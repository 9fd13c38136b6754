// Every single operation of a prune fails in turn, or is the last one before the program is killed. Afterwards every
// snapshot is whole, and the next prune leaves nothing over.
#include <recoup/ops/prune.hpp>

#include <recoup/storage/fault.hpp>

#include "operation_step.hpp"
#include "prune_fixture.hpp"

namespace recoup {
namespace {

class prune_fault_test : public testing::TestWithParam<fault_kind> {
protected:
  prune_fault_test() {
    history files(base_);
    const auto first = files.add(numbers(0, 24), 90'000);
    files.add(numbers(0, 30, 2), 90'000);
    files.add(numbers(24, 44), 90'000);
    files.repo().remove(file_type::snapshot, first);
    // What a killed backup leaves: a pack that no index lists.
    files.repo().storage().save({file_type::pack, sha256(as_bytes("left over"))}, as_bytes("left over"));
    before_ = contents_of(base_);
  }

  [[nodiscard]] static prune_options everything() {
    prune_options options;
    options.max_unused = unused_limit::parse("0");
    options.threads = 2;
    return options;
  }

  void expect_whole_and_finish(const std::shared_ptr<memory_backend>& storage) {
    const auto damage = damage_in(storage);
    EXPECT_TRUE(damage.empty()) << damage.front();
    EXPECT_EQ(contents_of(storage), before_);
    (void)prune(storage, everything());
    const auto left = leftovers_in(storage);
    EXPECT_EQ(left.unused, 0u);
    EXPECT_EQ(left.unindexed, 0u);
    EXPECT_EQ(contents_of(storage), before_);
  }

  std::shared_ptr<memory_backend> base_ = std::make_shared<memory_backend>(2);
  std::map<std::string, std::map<std::string, std::string>> before_;
};

TEST_P(prune_fault_test, at_every_operation) {
  int disturbed = 0;
  for (std::uint64_t nth = 1;; nth += operation_step) {
    const auto storage = base_->copy();
    fault_plan plan;
    plan.faults.push_back({.kind = GetParam(), .nth = nth});
    const auto faulty = std::make_shared<fault_backend>(storage, plan);
    try {
      (void)prune(faulty, everything());
    } catch (const error& problem) {
      EXPECT_NE(std::string(problem.what()).find("planned fault"), std::string::npos) << problem.what();
    }
    if (faulty->count() < nth) break;
    ++disturbed;
    SCOPED_TRACE("operation " + std::to_string(nth) + ": " +
                 faulty->log()[static_cast<std::size_t>(nth) - 1].describe());
    expect_whole_and_finish(storage);
    if (HasFailure()) return;
  }
  EXPECT_GT(disturbed, static_cast<int>(25 / operation_step));
}

INSTANTIATE_TEST_SUITE_P(kinds, prune_fault_test,
                         testing::Values(fault_kind::fail_before, fault_kind::fail_after, fault_kind::cut_off),
                         [](const auto& of) {
                           return of.param == fault_kind::fail_before  ? "fail_before"
                                  : of.param == fault_kind::fail_after ? "fail_after"
                                                                       : "cut_off";
                         });

/// With less room than new packs need nothing gets worse, whatever the amount.
using prune_full_disk_test = prune_fault_test;

TEST_P(prune_full_disk_test, at_any_amount_of_room) {
  for (const std::uint64_t room : {0u, 500u, 3000u, 400'000u, 1'300'000u, 2'700'000u}) {
    SCOPED_TRACE(room);
    const auto storage = base_->copy();
    fault_plan plan;
    plan.room = room;
    try {
      (void)prune(std::make_shared<fault_backend>(storage, plan), everything());
    } catch (const error& problem) {
      EXPECT_EQ(problem.code(), error_code::no_space) << problem.what();
    }
    expect_whole_and_finish(storage);
  }
}

TEST_P(prune_full_disk_test, without_free_space_it_frees_what_it_can) {
  const auto storage = base_->copy();
  const auto packs = [&] {
    std::uint64_t size = 0;
    storage->list(file_type::pack, [&](const listed_file& file) { size += file.size; });
    return size;
  };
  // Removing gives room back, so that the new index fits where the old one was.
  fault_plan plan;
  plan.room = 0;
  auto options = everything();
  options.recover_no_free_space = true;
  const auto before = packs();
  (void)prune(std::make_shared<fault_backend>(storage, plan), options);
  EXPECT_LT(packs(), before);
  expect_whole_and_finish(storage);
}

INSTANTIATE_TEST_SUITE_P(once, prune_full_disk_test, testing::Values(fault_kind::fail_before));

}  // namespace
}  // namespace recoup
