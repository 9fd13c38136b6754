// Every single operation of whatever makes new snapshots out of old ones fails in turn: afterwards each snapshot is there,
// as it was or with its successor, all of them are whole, and doing it again without faults completes the work.
#include <recoup/ops/recover.hpp>
#include <recoup/ops/repair_snapshots.hpp>
#include <recoup/ops/rewrite.hpp>
#include <recoup/ops/tag.hpp>

#include <set>
#include <string>
#include <tuple>

#include <recoup/storage/fault.hpp>

#include "operation_step.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

struct kind_of_work {
  const char* name;
  void (*run)(repository&);
};

void tag(repository& repo) {
  tag_options options;
  options.add = {"new"};
  tag_observer nobody;
  const auto result = change_tags(repo, options, nobody);
  if (result.errors != 0) throw error(error_code::failure, "planned fault, reported");
}

void rewrite_and_forget(repository& repo) {
  rewrite_options options;
  options.excludes = [](std::string_view path) { return path.ends_with("/x"); };
  options.forget = true;
  rewrite_observer nobody;
  (void)rewrite(repo, options, nobody);
}

void repair_and_forget(repository& repo) {
  repair_snapshots_options options;
  options.forget = true;
  repair_snapshots_observer nobody;
  (void)repair_snapshots(repo, options, nobody);
}

void recover_all(repository& repo) {
  repo.load_index();
  recover_observer nobody;
  (void)recover(repo, {}, nobody);
}

class rewrite_fault_test : public testing::TestWithParam<std::tuple<kind_of_work, fault_kind>> {
protected:
  rewrite_fault_test() {
    const auto repo = make_repository(base_);
    repo->load_index();
    std::vector<node> top;
    for (int i = 0; i < 3; ++i) {
      auto file = make_file(*repo, "size", {"123" + std::to_string(i)});
      file.size = 7;  // for the repair
      top.push_back(make_directory(*repo, "d" + std::to_string(i), {file, make_file(*repo, "x", {"x"})}));
      old_.insert(save_snapshot(*repo, save_tree(*repo, top), 1'700'000'000 + i).id);
    }
    // What the recovery finds.
    for (int i = 0; i < 2; ++i) (void)save_tree(*repo, {make_file(*repo, "lost" + std::to_string(i), {"lost"})});
    repo->flush();
  }

  /// Each snapshot or one that descends from it, and all blobs of all of them.
  void expect_whole(const std::shared_ptr<backend>& storage) const {
    const auto repo = open_repository(storage);
    std::set<id> there;
    for (const auto& [name, value] : repo->load_snapshots()) {
      there.insert(value.original.value_or(name));
      EXPECT_NO_THROW((void)all_of(*repo, value.tree));
    }
    for (const auto& each : old_) EXPECT_TRUE(there.contains(each)) << each.hex();
  }

  std::shared_ptr<memory_backend> base_ = std::make_shared<memory_backend>(2);
  std::set<id> old_;
};

TEST_P(rewrite_fault_test, at_every_operation) {
  const auto& [work, kind] = GetParam();
  const auto undisturbed = base_->copy();
  work.run(*repository::open(undisturbed, test_password));
  const auto trees_of = [](const std::shared_ptr<backend>& storage) {
    std::set<id> trees;
    for (const auto& [name, value] : repository::open(storage, test_password)->load_snapshots())
      if (value.tags != std::vector<std::string>{"recovered"}) trees.insert(value.tree);
    return trees;
  };
  int failures = 0;
  for (std::uint64_t nth = 1;; nth += operation_step) {
    const auto storage = base_->copy();
    fault_plan plan;
    plan.faults.push_back({.kind = kind, .nth = nth});
    const auto faulty = std::make_shared<fault_backend>(storage, plan);
    try {
      work.run(*repository::open(faulty, test_password));
    } catch (const error& problem) {
      EXPECT_NE(std::string(problem.what()).find("planned fault"), std::string::npos) << problem.what();
      ++failures;
    }
    if (faulty->count() < nth) break;
    SCOPED_TRACE(std::string(work.name) + ", operation " + std::to_string(nth) + ": " +
                 faulty->log()[static_cast<std::size_t>(nth) - 1].describe());
    expect_whole(storage);
    work.run(*repository::open(storage, test_password));
    expect_whole(storage);
    EXPECT_EQ(trees_of(storage), trees_of(undisturbed));
    if (HasFailure()) return;
  }
  EXPECT_GT(failures, static_cast<int>(6 / operation_step));
}

std::string name_of_case(const testing::TestParamInfo<std::tuple<kind_of_work, fault_kind>>& of) {
  const auto& [work, kind] = of.param;
  return std::string(work.name) + (kind == fault_kind::fail_before  ? "_fail_before"
                                   : kind == fault_kind::fail_after ? "_fail_after"
                                                                    : "_cut_off");
}

INSTANTIATE_TEST_SUITE_P(
    all, rewrite_fault_test,
    testing::Combine(testing::Values(kind_of_work{"tag", tag}, kind_of_work{"rewrite", rewrite_and_forget},
                                     kind_of_work{"repair", repair_and_forget}, kind_of_work{"recover", recover_all}),
                     testing::Values(fault_kind::fail_before, fault_kind::fail_after, fault_kind::cut_off)),
    name_of_case);

// --- recovery without faults ---

std::vector<node> roots_of(repository& repo, const id& snapshot) {
  return decode_tree(repo.load_blob(blob_type::tree, repo.load_snapshot(snapshot).tree));
}

TEST(recover_test, what_nobody_names_is_found_and_unreadable_trees_are_left_out) {
  const auto storage = std::make_shared<memory_backend>();
  id lost, outer;
  {
    const auto repo = make_repository(storage);
    repo->load_index();
    const auto inner = make_directory(*repo, "inner", {make_file(*repo, "f", {"1"})});
    outer = save_tree(*repo, {inner});
    (void)save_snapshot(*repo, save_tree(*repo, {make_file(*repo, "g", {"2"})}));
    repo->flush();
  }
  {
    const auto repo = open_repository(storage);
    lost = repo->save_blob(blob_type::tree, as_bytes("{\"nodes\":[]}")).id;
    repo->flush();
    const auto place = repo->index().find({blob_type::tree, lost}).value();
    auto pack = storage->load_all({file_type::pack, place.pack});
    pack[place.blob.offset + 20] ^= 1;
    storage->save({file_type::pack, place.pack}, pack);
  }
  class recording : public recover_observer {
  public:
    void on_unreadable(const id& tree, const error&) override { unreadable.push_back(tree); }
    std::vector<id> unreadable;
  } told;
  const auto repo = open_repository(storage);
  const auto result = recover(*repo, {}, told);
  EXPECT_EQ(told.unreadable, std::vector<id>{lost});
  EXPECT_EQ(result.roots, std::vector<id>{outer});
  const auto nodes = roots_of(*repo, result.snapshot.value());
  ASSERT_EQ(nodes.size(), 1u);
  EXPECT_EQ(nodes[0].name, outer.short_hex());
  EXPECT_EQ(all_of(*repo, *nodes[0].subtree).at("/inner/f"), "1");
  EXPECT_FALSE(recover(*open_repository(storage), {}, told).snapshot);
}

}  // namespace
}  // namespace recoup
