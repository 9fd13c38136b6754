// Repositories: made, opened, filled, read back, and what happens when their files are not what they should be.
#include <recoup/repo/repository.hpp>
#include <recoup/storage/fault.hpp>

#include <atomic>
#include <functional>
#include <random>
#include <set>
#include <thread>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

class repository_test : public testing::TestWithParam<unsigned> {
protected:
  repository_test() : storage_(std::make_shared<memory_backend>()), repo_(make_repository(storage_, GetParam())) {}

  [[nodiscard]] std::string load(blob_type type, const id& name) {
    return std::string(as_text(repo_->load_blob(type, name)));
  }
  void reopen() { repo_ = open_repository(storage_); }

  /// Applies `change` to a stored file's bytes.
  template <class Change>
  void alter(const stored_file& file, Change&& change) {
    auto content = storage_->load_all(file);
    change(content);
    storage_->save(file, content);
  }

  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
};

INSTANTIATE_TEST_SUITE_P(versions, repository_test, testing::Values(1u, 2u));

TEST_P(repository_test, blobs_come_back) {
  std::mt19937 random(GetParam());
  std::map<id, std::string> saved;
  for (const std::size_t size : {0u, 1u, 31u, 32u, 33u, 1000u, 100'000u, 3'000'000u}) {
    std::string content(size, '\0');
    for (auto& c : content) c = static_cast<char>(size % 3 == 0 ? random() : 'x');
    const auto made = repo_->save_blob(blob_type::data, as_bytes(content));
    EXPECT_TRUE(made.is_new);
    EXPECT_GT(made.stored_length, 32u);
    EXPECT_EQ(made.id, sha256(as_bytes(content)));
    saved.emplace(made.id, content);
  }
  repo_->flush();
  for (const auto& [name, content] : saved) EXPECT_EQ(load(blob_type::data, name), content);
  reopen();
  EXPECT_EQ(repo_->config().version, GetParam());
  for (const auto& [name, content] : saved) EXPECT_EQ(load(blob_type::data, name), content);
  EXPECT_TRUE(damage_in(storage_).empty());
}

TEST_P(repository_test, what_is_compressed) {
  const std::string text(5000, 'x');
  const auto data = repo_->save_blob(blob_type::data, as_bytes(text)).id;
  const auto tree = repo_->save_blob(blob_type::tree, as_bytes(text)).id;
  const auto empty = repo_->save_blob(blob_type::data, {}).id;
  repo_->flush();
  const auto is_compressed = [&](blob_type type, const id& name) {
    return repo_->index().find({type, name})->blob.is_compressed();
  };
  EXPECT_EQ(is_compressed(blob_type::data, data), GetParam() == 2);
  EXPECT_EQ(is_compressed(blob_type::tree, tree), GetParam() == 2);
  EXPECT_FALSE(is_compressed(blob_type::data, empty));
  EXPECT_EQ(repo_->index().plaintext_length({blob_type::data, data}), 5000u);

  repository_options off;
  off.mode = compression::off;
  repo_ = open_repository(storage_, off);
  const std::string other(5000, 'y');
  const auto more = repo_->save_blob(blob_type::data, as_bytes(other)).id,
             more_tree = repo_->save_blob(blob_type::tree, as_bytes(other)).id;
  repo_->flush();
  EXPECT_FALSE(is_compressed(blob_type::data, more));
  EXPECT_EQ(is_compressed(blob_type::tree, more_tree), GetParam() == 2);
}

TEST_P(repository_test, each_blob_is_stored_once_but_data_and_trees_are_two) {
  const auto first = repo_->save_blob(blob_type::data, as_bytes("x"));
  const auto pending = repo_->save_blob(blob_type::data, as_bytes("x"));
  EXPECT_TRUE(first.is_new);
  EXPECT_FALSE(pending.is_new);
  EXPECT_EQ(pending.stored_length, 0u);
  EXPECT_TRUE(repo_->save_blob(blob_type::tree, as_bytes("x")).is_new);
  repo_->flush();
  EXPECT_FALSE(repo_->save_blob(blob_type::data, as_bytes("x")).is_new);
  reopen();
  EXPECT_FALSE(repo_->save_blob(blob_type::data, as_bytes("x")).is_new);
  repo_->flush();
  EXPECT_EQ(repo_->index().size(), 2u);
  EXPECT_EQ(repo_->list(file_type::pack).size(), 2u);
  EXPECT_EQ(repo_->list(file_type::index).size(), 1u);
}

TEST_P(repository_test, nothing_saved_writes_nothing) {
  repo_->flush();
  EXPECT_TRUE(repo_->list(file_type::pack).empty());
  EXPECT_TRUE(repo_->list(file_type::index).empty());
}

TEST_P(repository_test, many_threads_with_the_same_blobs) {
  constexpr unsigned threads = 8, different = 400;
  repository_options small;
  small.pack_size = 1 << 16;
  repo_ = open_repository(storage_, small);
  std::array<std::atomic<int>, different> new_ones{};
  std::vector<std::thread> workers;
  for (unsigned seed = 0; seed < threads; ++seed)
    workers.emplace_back([&, seed] {
      std::mt19937 random(seed);
      std::vector<unsigned> order(different);
      for (unsigned i = 0; i < different; ++i) order[i] = i;
      std::ranges::shuffle(order, random);
      for (const auto number : order) {
        const auto content = std::string(number * 3, 'x') + std::to_string(number);
        if (repo_->save_blob(number % 5 == 0 ? blob_type::tree : blob_type::data, as_bytes(content)).is_new)
          ++new_ones[number];
      }
    });
  for (auto& worker : workers) worker.join();
  repo_->flush();
  for (const auto& count : new_ones) EXPECT_EQ(count, 1);
  reopen();
  EXPECT_EQ(repo_->index().size(), different);
  std::set<id> names;
  repo_->index().for_each([&](const blob_location& place) { names.insert(place.blob.handle.id); });
  EXPECT_EQ(names.size(), different);
  EXPECT_TRUE(damage_in(storage_).empty());
}

// --- making and opening ---

TEST_P(repository_test, never_made_where_one_is) {
  const auto refused = [&](const std::shared_ptr<backend>& place, const char* why) {
    expect_error(error_code::failure, why, [&] { (void)make_repository(place, GetParam()); });
  };
  refused(storage_, "config file already exists");
  storage_->remove({file_type::config});
  refused(storage_, "key file already exists");
  storage_->remove({file_type::key, repo_->key_id()});
  repo_->save_snapshot({});
  refused(storage_, "snapshot already exists");
  EXPECT_EQ(repo_->list(file_type::key).size(), 0u);
}

TEST_P(repository_test, made_with_what_was_asked_for) {
  auto choice = fast_creation(GetParam());
  choice.chunker_polynomial = repo_->config().chunker_polynomial;
  const auto other = repository::create(std::make_shared<memory_backend>(), "", choice);
  EXPECT_EQ(other->config().chunker_polynomial, repo_->config().chunker_polynomial);
  EXPECT_NE(other->config().id, repo_->config().id);
  for (const unsigned version : {0u, 3u})
    expect_error(error_code::unsupported, "is not known",
                 [&] { (void)make_repository(std::make_shared<memory_backend>(), version); });
}

TEST_P(repository_test, wrong_password_and_no_repository) {
  expect_error(error_code::wrong_password, "wrong password or no key found",
               [&] { (void)repository::open(storage_, "wrong"); });
  expect_error(error_code::repository_missing, "Is there a repository at the following location?",
               [&] { (void)repository::open(std::make_shared<memory_backend>(), test_password); });
  storage_->remove({file_type::key, repo_->key_id()});
  expect_error(error_code::wrong_password, "no key found", [&] { (void)repository::open(storage_, test_password); });
}

/// As MinIO does below a prefix that begins with a slash.
TEST(repository_on_odd_storage, is_not_made_where_files_are_not_listed) {
  struct forgetful : memory_backend {
    void list(file_type, const std::function<void(const listed_file&)>&) override {}
  };
  const auto storage = std::make_shared<forgetful>();
  expect_error(error_code::failure, "does not list it", [&] { (void)make_repository(storage); });
  for (const auto type : {file_type::config, file_type::key}) {
    std::size_t count = 0;
    storage->memory_backend::list(type, [&](const listed_file&) { ++count; });
    EXPECT_EQ(count, 0u) << name_of(type);
  }
}

TEST_P(repository_test, the_hinted_key_is_tried_first) {
  for (int i = 0; i < 5; ++i) (void)add_key(*storage_, repo_->master_key(), "other", "", "", fast_kdf);
  const auto counting = std::make_shared<fault_backend>(storage_);
  repository_options hinted;
  hinted.key_hint = repo_->key_id().hex().substr(0, 10);
  (void)repository::open(counting, test_password, hinted);
  const auto log = counting->log();
  EXPECT_EQ(std::ranges::count_if(log,
                                  [](const storage_event& event) {
                                    return event.file.type == file_type::key &&
                                           event.operation == storage_operation::load_all;
                                  }),
            1);
}

TEST_P(repository_test, a_damaged_key_beside_a_good_one_only_warns) {
  storage_->save({file_type::key, id{}}, as_bytes("{}"));
  repository_options options;
  std::vector<std::string> warnings;
  options.on_warning = [&](const std::string& text) { warnings.push_back(text); };
  EXPECT_EQ(repository::open(storage_, test_password, options)->config(), repo_->config());
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find(id{}.hex()), std::string::npos);
}

TEST_P(repository_test, truncated_or_flipped_keys_and_configs) {
  for (const stored_file file : {stored_file{file_type::key, repo_->key_id()}, stored_file{file_type::config}}) {
    const auto whole = storage_->load_all(file);
    const auto refused = [&] {
      expect_error(error_code::damaged, file.type == file_type::key ? "restore the directory `keys`" : "config",
                   [&] { (void)repository::open(storage_, test_password); });
    };
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{1}, std::size_t{31}, std::size_t{32}, whole.size() / 2, whole.size() - 1}) {
      storage_->save(file, byte_view(whole).first(length));
      refused();
    }
    for (std::size_t at = 0; at < whole.size(); at += 7) {
      auto flipped = whole;
      flipped[at] ^= 0x10;
      storage_->save(file, flipped);
      refused();
    }
    storage_->save(file, whole);
  }
  EXPECT_EQ(repository::open(storage_, test_password)->config(), repo_->config());
}

TEST_P(repository_test, a_config_from_the_future) {
  box sealer(repo_->master_key());
  storage_->save({file_type::config},
                 sealer.seal(as_bytes(R"({"version":3,"id":")" + repo_->config().id + R"(","chunker_polynomial":")" +
                                      repo_->config().chunker_polynomial.hex() + "\"}")));
  expect_error(error_code::unsupported, "format version 3", [&] { (void)repository::open(storage_, test_password); });
}

// --- damage ---

TEST_P(repository_test, another_copy_is_used_if_one_is_damaged) {
  const std::string content(1000, 'x');
  const auto name = sha256(as_bytes(content));
  const auto other = open_repository(storage_);  // does not know what the first one stores meanwhile
  (void)repo_->save_blob(blob_type::data, as_bytes(content));
  (void)other->save_blob(blob_type::data, as_bytes(content));
  repo_->flush();
  other->flush();
  reopen();
  const auto places = repo_->index().find_all({blob_type::data, name});
  ASSERT_EQ(places.size(), 2u);
  alter({file_type::pack, places[0].pack}, [](bytes& pack) { pack[20] ^= 1; });
  EXPECT_EQ(load(blob_type::data, name), content);
  storage_->remove({file_type::pack, places[0].pack});
  EXPECT_EQ(load(blob_type::data, name), content);
  alter({file_type::pack, places[1].pack}, [](bytes& pack) { pack.resize(10); });
  for (const auto& place : places)
    expect_error(error_code::damaged, place.pack.hex(), [&] { (void)load(blob_type::data, name); });
}

TEST_P(repository_test, blobs_that_cannot_be_loaded) {
  expect_error(error_code::not_found, "no index lists it", [&] { (void)load(blob_type::data, id{}); });
  const auto name = repo_->save_blob(blob_type::data, as_bytes("content")).id;
  repo_->flush();
  expect_error(error_code::not_found, "tree blob", [&] { (void)load(blob_type::tree, name); });
  // An index that gives the place of one blob as that of another: everything decrypts, and is still wrong.
  auto place = *repo_->index().find({blob_type::data, name});
  place.blob.handle.id = sha256(as_bytes("another"));
  repo_->index().add_pack(sha256(as_bytes("p")), {});
  std::vector<packed_blob> lie{place.blob};
  lie[0].offset = place.blob.offset;
  storage_->save({file_type::pack, sha256(as_bytes("q"))}, storage_->load_all({file_type::pack, place.pack}));
  repo_->index().add_pack(sha256(as_bytes("q")), lie);
  expect_error(error_code::damaged, "does not have the hash", [&] { (void)load(blob_type::data, lie[0].handle.id); });
}

TEST_P(repository_test, storage_that_fails_is_not_called_damage) {
  const auto faulty = std::make_shared<fault_backend>(storage_);
  const auto repo = open_repository(faulty);
  const auto name = repo->save_blob(blob_type::data, as_bytes("content")).id;
  repo->flush();
  fault_plan plan;
  plan.faults.push_back({.operation = storage_operation::load});
  faulty->set_plan(plan);
  expect_error(error_code::io, "planned fault", [&] { (void)repo->load_blob(blob_type::data, name); });
  EXPECT_EQ(as_text(repo->load_blob(blob_type::data, name)), "content");
}

TEST_P(repository_test, small_files_are_what_their_names_say) {
  snapshot made;
  made.time = {5, 0, 0};
  made.hostname = "h";
  const auto name = repo_->save_snapshot(made);
  EXPECT_EQ(repo_->load_snapshot(name), made);
  const stored_file file{file_type::snapshot, name};
  const auto whole = storage_->load_all(file);
  const auto refused = [&](error_code code, const char* why) {
    expect_error(code, why, [&] { (void)repo_->load_snapshot(name); });
  };
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{31}, whole.size() - 1}) {
    storage_->save(file, byte_view(whole).first(length));
    refused(error_code::damaged, "hash");
  }
  alter(file, [&](bytes& content) { content = whole, content[40] ^= 1; });
  refused(error_code::damaged, "hash");
  storage_->remove(file);
  refused(error_code::not_found, "");
  // Named rightly, but sealed with another key; or too short; or no JSON.
  const auto save_raw = [&](byte_view content) {
    const auto raw_name = sha256(content);
    storage_->save({file_type::snapshot, raw_name}, content);
    return raw_name;
  };
  const auto foreign = save_raw(box(box_key::random()).seal(as_bytes("{}"))), brief = save_raw(as_bytes("short"));
  expect_error(error_code::damaged, "snapshot " + foreign.short_hex(), [&] { (void)repo_->load_snapshot(foreign); });
  expect_error(error_code::damaged, "too short", [&] { (void)repo_->load_snapshot(brief); });
  const auto junk = repo_->save_unpacked(file_type::snapshot, "{\"tree\":5}");
  expect_error(error_code::damaged, "tree", [&] { (void)repo_->load_snapshot(junk); });

  std::vector<id> told;
  EXPECT_TRUE(repo_->load_snapshots([&](const id& unreadable, const error&) { told.push_back(unreadable); }).empty());
  EXPECT_EQ(told.size(), 3u);
  EXPECT_THROW((void)repo_->load_snapshots(), error);
}

TEST_P(repository_test, a_damaged_index_is_named_or_passed_over) {
  const auto name = repo_->save_blob(blob_type::data, as_bytes("content")).id;
  repo_->flush();
  const auto good = repo_->list(file_type::index).front().name;
  const auto junk = repo_->save_unpacked(file_type::index, "{\"packs\":[{\"id\":7}]}");
  expect_error(error_code::damaged, "index " + junk.hex(), [&] { (void)open_repository(storage_); });
  const auto opened = repository::open(storage_, test_password);
  index_load_observer observer;
  std::vector<id> damaged, seen;
  std::size_t last = 0;
  observer.on_damaged = [&](const id& index, const error&) { damaged.push_back(index); };
  observer.on_pack = [&](const id& index, const indexed_pack&) { seen.push_back(index); };
  observer.on_progress = [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(done, last + 1);
    EXPECT_EQ(total, 2u);
    last = done;
  };
  opened->load_index(observer);
  EXPECT_EQ(damaged, std::vector{junk});
  EXPECT_EQ(seen, std::vector{good});
  EXPECT_EQ(last, 2u);
  EXPECT_EQ(as_text(opened->load_blob(blob_type::data, name)), "content");
}

TEST_P(repository_test, files_that_a_list_shows_twice_are_there_once) {
  repo_->save_snapshot({});
  const auto faulty = std::make_shared<fault_backend>(storage_);
  const auto repo = open_repository(faulty);
  fault_plan plan;
  plan.faults.push_back({.kind = fault_kind::repeat, .operation = storage_operation::list, .times = fault::forever});
  faulty->set_plan(plan);
  EXPECT_EQ(repo->list(file_type::snapshot).size(), 1u);
  EXPECT_EQ(repo->load_snapshots().size(), 1u);
}

TEST_P(repository_test, snapshots_come_in_the_order_of_their_times) {
  snapshot made;
  std::vector<std::int64_t> expected;
  for (const std::int64_t seconds : {50, 10, 30, 10, 40}) {
    made.time = {seconds, 0, static_cast<std::int32_t>(seconds) * 60};
    made.hostname += "x";
    repo_->save_snapshot(made);
    expected.push_back(seconds);
  }
  std::ranges::sort(expected);
  std::vector<std::int64_t> seen;
  for (const auto& [name, value] : repo_->load_snapshots()) seen.push_back(value.time.seconds);
  EXPECT_EQ(seen, expected);
}

}  // namespace
}  // namespace recoup
