// Forgetting: what is planned, what is removed, what is refused, and storage that does not remove.
#include <recoup/ops/forget.hpp>
#include <recoup/storage/fault.hpp>

#include <set>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

class forget_test : public testing::Test {
protected:
  forget_test() : storage_(std::make_shared<memory_backend>()), faulty_(std::make_shared<fault_backend>(storage_)) {
    repository_options options;
    options.on_warning = [this](const std::string& text) { warnings_.push_back(text); };
    repo_ = make_repository(faulty_, 2, options);
    tree_ = save_tree(*repo_, {make_file(*repo_, "f", {"1"})});
    repo_->flush();
  }

  /// A snapshot of noon on a day of January 2024.
  id save(int day, const std::string& host = "nas", std::vector<std::string> paths = {"/srv"},
          std::vector<std::string> tags = {}) {
    snapshot made;
    made.time = {1'704'067'200 + (day - 1) * 86'400 + 43'200, 0, 0};
    made.hostname = host;
    made.paths = std::move(paths);
    made.tags = std::move(tags);
    made.tree = tree_;
    return repo_->save_snapshot(made);
  }

  [[nodiscard]] std::set<id> left() const {
    std::set<id> names;
    for (const auto& file : repo_->list(file_type::snapshot)) names.insert(file.name);
    return names;
  }

  static std::set<id> as_set(const std::vector<id>& names) { return {names.begin(), names.end()}; }

  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<fault_backend> faulty_;
  std::shared_ptr<repository> repo_;
  std::vector<std::string> warnings_;
  id tree_;
};

TEST_F(forget_test, each_group_has_the_policy_to_itself) {
  const auto a1 = save(1), a2 = save(2), b1 = save(1, "web"), c1 = save(1, "nas", {"/srv", "/etc"}),
             c2 = save(3, "nas", {"/etc", "/srv"});
  const auto plan = plan_forget(*repo_, {.policy = {.last = 1}});
  ASSERT_EQ(plan.groups.size(), 3u);
  std::set<id> keep;
  for (const auto& group : plan.groups)
    for (const auto& each : group.decision.keep) {
      keep.insert(each.found.id);
      EXPECT_EQ(each.reasons, std::vector<std::string>{"last snapshot"});
    }
  EXPECT_EQ(keep, (std::set{a2, b1, c2}));
  EXPECT_EQ(as_set(plan.remove), (std::set{a1, c1}));
  EXPECT_TRUE(std::ranges::is_sorted(plan.remove));
  EXPECT_EQ(plan.groups[0].key.paths, (std::vector<std::string>{"/etc", "/srv"}));
  EXPECT_EQ(left(), (std::set{a1, a2, b1, c1, c2}));  // a plan changes nothing

  EXPECT_TRUE(execute_forget(*repo_, plan).empty());
  EXPECT_EQ(left(), keep);
  EXPECT_TRUE(plan_forget(*repo_, {.policy = {.last = 1}}).remove.empty());
  check_observer silent;
  EXPECT_TRUE(check(*repo_, {}, silent).clean());
}

TEST_F(forget_test, other_groups_and_filters) {
  const auto a = save(1), b = save(2, "web"), c = save(3, "web", {"/etc"}, {"x"});
  const auto planned = [&](forget_options options) { return as_set(plan_forget(*repo_, options).remove); };
  EXPECT_EQ(planned({.group_by = {}, .policy = {.last = 1}}), (std::set{a, b}));
  EXPECT_EQ(planned({.group_by = {.host = true}, .policy = {.last = 1}}), (std::set{b}));
  EXPECT_EQ(planned({.filter = {.hosts = {"nas"}}, .group_by = {}, .policy = {.last = 1}}), std::set<id>{});
  EXPECT_EQ(planned({.group_by = {}, .policy = {.tags = {{"x"}}}}), (std::set{a, b}));
  EXPECT_EQ(planned({.filter = {.hosts = {"web"}}, .allow_remove_all = true}), (std::set{b, c}));
  EXPECT_EQ(planned({.filter = {.hosts = {"nobody"}}, .policy = {.last = 1}}), std::set<id>{});
}

TEST_F(forget_test, what_is_named_goes_whatever_the_policy_says) {
  const auto a = save(1), b = save(2);
  const auto plan = plan_forget(*repo_, {.snapshots = {b.hex().substr(0, 10), b.hex(), "latest"}, .policy = {.last = 5}});
  EXPECT_TRUE(plan.groups.empty());
  EXPECT_EQ(plan.remove, std::vector{b});
  expect_error(error_code::not_found, "", [&] { (void)plan_forget(*repo_, {.snapshots = {a.hex(), "ffffff"}}); });
}

TEST_F(forget_test, refusals) {
  (void)save(1);
  const auto refuse = [&](error_code code, const char* message, forget_options options) {
    expect_error(code, message, [&] { (void)plan_forget(*repo_, options); });
  };
  refuse(error_code::invalid_argument, "no policy was specified, no snapshots will be removed", {});
  refuse(error_code::invalid_argument, "no policy was specified", {.filter = {.hosts = {"nas"}}});
  refuse(error_code::invalid_argument, "--unsafe-allow-remove-all is not allowed unless", {.allow_remove_all = true});
  refuse(error_code::invalid_argument, "negative values", {.policy = {.last = -2}});
  refuse(error_code::invalid_argument, "durations containing negative", {.policy = {.within = {0, 0, -1, 0}}});
  refuse(error_code::failure, "refusing to delete last snapshot of snapshot group \"host nas, path [/srv]\"",
         {.policy = {.tags = {{"x"}}}});
  refuse(error_code::failure, "snapshot group \"\"", {.group_by = {}, .policy = {.tags = {{"x"}}}});
  // Not even when all may be removed: there is a policy.
  refuse(error_code::failure, "refusing", {.filter = {.hosts = {"nas"}}, .policy = {.tags = {{"x"}}}, .allow_remove_all = true});
  (void)save(1, "", {"/a", "/b"}, {"t", "s"});
  refuse(error_code::failure, "group \"path [/a /b], tags [s t]\"",
         {.group_by = {.host = true, .paths = true, .tags = true}, .policy = {.tags = {{"x"}}}});
}

TEST_F(forget_test, a_snapshot_that_cannot_be_read_is_passed_over_and_kept) {
  const auto a = save(1), b = save(2), broken = save(3);
  auto content = storage_->load_all({file_type::snapshot, broken});
  content[40] ^= 1;
  storage_->save({file_type::snapshot, broken}, content);
  const auto plan = plan_forget(*repo_, {.policy = {.last = 1}});
  EXPECT_EQ(plan.remove, std::vector{a});
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find(broken.hex()), std::string::npos);
  EXPECT_TRUE(execute_forget(*repo_, plan).empty());
  EXPECT_EQ(left(), (std::set{b, broken}));
}

TEST_F(forget_test, one_that_stays_does_not_keep_the_others) {
  for (int day = 1; day <= 6; ++day) (void)save(day);
  const auto plan = plan_forget(*repo_, {.policy = {.last = 1}});
  fault_plan faults;
  faults.faults.push_back({.operation = storage_operation::remove, .type = file_type::snapshot, .nth = 3});
  faulty_->set_plan(faults);
  std::set<id> removed, failed;
  removal_observer observer;
  observer.on_removed = [&](const id& name) { removed.insert(name); };
  observer.on_failed = [&](const id& name, const error& problem) {
    failed.insert(name);
    EXPECT_NE(std::string(problem.what()).find("planned fault"), std::string::npos);
  };
  const auto still_there = execute_forget(*repo_, plan, observer);
  EXPECT_EQ(as_set(still_there), failed);
  EXPECT_EQ(failed.size(), 1u);
  EXPECT_EQ(removed.size(), 4u);
  EXPECT_EQ(left().size(), 2u);
  EXPECT_TRUE(left().contains(*failed.begin()));

  faulty_->set_plan({});
  EXPECT_TRUE(execute_forget(*repo_, plan).empty());  // those that are gone count as removed
  EXPECT_EQ(left().size(), 1u);
}

TEST_F(forget_test, stops_when_asked) {
  for (int day = 1; day <= 3; ++day) (void)save(day);
  const auto plan = plan_forget(*repo_, {.policy = {.last = 1}});
  std::stop_source stop;
  stop.request_stop();
  expect_error(error_code::interrupted, "", [&] { (void)execute_forget(*repo_, plan, {}, stop.get_token()); });
  EXPECT_EQ(left().size(), 3u);
}

}  // namespace
}  // namespace recoup
