// Adding, listing, changing and removing passwords.
#include <recoup/ops/keys.hpp>
#include <recoup/storage/fault.hpp>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

class keys_test : public testing::Test {
protected:
  keys_test() : storage_(std::make_shared<memory_backend>()), repo_(make_repository(storage_)) {}

  static new_key_options fast() { return {"", "", fast_kdf}; }
  bool opens(const char* password) {
    try {
      return repository::open(storage_, password)->config() == repo_->config();
    } catch (const error& problem) {
      EXPECT_EQ(problem.code(), error_code::wrong_password) << problem.what();
      return false;
    }
  }

  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
};

TEST_F(keys_test, added_keys_open_and_are_listed) {
  auto options = fast();
  options.username = "alice";
  options.hostname = "nas";
  const auto added = add_key(*repo_, "second", options);
  EXPECT_TRUE(opens("second"));
  EXPECT_TRUE(opens(test_password));
  const auto keys = list_keys(*repo_);
  ASSERT_EQ(keys.size(), 2u);
  const auto& other = keys[keys[0].id == added ? 0 : 1];
  EXPECT_EQ(other.username, "alice");
  EXPECT_EQ(other.hostname, "nas");
  EXPECT_FALSE(other.is_current);
  EXPECT_EQ(std::ranges::count_if(keys, &listed_key::is_current), 1);
  EXPECT_EQ(repository::open(storage_, "second")->key_id(), added);
}

TEST_F(keys_test, names_default_to_this_user_and_host) {
  const auto added = add_key(*repo_, "second", fast());
  const auto keys = list_keys(*repo_);
  const auto at = std::ranges::find(keys, added, &listed_key::id);
  EXPECT_EQ(at->username, local_username());
  EXPECT_EQ(at->hostname, local_hostname());
}

TEST_F(keys_test, the_empty_password_is_one_too) {
  (void)add_key(*repo_, "", fast());
  EXPECT_TRUE(opens(""));
}

TEST_F(keys_test, removing) {
  const auto added = add_key(*repo_, "second", fast());
  expect_error(error_code::invalid_argument, "refusing to remove key currently used",
               [&] { remove_key(*repo_, repo_->key_id()); });
  remove_key(*repo_, added);
  EXPECT_FALSE(opens("second"));
  expect_error(error_code::not_found, "", [&] { remove_key(*repo_, added); });
}

TEST_F(keys_test, changing_the_password) {
  const auto before = repo_->key_id();
  const auto after = change_password(*repo_, "changed", fast());
  EXPECT_NE(before, after);
  EXPECT_TRUE(opens("changed"));
  EXPECT_FALSE(opens(test_password));
  EXPECT_EQ(list_keys(*repo_).size(), 1u);
}

TEST_F(keys_test, a_key_that_does_not_work_is_taken_away_and_the_old_one_stays) {
  const auto faulty = std::make_shared<fault_backend>(storage_);
  const auto repo = repository::open(faulty, test_password);
  for (const auto kind :
       {fault_kind::truncate, fault_kind::flip_bit, fault_kind::fail_before, fault_kind::fail_after}) {
    fault_plan plan;
    plan.faults.push_back({.kind = kind, .operation = storage_operation::save, .type = file_type::key, .at = 100});
    faulty->set_plan(plan);
    EXPECT_THROW((void)change_password(*repo, "changed", fast()), error);
    EXPECT_TRUE(opens(test_password));
    if (kind != fault_kind::fail_after) {  // stored, but nobody was told its name
      EXPECT_EQ(repo_->list(file_type::key).size(), 1u);
    }
  }
}

TEST_F(keys_test, every_failing_operation_leaves_a_password_that_opens) {
  for (std::uint64_t nth = 1;; ++nth) {
    storage_ = std::make_shared<memory_backend>();
    repo_ = make_repository(storage_);
    const auto faulty = std::make_shared<fault_backend>(storage_);
    const auto repo = repository::open(faulty, test_password);
    fault_plan plan;
    plan.faults.push_back({.kind = fault_kind::cut_off, .nth = nth});
    faulty->set_plan(plan);
    bool changed = true;
    try {
      (void)change_password(*repo, "changed", fast());
    } catch (const error&) {
      changed = false;
    }
    EXPECT_TRUE(opens("changed") || !changed);
    EXPECT_TRUE(opens(test_password) || changed);
    if (changed) break;
  }
}

TEST_F(keys_test, unreadable_keys) {
  storage_->save({file_type::key, sha256(as_bytes("x"))}, as_bytes("y"));
  expect_error(error_code::damaged, "key", [&] { (void)list_keys(*repo_); });
  std::vector<id> told;
  EXPECT_EQ(list_keys(*repo_, [&](const id& key, const error&) { told.push_back(key); }).size(), 1u);
  EXPECT_EQ(told, std::vector{sha256(as_bytes("x"))});
  EXPECT_TRUE(opens(test_password));
}

}  // namespace
}  // namespace recoup
