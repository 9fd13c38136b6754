// What a snapshot lacks is found without restoring it, and live files are compared with it to the last attribute.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <recoup/fs/path.hpp>
#include <recoup/ops/restore/selection.hpp>
#include <recoup/ops/verify.hpp>
#include <recoup/ops/verify/live.hpp>
#include <recoup/ops/verify/live_place.hpp>

#include "test_data.hpp"
#include "test_repository.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

namespace fs = std::filesystem;

/// Keeps what is told.
class recording_verify : public live_observer {
public:
  void on_damaged(const std::string& path, const error& problem) override {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(damaged.emplace(path, problem.what()).second) << path << " is told twice";
  }
  void on_difference(const live_difference& found) override {
    const std::lock_guard lock(mutex_);
    auto text = std::string(name_of(found.state));
    for (const auto& each : found.properties) text += " " + std::string(name_of(each.property));
    EXPECT_TRUE(different.emplace(found.path, text).second) << found.path << " is told twice";
  }
  void on_phase(verify_phase phase) override { phases.push_back(phase); }

  [[nodiscard]] std::set<std::string> damaged_paths() const {
    std::set<std::string> paths;
    for (const auto& [path, why] : damaged) paths.insert(path);
    return paths;
  }

  std::map<std::string, std::string> damaged, different;
  std::vector<verify_phase> phases;

private:
  std::mutex mutex_;
};

using paths = std::set<std::string>;

// ---- what is in the repository --------------------------------------------------------------------------------------

class verify_test : public testing::TestWithParam<unsigned> {
protected:
  verify_test() : storage_(std::make_shared<memory_backend>()), repo_(make_repository(storage_, GetParam())) {
    auto& r = *repo_;
    inner_ = make_directory(r, "d", {make_file(r, "b", {"in d", "and more", "and more"})});
    tree_ = save_tree(r, {make_file(r, "a", {std::string(3000, 'a')}), inner_, make_symlink("l", "a"),
                          make_file(r, "empty", {}), make_file(r, "same", {"and more"})});
    r.flush();
  }

  verify_result run(const verify_options& options = {}) { return run(tree_, options); }
  verify_result run(const id& tree, const verify_options& options = {}) {
    report_ = std::make_unique<recording_verify>();
    const auto result = verify(*open_repository(storage_), tree, options, *report_);
    EXPECT_EQ(result.damaged, report_->damaged.size());
    return result;
  }

  void damage(const std::string& content) {
    const auto place = *repo_->index().find({blob_type::data, sha256(as_bytes(content))});
    auto pack = storage_->load_all({file_type::pack, place.pack});
    pack[place.blob.offset + place.blob.length / 2] ^= 8;
    storage_->save({file_type::pack, place.pack}, pack);
  }

  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
  node inner_;
  id tree_;
  std::unique_ptr<recording_verify> report_;
};

INSTANTIATE_TEST_SUITE_P(versions, verify_test, testing::Values(1u, 2u));

TEST_P(verify_test, all_is_counted_and_each_blob_read_once) {
  const auto result = run();
  EXPECT_EQ(result.damaged, 0u);
  EXPECT_EQ(result.entries, 6u);
  EXPECT_EQ(result.total_files, 4u);
  EXPECT_EQ(result.files, 4u);
  EXPECT_EQ(result.bytes, 3000u + 4 + 8 + 8 + 8);
  EXPECT_EQ(result.blobs, 3u);
  EXPECT_EQ(result.blob_bytes, 3000u + 4 + 8);
  EXPECT_EQ(report_->counters.blobs_read, 3u);
  EXPECT_EQ(report_->counters.bytes_read, result.blob_bytes);
  EXPECT_EQ(report_->phases, (std::vector{verify_phase::trees, verify_phase::contents}));
}

TEST_P(verify_test, each_file_that_needs_a_damaged_blob_is_named_with_the_cause) {
  damage("and more");
  const auto result = run();
  EXPECT_EQ(report_->damaged_paths(), (paths{"/d/b", "/same"}));
  const auto blob = sha256(as_bytes("and more")).hex();
  for (const auto& [path, why] : report_->damaged) {
    EXPECT_NE(why.find(blob), why.npos) << why;
    EXPECT_EQ(why.find("more blob"), why.npos) << why;  // the same blob twice is one
  }
  EXPECT_EQ(result.files, 4u);
  damage("in d");
  (void)run();
  EXPECT_NE(report_->damaged.at("/d/b").find("and 1 more blob of it"), std::string::npos);
}

TEST_P(verify_test, a_copy_elsewhere_is_as_good) {
  const auto content = std::string(3000, 'a');
  pack_builder builder(storage_->begin(file_type::pack, {}));
  box sealer(repo_->master_key());
  builder.add({blob_type::data, sha256(as_bytes(content))}, sealer.seal(as_bytes(content)), 0);
  (void)builder.finish(sealer);
  const auto name = builder.name();
  builder.save({file_type::pack, name});
  const indexed_pack entry{name, {builder.blobs().begin(), builder.blobs().end()}};
  repo_->save_unpacked(file_type::index, encode_index({&entry, 1}));
  damage(content);
  EXPECT_EQ(run().damaged, 0u);
}

TEST_P(verify_test, what_trees_alone_tell) {
  auto& r = *repo_;
  auto lost = make_node("lost", node_type::file);
  lost.content = std::vector{sha256(as_bytes("nowhere")), sha256(as_bytes("nor this"))};
  auto longer = make_file(r, "longer", {"12345"});
  longer.size = 6;
  auto gone = make_node("gone", node_type::dir);
  gone.subtree = sha256(as_bytes("no tree"));
  const auto tree = save_tree(r, {lost, longer, gone, make_node("nolist", node_type::file),
                                  make_node("notree", node_type::dir), make_node("odd", node_type::irregular), inner_});
  r.flush();
  (void)run(tree);
  EXPECT_EQ(report_->damaged_paths(), (paths{"/lost", "/longer", "/gone", "/nolist", "/notree", "/odd"}));
  EXPECT_NE(report_->damaged.at("/lost").find("is in no index; and 1 more blob of it"), std::string::npos);
  EXPECT_NE(report_->damaged.at("/longer").find("says 6 bytes, but its content has 5"), std::string::npos);
  EXPECT_NE(report_->damaged.at("/gone").find("no index lists it"), std::string::npos);
  (void)run(*gone.subtree);
  EXPECT_EQ(report_->damaged_paths(), paths{"/"});
}

TEST_P(verify_test, names_that_a_restore_refuses) {
  std::string json = "{\"nodes\":[";
  for (const auto* name : {"a", "..", "x/y", "a"}) {
    auto made = make_file(*repo_, name, {"and more"});
    if (json.back() != '[') json += ',';
    append_node_json(json, made);
  }
  const auto tree = repo_->save_blob(blob_type::tree, as_bytes(json + "]}\n")).id;
  repo_->flush();
  report_ = std::make_unique<recording_verify>();
  (void)verify(*open_repository(storage_), tree, {}, *report_);
  EXPECT_EQ(report_->damaged_paths(), (paths{"/..", "/x/y", "/a"}));
}

TEST_P(verify_test, only_what_is_selected) {
  damage("and more");
  verify_options options;
  selection_patterns patterns;
  patterns.exclude = {"/d"};
  options.select = select_by_patterns(patterns);
  auto result = run(options);
  EXPECT_EQ(report_->damaged_paths(), paths{"/same"});
  EXPECT_EQ(result.total_files, 3u);
  patterns = {};
  patterns.include = {"a"};
  options.select = select_by_patterns(patterns);
  result = run(options);
  EXPECT_EQ(result.damaged, 0u);
  EXPECT_EQ(result.blobs, 1u);
}

TEST_P(verify_test, can_be_stopped) {
  std::stop_source stop;
  stop.request_stop();
  verify_options options;
  options.stop = stop.get_token();
  expect_error(error_code::interrupted, "interrupted", [&] { (void)run(options); });
}

TEST(verify_sample, chosen_by_the_seed_alone_and_each_file_as_likely) {
  const auto storage = std::make_shared<memory_backend>();
  const auto repo = make_repository(storage);
  std::vector<node> directories;
  for (int d = 0; d < 10; ++d) {
    std::vector<node> files;
    for (int f = 0; f < 20; ++f)
      files.push_back(make_file(*repo, "f" + std::to_string(f), {std::to_string(d) + " " + std::to_string(f)}));
    directories.push_back(make_directory(*repo, "d" + std::to_string(d), files));
  }
  const auto tree = save_tree(*repo, directories);
  repo->flush();
  // All contents are gone, so that the files looked at are those told to be damaged.
  std::set<id> packs;
  repo->index().for_each([&](const blob_location& place) {
    if (place.blob.handle.type == blob_type::data) packs.insert(place.pack);
  });
  for (const auto& pack : packs) storage->remove({file_type::pack, pack});

  const auto chosen = [&](const decltype(file_sample::share)& share, std::uint64_t seed, unsigned threads = 2) {
    verify_options options;
    options.sample = {share, seed};
    options.threads = threads;
    recording_verify report;
    const auto result = verify(*repo, tree, options, report);
    EXPECT_EQ(result.total_files, 200u);
    EXPECT_EQ(result.files, report.damaged.size());
    return report.damaged_paths();
  };
  EXPECT_EQ(chosen(file_percentage{10}, 1).size(), 20u);
  EXPECT_EQ(chosen(file_percentage{0.1}, 1).size(), 1u);
  EXPECT_EQ(chosen(file_percentage{100}, 1).size(), 200u);
  EXPECT_EQ(chosen(file_count{7}, 1).size(), 7u);
  EXPECT_EQ(chosen(file_count{1000}, 1).size(), 200u);
  EXPECT_EQ(chosen(file_count{7}, 1, 1), chosen(file_count{7}, 1, 3));
  EXPECT_NE(chosen(file_count{7}, 1), chosen(file_count{7}, 2));
  const auto few = chosen(file_count{7}, 1), more = chosen(file_count{50}, 1);
  EXPECT_TRUE(std::ranges::includes(more, few));

  std::map<std::string, int> times;
  constexpr int seeds = 400;
  for (std::uint64_t seed = 0; seed < seeds; ++seed)
    for (const auto& path : chosen(file_percentage{25}, seed)) ++times[path];
  ASSERT_EQ(times.size(), 200u);
  // Binomial with mean 100 and deviation 8.7; five deviations leave 200 files one chance in ten thousand.
  for (const auto& [path, count] : times) EXPECT_NEAR(count, 100, 44) << path;
}

// ---- live files -----------------------------------------------------------------------------------------------------

class live_test : public testing::Test {
protected:
  live_test() : storage_(std::make_shared<memory_backend>()), repo_(make_repository(storage_)) { repo_->load_index(); }

  void back_up(const std::vector<std::string>& targets) {
    const auto result = recoup::back_up(*repo_, options_for(targets));
    found_.id = *result.snapshot_id;
    found_.snapshot = repo_->load_snapshot(found_.id);
  }

  std::map<std::string, std::string> compare(live_options options = {}) {
    if (options.place.directory.empty()) options.place = original_place(*repo_, found_);
    report_ = std::make_unique<recording_verify>();
    result_ = compare_live(*repo_, find_subtree(*repo_, found_.snapshot.tree, found_.subfolder), options, *report_);
    EXPECT_EQ(result_.differences(), report_->different.size());
    EXPECT_TRUE(report_->damaged.empty()) << report_->damaged.begin()->second;
    std::map<std::string, std::string> found;
    const auto prefix = options.place.directory == "/" && found_.subfolder.empty() ? home_.path().string() : "";
    for (const auto& [path, what] : report_->different) {
      EXPECT_TRUE(path.starts_with(prefix)) << path;
      found.emplace(path.substr(prefix.size()), what);
    }
    return found;
  }

  void set_time(const std::string& name, std::int64_t seconds) const {
    const timespec times[2] = {{seconds, 5}, {seconds, 5}};
    ASSERT_EQ(::utimensat(home_.fd(), name.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << name;
  }

  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
  unique_directory home_;
  found_snapshot found_;
  std::unique_ptr<recording_verify> report_;
  live_result result_;
};

using differences = std::map<std::string, std::string>;

TEST_F(live_test, each_kind_of_difference) {
  for (const auto* name : {"t/same", "t/gone", "t/size", "t/content", "t/mode", "t/time", "t/owner", "t/attribute",
                           "t/type", "t/becomes/f", "t/lost/deep/f"})
    home_.write(name, std::string("content of ") + name);
  fs::create_symlink("here", home_ / "t/link");
  home_.write("t/large", std::string(9'000'000, 'x') + "end");
  back_up({home_ / "t"});
  EXPECT_EQ(compare(), differences{});
  EXPECT_EQ(result_.total_files, 12u);
  EXPECT_EQ(result_.files, 12u);
  EXPECT_GE(result_.entries, 17u);  // and the directories above

  const auto keep_time = [&](const std::string& name, const auto& change) {
    const auto when = fs::last_write_time(home_ / name);
    change();
    fs::last_write_time(home_ / name, when);
  };
  fs::remove(home_ / "t/gone");
  keep_time("t/size", [&] { home_.write("t/size", "longer than it was before"); });
  keep_time("t/content", [&] { home_.write("t/content", "Content of t/content"); });
  keep_time("t/large", [&] { home_.write("t/large", std::string(9'000'000, 'x') + "End"); });
  fs::permissions(home_ / "t/mode", fs::perms(0711));
  set_time("t/time", 1'000'000);
  keep_time("t/attribute", [&] { ASSERT_EQ(::setxattr((home_ / "t/attribute").c_str(), "user.a", "b", 1, 0), 0); });
  fs::remove(home_ / "t/type");
  fs::create_directory(home_ / "t/type");
  fs::remove_all(home_ / "t/becomes");
  fs::create_symlink("elsewhere", home_ / "t/becomes");
  fs::remove_all(home_ / "t/lost");
  fs::remove(home_ / "t/link");
  fs::create_symlink("there", home_ / "t/link");
  home_.write("t/new/file", "x");
  const bool is_root = ::geteuid() == 0;
  if (is_root) {
    ASSERT_EQ(::chown((home_ / "t/owner").c_str(), 12, 13), 0);
  }

  differences expected{{"/t", "changed mtime"},
                       {"/t/gone", "missing"},
                       {"/t/size", "changed size"},
                       {"/t/content", "changed content"},
                       {"/t/large", "changed content"},
                       {"/t/mode", "changed mode"},
                       {"/t/time", "changed mtime"},
                       {"/t/attribute", "changed xattrs"},
                       {"/t/type", "changed type"},
                       {"/t/becomes", "changed type"},
                       {"/t/becomes/f", "missing"},
                       {"/t/lost", "missing"},
                       {"/t/lost/deep", "missing"},
                       {"/t/lost/deep/f", "missing"},
                       {"/t/link", "changed target mtime"}};
  if (is_root) expected["/t/owner"] = "changed owner";
  EXPECT_EQ(compare(), expected);
  EXPECT_EQ(result_.missing, 5u);
  EXPECT_EQ(result_.content_changed, 6u);

  live_options options;
  options.with_extra = true;
  auto with_extra = expected;
  with_extra["/t/new"] = "extra";
  EXPECT_EQ(compare(options), with_extra);

  options.with_extra = false;
  options.ignores = [](file_property) { return true; };
  std::erase_if(expected, [](const auto& each) {
    return each.second == "changed mode" || each.second == "changed mtime" || each.second == "changed owner" ||
           each.second == "changed xattrs";
  });
  expected["/t/link"] = "changed target";
  EXPECT_EQ(compare(options), expected);

  options.sample = {file_count{1}, 5};
  std::size_t contents = 0;
  for (const auto& [path, what] : compare(options)) contents += what == "changed content" ? 1 : 0;
  EXPECT_LE(contents, 1u);
  EXPECT_LE(result_.files, 1u);
}

TEST_F(live_test, places) {
  home_.write("t/d/f", "x");
  home_.write("beside", "not backed up");
  back_up({home_ / "t"});
  EXPECT_EQ(original_place(*repo_, found_).directory, "/");
  live_options options;
  options.with_extra = true;
  EXPECT_EQ(compare(options), differences{});  // what lies beside the target is none of the snapshot's business
  set_time("beside", 5);

  found_.subfolder = home_ / "t/d";
  EXPECT_EQ(original_place(*repo_, found_).directory, home_ / "t/d");
  home_.write("t/d/new", "");
  options.ignores = [](file_property) { return true; };
  EXPECT_EQ(compare(options), (differences{{"/new", "extra"}}));
  found_.subfolder = home_.path().string();
  EXPECT_EQ(original_place(*repo_, found_).targets, std::vector<std::string>{"/t"});
  EXPECT_EQ(compare(options), (differences{{"/t/d/new", "extra"}}));

  // Elsewhere all counts.
  home_.write("copy/t/d/f", "x");
  home_.write("copy/more", "");
  options.place.directory = home_ / "copy";
  EXPECT_EQ(compare(options), (differences{{"/more", "extra"}}));
  options.place.directory = home_ / "nowhere";
  EXPECT_EQ(compare(options), (differences{{"/", "unreadable"},
                                           {"/t", "missing"},
                                           {"/t/d", "missing"},
                                           {"/t/d/f", "missing"}}));
}

TEST_F(live_test, relative_targets) {
  home_.write("in/t/f", "x");
  home_.write("in/u", "y");
  const auto before = fs::current_path();
  fs::current_path(home_ / "in");
  back_up({"t", "u"});
  EXPECT_EQ(original_place(*repo_, found_).directory, home_ / "in");
  EXPECT_EQ(original_place(*repo_, found_).targets, (std::vector<std::string>{"/t", "/u"}));
  found_.subfolder = "/t";
  EXPECT_EQ(original_place(*repo_, found_).directory, home_ / "in/t");
  found_.subfolder.clear();
  back_up({"."});
  EXPECT_EQ(original_place(*repo_, found_).directory, home_ / "in");
  EXPECT_EQ(original_place(*repo_, found_).targets, std::vector<std::string>{"/"});
  fs::current_path(home_ / "in/t");
  back_up({"../u", "f"});
  expect_error(error_code::invalid_argument, "--target", [&] { (void)original_place(*repo_, found_); });
  fs::current_path(before);
}

}  // namespace
}  // namespace recoup
