// Trees made out of trees, and snapshots out of snapshots: what is kept, what changes, what is refused.
#include <recoup/ops/repair_snapshots.hpp>
#include <recoup/ops/rewrite.hpp>

#include <random>
#include <set>

#include <recoup/storage/fault.hpp>

#include "made_snapshot.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

/// Rules made of functions, which count how often they are asked.
class test_rules : public tree_rules {
public:
  node_fate apply(node& entry, const std::string& path) override {
    asked.push_back(path);
    return on_node ? on_node(entry, path) : node_fate::kept;
  }
  bool keeps_empty_directory(const std::string& path) override { return !on_empty || on_empty(path); }
  unreadable_tree_fate on_unreadable(const std::string& path, const error& problem) override {
    unreadable.push_back(path);
    return tolerates ? unreadable_tree_fate::emptied : throw problem;
  }

  std::function<node_fate(node&, const std::string&)> on_node;
  std::function<bool(const std::string&)> on_empty;
  bool tolerates = false;
  std::vector<std::string> asked, unreadable;
};

class tree_rewriter_test : public testing::Test {
protected:
  [[nodiscard]] rewritten_tree rewrite(const id& root, tree_rewriter_options options = {}) {
    made_.repo->flush();
    auto result = tree_rewriter(*made_.repo, rules_, std::move(options)).run(root);
    made_.repo->flush();
    return result;
  }
  [[nodiscard]] std::set<std::string> paths_in(const id& root) {
    std::set<std::string> paths;
    for (const auto& [path, what] : all_of(*made_.repo, root)) paths.insert(path);
    return paths;
  }

  made_snapshot made_;
  test_rules rules_;
};

TEST_F(tree_rewriter_test, asks_in_the_order_of_paths_and_counts) {
  const auto root = made_.tree({made_.file("b", {"12", "3"}), made_.directory("a", {made_.file("x", {"4"}), made_.symlink("y", "x")}),
                                made_.directory("c", {})});
  const auto result = rewrite(root);
  EXPECT_EQ(rules_.asked, (std::vector<std::string>{"/a", "/a/x", "/a/y", "/b", "/c"}));
  EXPECT_EQ(result.tree, root);
  EXPECT_EQ(result.files, 2u);
  EXPECT_EQ(result.bytes, 4u);
}

TEST_F(tree_rewriter_test, what_is_dropped_is_gone_with_all_below) {
  const auto root = made_.tree({made_.directory("a", {made_.directory("gone", {made_.file("x", {"1"})}), made_.file("z", {"2"})}),
                                made_.file("gone", {"3"})});
  rules_.on_node = [](const node& entry, const std::string&) {
    return entry.name == "gone" ? node_fate::dropped : node_fate::kept;
  };
  const auto result = rewrite(root);
  EXPECT_EQ(result.tree, made_.tree({made_.directory("a", {made_.file("z", {"2"})})}));
  EXPECT_EQ(result.bytes, 1u);
  EXPECT_EQ(std::ranges::count(rules_.asked, "/a/gone/x"), 0);
}

TEST_F(tree_rewriter_test, directories_that_became_empty_go_if_the_rules_say_so) {
  const auto root = made_.tree({made_.directory("a", {made_.directory("b", {made_.file("x", {"1"})})}), made_.directory("kept", {})});
  rules_.on_node = [](const node& entry, const std::string&) {
    return entry.type == node_type::file ? node_fate::dropped : node_fate::kept;
  };
  rules_.on_empty = [](const std::string& path) { return path == "/kept"; };
  EXPECT_EQ(rewrite(root).tree, made_.tree({made_.directory("kept", {})}));
  rules_.on_empty = [](const std::string&) { return false; };
  EXPECT_FALSE(rewrite(root).tree);
}

TEST_F(tree_rewriter_test, remembers_by_path_or_by_tree) {
  const auto twin = [&](const char* name) { return made_.directory(name, {made_.file("x", {"1"})}); };
  const auto root = made_.tree({twin("a"), twin("b")});
  rules_.on_node = [](const node&, const std::string& path) {
    return path == "/b/x" ? node_fate::dropped : node_fate::kept;
  };
  tree_rewriter trees(*made_.repo, rules_);
  const auto run = [&](const id& tree) {
    made_.repo->flush();
    auto result = trees.run(tree);
    made_.repo->flush();
    return result;
  };
  const auto first = run(root);
  EXPECT_EQ(paths_in(*first.tree), (std::set<std::string>{"/a", "/a/x", "/b"}));
  EXPECT_EQ(rules_.asked.size(), 4u);
  // The next snapshot has the same below another root: nothing but that is looked at.
  const auto next = run(made_.tree({twin("a"), twin("b"), made_.file("c", {"2"})}));
  EXPECT_EQ(rules_.asked.size(), 7u);
  EXPECT_EQ(next.bytes, 2u);
  EXPECT_EQ(run(root).bytes, first.bytes);
  EXPECT_EQ(rules_.asked.size(), 7u);

  rules_.asked.clear();
  tree_rewriter_options options;
  options.path_matters = false;
  EXPECT_EQ(rewrite(root, options).files, 2u);
  EXPECT_EQ(rules_.asked.size(), 3u);
  rules_.asked.clear();
  options.remember = false;
  (void)rewrite(root, options);
  EXPECT_EQ(rules_.asked.size(), 4u);
}

TEST_F(tree_rewriter_test, refuses_what_it_cannot_write_again) {
  const std::string mine = "{\"nodes\":[{\"name\":\"x\",\"type\":\"symlink\",\"mtime\":\"2024-01-01T00:00:00Z\",\"atime\":"
                           "\"2024-01-01T00:00:00Z\",\"ctime\":\"2024-01-01T00:00:00Z\",\"uid\":0,\"gid\":0,\"content\":null";
  EXPECT_NO_THROW((void)rewrite(made_.raw_tree(mine + "}]}\n")));
  for (const auto& odd : {mine + "}]}", mine + ",\"label\":1}]}\n", mine + "}],\"more\":1}\n", mine + "} ]}\n"}) {
    auto directory = made_.entry("odd", node_type::dir, 0755);
    directory.subtree = made_.raw_tree(odd);
    try {
      (void)rewrite(made_.tree({directory}));
      ADD_FAILURE() << odd;
    } catch (const error& problem) {
      EXPECT_STREQ(problem.what(), "cannot encode tree at \"/odd\" without losing information");
    }
    tree_rewriter_options lossy;
    lossy.refuse_loss = false;
    const auto same = made_.tree({directory});
    EXPECT_EQ(rewrite(same, lossy).tree, same) << "what does not change keeps its bytes";
  }
}

TEST_F(tree_rewriter_test, hostile_trees_end_it_or_pass_but_do_no_harm) {
  const auto x = made_.file("x", {"1"});
  for (const auto& nodes : {std::vector{x, x}, {made_.file("b", {}), made_.file("a", {})}, {made_.file("", {})}})
    EXPECT_THROW((void)rewrite(made_.tree_as_it_is(nodes)), error);
  // Odd names are no paths here.
  rules_.on_node = [](const node& entry, const std::string&) { return entry.name == "x" ? node_fate::dropped : node_fate::kept; };
  const auto odd = made_.tree({made_.directory("..", {x, made_.file("a/b", {"2"})}), x});
  EXPECT_EQ(rewrite(odd).tree, made_.tree({made_.directory("..", {made_.file("a/b", {"2"})})}));
  for (const auto& text : {"", "{", "[]", "{\"nodes\":[{\"name\":\"x\"", "{\"nodes\":{}}", "null"})
    EXPECT_THROW((void)rewrite(made_.raw_tree(text)), error) << text;
}

TEST_F(tree_rewriter_test, depth_is_no_recursion) {
  auto tree = made_.tree({made_.file("x", {"1"}), made_.file("y", {"2"})});
  for (int i = 0; i < 20'000; ++i) {
    auto directory = made_.entry("d", node_type::dir, 0755);
    directory.subtree = tree;
    tree = made_.tree({directory});
  }
  rules_.on_node = [](const node& entry, const std::string&) { return entry.name == "x" ? node_fate::dropped : node_fate::kept; };
  tree_rewriter_options options;
  options.path_matters = false;  // hashing each path would be most of the time
  const auto result = rewrite(tree, options);
  EXPECT_NE(result.tree, tree);
  EXPECT_EQ(result.files, 1u);
}

TEST_F(tree_rewriter_test, a_directory_of_directories_that_are_the_same_is_not_walked_2_to_the_100_times) {
  auto tree = made_.tree({made_.file("x", {"1"})});
  for (int i = 0; i < 60; ++i) {
    auto a = made_.entry("a", node_type::dir, 0755), b = made_.entry("b", node_type::dir, 0755);
    a.subtree = b.subtree = tree;
    tree = made_.tree({a, b});
  }
  tree_rewriter_options options;
  options.path_matters = false;
  EXPECT_EQ(rewrite(tree, options).files, std::uint64_t{1} << 60);
}

TEST_F(tree_rewriter_test, storage_that_fails_is_not_taken_for_a_lost_tree) {
  const auto memory = std::make_shared<memory_backend>();
  const auto faulty = std::make_shared<fault_backend>(memory);
  id root;
  {
    const auto repo = make_repository(memory);
    repo->load_index();
    root = save_tree(*repo, {make_directory(*repo, "d", {make_file(*repo, "x", {"1"})})});
    repo->flush();
  }
  const auto repo = open_repository(faulty);
  fault_plan plan;
  plan.faults.push_back({.operation = storage_operation::load, .type = file_type::pack, .nth = 2});
  faulty->set_plan(plan);
  rules_.tolerates = true;
  EXPECT_THROW((void)tree_rewriter(*repo, rules_).run(root), error);
  EXPECT_TRUE(rules_.unreadable.empty());
  // One that no index lists is.
  auto lost = make_node("lost", node_type::dir);
  lost.subtree = sha256(as_bytes("lost"));
  const auto other = save_tree(*repo, {lost});
  repo->flush();
  const auto result = tree_rewriter(*repo, rules_).run(other);
  EXPECT_EQ(rules_.unreadable, std::vector<std::string>{"/lost"});
  EXPECT_NE(result.tree, other);
}

// --- snapshots ---

class rewrite_test : public testing::Test {
protected:
  rewrite_test() {
    repo_->load_index();
    for (int i = 0; i < 3; ++i) {
      top_.push_back(make_directory(*repo_, "d" + std::to_string(i),
                                    {make_file(*repo_, "keep", {"k" + std::to_string(i)}), make_file(*repo_, "x", {"xx"})}));
      old_.push_back(save_snapshot(*repo_, save_tree(*repo_, top_), 1'700'000'000 + i));
    }
  }

  [[nodiscard]] std::vector<changed_snapshot> run(const rewrite_options& options) {
    rewrite_observer nobody;
    return rewrite(*repo_, options, nobody);
  }
  [[nodiscard]] static rewrite_options without_x() {
    rewrite_options options;
    options.excludes = [](std::string_view path) { return path.ends_with("/x"); };
    return options;
  }

  std::shared_ptr<memory_backend> storage_ = std::make_shared<memory_backend>();
  std::shared_ptr<repository> repo_ = make_repository(storage_);
  std::vector<node> top_;
  std::vector<found_snapshot> old_;
};

TEST_F(rewrite_test, new_snapshots_say_where_they_come_from) {
  const auto changed = run(without_x());
  ASSERT_EQ(changed.size(), 3u);
  for (const auto& each : changed) {
    const auto old = repo_->load_snapshot(each.old), now = repo_->load_snapshot(each.now.value());
    EXPECT_EQ(now.original, each.old);
    EXPECT_EQ(now.tags, std::vector<std::string>{"rewrite"});
    EXPECT_TRUE(same_instant(now.time, old.time));
    ASSERT_TRUE(now.summary);
    EXPECT_EQ(now.summary->backup_start, node_json::no_time);
    EXPECT_EQ(now.summary->total_bytes_processed, 2 * now.summary->total_files_processed);
    for (const auto& [path, what] : all_of(*repo_, now.tree)) EXPECT_FALSE(path.ends_with("/x"));
  }
  EXPECT_TRUE(damage_in(storage_).empty());
  // By id, the ones that are new have nothing left to be excluded.
  auto again = without_x();
  for (const auto& each : changed) again.snapshots.push_back(each.now->hex());
  EXPECT_TRUE(run(again).empty());
}

TEST_F(rewrite_test, a_dry_run_tells_and_stores_nothing) {
  const auto count = [&](file_type type) { return repo_->list(type).size(); };
  const auto packs = count(file_type::pack), snapshots = count(file_type::snapshot), indexes = count(file_type::index);
  auto options = without_x();
  options.dry_run = options.forget = true;
  EXPECT_EQ(run(options).size(), 3u);
  EXPECT_EQ(count(file_type::pack), packs);
  EXPECT_EQ(count(file_type::snapshot), snapshots);
  EXPECT_EQ(count(file_type::index), indexes);
}

TEST_F(rewrite_test, including_nothing_leaves_everything_as_it_is) {
  rewrite_options options;
  options.includes = [](std::string_view) { return match_result{}; };
  options.new_host = "other";
  options.forget = true;
  EXPECT_TRUE(run(options).empty());
  for (const auto& each : old_) EXPECT_NO_THROW((void)repo_->load_snapshot(each.id));
}

TEST_F(rewrite_test, one_that_fails_leaves_those_after_it_alone) {
  auto broken = make_node("d1", node_type::dir);
  broken.subtree = sha256(as_bytes("nowhere"));
  (void)save_snapshot(*repo_, save_tree(*repo_, {broken}), 1'700'000'001 - 100'000'000);
  auto options = without_x();
  options.forget = true;
  EXPECT_THROW((void)run(options), error);
  EXPECT_EQ(repo_->list(file_type::snapshot).size(), 4u);
  for (const auto& each : old_) EXPECT_NO_THROW((void)repo_->load_snapshot(each.id));
}

/// Whatever blobs are lost, a repaired repository is whole, and everything that was not lost is still there.
TEST_F(rewrite_test, repair_makes_whole_whatever_is_lost) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 30; ++round) {
    const auto storage = storage_->copy();
    std::vector<indexed_pack> packs;
    std::set<id> lost;
    {
      // Everything into one index that keeps quiet about some blobs, as if they had never been.
      const auto repo = open_repository(storage);
      repo->index().for_each_pack([&](const id& pack, std::span<const packed_blob> blobs) {
        auto& listed = packs.emplace_back(indexed_pack{pack, {}});
        for (const auto& blob : blobs)
          random() % 4 == 0 ? (void)lost.insert(blob.handle.id) : listed.blobs.push_back(blob);
      });
      for (const auto& file : repo->list(file_type::index)) repo->remove(file_type::index, file.name);
      (void)repo->save_unpacked(file_type::index, encode_index(packs));
    }
    const auto repo = open_repository(storage);
    repair_snapshots_options options;
    options.forget = true;
    repair_snapshots_observer nobody;
    (void)repair_snapshots(*repo, options, nobody);
    for (const auto& each : old_) {
      if (lost.contains(each.snapshot.tree)) continue;
      std::optional<snapshot> now;
      for (const auto& [name, value] : repo->load_snapshots())
        if (name == each.id || value.original == each.id) now = value;
      ASSERT_TRUE(now);
      const auto found = all_of(*repo, now->tree);  // loads everything
      for (const auto& [path, what] : all_of(*repo_, each.snapshot.tree)) {
        const auto directory = path.substr(0, path.find('/', 1));
        const auto& top = *std::ranges::find(top_, directory.substr(1), &node::name);
        if (!lost.contains(*top.subtree) || path == directory) {
          EXPECT_TRUE(found.contains(path)) << path;
        }
        if (found.contains(path) && !lost.contains(sha256(as_bytes(what)))) {
          EXPECT_EQ(found.at(path), what);
        }
      }
    }
    EXPECT_TRUE(repair_snapshots(*repo, options, nobody).empty());
  }
}

}  // namespace
}  // namespace recoup
