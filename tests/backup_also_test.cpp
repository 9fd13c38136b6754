// One backup into several repositories: what each gets, and what becomes of it when one fails at any moment.
#include <recoup/ops/backup.hpp>
#include <recoup/storage/fault.hpp>

#include <array>
#include <functional>
#include <random>
#include <set>

#include "test_repository.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

class observing_backup : public recording_backup {
public:
  void on_repository_failed(const std::string&, const error&) override { ++failed; }
  int failed = 0;
};

class backup_also_test : public testing::TestWithParam<unsigned> {
protected:
  backup_also_test() {
    std::mt19937_64 random(3);
    const auto noise = [&](std::size_t size) {
      std::string text(size, '\0');
      for (auto& c : text) c = static_cast<char>(random());
      return text;
    };
    for (int i = 0; i < 30; ++i) source_.write("s/" + std::to_string(i), noise(2000));
    source_.write("s/dir/large", noise(3'000'000));
    choice_.chunker_polynomial = polynomial::random();
    for (auto& each : storage_) {
      each = std::make_shared<memory_backend>();
      (void)repository::create(each, test_password, choice_);
    }
  }

  /// From opening the repositories on. Returns nothing if all of it failed.
  std::optional<backup_result> run(const std::vector<std::shared_ptr<backend>>& to, bool may_fail = true) {
    repository_options small;
    small.pack_size = 1 << 20;
    std::vector<std::shared_ptr<repository>> repos;
    observed_ = std::make_unique<observing_backup>();
    try {
      auto options = options_for({source_ / "s"});
      options.threads = options.read_concurrency = GetParam();
      for (const auto& each : to) repos.push_back(open_repository(each, small));
      options.parent = find_parent(*repos.front(), options);
      options.adopt_unindexed_packs = true;
      for (std::size_t i = 1; i < repos.size(); ++i)
        options.also.push_back({repos[i].get(), find_parent(*repos[i], options), true, {}});
      return backup(*repos.front(), options, *observed_);
    } catch (const error& problem) {
      EXPECT_TRUE(may_fail) << problem.what();
      return std::nullopt;
    }
  }

  static std::set<id> snapshots(const std::shared_ptr<memory_backend>& storage) {
    std::set<id> found;
    storage->list(file_type::snapshot, [&](const listed_file& file) { found.insert(file.name); });
    return found;
  }

  unique_directory source_;
  create_options choice_ = fast_creation();
  std::array<std::shared_ptr<memory_backend>, 3> storage_;
  std::unique_ptr<observing_backup> observed_;
};

TEST_P(backup_also_test, all_get_the_same) {
  const auto made = run({storage_[0], storage_[1], storage_[2]}, false);
  ASSERT_TRUE(made && made->snapshot_id);
  ASSERT_EQ(made->also.size(), 2u);
  for (const auto& each : made->also) {
    EXPECT_TRUE(each.snapshot_id);
    EXPECT_NE(each.snapshot_id, made->snapshot_id) << "sealed anew";
    EXPECT_EQ(each.snapshot.tree, made->snapshot.tree);
    EXPECT_EQ(each.summary.data_added, made->summary.data_added);
    EXPECT_EQ(each.summary.files_new, 31u);
  }
  for (const auto& each : storage_) EXPECT_TRUE(damage_in(each).empty());
  const auto again = run({storage_[2], storage_[0]}, false);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->summary.files_unmodified, 31u);
  EXPECT_EQ(again->also[0].summary.files_unmodified, 31u);
  // Directories above the source may have changed: others use them too.
  EXPECT_EQ(again->also[0].summary.data_blobs, 0u);
}

TEST_P(backup_also_test, one_fails_at_every_operation) {
  for (const std::size_t failing : {0, 1}) {
    int went_on = 0;
    for (std::uint64_t nth = 1;; ++nth) {
      std::array<std::shared_ptr<memory_backend>, 2> copies{storage_[0]->copy(), storage_[1]->copy()};
      fault_plan plan;
      plan.faults.push_back({.kind = fault_kind::cut_off, .nth = nth});
      const auto faulty = std::make_shared<fault_backend>(copies[failing], plan);
      std::vector<std::shared_ptr<backend>> to{copies[0], copies[1]};
      to[failing] = faulty;
      const auto made = run(to);
      const auto& good = copies[1 - failing];
      bool failed = true;
      if (made) {
        const repository_result& of_bad = failing == 0 ? *made : made->also[0];
        const repository_result& of_good = failing == 0 ? made->also[0] : *made;
        EXPECT_EQ(observed_->failed, of_bad.failure ? 1 : 0) << nth;
        EXPECT_TRUE(of_good.snapshot_id && !of_good.failure) << nth;
        EXPECT_EQ(snapshots(good), std::set{*of_good.snapshot_id}) << nth;
        if (of_bad.failure) {
          EXPECT_FALSE(of_bad.snapshot_id) << nth;
          EXPECT_TRUE(snapshots(copies[failing]).empty()) << nth;
          ++went_on;
        }
        failed = of_bad.failure.has_value();
      } else {
        EXPECT_TRUE(snapshots(good).empty()) << "it was never opened, or its index was not read: " << nth;
      }
      for (const auto& each : copies) ASSERT_TRUE(damage_in(each).empty()) << nth;
      if (!failed) break;
      const auto next = run({copies[0], copies[1]}, false);
      ASSERT_TRUE(next && next->snapshot_id && next->also[0].snapshot_id) << nth;
      EXPECT_EQ(next->snapshot.tree, next->also[0].snapshot.tree);
      for (const auto& each : copies) ASSERT_TRUE(damage_in(each).empty()) << nth;
    }
    EXPECT_GE(went_on, 5) << "storing packs, index and snapshot";
  }
}

TEST_P(backup_also_test, when_all_fail_so_does_the_backup) {
  fault_plan full;
  full.room = 1'500'000;
  EXPECT_FALSE(run({std::make_shared<fault_backend>(storage_[0], full),
                    std::make_shared<fault_backend>(storage_[1], full)}));
  EXPECT_EQ(observed_->failed, 1) << "the last one's problem is thrown";
  for (const auto& each : {storage_[0], storage_[1]}) {
    EXPECT_TRUE(snapshots(each).empty());
    EXPECT_TRUE(damage_in(each).empty());
  }
}

TEST_P(backup_also_test, a_lost_lock_ends_one_only) {
  const auto first = open_repository(storage_[0]), second = open_repository(storage_[1]);
  std::stop_source lost;
  lost.request_stop();
  auto options = options_for({source_ / "s"});
  options.also.push_back({second.get(), std::nullopt, false, lost.get_token()});
  observing_backup observer;
  const auto made = backup(*first, options, observer);
  EXPECT_TRUE(made.snapshot_id);
  ASSERT_TRUE(made.also[0].failure);
  EXPECT_EQ(made.also[0].failure->code(), error_code::locked);
  EXPECT_TRUE(snapshots(storage_[1]).empty());
}

TEST_P(backup_also_test, what_cuts_otherwise_is_refused) {
  const auto other = std::make_shared<memory_backend>();
  (void)make_repository(other);
  EXPECT_FALSE(run({storage_[0], other}));
  EXPECT_TRUE(observed_->items.empty());
  EXPECT_FALSE(run({storage_[0], storage_[0]})) << "the same one twice";
}

INSTANTIATE_TEST_SUITE_P(threads, backup_also_test, testing::Values(1u, 4u));

}  // namespace
}  // namespace recoup
