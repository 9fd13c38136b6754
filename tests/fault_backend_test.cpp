// The backend that fails on purpose must itself be dependable: faults hit what was planned, and nothing else.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <recoup/storage/fault.hpp>
#include <recoup/storage/memory.hpp>

#include "storage_conformance.hpp"

namespace recoup_test {
namespace {

storage_place without_faults() {
  const auto inner = std::make_shared<memory_backend>();
  return {std::make_shared<fault_backend>(inner), [inner] { return std::make_shared<fault_backend>(inner); }, nullptr};
}

INSTANTIATE_TEST_SUITE_P(fault, storage_conformance,
                         testing::Values(storage_under_test{"without_faults", without_faults}), name_of_storage);

constexpr auto save = storage_operation::save;
constexpr auto load = storage_operation::load;
constexpr auto load_all = storage_operation::load_all;

const stored_file first_pack{file_type::pack, numbered_id(1)};
const stored_file second_pack{file_type::pack, numbered_id(2)};
const stored_file snapshot_file{file_type::snapshot, numbered_id(3)};

class fault_storage : public testing::Test {
protected:
  bool exists(const stored_file& file) {
    return code_of([&] { (void)inner_->size(file); }) != error_code::not_found;
  }
  std::optional<error_code> save_result(const stored_file& file, std::string_view content = "content") {
    return code_of([&] { storage_.save(file, as_bytes(content)); });
  }

  std::shared_ptr<memory_backend> inner_ = std::make_shared<memory_backend>();
  fault_backend storage_{inner_};
};

TEST_F(fault_storage, fails_the_nth_matching_operation_before_doing_it) {
  storage_.set_plan({{{.operation = save, .type = file_type::pack, .nth = 2}}, {}});
  EXPECT_EQ(save_result(snapshot_file), std::nullopt);
  EXPECT_EQ(save_result(first_pack), std::nullopt);
  EXPECT_EQ(save_result(second_pack), error_code::io);
  EXPECT_FALSE(exists(second_pack));
  EXPECT_EQ(save_result(second_pack), std::nullopt);
  EXPECT_TRUE(exists(second_pack));
}

TEST_F(fault_storage, fails_after_doing_it) {
  storage_.set_plan({{{.kind = fault_kind::fail_after, .operation = save}}, {}});
  EXPECT_EQ(save_result(first_pack), error_code::io);
  EXPECT_TRUE(exists(first_pack));

  storage_.set_plan({{{.kind = fault_kind::fail_after, .operation = storage_operation::remove}}, {}});
  EXPECT_EQ(code_of([&] { storage_.remove(first_pack); }), error_code::io);
  EXPECT_FALSE(exists(first_pack));
}

TEST_F(fault_storage, fails_as_often_and_with_the_code_that_was_planned) {
  storage_.set_plan({{{.operation = save, .nth = 2, .times = 2, .code = error_code::no_space}}, {}});
  EXPECT_EQ(save_result(first_pack), std::nullopt);
  EXPECT_EQ(save_result(first_pack), error_code::no_space);
  EXPECT_EQ(save_result(first_pack), error_code::no_space);
  EXPECT_EQ(save_result(first_pack), std::nullopt);

  storage_.set_plan({{{.times = fault::forever}}, {}});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(save_result(first_pack), error_code::io);
  EXPECT_EQ(code_of([&] { storage_.create(); }), error_code::io);
}

TEST_F(fault_storage, cut_off_lets_nothing_through_any_more) {
  inner_->save(snapshot_file, as_bytes("old"));
  storage_.set_plan({{{.kind = fault_kind::cut_off, .nth = 2}}, {}});
  EXPECT_EQ(save_result(first_pack), std::nullopt);
  EXPECT_FALSE(storage_.is_cut_off());
  EXPECT_EQ(save_result(second_pack), error_code::io);
  EXPECT_TRUE(storage_.is_cut_off());
  bytes into(1);
  EXPECT_EQ(code_of([&] { storage_.remove(snapshot_file); }), error_code::io);
  EXPECT_EQ(code_of([&] { (void)storage_.load_all(snapshot_file); }), error_code::io);
  EXPECT_EQ(code_of([&] { storage_.load(snapshot_file, 0, into); }), error_code::io);
  EXPECT_EQ(code_of([&] { (void)storage_.size(snapshot_file); }), error_code::io);
  EXPECT_EQ(code_of([&] { (void)listed(storage_, file_type::pack); }), error_code::io);
  EXPECT_TRUE(exists(first_pack) && exists(snapshot_file) && !exists(second_pack));
  storage_.set_plan({});
  EXPECT_EQ(save_result(second_pack), std::nullopt);
}

TEST_F(fault_storage, every_single_operation_can_be_cut) {
  const auto work = [](backend& storage) {
    storage.create();
    storage.save(first_pack, as_bytes("one"));
    (void)storage.load_all(first_pack);
    storage.list(file_type::pack, [](const listed_file&) {});
    storage.save(second_pack, as_bytes("two"));
    storage.remove(first_pack);
  };
  work(storage_);
  const auto operations = storage_.count();
  EXPECT_EQ(operations, 6u);
  for (std::uint64_t n = 1; n <= operations; ++n) {
    const auto disk = std::make_shared<memory_backend>();
    fault_backend cut(disk, {{{.kind = fault_kind::cut_off, .nth = n}}, {}});
    EXPECT_EQ(code_of([&] { work(cut); }), error_code::io);
    EXPECT_EQ(cut.count(), n);
    EXPECT_EQ(listed(*disk, file_type::pack).size(), n <= 2 ? 0u : n <= 5 ? 1u : 2u);
  }
}

TEST_F(fault_storage, truncates) {
  inner_->save(first_pack, as_bytes("0123456789"));
  storage_.set_plan({{{.kind = fault_kind::truncate, .operation = load_all, .at = 4}}, {}});
  EXPECT_EQ(as_text(storage_.load_all(first_pack)), "0123");
  EXPECT_EQ(as_text(storage_.load_all(first_pack)), "0123456789");

  bytes into(5);
  storage_.set_plan({{{.kind = fault_kind::truncate, .operation = load, .at = 4}}, {}});
  EXPECT_EQ(code_of([&] { storage_.load(first_pack, 0, into); }), error_code::damaged);
  storage_.load(first_pack, 5, into);
  EXPECT_EQ(as_text(into), "56789");

  storage_.set_plan({{{.kind = fault_kind::truncate, .operation = save, .at = 3}}, {}});
  EXPECT_EQ(save_result(second_pack, "abcdef"), std::nullopt);
  EXPECT_EQ(as_text(inner_->load_all(second_pack)), "abc");
}

TEST_F(fault_storage, flips_one_bit) {
  inner_->save(first_pack, as_bytes("aaaa"));
  storage_.set_plan({{{.kind = fault_kind::flip_bit, .operation = load_all, .at = 8 + 1}}, {}});
  EXPECT_EQ(as_text(storage_.load_all(first_pack)), "acaa");
  EXPECT_EQ(as_text(storage_.load_all(first_pack)), "aaaa");

  bytes into(2);
  storage_.set_plan({{{.kind = fault_kind::flip_bit, .operation = load, .at = 1}}, {}});
  storage_.load(first_pack, 1, into);
  EXPECT_EQ(as_text(into), "ca");

  storage_.set_plan({{{.kind = fault_kind::flip_bit, .operation = save, .at = 32 + 1}}, {}});  // modulo the length
  EXPECT_EQ(save_result(second_pack, "aaaa"), std::nullopt);
  EXPECT_EQ(as_text(inner_->load_all(second_pack)), "caaa");
  storage_.set_plan({{{.kind = fault_kind::flip_bit}}, {}});
  EXPECT_EQ(save_result(second_pack, ""), std::nullopt);
}

TEST_F(fault_storage, repeats_a_list) {
  inner_->save(first_pack, as_bytes("x"));
  storage_.set_plan({{{.kind = fault_kind::repeat, .operation = storage_operation::list}}, {}});
  int visited = 0;
  storage_.list(file_type::pack, [&](const listed_file&) { ++visited; });
  EXPECT_EQ(visited, 2);
}

TEST_F(fault_storage, delays) {
  storage_.set_plan({{{.kind = fault_kind::delay, .operation = save, .pause = std::chrono::milliseconds(30)}}, {}});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(save_result(first_pack), std::nullopt);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(30));
  EXPECT_TRUE(exists(first_pack));
}

TEST_F(fault_storage, fills_up_and_removing_makes_room) {
  storage_.set_plan({{}, 10});
  EXPECT_EQ(save_result(first_pack, "123456"), std::nullopt);
  EXPECT_EQ(save_result(second_pack, "12345"), error_code::no_space);
  EXPECT_FALSE(exists(second_pack));
  EXPECT_EQ(save_result(snapshot_file, "1234"), std::nullopt);
  EXPECT_EQ(save_result(second_pack, "1"), error_code::no_space);
  storage_.remove(first_pack);
  EXPECT_EQ(save_result(second_pack, "12345"), std::nullopt);
}

TEST_F(fault_storage, logs_what_was_asked_for_in_order) {
  storage_.set_plan({{{.operation = save, .type = file_type::snapshot}}, {}});
  storage_.create();
  EXPECT_EQ(save_result(first_pack, "four"), std::nullopt);
  EXPECT_EQ(save_result(snapshot_file), error_code::io);
  bytes into(2);
  storage_.load(first_pack, 1, into);
  EXPECT_EQ(code_of([&] { storage_.load(first_pack, 9, into); }), error_code::damaged);
  (void)listed(storage_, file_type::index);

  const auto log = storage_.log();
  std::vector<std::string> lines;
  for (const auto& event : log) lines.push_back(event.describe() + (event.failed ? " failed" : ""));
  EXPECT_EQ(lines, (std::vector<std::string>{"create", "save " + first_pack.describe(),
                                             "save " + snapshot_file.describe() + " failed",
                                             "load " + first_pack.describe(),
                                             "load " + first_pack.describe() + " failed", "list index"}));
  EXPECT_EQ(log[1].length, 4u);
  EXPECT_EQ(log[3].offset, 1u);
  EXPECT_EQ(log[3].length, 2u);
  storage_.clear_log();
  EXPECT_TRUE(storage_.log().empty());
  EXPECT_EQ(storage_.count(), 6u);
}

TEST_F(fault_storage, lets_another_program_act_in_between) {
  storage_.before_each([&](const storage_event& event) {
    if (event.operation == load_all) inner_->remove(event.file);
  });
  EXPECT_EQ(save_result(first_pack), std::nullopt);
  EXPECT_EQ(code_of([&] { (void)storage_.load_all(first_pack); }), error_code::not_found);
}

TEST_F(fault_storage, counts_right_with_many_threads) {
  storage_.set_plan({{{.operation = save, .nth = 50, .times = 10}}, {}});
  std::atomic<int> failures{0}, next{0};
  worker_group group(4, [&](const std::stop_token&) {
    for (int i = 0; i < 100; ++i)
      if (save_result({file_type::pack, numbered_id(static_cast<std::uint64_t>(++next))})) ++failures;
  });
  group.join();
  EXPECT_EQ(failures, 10);
  EXPECT_EQ(storage_.count(), 400u);
  EXPECT_EQ(listed(*inner_, file_type::pack).size(), 390u);
}

}  // namespace
}  // namespace recoup_test
