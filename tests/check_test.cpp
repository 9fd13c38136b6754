// Each kind of damage is named, and what is whole is called so.
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <recoup/ops/check.hpp>
#include <recoup/storage/fault.hpp>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

class check_test : public testing::TestWithParam<unsigned> {
protected:
  check_test() : storage_(std::make_shared<memory_backend>()), repo_(make_repository(storage_, GetParam())) {
    auto& r = *repo_;
    inner_ = make_directory(r, "d", {make_file(r, "b", {"in d", "and more"})});
    const auto tree = save_tree(
        r, {make_file(r, "a", {std::string(3000, 'a')}), inner_, make_symlink("l", "a"), make_file(r, "empty", {})});
    first_ = save_snapshot(r, tree);
  }

  /// Checks with a fresh repository object, as a program that is started would.
  check_result run(pack_selection read_data = no_packs{}) {
    check_options options;
    options.read_data = read_data;
    return run(options);
  }
  check_result run(const check_options& options) {
    report_ = std::make_unique<recording_check>();
    const auto opened = repository::open(storage_, test_password);
    return check(*opened, options, *report_);
  }

  void expect_named(const check_result& result, const std::string& part) {
    EXPECT_FALSE(result.clean());
    EXPECT_EQ(result.errors, report_->errors.size());
    EXPECT_TRUE(
        std::ranges::any_of(report_->errors, [&](const std::string& text) { return text.find(part) != text.npos; }))
        << part << " is not in " << testing::PrintToString(report_->errors);
  }
  void expect_hint(const std::string& part) {
    EXPECT_TRUE(
        std::ranges::any_of(report_->hints, [&](const std::string& text) { return text.find(part) != text.npos; }))
        << part << " is not in " << testing::PrintToString(report_->hints);
  }

  [[nodiscard]] id pack_of(blob_type type) const {
    id found{};
    repo_->index().for_each([&](const blob_location& at) {
      if (at.blob.handle.type == type) found = at.pack;
    });
    return found;
  }
  template <class Change>
  void alter(const stored_file& file, Change&& change) {
    auto content = storage_->load_all(file);
    change(content);
    storage_->save(file, content);
  }
  /// A snapshot of a tree with one such node.
  void save_node(const node& odd) { (void)save_snapshot(*repo_, save_tree(*repo_, {odd})); }

  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
  std::unique_ptr<recording_check> report_;
  node inner_;
  found_snapshot first_;
};

INSTANTIATE_TEST_SUITE_P(versions, check_test, testing::Values(1u, 2u));

TEST_P(check_test, a_whole_repository) {
  for (const pack_selection selection :
       {pack_selection(no_packs{}), pack_selection(all_packs{}), pack_selection(pack_group{1, 1}),
        pack_selection(pack_percentage{50}), pack_selection(pack_bytes{1})}) {
    const auto result = run(selection);
    EXPECT_TRUE(result.clean()) << report_->errors.front();
    EXPECT_TRUE(report_->hints.empty());
    EXPECT_FALSE(result.suggest_repair_index || result.suggest_prune);
    EXPECT_EQ(result.unreferenced_packs, 0u);
  }
}

TEST_P(check_test, an_empty_repository) {
  storage_ = std::make_shared<memory_backend>();
  repo_ = make_repository(storage_, GetParam());
  EXPECT_TRUE(run(all_packs{}).clean());
}

TEST_P(check_test, a_missing_pack) {
  for (const auto type : {blob_type::data, blob_type::tree}) {
    const auto backup = storage_->copy();
    const auto pack = pack_of(type);
    storage_->remove({file_type::pack, pack});
    const auto result = run();
    expect_named(result, "pack " + pack.hex() + ": does not exist");
    EXPECT_EQ(result.broken_packs, std::set{pack});
    storage_ = backup;
  }
}

TEST_P(check_test, a_pack_that_is_too_short_or_too_long) {
  const auto pack = pack_of(blob_type::data);
  alter({file_type::pack, pack}, [](bytes& content) { content.pop_back(); });
  expect_named(run(), "pack " + pack.hex() + ": unexpected file size");
  alter({file_type::pack, pack}, [](bytes& content) { content.resize(content.size() + 2); });
  expect_named(run(), "pack " + pack.hex() + ": unexpected file size");
}

TEST_P(check_test, flipped_bits_in_packs_are_found_by_reading_them) {
  const auto pack = pack_of(blob_type::data);
  const auto whole = storage_->load_all({file_type::pack, pack});
  const auto place = *repo_->index().find({blob_type::data, sha256(as_bytes("and more"))});
  alter({file_type::pack, pack}, [&](bytes& content) { content[place.blob.offset + 20] ^= 4; });
  EXPECT_TRUE(run().clean());  // the length is right
  auto result = run(all_packs{});
  expect_named(result, "data blob " + sha256(as_bytes("and more")).hex());
  expect_named(result, "does not have the hash that it is named by");
  EXPECT_EQ(result.broken_packs, std::set{pack});

  storage_->save({file_type::pack, pack}, whole);
  alter({file_type::pack, pack}, [](bytes& content) { content[content.size() - 10] ^= 4; });
  expect_named(run(all_packs{}), "header");
  storage_->save({file_type::pack, pack}, whole);
  alter({file_type::pack, pack}, [](bytes& content) { content[content.size() - 1] ^= 4; });
  expect_named(run(all_packs{}), "header claims to be");
}

TEST_P(check_test, a_damaged_blob_takes_no_room_from_those_after_it) {
  std::mt19937 random(1);
  std::vector<std::string> parts(2, std::string(std::size_t{3} << 20, '\0'));
  for (auto& part : parts)
    for (auto& byte : part) byte = static_cast<char>(random());
  (void)save_snapshot(*repo_, save_tree(*repo_, {make_file(*repo_, "large", parts)}));
  const auto first = *repo_->index().find({blob_type::data, sha256(as_bytes(parts[0]))});
  const auto second = *repo_->index().find({blob_type::data, sha256(as_bytes(parts[1]))});
  ASSERT_EQ(first.pack, second.pack);
  alter({file_type::pack, first.pack}, [&](bytes& content) { content[first.blob.offset + 20] ^= 4; });
  (void)run(all_packs{});
  EXPECT_EQ(report_->errors.size(), 2u) << testing::PrintToString(report_->errors);  // the pack's hash and this blob
  for (const auto& text : report_->errors) EXPECT_EQ(text.find(second.blob.handle.id.hex()), text.npos) << text;
}

TEST_P(check_test, a_flipped_bit_in_a_tree_is_found_by_walking) {
  const auto pack = pack_of(blob_type::tree);
  const auto place = *repo_->index().find({blob_type::tree, *inner_.subtree});
  alter({file_type::pack, pack}, [&](bytes& content) { content[place.blob.offset + 20] ^= 4; });
  const auto result = run();
  expect_named(result, "tree " + inner_.subtree->short_hex());
  expect_named(result, "snapshot " + first_.id.short_hex());
}

TEST_P(check_test, missing_and_damaged_indexes) {
  const auto index = repo_->list(file_type::index).front().name;
  const auto whole = storage_->copy();
  storage_->remove({file_type::index, index});
  auto result = run();
  expect_named(result, "no index lists it");
  EXPECT_EQ(result.unreferenced_packs, 2u);

  storage_ = whole;
  alter({file_type::index, index}, [](bytes& content) { content[50] ^= 1; });
  result = run();
  expect_named(result, "index " + index.hex() + " cannot be read");
  EXPECT_EQ(result.damaged_indexes, std::set{index});
  EXPECT_TRUE(result.suggest_repair_index);
  EXPECT_EQ(result.errors, 1u);  // not one for each tree that cannot be found then
}

TEST_P(check_test, an_index_that_lies_about_lengths) {
  const auto pack = pack_of(blob_type::data);
  std::vector<indexed_pack> changed;
  for (const auto& file : repo_->list(file_type::index)) {
    decode_index(repo_->load_unpacked(file_type::index, file.name),
                 [&](const indexed_pack& each) { changed.push_back(each); });
    repo_->remove(file_type::index, file.name);
  }
  for (auto& each : changed)
    if (each.pack == pack) std::swap(each.blobs[0].handle, each.blobs[1].handle);
  repo_->save_unpacked(file_type::index, encode_index(changed));
  EXPECT_TRUE(run().clean());
  expect_named(run(all_packs{}), "its header and the index disagree");
}

TEST_P(check_test, damaged_and_unreadable_snapshots) {
  alter({file_type::snapshot, first_.id}, [](bytes& content) { content[50] ^= 1; });
  const auto result = run();
  expect_named(result, "snapshot " + first_.id.hex() + " cannot be read");
  EXPECT_EQ(result.broken_snapshots, std::set{first_.id});
}

TEST_P(check_test, trees_and_blobs_that_are_nowhere) {
  auto lost_file = make_node("lost", node_type::file);
  lost_file.content = std::vector{sha256(as_bytes("lost data"))};
  save_node(lost_file);
  expect_named(run(), "file \"lost\": blob " + sha256(as_bytes("lost data")).hex() + " is in no index");
  auto lost_directory = make_node("gone", node_type::dir);
  lost_directory.subtree = sha256(as_bytes("lost tree"));
  save_node(lost_directory);
  expect_named(run(), "tree " + lost_directory.subtree->short_hex());
}

TEST_P(check_test, nodes_that_cannot_be) {
  const auto names = [&](const node& odd, const std::string& part) {
    const auto before = storage_->copy();
    save_node(odd);
    expect_named(run(), part);
    storage_ = before;
    repo_ = open_repository(storage_);
  };
  names(make_node("a/../../b", node_type::file), "impossible name");
  names(make_node("..", node_type::dir), "impossible name");
  names(make_node("d", node_type::dir), "directory \"d\" has no subtree");
  names(make_node("f", node_type::file), "file \"f\" has no list of blobs");
  names(make_node("u", node_type::unknown), "node \"u\" is of an invalid type");
  // A tree that is no tree.
  const auto junk = repo_->save_blob(blob_type::tree, as_bytes("{\"nodes\":[{\"name\":5}]}\n")).id;
  (void)save_snapshot(*repo_, junk);
  expect_named(run(), "tree " + junk.short_hex());
}

TEST_P(check_test, untidy_but_whole) {
  // A pack in no index.
  const bytes pack(100);
  storage_->save({file_type::pack, sha256(pack)}, pack);
  auto result = run(all_packs{});
  EXPECT_TRUE(result.clean());
  EXPECT_EQ(result.unreferenced_packs, 1u);
  EXPECT_TRUE(result.suggest_prune);
  expect_hint("pack " + sha256(pack).hex() + ": not referenced in any index");

  // A pack in two indexes.
  const auto index = repo_->list(file_type::index).front().name;
  const auto json = repo_->load_unpacked(file_type::index, index);
  repo_->save_unpacked(file_type::index, as_text(json));
  result = run(all_packs{});
  EXPECT_TRUE(result.clean());
  EXPECT_TRUE(result.suggest_repair_index);
  expect_hint("is listed in 2 indexes");
}

TEST_P(check_test, a_pack_of_both_types) {
  pack_builder builder(storage_->begin(file_type::pack, {}));
  box sealer(repo_->master_key());
  builder.add({blob_type::data, sha256(as_bytes("mixed"))}, sealer.seal(as_bytes("mixed")), 0);
  builder.add({blob_type::tree, sha256(as_bytes("{\"nodes\":[]}\n"))}, sealer.seal(as_bytes("{\"nodes\":[]}\n")), 0);
  (void)builder.finish(sealer);
  const auto name = builder.name();
  builder.save({file_type::pack, name});
  const indexed_pack entry{name, {builder.blobs().begin(), builder.blobs().end()}};
  repo_->save_unpacked(file_type::index, encode_index({&entry, 1}));
  const auto result = run(all_packs{});
  EXPECT_TRUE(result.clean());
  EXPECT_TRUE(result.suggest_prune);
  expect_hint("holds both trees and data");
}

/// Counts the packs that were read.
class counting_check : public check_observer {
public:
  void on_progress(check_phase phase, std::uint64_t done, std::uint64_t total) override {
    if (phase == check_phase::data) read = total;
    EXPECT_LE(done, total);
    last[phase] = {done, total};
  }
  std::uint64_t read = 0;
  std::map<check_phase, std::pair<std::uint64_t, std::uint64_t>> last;
};

class many_packs : public testing::Test {
protected:
  many_packs() : storage_(std::make_shared<memory_backend>()) {
    repository_options small;
    small.pack_size = 4096;
    repo_ = make_repository(storage_, 1, small);
    for (int i = 0; i < 40; ++i)
      snapshots_.push_back(save_snapshot(
          *repo_, save_tree(*repo_, {make_file(*repo_, "f", {std::string(5000, 'x') + std::to_string(i)})})));
  }
  std::uint64_t read_with(pack_selection selection) {
    check_options options;
    options.read_data = selection;
    counting_check observer;
    EXPECT_TRUE(check(*open_repository(storage_), options, observer).clean());
    return observer.read;
  }
  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
  std::vector<found_snapshot> snapshots_;
};

TEST_F(many_packs, parts_of_the_data) {
  const auto all = read_with(all_packs{});
  EXPECT_EQ(all, repo_->list(file_type::pack).size());
  std::uint64_t groups = 0;
  for (unsigned group = 1; group <= 3; ++group) groups += read_with(pack_group{group, 3});
  EXPECT_EQ(groups, all);  // together they are everything, each once
  EXPECT_EQ(read_with(pack_percentage{25}), all / 4);
  EXPECT_EQ(read_with(pack_percentage{0.001}), 1u);
  EXPECT_EQ(read_with(pack_percentage{100}), all);
  EXPECT_EQ(read_with(pack_bytes{1}), 1u);
  EXPECT_EQ(read_with(pack_bytes{UINT64_MAX}), all);
}

TEST_F(many_packs, single_snapshots) {
  check_options options;
  options.read_data = all_packs{};
  options.snapshots = std::vector{snapshots_[3], snapshots_[7]};
  counting_check observer;
  const auto repo = repository::open(storage_, test_password);
  EXPECT_TRUE(check(*repo, options, observer).clean());
  EXPECT_EQ(observer.read, 4u);  // of each its data and its tree
  EXPECT_EQ(observer.last.at(check_phase::snapshots), std::pair(std::uint64_t{2}, std::uint64_t{2}));
}

TEST_F(many_packs, can_be_stopped) {
  std::stop_source stop;
  stop.request_stop();
  check_options options;
  options.stop = stop.get_token();
  check_observer nobody;
  expect_error(error_code::interrupted, "interrupted",
               [&] { (void)check(*repository::open(storage_, test_password), options, nobody); });
}

TEST_F(many_packs, packs_are_checked_even_if_lists_show_them_twice) {
  const auto faulty = std::make_shared<fault_backend>(storage_);
  const auto repo = repository::open(faulty, test_password);
  fault_plan plan;
  plan.faults.push_back({.kind = fault_kind::repeat, .operation = storage_operation::list, .times = fault::forever});
  faulty->set_plan(plan);
  recording_check report;
  EXPECT_TRUE(check(*repo, {}, report).clean());
  EXPECT_TRUE(report.hints.empty());
}

// --- what damage means for the snapshots ---

/// Snapshot -> path -> the blobs that it lacks, each as "data 0123…", or what else is wrong with it.
using affected_paths = std::map<std::string, std::map<std::string, std::set<std::string>>>;

[[nodiscard]] affected_paths told_by(const check_result& result) {
  affected_paths told;
  if (!result.affected) return told;
  for (const auto& each : result.affected->snapshots()) {
    auto& paths = told[each.snapshot.id.hex()];
    result.affected->for_each(each, [&](const affected_item& item) {
      auto& causes = paths[item.path];
      for (const auto* cause : item.causes)
        causes.insert(cause->blob ? name_of(cause->blob->type) + (" " + cause->blob->id.hex()) : cause->problem);
      return true;
    });
    EXPECT_EQ(paths.size(), each.items);
  }
  return told;
}

/// The same found in the simplest way: each path of each snapshot, each blob of it loaded.
class simple_search {
public:
  explicit simple_search(repository& repo) : repo_(repo) {}

  [[nodiscard]] affected_paths run() {
    for (const auto& [name, value] : repo_.load_snapshots()) {
      snapshot_ = name.hex();
      search(value.tree, "");
    }
    return std::move(found_);
  }

private:
  void note(const std::string& path, const blob_handle& blob) {
    found_[snapshot_][path.empty() ? "/" : path].insert(name_of(blob.type) + (" " + blob.id.hex()));
  }

  [[nodiscard]] std::optional<bytes> load(const blob_handle& blob) {
    try {
      return repo_.load_blob(blob);
    } catch (const error&) {
      return std::nullopt;
    }
  }

  void search(const id& tree, const std::string& path) {
    const auto content = load({blob_type::tree, tree});
    if (!content) return note(path, {blob_type::tree, tree});
    for (const auto& entry : decode_tree(*content)) {
      if (entry.type == node_type::dir) search(*entry.subtree, path + "/" + entry.name);
      if (entry.type != node_type::file) continue;
      for (const auto& blob : *entry.content)
        if (!load({blob_type::data, blob})) note(path + "/" + entry.name, {blob_type::data, blob});
    }
  }

  repository& repo_;
  std::string snapshot_;
  affected_paths found_;
};

class damaged_at_random : public testing::TestWithParam<unsigned> {
protected:
  damaged_at_random() : random_(GetParam()), storage_(std::make_shared<memory_backend>()) {
    repository_options small;
    small.pack_size = 4096;
    repo_ = make_repository(storage_, 1 + GetParam() % 2, small);
    for (std::int64_t i = 0; i < 8; ++i) {
      (void)save_snapshot(*repo_, save_tree(*repo_, directory(3)), 1'700'000'000 + i);
      if (i == 4) store_again();
    }
  }

  [[nodiscard]] unsigned any(unsigned end) { return std::uniform_int_distribution<unsigned>(0, end - 1)(random_); }
  /// One of a few dozen, so that files and directories share them.
  [[nodiscard]] std::string content() { return std::string(200 + any(900), static_cast<char>('a' + any(26))); }

  [[nodiscard]] std::vector<node> directory(unsigned depth) {
    std::vector<node> nodes;
    for (unsigned i = 0, end = any(5); i < end; ++i) {
      std::vector<std::string> parts(any(4));
      for (auto& part : parts) part = content();
      nodes.push_back(make_file(*repo_, "f" + std::to_string(i), parts));
    }
    for (unsigned i = 0, end = depth == 0 ? 0 : 1 + any(3); i < end; ++i) {
      // Every other one is a directory that was there before, under whatever name.
      if (!known_.empty() && any(2) == 0) {
        nodes.push_back(known_[any(static_cast<unsigned>(known_.size()))]);
        nodes.back().name = "d" + std::to_string(i);
      } else {
        nodes.push_back(make_directory(*repo_, "d" + std::to_string(i), directory(depth - 1)));
        known_.push_back(nodes.back());
      }
    }
    if (any(4) == 0) nodes.push_back(make_symlink("l", "f0"));
    return nodes;
  }

  /// Some blobs get a second copy, in packs that are indexed too.
  void store_again() {
    repo_->flush();
    std::vector<blob_location> all;
    repo_->index().for_each([&](const blob_location& place) { all.push_back(place); });
    pack_builder builder(storage_->begin(file_type::pack, {}));
    box sealer(repo_->master_key());
    for (const auto& place : all) {
      if (any(3) != 0 && &place != &all.front()) continue;
      const auto content = repo_->load_blob(place.blob.handle);
      builder.add(place.blob.handle, sealer.seal(content), 0);
    }
    (void)builder.finish(sealer);
    const auto name = builder.name();
    builder.save({file_type::pack, name});
    const indexed_pack entry{name, {builder.blobs().begin(), builder.blobs().end()}};
    repo_->save_unpacked(file_type::index, encode_index({&entry, 1}));
  }

  void damage_some() {
    const auto packs = repo_->list(file_type::pack);
    for (unsigned i = 0, end = 1 + any(4); i < end; ++i) {
      const stored_file file{file_type::pack, packs[any(static_cast<unsigned>(packs.size()))].name};
      bytes content;
      try {
        content = storage_->load_all(file);
      } catch (const error&) {
        continue;
      }
      switch (any(4)) {
        case 0: storage_->remove(file); continue;
        case 1: content.resize(any(static_cast<unsigned>(content.size()))); break;
        case 2: content.push_back(0); break;
        default: content[any(static_cast<unsigned>(content.size()))] ^= 1;
      }
      storage_->save(file, content);
    }
    if (any(4) == 0) storage_->remove({file_type::index, repo_->list(file_type::index).front().name});
  }

  std::mt19937 random_;
  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
  std::vector<node> known_;
};

INSTANTIATE_TEST_SUITE_P(seeds, damaged_at_random, testing::Range(1u, 41u));

TEST_P(damaged_at_random, all_that_is_affected_is_named_and_nothing_else) {
  damage_some();
  recording_check report;
  check_options options;
  options.read_data = all_packs{};
  options.find_affected = true;
  options.threads = 1 + GetParam() % 3;
  const auto result = check(*repository::open(storage_, test_password), options, report);
  EXPECT_EQ(result.affected.has_value(), !result.clean());
  const auto told = told_by(result), expected = simple_search(*open_repository(storage_)).run();
  EXPECT_EQ(told, expected);

  // Without reading data only what is missing, too short or a tree is known to be damaged.
  options.read_data = no_packs{};
  recording_check quick;
  for (const auto& [snapshot, paths] : told_by(check(*repository::open(storage_, test_password), options, quick))) {
    ASSERT_TRUE(expected.contains(snapshot));
    for (const auto& [path, causes] : paths) {
      ASSERT_TRUE(expected.at(snapshot).contains(path)) << path;
      EXPECT_TRUE(std::ranges::includes(expected.at(snapshot).at(path), causes)) << path;
    }
  }
}

TEST_P(check_test, what_is_affected_is_searched_only_if_asked_for_and_of_the_chosen_snapshots) {
  const auto second = save_snapshot(*repo_, save_tree(*repo_, {make_file(*repo_, "alone", {"intact"})}), 1'700'000'001);
  const auto place = *repo_->index().find({blob_type::data, sha256(as_bytes("and more"))});
  alter({file_type::pack, place.pack}, [&](bytes& content) { content[place.blob.offset + 20] ^= 4; });
  EXPECT_FALSE(run(all_packs{}).affected);
  check_options options;
  options.read_data = all_packs{};
  options.find_affected = true;
  const auto result = run(options);
  EXPECT_EQ(told_by(result), (affected_paths{{first_.id.hex(), {{"/d/b", {"data " + place.blob.handle.id.hex()}}}}}));
  EXPECT_EQ(result.affected->snapshots_searched(), 2u);
  options.snapshots = std::vector{second};
  EXPECT_TRUE(run(options).clean());
}

TEST_P(check_test, trees_that_cannot_be_read_and_nodes_that_make_no_sense_are_affected) {
  auto odd = make_node("odd", node_type::file);  // without a list of blobs
  const auto junk = repo_->save_blob(blob_type::tree, as_bytes("{\"nodes\":[{\"name\":5}]}\n")).id;
  auto broken = make_node("broken", node_type::dir);
  broken.subtree = junk;
  const auto second = save_snapshot(
      *repo_,
      save_tree(*repo_, {inner_, make_directory(*repo_, "e", {odd, broken}), make_node("none", node_type::dir)}));
  const auto third = save_snapshot(*repo_, junk);
  check_options options;
  options.find_affected = true;
  const auto cause = "tree " + junk.hex();
  EXPECT_EQ(told_by(run(options)),
            (affected_paths{{second.id.hex(),
                             {{"/e/broken", {cause}},
                              {"/e/odd", {"the file has no list of blobs"}},
                              {"/none", {"the directory has no tree"}}}},
                            {third.id.hex(), {{"/", {cause}}}}}));
}

TEST(affected, many_snapshots_of_one_tree_that_repeats_itself) {
  // 2^40 paths to one damaged file: counted without being walked, and the first of them are there at once.
  const auto storage = std::make_shared<memory_backend>();
  const auto repo = make_repository(storage);
  const auto file = make_file(*repo, "f", {"damaged"});
  auto nodes = std::vector{file};
  for (int i = 0; i < 40; ++i) {
    auto a = make_directory(*repo, "a", nodes), b = a;
    b.name = "b";
    nodes = {a, b};
  }
  const auto tree = save_tree(*repo, nodes);
  for (int i = 0; i < 200; ++i) (void)save_snapshot(*repo, tree, 1'700'000'000 + i);
  const auto place = *repo->index().find({blob_type::data, file.content->front()});
  storage->remove({file_type::pack, place.pack});
  recording_check report;
  check_options options;
  options.find_affected = true;
  const auto result = check(*repository::open(storage, test_password), options, report);
  ASSERT_EQ(result.affected->snapshots().size(), 200u);
  for (const auto& each : result.affected->snapshots()) {
    EXPECT_EQ(each.items, std::uint64_t{1} << 40);
    EXPECT_EQ(each.tree, result.affected->snapshots().front().tree);
    std::vector<std::string> first;
    result.affected->for_each(each, [&](const affected_item& item) {
      first.push_back(item.path);
      return first.size() < 2;
    });
    std::string path;
    for (int i = 0; i < 39; ++i) path += "/a";
    EXPECT_EQ(first, (std::vector{path + "/a/f", path + "/b/f"}));
  }
}

}  // namespace
}  // namespace recoup
