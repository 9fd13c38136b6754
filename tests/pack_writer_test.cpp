// Packs: when they are closed, what is in them, and in which order things become durable.
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/pack_reader.hpp>
#include <recoup/repo/pack_writer.hpp>
#include <recoup/storage/fault.hpp>
#include <recoup/storage/local.hpp>
#include <recoup/storage/memory.hpp>

#include <array>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "test_data.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

class pack_writer_test : public testing::Test {
protected:
  pack_writer_test()
      : memory_(std::make_shared<memory_backend>(2)), storage_(memory_), key_(box_key::random()), sealer_(key_) {}

  [[nodiscard]] std::unique_ptr<pack_writer> make(std::size_t pack_size) {
    return std::make_unique<pack_writer>(
        storage_, key_, pack_size,
        [this](const indexed_pack& pack) {
          EXPECT_NO_THROW((void)memory_->size({file_type::pack, pack.pack})) << "told before it was stored";
          const std::lock_guard lock(mutex_);
          stored_.push_back(pack);
        },
        [this](const std::string& json) {
          const std::lock_guard lock(mutex_);
          decode_index(as_bytes(json), [this](const indexed_pack& pack) {
            EXPECT_TRUE(std::ranges::any_of(stored_, [&](const indexed_pack& each) { return each.pack == pack.pack; }))
                << "indexed before it was stored";
            indexed_.push_back(pack);
          });
          ++indexes_;
        });
  }

  std::size_t add(pack_writer& writer, const std::string& content, blob_type type = blob_type::data) {
    const auto sealed = sealer_.seal(as_bytes(content));
    return add(writer, {type, sha256(as_bytes(content))}, sealed);
  }

  /// Returns by how many bytes the repository grows.
  static std::size_t add(pack_writer& writer, const blob_handle& handle, byte_view sealed) {
    auto pack = writer.take(handle.type, sealed.size());
    pack->add(handle, sealed, 0);
    const auto of_pack = pack->hashing(SIZE_MAX);
    sha256_update(std::array{of_pack});
    pack.advance(of_pack.data.size());
    return sealed.size() + pack_format::plain_entry + pack.give_back();
  }

  /// What the packs say of themselves: blob -> content.
  std::map<id, std::string> read_back() {
    std::map<id, std::string> found;
    memory_->list(file_type::pack, [&](const listed_file& file) {
      const stored_file pack{file_type::pack, file.name};
      const auto content = memory_->load_all(pack);
      EXPECT_EQ(sha256(content), file.name);
      for (const auto& blob : read_pack_header(pack, content, sealer_))
        found.emplace(blob.handle.id, as_text(sealer_.open(byte_view(content).subspan(blob.offset, blob.length))));
    });
    return found;
  }
  [[nodiscard]] std::size_t packs() {
    std::size_t count = 0;
    memory_->list(file_type::pack, [&](const listed_file&) { ++count; });
    return count;
  }

  std::shared_ptr<memory_backend> memory_;
  fault_backend storage_;
  box_key key_;
  box sealer_;
  std::mutex mutex_;
  std::vector<indexed_pack> stored_, indexed_;
  int indexes_ = 0;
};

TEST_F(pack_writer_test, little_data_makes_one_pack_of_each_type) {
  const auto writer = make(1 << 20);
  for (int i = 0; i < 100; ++i) (void)add(*writer, "data " + std::to_string(i));
  for (int i = 0; i < 50; ++i) (void)add(*writer, "tree " + std::to_string(i), blob_type::tree);
  EXPECT_EQ(packs(), 0u);  // nothing is stored before it has to be
  writer->finish();
  EXPECT_EQ(packs(), 2u);
  EXPECT_EQ(indexes_, 1);
  EXPECT_EQ(indexed_.size(), 2u);
  for (const auto& pack : indexed_) {
    const auto type = pack.blobs.front().handle.type;
    EXPECT_TRUE(std::ranges::all_of(pack.blobs, [&](const packed_blob& blob) { return blob.handle.type == type; }));
    EXPECT_EQ(pack.blobs.size(), type == blob_type::data ? 100u : 50u);
  }
  const auto found = read_back();
  EXPECT_EQ(found.size(), 150u);
  EXPECT_EQ(found.at(sha256(as_bytes("data 7"))), "data 7");
}

TEST_F(pack_writer_test, a_pack_is_closed_once_it_is_large_enough) {
  constexpr std::size_t size = 100'000;
  const auto writer = make(size);
  std::size_t grown = 0;
  for (int i = 0; i < 200; ++i) grown += add(*writer, std::string(5000, 'x') + std::to_string(i));
  writer->finish();
  std::size_t total = 0, open = 0;
  memory_->list(file_type::pack, [&](const listed_file& file) {
    total += file.size;
    EXPECT_LT(file.size, size + 5000 + 2000);
    open += file.size < size ? 1 : 0;
  });
  EXPECT_LE(open, 2u);
  EXPECT_GE(packs(), 9u);
  EXPECT_EQ(total, grown + open * (pack_format::empty_box + pack_format::length_field));
  EXPECT_EQ(read_back().size(), 200u);
}

TEST_F(pack_writer_test, a_blob_as_large_as_a_pack_gets_one_of_its_own) {
  const auto writer = make(100'000);
  for (int i = 0; i < 8; ++i) (void)add(*writer, "small " + std::to_string(i));
  (void)add(*writer, std::string(150'000, 'b'));
  writer->finish();
  EXPECT_EQ(read_back().size(), 9u);
  for (const auto& pack : indexed_)
    for (const auto& blob : pack.blobs)
      if (blob.length > 100'000) {
        EXPECT_EQ(pack.blobs.size(), 1u);
      }
}

/// With storage that takes packs piece by piece.
TEST_F(pack_writer_test, what_is_open_at_the_end_is_joined_though_storage_has_begun_to_take_it) {
  const unique_directory directory;
  local_backend storage(directory.path());
  storage.create();
  storage.save({file_type::config}, as_bytes("config"));
  std::vector<indexed_pack> stored;
  pack_writer writer(storage, key_, 4 << 20, [&](const indexed_pack& pack) { stored.push_back(pack); }, [](const std::string&) {});
  std::vector<bytes> contents;
  for (unsigned i = 0; i < 10; ++i) contents.emplace_back(bytes(300'000, static_cast<std::uint8_t>(i)));
  for (const auto& content : contents) (void)add(writer, {blob_type::data, sha256(content)}, sealer_.seal(content));
  writer.finish();
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].blobs.size(), contents.size());
  const auto pack = storage.load_all({file_type::pack, stored[0].pack});
  EXPECT_EQ(sha256(pack), stored[0].pack);
  for (const auto& blob : stored[0].blobs)
    EXPECT_EQ(sha256(sealer_.open(byte_view(pack).subspan(blob.offset, blob.length))), blob.handle.id);
  const auto listed = read_pack_header({file_type::pack, stored[0].pack}, pack, sealer_);
  EXPECT_EQ(listed.size(), contents.size());
}

TEST_F(pack_writer_test, the_index_is_split) {
  const auto writer = make(1 << 20);
  const auto sealed = sealer_.seal(as_bytes("x"));
  // Two packs' worth of the smallest blobs, all with names of their own.
  for (std::uint32_t i = 0; i < 120'000; ++i) {
    blob_handle handle{blob_type::data, {}};
    std::memcpy(handle.id.value.data(), &i, sizeof i);
    (void)add(*writer, handle, sealed);
  }
  writer->finish();
  EXPECT_GE(indexes_, 2);
  std::size_t blobs = 0;
  std::set<id> names;
  for (const auto& pack : indexed_) {
    blobs += pack.blobs.size();
    EXPECT_TRUE(names.insert(pack.pack).second);
  }
  EXPECT_EQ(blobs, 120'000u);
  EXPECT_EQ(stored_.size(), indexed_.size());
}

TEST_F(pack_writer_test, no_header_is_larger_than_readers_accept) {
  pack_builder builder(memory_->begin(file_type::pack, {}));
  const bytes tiny(32);
  while (!builder.is_full(SIZE_MAX)) builder.add({}, tiny, 1);
  (void)builder.finish(sealer_);
  const auto length = load_u32_le(builder.tail().data() + builder.tail().size() - 4);
  EXPECT_LE(length, max_pack_header_size);
  EXPECT_GT(length, max_pack_header_size - 200);
}

TEST_F(pack_writer_test, from_many_threads) {
  const auto writer = make(50'000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      box own(key_);
      for (int i = 0; i < 300; ++i) {
        const auto content =
            std::string(static_cast<std::size_t>(i), 'x') + std::to_string(t) + "/" + std::to_string(i);
        (void)add(*writer, {i % 3 == 0 ? blob_type::tree : blob_type::data, sha256(as_bytes(content))},
                  own.seal(as_bytes(content)));
      }
    });
  for (auto& thread : threads) thread.join();
  writer->finish();
  EXPECT_EQ(read_back().size(), 1200u);
}

TEST_F(pack_writer_test, a_pack_that_cannot_be_stored_is_an_error_for_whoever_comes_next) {
  fault_plan plan;
  plan.faults.push_back({.operation = storage_operation::save, .nth = 2});
  storage_.set_plan(plan);
  const auto writer = make(10'000);
  EXPECT_THROW(
      {
        for (int i = 0; i < 1000; ++i) (void)add(*writer, std::string(3000, 'x') + std::to_string(i));
        writer->finish();
      },
      error);
  EXPECT_THROW(writer->finish(), error);
  EXPECT_EQ(indexes_, 0);
  const auto durable = writer->abandon();
  EXPECT_EQ(durable.size(), packs());
  EXPECT_EQ(durable.size(), stored_.size());
}

TEST_F(pack_writer_test, what_is_not_finished_is_dropped) {
  {
    const auto writer = make(1 << 20);
    (void)add(*writer, "x");
  }
  EXPECT_EQ(packs(), 0u);
  EXPECT_EQ(indexes_, 0);
}

}  // namespace
}  // namespace recoup
