// A file in a snapshot, read from anywhere.
#include <recoup/ops/file_reader.hpp>
#include <recoup/storage/fault.hpp>

#include <random>
#include <thread>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

class file_reader_test : public testing::Test {
protected:
  file_reader_test()
      : storage_(std::make_shared<fault_backend>(std::make_shared<memory_backend>())),
        repo_(make_repository(storage_)) {
    std::mt19937 random(1);
    std::vector<std::string> parts;
    for (const std::size_t size : {5u, 0u, 1u, 1000u, 7u, 0u, 300u, 2000u, 64u, 0u}) {
      std::string part(size, '\0');
      for (auto& c : part) c = static_cast<char>(random());
      parts.push_back(part);
      whole_ += part;
    }
    file_ = make_file(*repo_, "f", parts);
    repo_->flush();
    storage_->clear_log();
  }

  std::string read(file_reader& reader, std::uint64_t offset, std::size_t length) {
    bytes into(length);
    const auto got = reader.read(offset, into);
    return std::string(as_text(byte_view(into).first(got)));
  }

  std::shared_ptr<fault_backend> storage_;
  std::shared_ptr<repository> repo_;
  node file_;
  std::string whole_;
};

TEST_F(file_reader_test, any_part_of_it) {
  file_reader reader(repo_, file_);
  EXPECT_EQ(reader.size(), whole_.size());
  EXPECT_EQ(reader.starts().size(), reader.blobs().size() + 1);
  EXPECT_EQ(read(reader, 0, whole_.size()), whole_);
  EXPECT_EQ(read(reader, 0, whole_.size() + 100), whole_);
  EXPECT_EQ(read(reader, whole_.size(), 1), "");
  EXPECT_EQ(read(reader, UINT64_MAX, 1), "");
  EXPECT_EQ(read(reader, 3, 0), "");
  std::mt19937 random(2);
  for (int i = 0; i < 2000; ++i) {
    const auto offset = random() % (whole_.size() + 10), length = random() % 1500;
    EXPECT_EQ(read(reader, offset, length), offset < whole_.size() ? whole_.substr(offset, length) : "");
  }
}

TEST_F(file_reader_test, blobs_just_opened_are_not_loaded_again) {
  file_reader reader(repo_, file_);
  for (int i = 0; i < 100; ++i) (void)read(reader, 10 + static_cast<std::uint64_t>(i), 1);
  EXPECT_EQ(storage_->log().size(), 1u);
  (void)read(reader, 0, whole_.size());
  EXPECT_EQ(storage_->log().size(), 7u);  // empty blobs are never loaded
}

TEST_F(file_reader_test, from_many_threads) {
  file_reader reader(repo_, file_);
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed)
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 300; ++i) {
        const auto offset = random() % whole_.size(), length = random() % 1500;
        EXPECT_EQ(read(reader, offset, length), whole_.substr(offset, length));
      }
    });
  for (auto& thread : threads) thread.join();
}

TEST_F(file_reader_test, what_cannot_be_read) {
  expect_error(error_code::invalid_argument, "is not a file",
               [&] { file_reader(repo_, make_node("d", node_type::dir)); });
  auto lost = file_;
  lost.content->push_back(sha256(as_bytes("never stored")));
  expect_error(error_code::not_found, "is in no index", [&] { file_reader(repo_, lost); });

  file_reader reader(repo_, file_);
  fault_plan plan;
  plan.faults.push_back({.kind = fault_kind::flip_bit, .operation = storage_operation::load});
  storage_->set_plan(plan);
  expect_error(error_code::damaged, "data blob", [&] { (void)read(reader, 100, 1); });
  EXPECT_EQ(read(reader, 100, 1), whole_.substr(100, 1));  // and the next try is a new one
  auto empty = make_node("e", node_type::file);
  EXPECT_EQ(file_reader(repo_, empty).size(), 0u);
}

}  // namespace
}  // namespace recoup
