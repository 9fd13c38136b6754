// Long trees and other long blobs: what comes piece by piece is what the whole would be, or the same error.
#include <recoup/repo/blob_stream.hpp>
#include <recoup/repo/tree_parts.hpp>
#include <recoup/repo/tree_reader.hpp>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "made_snapshot.hpp"
#include "test_data.hpp"

namespace recoup {
namespace {

/// Nothing if it is no tree.
std::optional<std::vector<node>> whole(std::string_view text) {
  try {
    return decode_tree(as_bytes(text));
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::damaged);
    return std::nullopt;
  }
}

struct cut_tree {
  std::optional<std::vector<node>> nodes;
  std::size_t parts = 0, longest = 0;
};

/// The same by way of tree_parts, the text coming in pieces of random lengths.
cut_tree in_parts(std::string_view text, std::size_t usual, std::mt19937& random) {
  cut_tree result;
  std::vector<node> nodes;
  const auto decode = [&](const std::string& part) {
    ++result.parts;
    result.longest = std::max(result.longest, part.size());
    for (auto& each : decode_tree(as_bytes(part))) nodes.push_back(std::move(each));
  };
  try {
    tree_parts parts(usual);
    while (!text.empty()) {
      const auto length = std::min<std::size_t>(text.size(), std::uniform_int_distribution<std::size_t>(1, 400)(random));
      parts.add(as_bytes(text.substr(0, length)));
      text.remove_prefix(length);
      while (const auto part = parts.next()) decode(*part);
    }
    decode(parts.rest());
    result.nodes = std::move(nodes);
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::damaged);
  }
  return result;
}

std::string some_tree(std::mt19937& random, int count) {
  std::string json = "{\"nodes\":[";
  for (int i = 0; i < count; ++i) {
    node made = made_snapshot::entry("n" + std::to_string(1000 + i) + ",]}[{\"\\", node_type::file, 0644);
    made.content.emplace(random() % 4, sha256(as_bytes(std::to_string(i))));
    if (random() % 3 == 0) made.extended_attributes = {{"user.a\\\"", bytes(random() % 300, 7)}};
    if (json.back() != '[') json += ',';
    append_node_json(json, made);
  }
  return json + "]}\n";
}

TEST(tree_parts, together_are_the_tree) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const auto text = some_tree(random, static_cast<int>(random() % 60));
    const auto usual = std::uniform_int_distribution<std::size_t>(1, 3000)(random);
    const auto cut = in_parts(text, usual, random);
    ASSERT_TRUE(cut.nodes);
    EXPECT_EQ(*cut.nodes, *whole(text));
    constexpr std::size_t longest_node = 2000;
    EXPECT_LE(cut.longest, usual + longest_node);
    EXPECT_GE(cut.parts, text.size() / (usual + longest_node));
  }
}

TEST(tree_parts, of_what_is_no_tree_are_refused_where_the_whole_is) {
  std::mt19937 random(2);
  constexpr std::string_view favourites = "{}[],:\"\\ \n\t0az";
  std::size_t refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto text = some_tree(random, static_cast<int>(random() % 6));
    for (auto changes = random() % 4; changes != 0; --changes) {
      const auto at = random() % text.size();
      const auto put = favourites[random() % favourites.size()];
      switch (random() % 3) {
        case 0: text[at] = put; break;
        case 1: text.insert(at, 1, put); break;
        default: text.erase(at, 1 + random() % 3); break;
      }
      if (text.empty()) text = "{";
    }
    const auto expected = whole(text);
    const auto cut = in_parts(text, 1 + random() % 500, random);
    ASSERT_EQ(cut.nodes, expected) << text;
    refused += expected ? 0 : 1;
  }
  EXPECT_GT(refused, 1000u);
}

TEST(tree_parts, see_a_comma_without_a_node) {
  std::mt19937 random(3);
  for (const std::string text : {R"({"nodes":[{"name":"a"},]})", R"({"nodes":[{"name":"a"}, ]})", R"({"nodes":[,{"name":"a"}]})",
                                 R"({"nodes":[{"name":"a"},,{"name":"b"}]})", R"({"nodes":[,]})"}) {
    EXPECT_FALSE(whole(text)) << text;
    for (const std::size_t usual : {1u, 11u, 12u, 20u, 30u, 100u}) EXPECT_FALSE(in_parts(text, usual, random).nodes) << text;
  }
}

TEST(tree_parts, leave_other_forms_whole) {
  std::mt19937 random(4);
  for (const std::string text : {R"({ "nodes":[{"name":"a"},{"name":"b"}]})", R"({"other":1,"nodes":[{"name":"a"},{"name":"b"}]})",
                                 R"({"nodes":[{"name":"a"},{"name":"b"}],"other":[{"name":"c"},{"name":"d"}]})", R"({"nodes":null})"}) {
    ASSERT_TRUE(whole(text)) << text;
    EXPECT_EQ(in_parts(text, 1, random).nodes, whole(text)) << text;
  }
}

/// Storage that counts, and that changes a byte of a pack when told to.
class altered_backend : public memory_backend {
public:
  void load(const stored_file& file, std::uint64_t offset, byte_span into) override {
    memory_backend::load(file, offset, into);
    if (file.type != file_type::pack) return;
    longest = std::max(longest, into.size());
    loaded += into.size();
    if (loaded > sound_bytes && !into.empty()) into.front() ^= 1;
  }
  std::uint64_t loaded = 0, sound_bytes = UINT64_MAX;
  std::size_t longest = 0;
};

bytes content_of(blob_stream& stream) {
  bytes all;
  for (byte_view piece; !(piece = stream.next()).empty();) append(all, piece);
  return all;
}

class long_blobs : public testing::TestWithParam<unsigned> {
protected:
  std::shared_ptr<altered_backend> storage = std::make_shared<altered_backend>();
  std::shared_ptr<repository> repo = [this] {
    create_options choice;
    choice.kdf = scrypt_parameters{16, 1, 1};
    choice.version = GetParam();
    auto made = repository::create(storage, "password", choice);
    made->load_index();
    return made;
  }();
  blob_handle save(byte_view content) {
    const auto name = repo->save_blob(blob_type::data, content).id;
    repo->flush();
    return {blob_type::data, name};
  }
};

TEST_P(long_blobs, come_as_they_are) {
  std::mt19937 random(5);
  constexpr auto piece = blob_stream::piece_size;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, piece - 1, piece, piece + 1, 3 * piece, std::size_t{3'333'333}})
    for (const bool is_text : {false, true}) {
      bytes content(size);
      for (auto& each : content) each = static_cast<std::uint8_t>(is_text ? 'a' + random() % 4 : random());
      const auto blob = save(content);
      blob_stream stream(*repo, blob);
      EXPECT_EQ(content_of(stream), content) << size;
    }
  EXPECT_LE(storage->longest, piece + box_overhead);
}

TEST_P(long_blobs, are_verified_before_anything_of_them_is_given) {
  std::mt19937 random(6);
  bytes content(1'500'000);
  for (auto& each : content) each = static_cast<std::uint8_t>(random());
  const auto blob = save(content);
  storage->loaded = 0;
  blob_stream sound(*repo, blob);
  const auto once = storage->loaded;
  EXPECT_EQ(content_of(sound), content);
  for (int round = 0; round < 20; ++round) {
    storage->loaded = 0;
    storage->sound_bytes = random() % once;
    expect_error(error_code::damaged, "wrong MAC", [&] { blob_stream(*repo, blob); });
  }
  storage->loaded = 0;
  storage->sound_bytes = once + 600'000;
  blob_stream changed(*repo, blob);
  expect_error(error_code::damaged, "wrong MAC", [&] { (void)content_of(changed); });
}

TEST_P(long_blobs, have_the_hash_that_they_are_named_by) {
  const std::string content(2'000'000, 'x');
  const auto blob = save(as_bytes(content));
  auto place = repo->index().find(blob).value();
  place.blob.handle.id = sha256(as_bytes("something else"));
  repo->index().add_pack(place.pack, std::span(&place.blob, 1));
  expect_error(error_code::damaged, "hash", [&] { blob_stream(*repo, place.blob.handle); });
  place.blob.handle.id = sha256(as_bytes("too short"));
  if (place.blob.is_compressed()) {
    --place.blob.uncompressed_length;
    repo->index().add_pack(place.pack, std::span(&place.blob, 1));
    expect_error(error_code::damaged, "length", [&] { blob_stream(*repo, place.blob.handle); });
  }
  expect_error(error_code::not_found, "no index", [&] { blob_stream(*repo, {blob_type::data, id{}}); });
}

INSTANTIATE_TEST_SUITE_P(versions, long_blobs, testing::Values(1u, 2u));

TEST(tree_reader, reads_trees_of_any_length) {
  const auto storage = std::make_shared<altered_backend>();
  made_snapshot files(storage);
  for (const int count : {0, 1, 1000, 2000, 20'000}) {
    std::vector<node> entries;
    for (int i = 0; i < count; ++i) entries.push_back(made_snapshot::entry("file " + std::to_string(100'000 + i), node_type::file, 0644));
    const auto tree = files.tree_as_it_is(entries);
    files.repo->flush();
    tree_reader reader(*files.repo, tree);
    std::vector<node> read;
    while (auto* const each = reader.next()) read.push_back(*each);
    EXPECT_EQ(read, decode_tree(files.repo->load_blob(blob_type::tree, tree))) << count;
    const auto found = find_in_tree(*files.repo, tree, "file 100999");
    EXPECT_EQ(found.has_value(), count >= 1000);
    EXPECT_FALSE(find_in_tree(*files.repo, tree, "file"));
  }
}

}  // namespace
}  // namespace recoup
