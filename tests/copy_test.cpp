// Copying snapshots between repositories: what arrives, what is read and stored for it, and what damage does.
#include <recoup/ops/copy.hpp>

#include <chrono>
#include <random>

#include <recoup/storage/local.hpp>

#include "copy_fixture.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

using namespace std::chrono_literals;

std::string noise(std::size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(size, '\0');
  for (auto& c : text) c = static_cast<char>(random());
  return text;
}

std::string text(std::size_t size, unsigned seed) {
  std::string lines;
  for (unsigned i = 0; lines.size() < size; ++i) lines += "line " + std::to_string(seed * 1000 + i) + "\n";
  return lines;
}

repository_options small_packs(compression mode = compression::automatic) {
  repository_options options;
  options.pack_size = 1 << 20;
  options.mode = mode;
  return options;
}

/// Three snapshots that share much: the second adds a file, the third a directory.
std::vector<found_snapshot> fill(repository& repo) {
  repo.load_index();
  std::vector<node> shared{make_file(repo, "text", {text(200'000, 1), text(300'000, 2)}), make_file(repo, "empty", {}),
                           make_file(repo, "noise", {noise(500'000, 3), noise(700'000, 4), noise(500'000, 3)}),
                           make_symlink("link", "text")};
  auto top = std::vector{make_directory(repo, "shared", shared)};
  std::vector<found_snapshot> made{save_snapshot(repo, save_tree(repo, top), 1'700'000'001)};
  top.push_back(make_file(repo, "added", {noise(400'000, 5)}));
  made.push_back(save_snapshot(repo, save_tree(repo, top), 1'700'000'002));
  top.push_back(make_directory(repo, "second", {make_file(repo, "deep", {text(100, 6)})}));
  made.push_back(save_snapshot(repo, save_tree(repo, top), 1'700'000'003));
  return made;
}

copy_result copy_all(const std::shared_ptr<backend>& from, const std::shared_ptr<backend>& to,
                     const copy_options& options = {}, const repository_options& chosen = small_packs()) {
  const auto source = repository::open(from, test_password);
  const auto destination = repository::open(to, test_password, chosen);
  copy_observer nobody;
  return copy(*source, *destination, options, nobody);
}

struct versions {
  unsigned from, to;
};

class copy_between_versions_test : public testing::TestWithParam<versions> {};

TEST_P(copy_between_versions_test, everything_arrives) {
  const auto from = std::make_shared<memory_backend>(), to = std::make_shared<memory_backend>();
  const auto snapshots = fill(*make_repository(from, GetParam().from, small_packs()));
  (void)make_repository(to, GetParam().to);
  const auto result = copy_all(from, to);
  EXPECT_EQ(result.copied.size(), snapshots.size());
  EXPECT_EQ(result.errors, 0u);
  expect_copied(from, to);
  EXPECT_TRUE(damage_in(to).empty());
  expect_nothing_twice(to);
  const auto source = open_repository(from), destination = open_repository(to);
  EXPECT_EQ(blobs_in(*source), blobs_in(*destination));
  EXPECT_EQ(result.blobs, blobs_in(*destination).size());
  destination->index().for_each([&](const blob_location& place) {
    const auto content = destination->load_blob(place.blob.handle);
    const bool gets_shorter = content.size() < (64u << 10) || compressor().compress(content).size() < content.size();
    EXPECT_EQ(place.blob.is_compressed(), GetParam().to == 2 && gets_shorter) << place.blob.handle.id.hex();
  });
}

INSTANTIATE_TEST_SUITE_P(versions, copy_between_versions_test,
                         testing::Values(versions{1, 1}, versions{1, 2}, versions{2, 1}, versions{2, 2}),
                         [](const auto& of) {
                           return "v" + std::to_string(of.param.from) + "_to_v" + std::to_string(of.param.to);
                         });

class copy_test : public testing::Test {
protected:
  copy_test() : snapshots_(fill(*make_repository(from_, 2, small_packs()))) { (void)make_repository(to_); }

  [[nodiscard]] id name_of_blob(const std::string& content) const { return sha256(as_bytes(content)); }

  /// Inverts a bit in the middle of a stored blob.
  void damage(const blob_handle& blob) {
    const auto place = open_repository(from_)->index().find(blob);
    ASSERT_TRUE(place);
    const stored_file pack{file_type::pack, place->pack};
    auto content = from_->load_all(pack);
    content[place->blob.offset + place->blob.length / 2] ^= 1;
    from_->save(pack, content);
  }

  std::shared_ptr<memory_backend> from_ = std::make_shared<memory_backend>(), to_ = std::make_shared<memory_backend>();
  std::vector<found_snapshot> snapshots_;
};

TEST_F(copy_test, tells_what_happens_in_order) {
  const auto source = repository::open(from_, test_password), destination = repository::open(to_, test_password);
  recording_copy told;
  const auto result = copy(*source, *destination, {}, told);
  std::vector<std::string> expected;
  for (const auto& each : snapshots_)
    for (const auto* what : {"started ", "planned ", "complete "}) expected.push_back(what + each.id.short_hex());
  for (const auto& each : snapshots_) expected.push_back("saved " + each.id.short_hex());
  EXPECT_EQ(told.said, expected);
  EXPECT_EQ(told.batches, std::vector<std::size_t>{3});
  std::uint64_t blobs = 0;
  for (const auto& plan : told.plans) blobs += plan.blobs;
  EXPECT_EQ(blobs, result.blobs);
  EXPECT_EQ(told.plans[1].blobs, 2u);  // the file that was added, and the root
  EXPECT_EQ(told.progress[copy_phase::source_index].first, told.progress[copy_phase::source_index].second);
  EXPECT_EQ(told.progress[copy_phase::packs].first, told.plans[2].packs);
  EXPECT_EQ(told.progress[copy_phase::packs].second, told.plans[2].packs);
}

TEST_F(copy_test, what_is_there_is_neither_read_nor_stored_again) {
  (void)copy_all(from_, to_);
  const auto source = std::make_shared<fault_backend>(from_), destination = std::make_shared<fault_backend>(to_);
  const auto result = copy_all(source, destination);
  EXPECT_TRUE(result.copied.empty());
  EXPECT_EQ(result.skipped.size(), 3u);
  for (const auto& event : destination->log()) EXPECT_NE(event.operation, storage_operation::save) << event.describe();
  for (const auto& event : source->log()) EXPECT_NE(event.file.type, file_type::pack) << event.describe();
}

TEST_F(copy_test, blobs_that_the_destination_has_are_not_read) {
  copy_options first;
  first.snapshots = {snapshots_[0].id.hex()};
  (void)copy_all(from_, to_, first);
  const auto source = std::make_shared<fault_backend>(from_);
  const auto result = copy_all(source, to_);
  EXPECT_EQ(result.copied.size(), 2u);
  EXPECT_EQ(result.blobs, 5u);  // two contents and three trees
  std::uint64_t bytes = 0;
  for (const auto& event : source->log())
    if (event.file.type == file_type::pack && !event.file.holds_trees) bytes += event.length;
  EXPECT_LT(bytes, 402'000u);
  expect_copied(from_, to_);
  expect_nothing_twice(to_);
}

TEST_F(copy_test, neighbours_are_read_with_one_request) {
  const auto source = std::make_shared<fault_backend>(from_);
  copy_options last;
  last.snapshots = {snapshots_[2].id.hex()};
  (void)copy_all(source, to_, last);
  const auto packs = open_repository(from_)->list(file_type::pack).size();
  std::size_t requests = 0;
  for (const auto& event : source->log())
    requests += event.file.type == file_type::pack && !event.file.holds_trees ? 1 : 0;
  EXPECT_LE(requests, packs);
}

TEST_F(copy_test, chosen_by_id_by_latest_and_by_filter) {
  {
    const auto repo = open_repository(from_);
    auto other = snapshots_[0].snapshot;
    other.hostname = "other";
    other.tags = {"a", "b"};
    (void)repo->save_snapshot(other);
  }
  const auto copied = [&](const copy_options& options) {
    const auto to = std::make_shared<memory_backend>();
    (void)make_repository(to);
    std::vector<id> names;
    for (const auto& each : copy_all(from_, to, options).copied) names.push_back(each.source);
    EXPECT_TRUE(damage_in(to).empty());
    return names;
  };
  copy_options options;
  EXPECT_EQ(copied(options).size(), 4u);
  options.filter.hosts = {"test"};
  EXPECT_EQ(copied(options), (std::vector{snapshots_[0].id, snapshots_[1].id, snapshots_[2].id}));
  options.snapshots = {"latest"};
  EXPECT_EQ(copied(options), std::vector{snapshots_[2].id});
  options.snapshots = {snapshots_[1].id.hex().substr(0, 12), snapshots_[0].id.hex(), snapshots_[1].id.hex()};
  EXPECT_EQ(copied(options), (std::vector{snapshots_[1].id, snapshots_[0].id}));
  options.snapshots.clear();
  options.filter = {};
  options.filter.tags = {{"a", "b"}};
  EXPECT_EQ(copied(options).size(), 1u);
  options.filter.hosts = {"nobody"};
  EXPECT_TRUE(copied(options).empty());
  options.snapshots = {"0123456789"};
  EXPECT_THROW((void)copied(options), error);
}

TEST_F(copy_test, the_first_original_is_remembered_and_copies_of_copies_are_known) {
  const auto third = std::make_shared<memory_backend>();
  (void)make_repository(third);
  (void)copy_all(from_, to_);
  (void)copy_all(to_, third);
  for (const auto& [name, made] : open_repository(third)->load_snapshots())
    EXPECT_TRUE(std::ranges::any_of(snapshots_, [&](const auto& each) { return each.id == made.original; }));
  EXPECT_EQ(copy_all(third, from_).skipped.size(), 3u);
  EXPECT_EQ(copy_all(from_, third).skipped.size(), 3u);
  EXPECT_EQ(copy_all(to_, from_).skipped.size(), 3u);
  EXPECT_EQ(open_repository(from_)->list(file_type::snapshot).size(), 3u);
}

TEST(snapshot_copies_test, what_must_agree) {
  snapshot base;
  base.time = {1'700'000'000, 5, 3600};
  base.hostname = "h", base.username = "u", base.uid = 1, base.gid = 2;
  base.paths = {"/a", "/b"}, base.tags = {"x", "y"}, base.excludes = {"*.o", "*.a"};
  const auto differs = [&](auto&& change) {
    auto other = base;
    change(other);
    return !is_copy_of(other, base);
  };
  EXPECT_FALSE(differs([](snapshot&) {}));
  EXPECT_FALSE(differs([](snapshot& s) { s.time.zone_offset = 0; }));
  EXPECT_FALSE(differs([](snapshot& s) { s.paths = {"/b", "/a"}; }));
  EXPECT_FALSE(differs([](snapshot& s) { s.tags = {"y", "x"}; }));
  EXPECT_FALSE(differs([](snapshot& s) { s.parent = id{}; s.original = id{}; s.program_version = "other"; }));
  EXPECT_TRUE(differs([](snapshot& s) { s.time.nanoseconds = 6; }));
  EXPECT_TRUE(differs([](snapshot& s) { s.tree.value[0] = 1; }));
  EXPECT_TRUE(differs([](snapshot& s) { s.hostname = "i"; }));
  EXPECT_TRUE(differs([](snapshot& s) { s.username = "v"; }));
  EXPECT_TRUE(differs([](snapshot& s) { s.uid = 2; }));
  EXPECT_TRUE(differs([](snapshot& s) { s.gid = 3; }));
  EXPECT_TRUE(differs([](snapshot& s) { s.paths = {"/a"}; }));
  EXPECT_TRUE(differs([](snapshot& s) { s.paths = {"/a", "/c"}; }));
  EXPECT_TRUE(differs([](snapshot& s) { s.tags.push_back("z"); }));
  EXPECT_TRUE(differs([](snapshot& s) { s.excludes = {"*.a", "*.o"}; }));
}

TEST_F(copy_test, trees_keep_their_bytes) {
  // As an old program might have written it: blanks, unknown fields, an order of its own.
  const std::string odd = R"({ "future": 1, "nodes" : [ {"type":"symlink","name":"l","linktarget":"x"} ] })";
  {
    const auto repo = open_repository(from_);
    (void)save_snapshot(*repo, repo->save_blob(blob_type::tree, as_bytes(odd)).id, 1'700'000'009);
  }
  (void)copy_all(from_, to_);
  EXPECT_EQ(as_text(open_repository(to_)->load_blob(blob_type::tree, name_of_blob(odd))), odd);
}

TEST_F(copy_test, a_compressed_form_is_taken_over_unless_another_is_asked_for) {
  const auto length_of = [&](const std::shared_ptr<backend>& storage) {
    return open_repository(storage)->index().find({blob_type::data, name_of_blob(text(300'000, 2))})->blob.length;
  };
  const auto copied_length = [&](const std::shared_ptr<backend>& from, bool reuse, compression mode) {
    const auto to = std::make_shared<memory_backend>();
    (void)make_repository(to);
    copy_options options;
    options.reuse_compressed = reuse;
    (void)copy_all(from, to, options, small_packs(mode));
    EXPECT_TRUE(damage_in(to).empty());
    return length_of(to);
  };
  const auto hard = std::make_shared<memory_backend>();
  (void)fill(*make_repository(hard, 2, small_packs(compression::max)));
  ASSERT_LT(length_of(hard), length_of(from_));
  EXPECT_EQ(copied_length(hard, true, compression::automatic), length_of(hard));
  EXPECT_EQ(copied_length(hard, false, compression::automatic), length_of(from_));
  EXPECT_EQ(copied_length(from_, true, compression::max), length_of(hard));
  EXPECT_EQ(copied_length(from_, true, compression::off), text(300'000, 2).size() + box_overhead);
}

TEST_F(copy_test, snapshots_of_a_batch_share_packs) {
  copy_options together;
  (void)copy_all(from_, to_, together, repository_options{});
  EXPECT_EQ(open_repository(to_)->list(file_type::pack).size(), 2u);
  EXPECT_EQ(open_repository(to_)->list(file_type::index).size(), 1u);

  const auto alone = std::make_shared<memory_backend>();
  (void)make_repository(alone);
  const auto watched = std::make_shared<fault_backend>(alone);
  copy_options one_by_one;
  one_by_one.batch_bytes = 1;
  one_by_one.batch_time = 0ms;
  (void)copy_all(from_, watched, one_by_one);
  std::vector<file_type> saved;
  for (const auto& event : watched->log())
    if (event.operation == storage_operation::save && (saved.empty() || saved.back() != event.file.type))
      saved.push_back(event.file.type);
  const std::vector one{file_type::pack, file_type::index, file_type::snapshot};
  EXPECT_EQ(saved, (std::vector{one[0], one[1], one[2], one[0], one[1], one[2], one[0], one[1], one[2]}));
  expect_copied(from_, alone);
}

TEST_F(copy_test, damage_fails_the_snapshots_that_need_it_and_no_others) {
  damage({blob_type::data, name_of_blob(noise(400'000, 5))});  // needed by the second and the third
  const auto source = repository::open(from_, test_password), destination = repository::open(to_, test_password);
  recording_copy told;
  const auto result = copy(*source, *destination, {}, told);
  EXPECT_EQ(result.errors, 2u);
  ASSERT_EQ(told.errors.size(), 2u);
  for (const auto& [name, message] : told.errors)
    EXPECT_NE(message.find(name_of_blob(noise(400'000, 5)).hex()), std::string::npos) << message;
  ASSERT_EQ(result.copied.size(), 1u);
  EXPECT_EQ(result.copied[0].source, snapshots_[0].id);
  EXPECT_TRUE(damage_in(to_).empty());
  EXPECT_EQ(open_repository(to_)->list(file_type::snapshot).size(), 1u);
}

TEST_F(copy_test, what_a_failed_snapshot_saw_is_not_taken_for_copied) {
  // The first fails over a blob; the second shares all of its trees and blobs but that one.
  const auto from = std::make_shared<memory_backend>();
  {
    const auto repo = make_repository(from);
    repo->load_index();
    const auto shared = make_directory(*repo, "shared", {make_file(*repo, "f", {text(1000, 1)})});
    (void)save_snapshot(*repo, save_tree(*repo, {shared, make_file(*repo, "bad", {noise(1000, 2)})}), 1);
    (void)save_snapshot(*repo, save_tree(*repo, {shared}), 2);
  }
  from_ = from;
  damage({blob_type::data, name_of_blob(noise(1000, 2))});
  for (const unsigned threads : {1u, 4u}) {
    const auto to = std::make_shared<memory_backend>();
    (void)make_repository(to);
    copy_options options;
    options.threads = threads;
    const auto result = copy_all(from_, to, options);
    EXPECT_EQ(result.errors, 1u);
    EXPECT_EQ(result.copied.size(), 1u);
    EXPECT_TRUE(damage_in(to).empty());
  }
}

TEST_F(copy_test, another_copy_of_a_damaged_blob_is_found) {
  const auto bad = noise(400'000, 5);
  damage({blob_type::data, name_of_blob(bad)});
  {
    // A repository object without an index stores everything anew.
    const auto repo = repository::open(from_, test_password);
    (void)repo->save_blob(blob_type::data, as_bytes(bad));
    repo->flush();
  }
  EXPECT_EQ(copy_all(from_, to_).errors, 0u);
  expect_nothing_twice(to_);
  EXPECT_TRUE(damage_in(to_).empty());
}

TEST_F(copy_test, a_tree_that_is_damaged_or_missing_and_a_snapshot_that_cannot_be_read) {
  const auto repo = open_repository(from_);
  auto second = decode_tree(repo->load_blob(blob_type::tree, snapshots_[2].snapshot.tree));
  damage({blob_type::tree, *std::ranges::find(second, "second", &node::name)->subtree});
  (void)save_snapshot(*repo, name_of_blob("no such tree"), 1'700'000'005);
  auto lost = make_node("lost", node_type::file);
  lost.content = std::vector{name_of_blob("no such blob")};
  (void)save_snapshot(*repo, save_tree(*repo, {lost}), 1'700'000'006);
  from_->save({file_type::snapshot, name_of_blob("x")}, as_bytes("x"));

  const auto source = repository::open(from_, test_password), destination = repository::open(to_, test_password);
  recording_copy told;
  const auto result = copy(*source, *destination, {}, told);
  EXPECT_EQ(result.errors, 4u);
  EXPECT_EQ(told.errors.size(), 4u);
  EXPECT_EQ(result.copied.size(), 2u);
  EXPECT_TRUE(damage_in(to_).empty());
}

TEST_F(copy_test, storage_that_is_gone_ends_it_and_one_file_that_cannot_be_read_does_not) {
  const auto broken = [&](std::uint64_t times) {
    fault_plan plan;
    plan.faults.push_back({.operation = storage_operation::load, .type = file_type::pack, .times = times});
    if (times == fault::forever)
      plan.faults.push_back({.operation = storage_operation::size, .type = file_type::config, .times = times});
    return std::make_shared<fault_backend>(from_, plan);
  };
  copy_options options;
  options.threads = 1;
  try {
    (void)copy_all(broken(fault::forever), to_, options);
    ADD_FAILURE();
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::io);
  }
  EXPECT_TRUE(open_repository(to_)->list(file_type::snapshot).empty());
  // The first tree and its second attempt.
  const auto result = copy_all(broken(2), to_, options);
  EXPECT_EQ(result.errors, 1u);
  EXPECT_EQ(result.copied.size(), 2u);
  EXPECT_TRUE(damage_in(to_).empty());
}

TEST_F(copy_test, what_a_destination_has_lost_is_brought_back) {
  (void)copy_all(from_, to_);
  // As after `repair packs`: the pack is gone, and no index lists it any more. Its snapshots are forgotten.
  {
    const auto repo = open_repository(to_);
    for (const auto& each : repo->list(file_type::snapshot)) repo->remove(file_type::snapshot, each.name);
    for (const auto& each : repo->list(file_type::index)) repo->remove(file_type::index, each.name);
    const auto packs = repo->index().packs();
    std::vector<indexed_pack> kept(packs.size() - 1);
    for (std::size_t i = 0; i + 1 < packs.size(); ++i) kept[i].pack = packs[i];
    repo->index().for_each([&](const blob_location& place) {
      for (auto& pack : kept)
        if (pack.pack == place.pack) pack.blobs.push_back(place.blob);
    });
    repo->remove(file_type::pack, packs.back());
    (void)repo->save_unpacked(file_type::index, encode_index(kept));
  }
  (void)copy_all(from_, to_);
  expect_copied(from_, to_);
  EXPECT_TRUE(damage_in(to_).empty());
  expect_nothing_twice(to_);
}

TEST_F(copy_test, a_stop_leaves_no_snapshot) {
  class stopping : public copy_observer {
  public:
    explicit stopping(std::stop_source& stop) : stop_(stop) {}
    void on_complete(const found_snapshot&) override { stop_.request_stop(); }

  private:
    std::stop_source& stop_;
  };
  std::stop_source stop;
  stopping observer(stop);
  copy_options options;
  options.stop = stop.get_token();
  const auto source = repository::open(from_, test_password), destination = repository::open(to_, test_password);
  try {
    (void)copy(*source, *destination, options, observer);
    ADD_FAILURE();
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::interrupted);
  }
  EXPECT_TRUE(open_repository(to_)->list(file_type::snapshot).empty());
  // What was copied until then is indexed, and not copied again.
  const auto before = blobs_in(*open_repository(to_)).size();
  EXPECT_GT(before, 0u);
  const auto added = copy_all(from_, to_).blobs;
  EXPECT_EQ(before + added, blobs_in(*open_repository(to_)).size());
  expect_nothing_twice(to_);
}

TEST_F(copy_test, a_repository_is_not_copied_into_itself) {
  const auto refused = [](repository& source, repository& destination) {
    try {
      copy_observer nobody;
      (void)copy(source, destination, {}, nobody);
    } catch (const error& problem) {
      return problem.code() == error_code::invalid_argument &&
             std::string(problem.what()).find("same repository") != std::string::npos;
    }
    return false;
  };
  const auto one = repository::open(from_, test_password), two = repository::open(from_, test_password);
  EXPECT_TRUE(refused(*one, *one));
  EXPECT_TRUE(refused(*one, *two));

  // By another path, and through another object.
  const unique_directory place;
  const auto made = make_repository(std::make_shared<local_backend>(place / "repo"));
  const repository_lock lock(*made, {});
  std::filesystem::create_directory_symlink(place / "repo", place / "alias");
  const auto alias = repository::open(std::make_shared<local_backend>(place / "alias"), test_password);
  EXPECT_TRUE(refused(*alias, *made));

  // A twin, copied file by file, has the same id and is another repository.
  const auto twin = repository::open(from_->copy(), test_password);
  const repository_lock held(*twin, {});
  EXPECT_FALSE(refused(*one, *twin));
}

}  // namespace
}  // namespace recoup
