// Choosing snapshots, and folders in them.
#include <recoup/ops/snapshots.hpp>
#include <recoup/storage/fault.hpp>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

class snapshots_test : public testing::Test {
protected:
  snapshots_test() : storage_(std::make_shared<memory_backend>()) {
    repository_options options;
    options.on_warning = [this](const std::string& text) { warnings_.push_back(text); };
    repo_ = make_repository(storage_, 2, options);
    tree_ =
        save_tree(*repo_, {make_directory(*repo_, "a", {make_directory(*repo_, "b", {make_file(*repo_, "f", {"1"})})}),
                           make_symlink("link", "a")});
    repo_->flush();
    old_ = save(100, "nas", {"daily"}, {"/home"});
    middle_ = save(200, "web", {"daily", "keep"}, {"/home", "/etc"});
    newest_ = save(300, "nas", {}, {"/etc"});
  }

  id save(std::int64_t time, const std::string& host, std::vector<std::string> tags, std::vector<std::string> paths) {
    snapshot made;
    made.time = {time, 0, static_cast<std::int32_t>(-time) * 60};
    made.hostname = host;
    made.tags = std::move(tags);
    made.paths = std::move(paths);
    made.tree = tree_;
    return repo_->save_snapshot(made);
  }

  [[nodiscard]] id find(std::string_view text, const snapshot_filter& filter = {}) {
    return find_snapshot(*repo_, text, filter).id;
  }

  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
  std::vector<std::string> warnings_;
  id tree_, old_, middle_, newest_;
};

TEST_F(snapshots_test, by_id_and_prefix) {
  EXPECT_EQ(find(old_.hex()), old_);
  EXPECT_EQ(find(middle_.hex().substr(0, 12)), middle_);
  EXPECT_EQ(find_snapshot(*repo_, old_.hex()).snapshot.hostname, "nas");
  expect_error(error_code::not_found, "there is no snapshot with an id that begins with \"xyz\"",
               [&] { (void)find("xyz"); });
  expect_error(error_code::invalid_argument, "empty snapshot id", [&] { (void)find(""); });
  expect_error(error_code::not_found, "", [&] { (void)find(id{}.hex()); });
}

TEST_F(snapshots_test, a_prefix_of_several) {
  for (std::uint8_t i = 0; i < 2; ++i) {
    id name{};
    name.value[0] = 0xab, name.value[31] = i;
    storage_->save({file_type::snapshot, name}, as_bytes("x"));
  }
  expect_error(error_code::not_found, "more than one",
               [&] { (void)find_by_prefix(*repo_, file_type::snapshot, "ab00"); });
}

TEST_F(snapshots_test, latest_and_those_before_it) {
  EXPECT_EQ(find("latest"), newest_);
  EXPECT_EQ(find("latest~0"), newest_);
  EXPECT_EQ(find("latest~1"), middle_);
  EXPECT_EQ(find("latest~2"), old_);
  expect_error(error_code::not_found, "there are only 3 snapshots", [&] { (void)find("latest~3"); });
  for (const auto* bad : {"latest~", "latest~x", "latest1", "latest~-1", "latest~99999999999999999999999"})
    expect_error(error_code::invalid_argument, "names no snapshot", [&] { (void)find(bad); });
}

TEST_F(snapshots_test, filters) {
  const auto latest = [&](snapshot_filter filter) { return find("latest", filter); };
  EXPECT_EQ(latest({.hosts = {"web"}}), middle_);
  EXPECT_EQ(latest({.hosts = {"web", "nas"}}), newest_);
  EXPECT_EQ(latest({.tags = {{"daily"}}}), middle_);
  EXPECT_EQ(latest({.tags = {{"daily", "keep"}}}), middle_);
  EXPECT_EQ(latest({.tags = {{"keep", "none"}, {"daily"}}}), middle_);
  EXPECT_EQ(latest({.tags = {{""}}}), newest_);  // without any tag
  EXPECT_EQ(latest({.paths = {"/home"}}), middle_);
  EXPECT_EQ(latest({.hosts = {"nas"}, .paths = {"/home"}}), old_);
  EXPECT_EQ(latest({.not_after = timestamp{250, 0, 0}}), middle_);
  expect_error(error_code::not_found, "matches the given hosts, tags and paths",
               [&] { (void)latest({.hosts = {"other"}}); });
  EXPECT_EQ(find(old_.hex(), {.hosts = {"web"}}), old_);  // an id says enough
}

TEST_F(snapshots_test, none_at_all) {
  for (const auto& name : {old_, middle_, newest_}) repo_->remove(file_type::snapshot, name);
  expect_error(error_code::not_found, "no snapshot found", [&] { (void)find("latest"); });
}

TEST_F(snapshots_test, unreadable_ones_are_passed_over_with_a_warning) {
  auto content = storage_->load_all({file_type::snapshot, newest_});
  content[40] ^= 1;
  storage_->save({file_type::snapshot, newest_}, content);
  EXPECT_EQ(find("latest"), middle_);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find(newest_.short_hex()), std::string::npos);
  expect_error(error_code::damaged, "hash", [&] { (void)find(newest_.hex()); });
}

TEST_F(snapshots_test, folders) {
  EXPECT_EQ(find_snapshot(*repo_, "latest:a/b").subfolder, "a/b");
  EXPECT_EQ(find_snapshot(*repo_, old_.short_hex() + ":/a:b").subfolder, "/a:b");
  EXPECT_EQ(find_subtree(*repo_, tree_, ""), tree_);
  EXPECT_EQ(find_subtree(*repo_, tree_, "/"), tree_);
  const auto inner = find_subtree(*repo_, tree_, "a/b");
  EXPECT_EQ(find_subtree(*repo_, tree_, "/a/./b/"), inner);
  EXPECT_EQ(find_subtree(*repo_, tree_, "../a/x/../b"), inner);
  EXPECT_EQ(decode_tree(repo_->load_blob(blob_type::tree, inner)).front().name, "f");
  expect_error(error_code::not_found, "path /a/x: not found", [&] { (void)find_subtree(*repo_, tree_, "a/x/y"); });
  expect_error(error_code::invalid_argument, "path /a/b/f: not a directory",
               [&] { (void)find_subtree(*repo_, tree_, "a/b/f"); });
  expect_error(error_code::invalid_argument, "path /link: not a directory",
               [&] { (void)find_subtree(*repo_, tree_, "link/b"); });
}

TEST_F(snapshots_test, a_list_that_shows_files_twice) {
  const auto faulty = std::make_shared<fault_backend>(storage_);
  const auto repo = repository::open(faulty, test_password);
  fault_plan plan;
  plan.faults.push_back({.kind = fault_kind::repeat, .operation = storage_operation::list, .times = fault::forever});
  faulty->set_plan(plan);
  EXPECT_EQ(find_snapshot(*repo, old_.short_hex()).id, old_);
  EXPECT_EQ(find_snapshot(*repo, "latest~2").id, old_);
}

}  // namespace
}  // namespace recoup
