// Single objects as people see them, and lists of ids.
#include <recoup/ops/cat.hpp>
#include <recoup/ops/list.hpp>
#include <recoup/repo/lock.hpp>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

class cat_test : public testing::Test {
protected:
  cat_test() : storage_(std::make_shared<memory_backend>()) {
    repository_options options;
    options.on_warning = [this](const std::string& text) { warnings_.push_back(text); };
    repo_ = make_repository(storage_, 2, options);
    tree_ = save_tree(*repo_, {make_directory(*repo_, "d", {make_file(*repo_, "f", {"content"})})});
    snapshot_ = save_snapshot(*repo_, tree_).id;
  }

  std::string print(cat_object what, std::string_view name = {}) {
    std::string text;
    cat(*repo_, what, name, [&](byte_view part) { text += as_text(part); });
    return text;
  }

  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
  std::vector<std::string> warnings_;
  id tree_, snapshot_;
};

TEST_F(cat_test, files_of_json) {
  const auto& config = repo_->config();
  EXPECT_EQ(print(cat_object::config), "{\n  \"version\": 2,\n  \"id\": \"" + config.id +
                                           "\",\n  \"chunker_polynomial\": \"" + config.chunker_polynomial.hex() +
                                           "\"\n}");
  const auto shown = print(cat_object::snapshot, snapshot_.short_hex());
  EXPECT_TRUE(shown.starts_with("{\n  \"time\": \"2023-11-14T22:13:20Z\",\n  \"tree\": \"" + tree_.hex() +
                                "\",\n  \"paths\": [\n    \"/\"\n  ],\n"));
  EXPECT_EQ(print(cat_object::snapshot, "latest"), shown);
  EXPECT_EQ(decode_snapshot(as_bytes(shown)), repo_->load_snapshot(snapshot_));

  const auto index = repo_->list(file_type::index).front().name;
  EXPECT_TRUE(print(cat_object::index, index.hex()).starts_with("{\"packs\":["));

  const auto key = print(cat_object::key, repo_->key_id().hex());
  EXPECT_EQ(decode_key_file(as_bytes(key)), load_key_file(*storage_, repo_->key_id()));
  EXPECT_TRUE(decode_master_key(as_bytes(print(cat_object::masterkey))).raw().size() == 64);

  const repository_lock lock(*repo_, {});
  const auto held = print(cat_object::lock, repo_->list(file_type::lock).front().name.short_hex());
  EXPECT_NE(held.find("\n  \"pid\": " + std::to_string(::getpid())), std::string::npos);
}

TEST_F(cat_test, blobs_trees_and_packs) {
  const auto content = sha256(as_bytes("content"));
  EXPECT_EQ(print(cat_object::blob, content.hex()), "content");
  EXPECT_EQ(print(cat_object::blob, content.hex().substr(0, 12)), "content");
  EXPECT_TRUE(print(cat_object::blob, tree_.hex()).starts_with("{\"nodes\":["));
  EXPECT_EQ(print(cat_object::tree, "latest"), print(cat_object::blob, tree_.hex()));
  EXPECT_NE(print(cat_object::tree, snapshot_.short_hex() + ":d").find("\"name\":\"f\""), std::string::npos);
  expect_error(error_code::not_found, "blob not found", [&] { (void)print(cat_object::blob, sha256({}).hex()); });
  expect_error(error_code::not_found, "not found in the snapshot",
               [&] { (void)print(cat_object::tree, "latest:none"); });

  const auto pack = repo_->list(file_type::pack).front().name;
  EXPECT_EQ(sha256(as_bytes(print(cat_object::pack, pack.hex()))), pack);
  EXPECT_TRUE(warnings_.empty());
  storage_->save({file_type::pack, pack}, as_bytes("damaged"));
  EXPECT_EQ(print(cat_object::pack, pack.hex()), "damaged");
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find(pack.hex()), std::string::npos);
}

TEST(cat_object, has_names) {
  EXPECT_EQ(parse_cat_object("masterkey"), cat_object::masterkey);
  EXPECT_EQ(parse_cat_object("tree"), cat_object::tree);
  EXPECT_FALSE(parse_cat_object("snapshots"));
  EXPECT_TRUE(is_raw(cat_object::pack));
  EXPECT_FALSE(is_raw(cat_object::index));
}

TEST(indented_json, is_what_go_makes) {
  EXPECT_EQ(indented_json("{}"), "{}");
  EXPECT_EQ(indented_json("[]"), "[]");
  EXPECT_EQ(indented_json(R"({"a":[],"b":{"c":[1,2]},"d":"x,\"}{:[","e":null})"),
            "{\n  \"a\": [],\n  \"b\": {\n    \"c\": [\n      1,\n      2\n    ]\n  },\n  \"d\": \"x,\\\"}{:[\",\n  "
            "\"e\": null\n}");
}

TEST_F(cat_test, lists) {
  std::vector<std::string> blobs;
  list_blobs(*repo_, [&](const id& pack, const packed_blob& blob) {
    EXPECT_TRUE(repo_->index().contains_pack(pack));
    blobs.push_back(std::string(name_of(blob.handle.type)) + " " + blob.handle.id.hex());
  });
  EXPECT_EQ(blobs.size(), 3u);
  EXPECT_NE(std::ranges::find(blobs, "tree " + tree_.hex()), blobs.end());
  EXPECT_EQ(list_packs_of(*repo_, tree_).size(), 2u);
}

TEST(listed_type, has_names) {
  EXPECT_EQ(parse_listed_type("packs"), file_type::pack);
  EXPECT_EQ(parse_listed_type("index"), file_type::index);
  EXPECT_FALSE(parse_listed_type("blobs"));
}

}  // namespace
}  // namespace recoup
