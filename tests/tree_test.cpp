// Trees: byte for byte what restic writes, and patient with what anybody may have written.
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/tree.hpp>

#include <limits>

#include "test_data.hpp"

namespace recoup {
namespace {

std::string to_json(const node& entry) {
  std::string json;
  append_node_json(json, entry);
  return json;
}

node first_node(std::string_view fields) {
  auto nodes = decode_tree(as_bytes("{\"nodes\":[{" + std::string(fields) + "}]}\n"));
  EXPECT_EQ(nodes.size(), 1u);
  return nodes.empty() ? node{} : nodes.front();
}

void refuse(std::string_view json, std::string_view part) {
  expect_error(error_code::damaged, part, [json] { (void)decode_tree(as_bytes(json)); });
}

void refuse_field(std::string_view field, std::string_view part) {
  refuse("{\"nodes\":[{\"name\":\"a\"},{" + std::string(field) + "}]}", part);
}

/// The five nodes of restic.md, appendix A.
std::vector<node> odd_nodes() {
  node common;
  common.mtime = common.atime = {1704164645, 600'000'000, 0};
  common.uid = 1000;
  common.user = "u&g";

  auto file = common, link = common, dir = common, empty = common, fifo = common;
  file.name = "<&>.txt", file.mode = 0644, file.inode = std::numeric_limits<std::uint64_t>::max();
  file.device_id = 64769, file.size = 8, file.links = 1;
  file.extended_attributes = {{"user.z", bytes{0x00, 0xff}}, {"user.a", bytes{}}};
  file.content = {sha256(as_bytes("holdfast"))};
  link.name = "bad\xff", link.type = node_type::symlink, link.mode = 0777 | go_mode::symlink, link.inode = 2;
  link.links = 1, link.link_target = "a/<b>";
  dir.name = "dir", dir.type = node_type::dir, dir.mode = 0755 | go_mode::dir, dir.inode = 3;
  dir.subtree = sha256(as_bytes("{\"nodes\":[]}\n"));
  empty.name = "empty", empty.mode = 0600, empty.inode = 4, empty.links = 2, empty.content.emplace();
  fifo.name = "nb\u00a0sp", fifo.type = node_type::fifo, fifo.mode = 0600 | go_mode::named_pipe, fifo.inode = 5;
  return {file, link, dir, empty, fifo};
}

TEST(tree, empty_directory_has_the_id_that_restic_gives_it) {
  EXPECT_EQ(sha256(tree_writer{}.finish()).hex(), "ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8");
}

TEST(tree, odd_nodes_have_the_id_that_restic_gives_them) {
  tree_writer writer;
  for (const auto& entry : odd_nodes()) writer.add(entry);
  const auto json = writer.finish();
  EXPECT_EQ(json.size(), 1393u);
  EXPECT_EQ(sha256(json).hex(), "eca73a6f64b5177e2124a367bca3e13c56c423b0b5cdbc2deabc3ccf1129f092");
  EXPECT_EQ(decode_tree(json), odd_nodes());
}

// Made with restic 0.19.1 by tools/restic_trees.py.
TEST(tree, what_restic_wrote_encodes_to_the_same_bytes) {
  for (const auto* zone : {"utc", "st_johns", "monrovia"}) {
    const auto json = read_file(test_data("restic_trees/" + std::string(zone) + ".json"));
    const auto nodes = decode_tree(as_bytes(json));
    ASSERT_EQ(nodes.size(), 28u) << zone;
    EXPECT_TRUE(names_ascend(nodes));
    EXPECT_TRUE(encodes_the_same(as_bytes(json))) << zone;
    const auto find = [&nodes](std::string_view name) {
      return *std::ranges::find_if(nodes, [name](const node& entry) { return entry.name == name; });
    };
    EXPECT_EQ(find("bad\xff\xc3(").mode, 0u);
    EXPECT_EQ(find("link to bytes").link_target, "bad\xff\xfe&\xe2\x80\xa9");
    EXPECT_EQ(find("char").device, 0x10012cu);
    EXPECT_EQ(find("bad\xff").links, 2u);
    EXPECT_EQ(find("\xed\xa0\x80").type, node_type::file);
    const auto directory = find("dir");
    ASSERT_EQ(directory.extended_attributes.size(), 2u);
    EXPECT_TRUE(directory.subtree.has_value());
    EXPECT_FALSE(directory.content.has_value());
  }
}

TEST(tree, zero_fields_are_left_out_except_those_that_restic_always_writes) {
  EXPECT_EQ(to_json(node{}),
            R"({"name":"","type":"file","mtime":"1970-01-01T00:00:00Z","atime":"1970-01-01T00:00:00Z",)"
            R"("ctime":"1970-01-01T00:00:00Z","uid":0,"gid":0,"content":null})");
}

TEST(tree, every_field_in_its_place) {
  node all;
  all.name = "n", all.type = node_type::irregular, all.mode = 1;
  all.mtime = {1, 0, 3600}, all.atime = {2, 1, -12600}, all.ctime = {3, 500, 0};
  all.uid = std::numeric_limits<std::uint32_t>::max(), all.gid = 5, all.user = "u", all.group = "g", all.inode = 6;
  all.device_id = 7, all.size = std::numeric_limits<std::uint64_t>::max(), all.links = 8, all.link_target = "\xff";
  all.extended_attributes = {{"x", std::nullopt}, {"y", bytes{}}, {"z", bytes{1}}};
  all.generic_attributes = R"({"windows.file_attributes":32})";
  all.device = 9, all.content = {id{}, id{}}, all.subtree = id{}, all.error = "e";
  const std::string zeros(64, '0');
  const auto json = to_json(all);
  EXPECT_EQ(json,
            R"({"name":"n","type":"irregular","mode":1,"mtime":"1970-01-01T01:00:01+01:00",)"
            R"("atime":"1969-12-31T20:30:02.000000001-03:30","ctime":"1970-01-01T00:00:03.0000005Z",)"
            R"("uid":4294967295,"gid":5,"user":"u","group":"g","inode":6,"device_id":7,)"
            R"("size":18446744073709551615,"links":8,"linktarget":"\ufffd","linktarget_raw":"/w==",)"
            R"("extended_attributes":[{"name":"x","value":null},{"name":"y","value":""},{"name":"z","value":"AQ=="}],)"
            R"("generic_attributes":{"windows.file_attributes":32},"device":9,"content":[")" +
                zeros + "\",\"" + zeros + R"("],"subtree":")" + zeros + R"(","error":"e"})");
  EXPECT_EQ(first_node(json.substr(1, json.size() - 2)), all);
}

TEST(tree, no_content_and_empty_content_are_different) {
  EXPECT_FALSE(first_node(R"("name":"a","content":null)").content.has_value());
  EXPECT_FALSE(first_node(R"("name":"a")").content.has_value());
  EXPECT_TRUE(first_node(R"("name":"a","content":[])").content->empty());
}

TEST(tree, raw_link_target_wins_wherever_it_stands) {
  EXPECT_EQ(first_node(R"("linktarget":"\ufffd","linktarget_raw":"/w==")").link_target, "\xff");
  EXPECT_EQ(first_node(R"("linktarget_raw":"/w==","linktarget":"\ufffd")").link_target, "\xff");
  EXPECT_EQ(first_node(R"("linktarget":"x","linktarget_raw":null)").link_target, "x");
}

TEST(tree, names_come_back_to_the_byte) {
  EXPECT_EQ(first_node(R"("name":"bad\\xff\\xc3(")").name, "bad\xff\xc3(");
  EXPECT_EQ(first_node(R"("name":"\\u00a0\\U000e0001")").name, "\u00a0\U000e0001");
  EXPECT_EQ(first_node(R"("name":"\u003c\\\\\\\"")").name, "<\\\"");
  EXPECT_EQ(first_node(R"("name":"\\101\\000")").name, std::string("A\0", 2));
  EXPECT_EQ(first_node(R"("name":"../../etc")").name, "../../etc");
}

TEST(tree, bad_escapes_in_names_are_named) {
  refuse_field(R"("name":"x\\q")", "field nodes[1].name: bad escape in \"x\\\\q\"");
  refuse_field(R"("name":"\\xf")", "bad escape");
  refuse_field(R"("name":"\\ud800")", "bad escape");
  refuse_field(R"("name":"\\U00110000")", "bad escape");
  refuse_field(R"("name":"\\")", "bad escape");
  refuse_field(R"("name":"\"")", "bad escape");
  refuse_field(R"("name":"\n")", "bad escape");
  refuse_field(R"("name":"\\'")", "bad escape");
}

TEST(tree, unknown_types_are_kept_apart) {
  EXPECT_EQ(first_node(R"("type":"door")").type, node_type::unknown);
  EXPECT_EQ(first_node(R"("name":"a")").type, node_type::unknown);
  for (const auto type : {node_type::file, node_type::dir, node_type::symlink, node_type::dev, node_type::chardev,
                          node_type::fifo, node_type::socket, node_type::irregular})
    EXPECT_EQ(first_node("\"type\":\"" + std::string(name_of(type)) + "\"").type, type);
}

TEST(tree, times_that_are_not_there_are_go_s_zero_time) {
  EXPECT_NE(to_json(first_node(R"("name":"a","mtime":null)")).find(R"("mtime":"0001-01-01T00:00:00Z")"),
            std::string::npos);
}

TEST(tree, numbers_beyond_their_range_are_refused) {
  refuse_field(R"("size":18446744073709551616)", "nodes[1].size");
  refuse_field(R"("inode":-1)", "nodes[1].inode");
  refuse_field(R"("uid":4294967296)", "nodes[1].uid: must be an integer from 0 to 4294967295");
  refuse_field(R"("mode":4294967296)", "nodes[1].mode");
  refuse_field(R"("links":1.5)", "nodes[1].links");
}

TEST(tree, fields_of_the_wrong_kind_are_named) {
  refuse_field(R"("name":1)", "nodes[1].name: must be a string");
  refuse_field(R"("type":[])", "nodes[1].type: must be a string");
  refuse_field(R"("mtime":"2024-13-01T00:00:00Z")", "nodes[1].mtime: must be a time");
  refuse_field(R"("content":["ab"])", "nodes[1].content[0]: must be 64");
  refuse_field(R"("content":[null])", "nodes[1].content[0]: must be 64");
  refuse_field(R"("content":{})", "nodes[1].content: must be an array");
  refuse_field(R"("subtree":"ab")", "nodes[1].subtree: must be 64");
  refuse_field(R"("extended_attributes":[{"name":"a","value":"*"}])",
               "nodes[1].extended_attributes[0].value: must be base64");
  refuse_field(R"("extended_attributes":[3])", "nodes[1].extended_attributes[0]: must be an object");
  refuse_field(R"("linktarget_raw":"*")", "nodes[1].linktarget_raw: must be base64");
}

TEST(tree, generic_attributes_are_checked_and_kept) {
  EXPECT_EQ(first_node(R"("generic_attributes":{ "a" : [1, 2.50e1], "b":{"c":"d e"} })").generic_attributes,
            R"({"a":[1,2.50e1],"b":{"c":"d e"}})");
  EXPECT_EQ(first_node(R"("generic_attributes":{})").generic_attributes, "");
  EXPECT_EQ(first_node(R"("generic_attributes":null)").generic_attributes, "");
  refuse_field(R"("generic_attributes":{"a":})", "nodes[1].generic_attributes: not valid JSON");
  refuse_field(R"("generic_attributes":{"a":truth})", "nodes[1].generic_attributes: not valid JSON");
  refuse_field(R"("generic_attributes":[])", "nodes[1].generic_attributes: must be an object");
  refuse_field("\"generic_attributes\":{\"a\":" + std::string(5000, '[') + std::string(5000, ']') + "}",
               "nodes[1].generic_attributes: not valid JSON");
}

TEST(tree, fields_around_the_nodes_are_passed_over) {
  EXPECT_EQ(decode_tree(as_bytes(R"({"x":[{}],"nodes":[{"name":"a"}],"nodez":{"nodes":[]}})")).size(), 1u);
  EXPECT_TRUE(decode_tree(as_bytes(R"({"nodes":null})")).empty());
  EXPECT_TRUE(decode_tree(as_bytes(R"( { "nodes" : [ ] } )")).empty());
}

TEST(tree, refuses_what_is_no_tree) {
  refuse("", "tree is damaged");
  refuse("{}", "there is no field nodes");
  refuse("[]", "must be a JSON object");
  refuse(R"({"nodes":{}})", "field nodes: must be an array");
  refuse(R"({"nodes":[null]})", "field nodes[0]: must be an object");
  refuse(R"({"nodes":[],"nodes":[]})", "field nodes: appears twice");
  refuse(R"({"nodes":[{"name":"a"}])", "tree is damaged");
  refuse(R"({"nodes":[{"name":"a"}]}{)", "tree is damaged");
  refuse(R"({"nodes":[{"name":"a"]})", "tree is damaged");
  refuse(R"({"nodes":[{"name":"a"}{"name":"b"}]})", "tree is damaged");
  refuse("{\"nodes\":" + std::string(1 << 20, '[') + "}", "tree is damaged");
}

TEST(tree, cut_off_anywhere_is_an_error) {
  const auto json = read_file(test_data("restic_trees/utc.json"));
  for (std::size_t length = 0; length + 2 <= json.size(); ++length)
    EXPECT_THROW((void)decode_tree(as_bytes(json).first(length)), error) << length;
}

TEST(tree, names_that_do_not_ascend_can_be_read_but_not_written) {
  const auto nodes = decode_tree(as_bytes(R"({"nodes":[{"name":"b"},{"name":"a"}]})"));
  EXPECT_FALSE(names_ascend(nodes));
  EXPECT_FALSE(encodes_the_same(as_bytes(R"({"nodes":[{"name":"b"},{"name":"a"}]})")));
  tree_writer writer;
  writer.add(nodes[0]);
  expect_error(error_code::invalid_argument, "node \"a\" comes after \"b\"", [&] { writer.add(nodes[1]); });
  expect_error(error_code::invalid_argument, "ascend and differ", [&] { writer.add(nodes[0]); });
  expect_error(error_code::invalid_argument, "ascend and differ", [] { tree_writer{}.add(node{}); });
}

TEST(tree, names_are_compared_as_unsigned_bytes) {
  tree_writer writer;
  node entry;
  for (const auto* name : {"\x01", "A", "a", "\x7f", "\x80", "\xc3\xa9", "\xff"}) {
    entry.name = name;
    EXPECT_NO_THROW(writer.add(entry));
  }
}

TEST(tree, what_another_program_wrote_is_known_to_differ) {
  EXPECT_FALSE(encodes_the_same(as_bytes(R"({"nodes":[{"name":"a"}]})")));
  EXPECT_FALSE(encodes_the_same(as_bytes("{\"nodes\":[ ]}\n")));
  EXPECT_TRUE(encodes_the_same(as_bytes("{\"nodes\":[]}\n")));
}

TEST(tree, a_writer_serves_many_trees) {
  tree_writer writer;
  const auto nodes = odd_nodes();
  for (const auto& entry : nodes) writer.add(entry);
  const auto first = writer.finish();
  EXPECT_EQ(as_text(writer.finish_view()), "{\"nodes\":[]}\n");
  for (const auto& entry : nodes) writer.add(entry);
  EXPECT_EQ(writer.finish(), first);
}

TEST(tree, a_visitor_can_stop_and_can_read_other_trees) {
  const std::string inner = R"({"nodes":[{"name":"x"},{"name":"y"}]})";
  const std::string outer = R"({"nodes":[{"name":"a"},{"name":"b"},{"name":1}]})";
  std::string seen;
  decode_tree(as_bytes(outer), [&](node& entry) {
    seen += entry.name;
    decode_tree(as_bytes(inner), [&](node& below) { seen += below.name; });
    return entry.name != "b";
  });
  EXPECT_EQ(seen, "axybxy");
}

TEST(tree, safe_names) {
  for (const std::string_view name : {"a", "...", " ", "\xff", "a.b", "-", "~"})
    EXPECT_TRUE(is_safe_name(name)) << name;
  for (const auto& name : {std::string(), std::string("."), std::string(".."), std::string("/"), std::string("a/b"),
                           std::string("../x"), std::string("a\0b", 3)})
    EXPECT_FALSE(is_safe_name(name)) << name;
}

}  // namespace
}  // namespace recoup
