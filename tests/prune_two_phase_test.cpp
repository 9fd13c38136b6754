// A prune that needs nobody's absence: whatever others do meanwhile, nothing that a snapshot needs goes.
#include <recoup/ops/prune.hpp>

#include <algorithm>
#include <atomic>
#include <list>
#include <mutex>
#include <random>

#include <recoup/ops/repair_index.hpp>
#include <recoup/repo/unindexed_packs.hpp>
#include <recoup/storage/fault.hpp>

#include "operation_step.hpp"
#include "test_data.hpp"
#include "two_phase_fixture.hpp"

namespace recoup {
namespace {

class prune_two_phase_test : public testing::Test {
protected:
  /// Nobody needs the files 0 to 11 any more, but for every fourth; 12 to 15 are in a snapshot. Chance decides which of them
  /// share a pack: always, some packs are needed in part, and some are not needed at all.
  static std::shared_ptr<memory_backend> make_base() {
    for (;;) {
      auto storage = std::make_shared<memory_backend>(2);
      (void)make_repository(storage, 2, tiny_packs());
      const auto first = slow_backup(storage, 0, numbers(0, 12)).finish();
      slow_backup(storage, 0, {0, 4, 8, 12, 13, 14, 15}).finish();
      const auto repo = open_repository(storage);
      repo->remove(file_type::snapshot, first);
      prune_observer nobody;
      const auto packs = plan_prune(*repo, alone(), nobody).stats.packs;
      if (packs.partly_used > 1 && packs.unused > 1) return storage;
    }
  }

  static void expect_whole(const std::shared_ptr<memory_backend>& storage) {
    const auto damage = damage_in(storage);
    EXPECT_TRUE(damage.empty()) << damage.front();
    for (const auto& [name, files] : contents_of(storage))
      for (const auto& [path, content] : files) {
        const auto at = path.rfind("/f");
        if (at == std::string::npos) continue;
        EXPECT_TRUE(content == content_of(std::stoi(path.substr(at + 2)))) << path;
      }
  }

  /// The next ordinary prune leaves nothing but what is needed, and nothing that restic does not understand.
  static void expect_clean_after_prune(const std::shared_ptr<memory_backend>& storage) {
    const auto before = contents_of(storage);
    (void)prune_tiny(storage, alone());
    const auto index = read_index(storage);
    EXPECT_TRUE(index.marks.empty());
    EXPECT_EQ(index.packs.size(), count_of(storage, file_type::pack));
    EXPECT_EQ(missing_for_restic(storage), 0u);
    const auto left = leftovers_in(storage);
    EXPECT_EQ(left.unused, 0u);
    EXPECT_EQ(left.unindexed, 0u);
    EXPECT_EQ(contents_of(storage), before);
    expect_whole(storage);
  }

  std::shared_ptr<memory_backend> base_ = make_base();
};

TEST_F(prune_two_phase_test, marks_then_deletes) {
  const auto packs = count_of(base_, file_type::pack);
  const auto first = prune_tiny(base_, two_phases());
  EXPECT_GT(first.marks.packs_marked, 2u);
  EXPECT_EQ(first.marks.packs_removed, 0u);
  EXPECT_GE(count_of(base_, file_type::pack), packs);
  const auto index = read_index(base_);
  EXPECT_EQ(index.marks.size(), first.marks.packs_marked);
  for (const auto& [pack, mark] : index.marks) {
    EXPECT_FALSE(index.packs.contains(pack));
    ASSERT_TRUE(mark.time && mark.holders);
    EXPECT_TRUE(mark.holders->empty());
    EXPECT_LE(std::abs(mark.time->seconds - current_time().seconds), 5);
  }
  EXPECT_EQ(missing_for_restic(base_), 0u);
  expect_whole(base_);

  const auto second = prune_tiny(base_, two_phases());
  EXPECT_EQ(second.marks.packs_removed, first.marks.packs_marked);
  EXPECT_TRUE(read_index(base_).marks.empty());
  const auto left = leftovers_in(base_);
  EXPECT_EQ(left.unused, 0u);
  EXPECT_EQ(left.unindexed, 0u);
  expect_whole(base_);
}

TEST_F(prune_two_phase_test, waits_for_the_delay) {
  const auto marked = prune_tiny(base_, two_phases()).marks.packs_marked;
  const auto indexes = [&] {
    std::set<id> names;
    base_->list(file_type::index, [&](const listed_file& file) { names.insert(file.name); });
    return names;
  };
  const auto before = indexes();
  const auto stats = prune_tiny(base_, two_phases(std::chrono::hours{1}));
  EXPECT_EQ(stats.marks.packs_waiting, marked);
  EXPECT_EQ(stats.marks.packs_removed, 0u);
  EXPECT_EQ(indexes(), before) << "nothing is to be written";
  EXPECT_EQ(prune_tiny(base_, two_phases()).marks.packs_removed, marked);
}

TEST_F(prune_two_phase_test, waits_for_who_was_there) {
  const auto repo = open_repository(base_);
  foreign_lock there(*repo, 1);
  // Packs of which nothing is needed may be its own: for those it takes one prune more.
  const auto first = prune_tiny(base_, two_phases());
  EXPECT_GT(first.marks.packs_marked, 0u);
  EXPECT_GT(first.marks.packs_waiting, 0u);
  EXPECT_EQ(prune_tiny(base_, two_phases()).marks.packs_removed, 0u);
  there.refresh();
  const auto still = prune_tiny(base_, two_phases());
  EXPECT_EQ(still.marks.packs_removed, 0u);
  EXPECT_EQ(still.marks.packs_marked, 0u);
  foreign_lock later(*repo, 2);
  there.remove();
  const auto stats = prune_tiny(base_, two_phases());
  EXPECT_EQ(stats.marks.packs_removed, first.marks.packs_marked);
  EXPECT_EQ(stats.marks.packs_marked, first.marks.packs_waiting);
  EXPECT_EQ(prune_tiny(base_, two_phases()).marks.packs_removed, 0u);
  later.remove();
  EXPECT_EQ(prune_tiny(base_, two_phases()).marks.packs_removed, stats.marks.packs_marked);
  EXPECT_EQ(leftovers_in(base_).unused, 0u);
  expect_whole(base_);
}

TEST_F(prune_two_phase_test, a_plan_names_who_keeps_what) {
  const auto repo = open_repository(base_);
  foreign_lock there(*repo, 7);
  (void)prune_tiny(base_, two_phases());
  const auto fresh = repository::open(base_, test_password, tiny_packs());
  prune_observer nobody;
  const auto plan = plan_prune(*fresh, two_phases(std::chrono::hours{2}), nobody);
  ASSERT_FALSE(plan.marks.waiting.empty());
  std::size_t both = 0;
  for (const auto& pack : plan.marks.waiting) {
    ASSERT_TRUE(pack.holder.has_value());
    EXPECT_EQ(*pack.holder, there.holder());
    if (!pack.until) continue;
    ++both;
    EXPECT_LE(std::abs(pack.until->seconds - current_time().seconds - 7200), 5);
  }
  EXPECT_GT(both, 0u);
}

TEST_F(prune_two_phase_test, what_a_backup_under_way_has_stored_is_not_marked) {
  slow_backup backup(base_, 1, numbers(20, 30));
  backup.store_some();
  (void)prune_tiny(base_, two_phases());
  (void)prune_tiny(base_, two_phases());
  backup.finish();
  EXPECT_EQ(missing_for_restic(base_), 0u);
  expect_whole(base_);
  // What was on record is forgotten once it is needed.
  (void)prune_tiny(base_, two_phases());
  (void)prune_tiny(base_, two_phases());
  EXPECT_TRUE(read_index(base_).marks.empty());
  EXPECT_EQ(leftovers_in(base_).unused, 0u);
}

/// It locks when the locks have been listed, and its index is there before index files are looked for again.
TEST_F(prune_two_phase_test, nor_is_what_one_has_stored_since_the_locks_were_listed) {
  const auto disturbed = std::make_shared<fault_backend>(base_);
  std::optional<slow_backup> backup;
  disturbed->before_each([&](const storage_event& event) {
    if (event.operation != storage_operation::list || event.file.type != file_type::snapshot || backup) return;
    backup.emplace(base_, 1, numbers(20, 30));
    backup->store_some();
  });
  const auto stats = prune_tiny(disturbed, two_phases());
  ASSERT_TRUE(backup);
  EXPECT_GT(stats.marks.packs_marked, 0u);
  backup->finish();
  EXPECT_EQ(missing_for_restic(base_), 0u);
  expect_whole(base_);
}

TEST_F(prune_two_phase_test, recovers_what_a_backup_under_way_relied_on) {
  for (const bool is_alone : {false, true}) {
    SCOPED_TRACE(is_alone);
    std::shared_ptr<memory_backend> storage;
    for (int attempt = 0; !storage || missing_for_restic(storage) == 0; ++attempt) {
      ASSERT_LT(attempt, 20) << "nothing that the backup relied on is ever marked: this tests nothing";
      storage = make_base();
      slow_backup backup(storage, 1, {0, 1, 2, 4, 20});
      // Packs of which nothing is needed are put on record only, as they might be the backup's own.
      (void)prune_tiny(storage, two_phases());
      backup.finish();
    }
    expect_whole(storage);
    check_observer nobody;
    const auto checked = check(*repository::open(storage, test_password), {all_packs{}, {}, 0, {}}, nobody);
    EXPECT_EQ(checked.errors, 0u);
    EXPECT_GT(checked.needed_marked_packs, 0u);
    EXPECT_GE(checked.marked_packs, checked.needed_marked_packs);
    EXPECT_EQ(checked.unreferenced_packs, 0u);

    auto options = is_alone ? alone() : two_phases();
    options.max_unused = unused_limit::parse("unlimited");
    options.repack_below = 1;
    const auto stats = prune_tiny(storage, options);
    EXPECT_GT(stats.marks.packs_recovered, 0u);
    EXPECT_EQ(missing_for_restic(storage), 0u);
    expect_whole(storage);
    EXPECT_EQ(read_index(storage).marks.size(), stats.marks.packs_waiting + stats.marks.packs_marked);
    expect_clean_after_prune(storage);
  }
}

/// A backup begins at any operation of a prune and ends at any of the next one. In between it relies on what it saw.
TEST_F(prune_two_phase_test, a_backup_may_begin_and_end_at_any_operation) {
  const auto operations_of = [this](int prunes) {
    const auto storage = base_->copy();
    for (int i = 0; i < prunes; ++i) (void)prune_tiny(storage, two_phases());
    const auto counting = std::make_shared<fault_backend>(storage);
    (void)prune_tiny(counting, two_phases());
    return counting->count();
  };
  const auto at_first = operations_of(0), at_second = operations_of(1);
  ASSERT_GT(at_first, 25u);
  ASSERT_GT(at_second, 15u);
  std::size_t incomplete = 0;
  for (std::uint64_t begin = 1; begin <= at_first; ++begin)
    for (std::uint64_t end = 1; end <= at_second + 1; end += 3 * operation_step) {
      SCOPED_TRACE("begins at operation " + std::to_string(begin) + ", ends at " + std::to_string(end));
      const auto storage = base_->copy();
      std::optional<slow_backup> backup;
      const auto prune_with = [&](std::uint64_t nth, const std::function<void()>& then) {
        const auto faulty = std::make_shared<fault_backend>(storage);
        std::atomic<std::uint64_t> count{0};
        faulty->before_each([&](const storage_event&) {
          if (++count == nth) then();
        });
        (void)prune_tiny(faulty, two_phases());
        if (count < nth) then();
      };
      prune_with(begin, [&] { backup.emplace(storage, 1, std::vector{0, 1, 2, 4, 5, 9, 20}); });
      prune_with(end, [&] { backup->finish(); });
      incomplete += missing_for_restic(storage) > 0 ? 1 : 0;
      expect_whole(storage);
      (void)prune_tiny(storage, two_phases());
      EXPECT_EQ(missing_for_restic(storage), 0u);
      expect_whole(storage);
      (void)prune_tiny(storage, two_phases());
      expect_whole(storage);
      expect_clean_after_prune(storage);
      if (HasFailure()) return;
    }
  EXPECT_GT(incomplete, 10u / operation_step) << "the backups have relied on nothing that was marked";
}

class prune_two_phase_fault_test : public prune_two_phase_test, public testing::WithParamInterface<fault_kind> {};

/// Each operation of each of three prunes fails; a backup is under way from before the first until after the second.
TEST_P(prune_two_phase_fault_test, at_every_operation) {
  int disturbed = 0;
  for (int prunes = 0; prunes < 3; ++prunes)
    for (std::uint64_t nth = 1;; nth += operation_step) {
      const auto storage = base_->copy();
      slow_backup backup(storage, 1, {0, 1, 2, 4, 5, 20});
      for (int i = 0; i < prunes; ++i) {
        if (i == 2) backup.finish();
        (void)prune_tiny(storage, two_phases());
      }
      fault_plan plan;
      plan.faults.push_back({.kind = GetParam(), .nth = nth});
      const auto faulty = std::make_shared<fault_backend>(storage, plan);
      try {
        (void)prune_tiny(faulty, two_phases());
      } catch (const error& problem) {
        EXPECT_NE(std::string(problem.what()).find("planned fault"), std::string::npos) << problem.what();
      }
      if (faulty->count() < nth) break;
      ++disturbed;
      SCOPED_TRACE("prune " + std::to_string(prunes + 1) + ", operation " + std::to_string(nth) + ": " +
                   faulty->log()[static_cast<std::size_t>(nth) - 1].describe());
      expect_whole(storage);
      if (prunes < 2) {
        EXPECT_EQ(missing_for_restic(storage), 0u);
        (void)prune_tiny(storage, two_phases());
        expect_whole(storage);
        backup.finish();
        expect_whole(storage);
      }
      (void)prune_tiny(storage, two_phases());
      EXPECT_EQ(missing_for_restic(storage), 0u);
      expect_whole(storage);
      expect_clean_after_prune(storage);
      if (HasFailure()) return;
    }
  EXPECT_GT(disturbed, static_cast<int>(60 / operation_step));
}

INSTANTIATE_TEST_SUITE_P(kinds, prune_two_phase_fault_test,
                         testing::Values(fault_kind::fail_before, fault_kind::fail_after, fault_kind::cut_off),
                         [](const auto& of) {
                           return of.param == fault_kind::fail_before  ? "fail_before"
                                  : of.param == fault_kind::fail_after ? "fail_after"
                                                                       : "cut_off";
                         });

/// Backups, refreshes, deaths, forgets and prunes in any order, steps of backups in the midst of prunes.
class prune_two_phase_random_test : public prune_two_phase_test, public testing::WithParamInterface<unsigned> {
protected:
  void step_of_somebody(const std::shared_ptr<memory_backend>& storage) {
    const auto choice = random_() % 6;
    if (running_.empty() || (choice == 0 && running_.size() < 4)) {
      std::vector<int> files;
      for (int file = 0; file < 24; ++file)
        if (random_() % 3 == 0) files.push_back(file);
      files.push_back(static_cast<int>(100 + random_() % 50));
      running_.emplace_back(storage, ++started_, std::move(files));
      return;
    }
    auto at = std::next(running_.begin(), static_cast<std::ptrdiff_t>(random_() % running_.size()));
    if (choice == 1) return at->lock().refresh();
    if (choice == 2) return at->store_some();
    if (choice == 3) {
      at->die();
    } else {
      at->finish();
      ++finished_;
    }
    running_.erase(at);
  }

  void prune_beside_others(const std::shared_ptr<memory_backend>& storage) {
    const auto disturbed = std::make_shared<fault_backend>(storage);
    std::mutex one_at_a_time;
    disturbed->before_each([&](const storage_event&) {
      const std::lock_guard lock(one_at_a_time);
      if (random_() % 8 == 0) step_of_somebody(storage);
    });
    if (random_() % 4 == 0) {
      fault_plan plan;
      plan.faults.push_back({.kind = fault_kind::cut_off, .nth = random_() % 60 + 1});
      disturbed->set_plan(plan);
    }
    auto options = two_phases();
    if (random_() % 2 == 0) {
      options.max_unused = unused_limit::parse("50%");
      options.repack_below = 1;
    }
    try {
      const auto stats = prune_tiny(disturbed, options);
      recovered_ += stats.marks.packs_recovered;
      removed_ += stats.marks.packs_removed;
    } catch (const error& problem) {
      EXPECT_NE(std::string(problem.what()).find("planned fault"), std::string::npos) << problem.what();
    }
  }

  void alone_for_once(const std::shared_ptr<memory_backend>& storage) {
    const auto repo = open_repository(storage);
    const auto snapshots = repo->list(file_type::snapshot);
    for (std::size_t i = 4; i < snapshots.size(); ++i) repo->remove(file_type::snapshot, snapshots[i].name);
    if (random_() % 4 == 0) recovered_ += prune_tiny(storage, alone()).marks.packs_recovered;
  }

  std::mt19937 random_{GetParam()};
  std::list<slow_backup> running_;
  int started_ = 0, finished_ = 0, incomplete_ = 0;
  std::uint64_t recovered_ = 0, removed_ = 0;
};

TEST_P(prune_two_phase_random_test, nothing_that_is_needed_goes) {
  for (int round = 0; round < 120; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    for (auto steps = random_() % 4; steps > 0; --steps) step_of_somebody(base_);
    if (running_.empty()) alone_for_once(base_);
    prune_beside_others(base_);
    incomplete_ += missing_for_restic(base_) > 0 ? 1 : 0;
    expect_whole(base_);
    if (HasFailure()) return;
  }
  for (auto& backup : running_) backup.finish();
  running_.clear();
  expect_whole(base_);
  expect_clean_after_prune(base_);
  EXPECT_GT(finished_, 40);
  EXPECT_GT(removed_, 40u);
  EXPECT_GT(incomplete_, 3) << "hardly any backup has relied on what was marked";
  EXPECT_GT(recovered_, 0u);
}

INSTANTIATE_TEST_SUITE_P(seeds, prune_two_phase_random_test, testing::Range(1u, 4u));

// --- marks of others, and others who meet marks ---

/// What rustic leaves: marks without holders.
void mark_as_rustic_does(const std::shared_ptr<memory_backend>& storage, std::int64_t age) {
  (void)prune_tiny(storage, two_phases());
  const auto repo = open_repository(storage);
  for (const auto& file : repo->list(file_type::index)) {
    std::vector<indexed_pack> packs;
    std::vector<marked_pack> marked;
    decode_index(
        repo->load_unpacked(file_type::index, file.name), [&](const indexed_pack& pack) { packs.push_back(pack); },
        [&](const marked_pack& pack) { marked.push_back(pack); });
    if (marked.empty()) continue;
    for (auto& pack : marked) {
      pack.mark.holders.reset();
      pack.mark.time->seconds -= age;
    }
    repo->save_unpacked(file_type::index, encode_index(packs, marked));
    repo->remove(file_type::index, file.name);
  }
}

TEST_F(prune_two_phase_test, marks_of_rustic_go_when_nobody_is_there) {
  mark_as_rustic_does(base_, 7200);
  EXPECT_EQ(prune_tiny(base_->copy(), two_phases(std::chrono::hours{3})).marks.packs_removed, 0u);
  EXPECT_GT(prune_tiny(base_->copy(), two_phases(std::chrono::hours{1})).marks.packs_removed, 0u);
  const auto repo = open_repository(base_);
  foreign_lock there(*repo, 1);
  EXPECT_EQ(prune_tiny(base_, two_phases(std::chrono::hours{1})).marks.packs_removed, 0u);
  // Now it is on record who was there: whoever comes later does not matter.
  foreign_lock later(*repo, 2);
  there.remove();
  EXPECT_GT(prune_tiny(base_, two_phases(std::chrono::hours{1})).marks.packs_removed, 0u);
  expect_whole(base_);
}

TEST_F(prune_two_phase_test, an_ordinary_prune_removes_marked_packs_at_once) {
  (void)prune_tiny(base_, two_phases());
  (void)open_repository(base_);
  expect_clean_after_prune(base_);
}

TEST_F(prune_two_phase_test, packs_that_no_index_lists_are_marked_if_nobody_is_there) {
  const auto add = [](const std::shared_ptr<memory_backend>& storage, const char* text) {
    storage->save({file_type::pack, sha256(as_bytes(text))}, as_bytes(text));
  };
  (void)prune_tiny(base_, alone());
  add(base_, "left over");
  const auto repo = open_repository(base_);
  foreign_lock there(*repo, 1);
  EXPECT_EQ(prune_tiny(base_, two_phases()).marks.packs_marked, 0u);
  there.remove();
  EXPECT_EQ(prune_tiny(base_, two_phases()).marks.packs_marked, 1u);
  const auto marks = read_index(base_).marks;
  ASSERT_EQ(marks.size(), 1u);
  EXPECT_EQ(marks.begin()->second.size, 9u);
  EXPECT_EQ(prune_tiny(base_, two_phases()).marks.packs_removed, 1u);
  expect_whole(base_);
  EXPECT_EQ(leftovers_in(base_).unindexed, 0u);
}

TEST_F(prune_two_phase_test, whoever_stores_does_not_rely_on_marked_packs) {
  (void)prune_tiny(base_, two_phases());
  const auto repo = open_repository(base_, tiny_packs());
  const auto blob = sha256(as_bytes(content_of(1)));
  EXPECT_FALSE(repo->has_blob({blob_type::data, blob}));
  EXPECT_EQ(as_text(repo->load_blob(blob_type::data, blob)), content_of(1)) << "but whoever reads finds it";
  // And nobody adopts them as left over.
  const auto other = open_repository(base_, tiny_packs());
  EXPECT_EQ(adopt_unindexed_packs(*other).packs, 0u);
}

TEST_F(prune_two_phase_test, repair_index_keeps_marks) {
  (void)prune_tiny(base_, two_phases());
  const auto before = read_index(base_);
  ASSERT_FALSE(before.marks.empty());
  repair_index_observer nobody;
  const auto result = repair_index(*repository::open(base_, test_password), {}, nobody);
  EXPECT_EQ(result.packs_read, 0u);
  const auto after = read_index(base_);
  EXPECT_EQ(after.packs, before.packs);
  ASSERT_EQ(after.marks.size(), before.marks.size());
  for (const auto& [pack, mark] : before.marks) {
    EXPECT_EQ(after.marks.at(pack).time, mark.time);
    EXPECT_EQ(after.marks.at(pack).holders, mark.holders);
  }
  // One that believes no index file lists everything as it lies there.
  repair_index_options all;
  all.read_all_packs = true;
  (void)repair_index(*repository::open(base_, test_password), all, nobody);
  EXPECT_TRUE(read_index(base_).marks.empty());
  EXPECT_EQ(read_index(base_).packs.size(), count_of(base_, file_type::pack));
  expect_whole(base_);
  expect_clean_after_prune(base_);
}

TEST_F(prune_two_phase_test, a_pack_that_counts_is_not_deleted_whatever_its_mark_says) {
  const auto storage = base_->copy();
  (void)prune_tiny(storage, two_phases());
  const auto marks = read_index(storage).marks;
  // Somebody lists them again, as restic's `repair index` does, and a backup relies on them.
  const auto repo = open_repository(storage, tiny_packs());
  std::vector<indexed_pack> again;
  for (const auto& [pack, mark] : marks) again.push_back({pack, repo->index().marked()->blobs_in(pack)});
  repo->save_unpacked(file_type::index, encode_index(again));
  slow_backup backup(storage, 1, numbers(0, 12));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(prune_tiny(storage, two_phases()).marks.packs_removed, 0u);
  backup.finish();
  expect_whole(storage);
  expect_clean_after_prune(storage);
}

TEST_F(prune_two_phase_test, an_index_file_that_goes_while_it_is_read_has_a_successor) {
  const auto faulty = std::make_shared<fault_backend>(base_);
  const auto repo = repository::open(faulty, test_password);
  std::atomic<bool> pruned{false};
  faulty->before_each([&](const storage_event& event) {
    if (event.operation == storage_operation::load_all && event.file.type == file_type::index && !pruned.exchange(true))
      (void)prune_tiny(base_, two_phases());
  });
  repo->load_index();
  ASSERT_TRUE(pruned);
  for (const auto& [name, value] : repo->load_snapshots()) EXPECT_FALSE(all_of(*repo, value.tree).empty());
}

TEST_F(prune_two_phase_test, two_at_once_exclude_one_another_and_nobody_else) {
  const auto repo = open_repository(base_), other = open_repository(base_);
  lock_options two_phase;
  two_phase.two_phase_prune = true;
  const repository_lock first(*repo, two_phase);
  expect_error(error_code::locked, "one at a time", [&] { const repository_lock second(*other, two_phase); });
  EXPECT_NO_THROW(const repository_lock backup(*other, {}));
  lock_options exclusive;
  exclusive.exclusive = true;
  expect_error(error_code::locked, "already locked by PID", [&] { const repository_lock third(*other, exclusive); });
  // A prune knows its own lock by its name.
  auto options = two_phases();
  options.two_phase->is_own_lock = [&](const id& lock) { return first.has_name(lock); };
  EXPECT_EQ(prune_tiny(base_, options).marks.packs_waiting, 0u);
  EXPECT_GT(prune_tiny(base_, options).marks.packs_removed, 0u);
}

}  // namespace
}  // namespace recoup
