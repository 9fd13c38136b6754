// Changing the tags of snapshots.
#include <recoup/ops/tag.hpp>

#include <map>
#include <set>

#include <recoup/storage/fault.hpp>

#include "test_repository.hpp"

namespace recoup {
namespace {

using tags = std::vector<std::string>;

snapshot tagged(tags of) {
  snapshot made;
  made.tags = std::move(of);
  return made;
}

TEST(tags_of_a_snapshot, change_as_restic_changes_them) {
  struct {
    tags before, add, remove, after;
  } const cases[] = {
      {{}, {"b", "a", "b"}, {}, {"b", "a"}},
      {{"a"}, {"a"}, {}, {"a"}},
      {{"a", "b", "c", "d"}, {}, {"b"}, {"a", "d", "c"}},  // the last takes the place
      {{"a", "b", "c", "d"}, {"e"}, {"a", "d"}, {"e", "b", "c"}},
      {{"a", "b", "a"}, {}, {"a"}, {"a", "b"}},  // once for each time it is given
      {{"a", "b", "a"}, {}, {"a", "a", "a"}, {"b"}},
      {{"a"}, {"x"}, {"x"}, {"a"}},
      {{}, {}, {"x"}, {}},
  };
  for (const auto& each : cases) {
    auto changed = tagged(each.before);
    tag_options options;
    options.add = each.add;
    options.remove = each.remove;
    EXPECT_EQ(apply_tags(changed, options), each.before != each.after || each.add == tags{"x"});
    EXPECT_EQ(changed.tags, each.after);
  }
  auto replaced = tagged({"a"});
  tag_options options;
  options.set = tags{"x", "y", "x"};
  EXPECT_TRUE(apply_tags(replaced, options));
  EXPECT_EQ(replaced.tags, (tags{"x", "y", "x"}));
  options.set = tags{};
  EXPECT_FALSE(apply_tags(replaced, options));
}

class recording_tags : public tag_observer {
public:
  void on_changed(const found_snapshot& old, const id& now) override { changed.emplace(old.id, now); }
  void on_error(const found_snapshot& old, const error& problem) override { errors.emplace(old.id, problem.what()); }
  std::map<id, id> changed;
  std::map<id, std::string> errors;
};

class tag_test : public testing::Test {
protected:
  tag_test() {
    const auto repo = make_repository(storage_);
    repo->load_index();
    for (int i = 0; i < 3; ++i)
      first_.push_back(save_snapshot(*repo, save_tree(*repo, {make_file(*repo, "f", {std::to_string(i)})}), 1'700'000'000 + i));
  }

  [[nodiscard]] std::map<id, snapshot> snapshots() const {
    const auto all = repository::open(storage_, test_password)->load_snapshots();
    return {all.begin(), all.end()};
  }

  std::shared_ptr<memory_backend> storage_ = std::make_shared<memory_backend>();
  std::vector<found_snapshot> first_;
};

TEST_F(tag_test, the_first_ancestor_is_remembered) {
  const auto repo = repository::open(storage_, test_password);
  tag_options options;
  options.add = {"a"};
  recording_tags told;
  EXPECT_EQ(change_tags(*repo, options, told).changed, 3u);
  options.add = {"b"};
  EXPECT_EQ(change_tags(*repo, options, told).changed, 3u);
  EXPECT_EQ(change_tags(*repo, options, told).changed, 0u);
  const auto now = snapshots();
  ASSERT_EQ(now.size(), 3u);
  std::set<id> origins;
  for (const auto& [name, value] : now) {
    EXPECT_EQ(value.tags, (tags{"a", "b"}));
    origins.insert(value.original.value());
  }
  for (const auto& each : first_) EXPECT_TRUE(origins.contains(each.id));
}

TEST_F(tag_test, nothing_is_done_for_a_wrong_request) {
  const auto repo = repository::open(storage_, test_password);
  tag_observer nobody;
  tag_options options;
  EXPECT_EQ(change_tags(*repo, options, nobody).changed, 0u);
  options.set = tags{"a"};
  options.remove = {"b"};
  EXPECT_THROW((void)change_tags(*repo, options, nobody), error);
  options.remove.clear();
  options.snapshots = {first_[0].id.hex(), "ffff"};
  EXPECT_THROW((void)change_tags(*repo, options, nobody), error);
  for (const auto& [name, value] : snapshots()) EXPECT_TRUE(value.tags.empty());
}

TEST_F(tag_test, one_that_cannot_be_changed_does_not_keep_the_others) {
  for (const auto operation : {storage_operation::save, storage_operation::remove}) {
    const auto copy = storage_->copy();
    fault_plan plan;
    plan.faults.push_back({.operation = operation, .type = file_type::snapshot, .nth = 2});
    const auto repo = repository::open(std::make_shared<fault_backend>(copy, plan), test_password);
    tag_options options;
    options.add = {"a"};
    recording_tags told;
    const auto result = change_tags(*repo, options, told);
    EXPECT_EQ(result.changed, 2u);
    EXPECT_EQ(result.errors, 1u);
    ASSERT_TRUE(told.errors.contains(first_[1].id));
    const auto all = repository::open(copy, test_password)->load_snapshots();
    EXPECT_EQ(all.size(), operation == storage_operation::save ? 3u : 4u);
    const bool says_so = told.errors.at(first_[1].id).find("could not be removed") != std::string::npos;
    EXPECT_EQ(says_so, operation == storage_operation::remove);
  }
}

}  // namespace
}  // namespace recoup
