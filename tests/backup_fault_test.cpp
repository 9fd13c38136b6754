// Every single operation of a backup fails in turn, and afterwards nothing is lost, nothing is stored twice, and the
// next backup works.
#include <recoup/ops/backup.hpp>
#include <recoup/ops/check.hpp>
#include <recoup/storage/fault.hpp>

#include <functional>
#include <map>
#include <random>
#include <set>

#include "operation_step.hpp"
#include "test_data.hpp"
#include "test_repository.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

struct disturbance {
  fault_kind kind = fault_kind::fail_before;
  unsigned threads = 1;  ///< with one, operations come in a fixed order
};

class backup_fault_test : public testing::TestWithParam<disturbance> {
protected:
  backup_fault_test() {
    source_.write("s/a", "unchanged");
    source_.write("s/b", "to be changed");
    source_.write("s/dir/c", "in a directory");
    const auto repo = make_repository(base_);
    first_ = back_up(*repo, options_for({source()})).snapshot;
    first_content_ = all_of(*repo, first_.tree);
    source_.write("s/b", "changed meanwhile");
    source_.write("s/dir/d", "new");
    source_.write("s/other/e", "in a new directory");
    source_.write("s/other/twice", "new");
    // Large enough for several packs of the smallest size.
    std::mt19937_64 random(3);
    for (int i = 0; i < 6; ++i) {
      std::string text(400'000, '\0');
      for (auto& c : text) c = static_cast<char>(random());
      source_.write("s/large/" + std::to_string(i), text);
    }
  }

  [[nodiscard]] std::string source() const { return source_ / "s"; }

  /// One backup from opening the repository on.
  static backup_result run(const std::shared_ptr<backend>& storage, const std::string& source, unsigned threads = 1) {
    repository_options small;
    small.pack_size = 1 << 20;
    const auto repo = open_repository(storage, small);
    auto options = options_for({source});
    options.threads = options.read_concurrency = threads;
    options.adopt_unindexed_packs = true;
    options.parent = find_parent(*repo, options);
    recording_backup observer;
    auto result = backup(*repo, options, observer);
    // A tree of the parent that cannot be read only means that files are read again.
    for (const auto& [path, problem] : observer.errors)
      EXPECT_NE(problem.find("planned fault"), std::string::npos) << path << ": " << problem;
    return result;
  }

  static void expect_nothing_twice(const std::shared_ptr<backend>& storage) {
    const auto repo = open_repository(storage);
    std::map<std::pair<blob_type, id>, int> places;
    repo->index().for_each([&](const blob_location& place) {
      ++places[{place.blob.handle.type, place.blob.handle.id}];
    });
    for (const auto& [blob, count] : places)
      EXPECT_EQ(count, 1) << name_of(blob.first) << " blob " << blob.second.hex();
    for (const auto& file : repo->list(file_type::pack))
      EXPECT_TRUE(repo->index().contains_pack(file.name)) << "pack " << file.name.hex() << " is in no index";
  }

  void expect_whole(const std::shared_ptr<memory_backend>& storage) {
    const auto damage = damage_in(storage);
    EXPECT_TRUE(damage.empty()) << damage.front();
    const auto repo = open_repository(storage);
    EXPECT_EQ(all_of(*repo, first_.tree), first_content_);
  }

  unique_directory source_;
  std::shared_ptr<memory_backend> base_ = std::make_shared<memory_backend>(2);
  snapshot first_;
  std::map<std::string, std::string> first_content_;
};

TEST_P(backup_fault_test, at_every_operation) {
  std::map<std::string, std::string> expected;
  {
    const auto storage = base_->copy();
    const auto made = run(storage, source());
    expected = all_of(*open_repository(storage), made.snapshot.tree);
  }
  int failures = 0;
  for (std::uint64_t nth = 1;; nth += operation_step) {
    const auto storage = base_->copy();
    fault_plan plan;
    plan.faults.push_back({.kind = GetParam().kind, .nth = nth});
    const auto faulty = std::make_shared<fault_backend>(storage, plan);
    bool failed = false;
    try {
      const auto made = run(faulty, source(), GetParam().threads);
      EXPECT_TRUE(made.snapshot_id);
    } catch (const error& problem) {
      EXPECT_NE(std::string(problem.what()).find("planned fault"), std::string::npos) << problem.what();
      failed = true;
    }
    if (faulty->count() < nth) break;  // there is no such operation any more
    failures += failed ? 1 : 0;
    const auto log = faulty->log();
    SCOPED_TRACE("operation " + std::to_string(nth) + ": " + log[static_cast<std::size_t>(nth) - 1].describe());
    expect_whole(storage);

    const auto next = run(storage, source());
    EXPECT_EQ(next.errors, 0u);
    expect_whole(storage);
    expect_nothing_twice(storage);
    const auto repo = open_repository(storage);
    EXPECT_EQ(all_of(*repo, next.snapshot.tree), expected);
    if (HasFailure()) return;
  }
  EXPECT_GT(failures, static_cast<int>(10 / operation_step));
}

/// A program that catches the error and tries again with the repository it has open: what the failed backup left in
/// memory must not pass for stored.
TEST_P(backup_fault_test, and_the_same_repository_object_is_used_again) {
  for (std::uint64_t nth = 1;; nth += operation_step) {
    const auto storage = base_->copy();
    const auto faulty = std::make_shared<fault_backend>(storage);
    repository_options small;
    small.pack_size = 1 << 20;
    const auto repo = open_repository(faulty, small);
    auto options = options_for({source()});
    options.threads = options.read_concurrency = GetParam().threads;
    options.parent = find_parent(*repo, options);
    recording_backup observer;
    fault_plan plan;
    plan.faults.push_back({.kind = GetParam().kind, .nth = nth});
    faulty->set_plan(plan);
    try {
      (void)backup(*repo, options, observer);
    } catch (const error&) {
    }
    if (faulty->count() < nth) break;
    SCOPED_TRACE("operation " + std::to_string(nth));
    faulty->set_plan({});
    for (int attempt = 0; attempt < 2; ++attempt) {
      const auto next = backup(*repo, options, observer);
      expect_whole(storage);
      const auto stored = open_repository(storage);
      EXPECT_EQ(all_of(*stored, find_subtree(*stored, next.snapshot.tree, source())).size(), 15u);
    }
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(kinds, backup_fault_test,
                         testing::Values(disturbance{fault_kind::fail_before}, disturbance{fault_kind::fail_after},
                                         disturbance{fault_kind::cut_off}, disturbance{fault_kind::fail_before, 4},
                                         disturbance{fault_kind::fail_after, 4}, disturbance{fault_kind::cut_off, 4}),
                         [](const auto& of) {
                           const std::string kind = of.param.kind == fault_kind::fail_before  ? "fail_before"
                                                    : of.param.kind == fault_kind::fail_after ? "fail_after"
                                                                                              : "cut_off";
                           return kind + "_with_" + std::to_string(of.param.threads);
                         });

using backup_order_test = backup_fault_test;

TEST_P(backup_order_test, packs_then_index_then_snapshot) {
  const auto storage = std::make_shared<fault_backend>(base_->copy());
  (void)run(storage, source());
  std::vector<file_type> saved;
  for (const auto& event : storage->log())
    if (event.operation == storage_operation::save) saved.push_back(event.file.type);
  EXPECT_TRUE(std::ranges::is_sorted(saved, {}, [](file_type type) {
    return type == file_type::pack ? 0 : type == file_type::index ? 1 : type == file_type::snapshot ? 2 : 3;
  }));
  EXPECT_GE(std::ranges::count(saved, file_type::pack), 3);
  EXPECT_EQ(std::ranges::count(saved, file_type::index), 1);
  EXPECT_EQ(std::ranges::count(saved, file_type::snapshot), 1);
  for (const auto& event : storage->log()) EXPECT_NE(event.operation, storage_operation::remove);
}

INSTANTIATE_TEST_SUITE_P(once, backup_order_test, testing::Values(disturbance{}));

/// A full disk: with less room than the backup needs nothing gets worse, whatever the amount.
TEST_P(backup_order_test, a_full_disk) {
  for (const std::uint64_t room : {0u, 1000u, 100'000u, 1'200'000u, 2'300'000u, 2'500'000u}) {
    SCOPED_TRACE(room);
    const auto storage = base_->copy();
    fault_plan plan;
    plan.room = room;
    const auto full = std::make_shared<fault_backend>(storage, plan);
    try {
      (void)run(full, source());
    } catch (const error& problem) {
      EXPECT_EQ(problem.code(), error_code::no_space) << problem.what();
    }
    expect_whole(storage);
    (void)run(storage, source());
    expect_whole(storage);
    expect_nothing_twice(storage);
  }
}

}  // namespace
}  // namespace recoup
