// Every single operation of a copy fails in turn, on either side, and afterwards the destination is whole, nothing is
// stored twice, and the next copy finishes the work.
#include <recoup/ops/copy.hpp>

#include <chrono>
#include <random>

#include "copy_fixture.hpp"
#include "operation_step.hpp"

namespace recoup {
namespace {

struct disturbance {
  fault_kind kind = fault_kind::fail_before;
  unsigned threads = 1;  ///< with one, operations of the source come in a fixed order
  bool one_by_one = false;  ///< each snapshot is a batch
};

class copy_fault_test : public testing::TestWithParam<disturbance> {
protected:
  copy_fault_test() {
    const auto repo = make_repository(source_, 2, small());
    repo->load_index();
    std::mt19937_64 random(3);
    std::vector<node> top;
    for (int i = 0; i < 4; ++i) {
      std::string noise(400'000, '\0');
      for (auto& c : noise) c = static_cast<char>(random());
      top.push_back(make_directory(*repo, "d" + std::to_string(i),
                                   {make_file(*repo, "noise", {noise}), make_file(*repo, "same", {"same"})}));
      if (i % 2 == 1) (void)save_snapshot(*repo, save_tree(*repo, top), 1'700'000'000 + i);
    }
    // Something is there already.
    const auto other = make_repository(base_, 2, small());
    other->load_index();
    (void)save_snapshot(*other, save_tree(*other, {make_file(*other, "same", {"same"})}));
  }

  static repository_options small() {
    repository_options options;
    options.pack_size = 1 << 20;
    return options;
  }

  /// One copy from opening the repositories on.
  [[nodiscard]] static copy_result run(const std::shared_ptr<backend>& from, const std::shared_ptr<backend>& to,
                                       const disturbance& how = {}) {
    const auto source = repository::open(from, test_password);
    const auto destination = repository::open(to, test_password, small());
    copy_options options;
    options.threads = how.threads;
    options.adopt_unindexed_packs = true;
    if (how.one_by_one) options.batch_bytes = 1, options.batch_time = std::chrono::milliseconds{0};
    copy_observer nobody;
    return copy(*source, *destination, options, nobody);
  }

  /// All that is visible is whole, and a copy that nobody disturbs completes it.
  void expect_whole_and_finish(const std::shared_ptr<memory_backend>& to) {
    const auto damage = damage_in(to);
    EXPECT_TRUE(damage.empty()) << damage.front();
    EXPECT_EQ(run(source_, to).errors, 0u);
    const auto after = damage_in(to);
    EXPECT_TRUE(after.empty()) << after.front();
    expect_nothing_twice(to);
    expect_copied(source_, to);
  }

  std::shared_ptr<memory_backend> source_ = std::make_shared<memory_backend>(2),
                                  base_ = std::make_shared<memory_backend>(2);
};

TEST_P(copy_fault_test, at_every_operation_of_the_destination) {
  int failures = 0;
  for (std::uint64_t nth = 1;; nth += operation_step) {
    const auto to = base_->copy();
    fault_plan plan;
    plan.faults.push_back({.kind = GetParam().kind, .nth = nth});
    const auto faulty = std::make_shared<fault_backend>(to, plan);
    bool failed = false;
    try {
      (void)run(source_, faulty, GetParam());
    } catch (const error& problem) {
      EXPECT_NE(std::string(problem.what()).find("planned fault"), std::string::npos) << problem.what();
      failed = true;
    }
    if (faulty->count() < nth) break;
    failures += failed ? 1 : 0;
    SCOPED_TRACE("operation " + std::to_string(nth) + ": " +
                 faulty->log()[static_cast<std::size_t>(nth) - 1].describe());
    expect_whole_and_finish(to);
    if (HasFailure()) return;
  }
  EXPECT_GT(failures, static_cast<int>(8 / operation_step));
}

TEST_P(copy_fault_test, at_every_operation_of_the_source) {
  int failures = 0;
  for (std::uint64_t nth = 1;; nth += operation_step) {
    const auto to = base_->copy();
    fault_plan plan;
    plan.faults.push_back({.kind = GetParam().kind, .nth = nth});
    const auto faulty = std::make_shared<fault_backend>(source_, plan);
    bool failed = false;
    try {
      failed = run(faulty, to, GetParam()).errors != 0;
    } catch (const error& problem) {
      EXPECT_NE(std::string(problem.what()).find("planned fault"), std::string::npos) << problem.what();
      failed = true;
    }
    if (faulty->count() < nth) break;
    failures += failed ? 1 : 0;
    SCOPED_TRACE("operation " + std::to_string(nth) + ": " +
                 faulty->log()[static_cast<std::size_t>(nth) - 1].describe());
    for (const auto& event : faulty->log()) EXPECT_NE(event.operation, storage_operation::save);
    expect_whole_and_finish(to);
    if (HasFailure()) return;
  }
  EXPECT_GT(failures, static_cast<int>(3 / operation_step));
}

/// A program that catches the error and tries again with the repositories it has open.
TEST_P(copy_fault_test, and_the_same_objects_are_used_again) {
  for (std::uint64_t nth = 1;; nth += operation_step) {
    const auto to = base_->copy();
    const auto faulty = std::make_shared<fault_backend>(to);
    const auto source = open_repository(source_), destination = open_repository(faulty, small());
    fault_plan plan;
    plan.faults.push_back({.kind = GetParam().kind, .nth = nth});
    faulty->set_plan(plan);
    copy_options options;
    options.threads = GetParam().threads;
    copy_observer nobody;
    try {
      (void)copy(*source, *destination, options, nobody);
    } catch (const error&) {
    }
    if (faulty->count() < nth) break;
    SCOPED_TRACE("operation " + std::to_string(nth));
    faulty->set_plan({});
    (void)copy(*source, *destination, options, nobody);
    const auto damage = damage_in(to);
    EXPECT_TRUE(damage.empty()) << damage.front();
    expect_copied(source_, to);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(
    kinds, copy_fault_test,
    testing::Values(disturbance{fault_kind::fail_before}, disturbance{fault_kind::fail_after},
                    disturbance{fault_kind::cut_off}, disturbance{fault_kind::cut_off, 1, true},
                    disturbance{fault_kind::fail_before, 4}, disturbance{fault_kind::fail_after, 4},
                    disturbance{fault_kind::cut_off, 4}),
    [](const auto& of) {
      const std::string kind = of.param.kind == fault_kind::fail_before  ? "fail_before"
                               : of.param.kind == fault_kind::fail_after ? "fail_after"
                                                                         : "cut_off";
      return kind + "_with_" + std::to_string(of.param.threads) + (of.param.one_by_one ? "_one_by_one" : "");
    });

/// A full disk: with less room than the copy needs nothing gets worse, whatever the amount.
using copy_full_disk_test = copy_fault_test;

TEST_P(copy_full_disk_test, at_any_amount_of_room) {
  for (const std::uint64_t room : {0u, 1000u, 100'000u, 1'200'000u, 1'610'000u}) {
    SCOPED_TRACE(room);
    const auto to = base_->copy();
    fault_plan plan;
    plan.room = room;
    try {
      (void)run(source_, std::make_shared<fault_backend>(to, plan));
    } catch (const error& problem) {
      EXPECT_EQ(problem.code(), error_code::no_space) << problem.what();
    }
    expect_whole_and_finish(to);
  }
}

INSTANTIATE_TEST_SUITE_P(once, copy_full_disk_test, testing::Values(disturbance{}));

}  // namespace
}  // namespace recoup
