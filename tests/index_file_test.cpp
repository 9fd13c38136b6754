// Index files.
#include <recoup/repo/index_file.hpp>

#include <array>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <recoup/core/read_hex.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

id id_with(std::uint8_t first) {
  id result;
  result.value[0] = first;
  return result;
}

std::string hex(std::uint8_t first) { return id_with(first).hex(); }

std::vector<indexed_pack> decode(std::string_view json) {
  std::vector<indexed_pack> packs;
  decode_index(as_bytes(json), [&packs](const indexed_pack& entry) { packs.push_back(entry); });
  return packs;
}

std::string with_blob(std::string_view fields) {
  return "{\"packs\":[{\"id\":\"" + hex(1) + "\",\"blobs\":[{" + std::string(fields) + "}]}]}";
}

void refuse(std::string_view json, std::string_view part) {
  expect_error(error_code::damaged, part, [json] { (void)decode(json); });
}

TEST(index_file, encodes_as_restic_does) {
  indexed_pack first{id_with(1),
                     {{{blob_type::data, id_with(2)}, 0, 38, 0}, {{blob_type::tree, id_with(3)}, 38, 100, 500}}};
  indexed_pack second{id_with(4), {}};
  const std::vector<indexed_pack> packs{first, second};
  const auto json = encode_index(packs);
  EXPECT_EQ(json, "{\"packs\":[{\"id\":\"" + hex(1) + "\",\"blobs\":[{\"id\":\"" + hex(2) +
                      "\",\"type\":\"data\",\"offset\":0,\"length\":38},{\"id\":\"" + hex(3) +
                      "\",\"type\":\"tree\",\"offset\":38,\"length\":100,\"uncompressed_length\":500}]},{\"id\":\"" +
                      hex(4) + "\",\"blobs\":[]}]}\n");
  const auto decoded = decode(json);
  ASSERT_EQ(decoded.size(), 2u);
  EXPECT_EQ(decoded[0].pack, first.pack);
  EXPECT_EQ(encode_index(decoded), json);
  EXPECT_EQ(encode_index({}), "{\"packs\":[]}\n");
}

std::vector<marked_pack> decode_marked(std::string_view json) {
  std::vector<marked_pack> marked;
  decode_index(
      as_bytes(json), [](const indexed_pack&) {}, [&marked](const marked_pack& entry) { marked.push_back(entry); });
  return marked;
}

TEST(index_file, marked_packs_come_back) {
  const std::vector<indexed_pack> packs{{id_with(1), {{{blob_type::data, id_with(2)}, 0, 38, 0}}}};
  std::vector<marked_pack> marked(3);
  marked[0].listing = {id_with(3), {{{blob_type::tree, id_with(4)}, 0, 100, 500}}};
  marked[0].mark.time = timestamp{1'777'777'777, 5'000'000, 7200};
  marked[0].mark.holders = {{"n\"as", "root", 4711}, {"other", "", 1}};
  marked[1].listing.pack = id_with(5);
  marked[1].mark.size = 4'000'000'000;
  marked[1].mark.holders.emplace();
  marked[2].listing.pack = id_with(6);
  const auto json = encode_index(packs, marked);
  EXPECT_TRUE(json.starts_with(encode_index(packs).substr(0, encode_index(packs).size() - 2))) << "restic's part is first";
  EXPECT_EQ(encode_index(decode(json)), encode_index(packs));
  const auto decoded = decode_marked(json);
  ASSERT_EQ(decoded.size(), 3u);
  for (std::size_t i = 0; i < marked.size(); ++i) {
    EXPECT_EQ(decoded[i].listing.pack, marked[i].listing.pack);
    EXPECT_EQ(decoded[i].listing.blobs.size(), marked[i].listing.blobs.size());
    EXPECT_EQ(decoded[i].mark.time, marked[i].mark.time);
    EXPECT_EQ(decoded[i].mark.holders, marked[i].mark.holders);
    EXPECT_EQ(decoded[i].mark.size, marked[i].mark.size);
  }
  EXPECT_EQ(encode_index(packs, decoded), json);
  EXPECT_EQ(encode_index(packs, {}), encode_index(packs));
}

TEST(index_file, marks_as_rustic_writes_them) {
  const auto marked = decode_marked(
      "{\"packs\":[{\"id\":\"" + hex(1) + "\",\"blobs\":[],\"time\":\"2026-05-06T07:08:09+02:00\"}]," +
      "\"packs_to_delete\":[{\"id\":\"" + hex(2) + "\",\"blobs\":[{\"id\":\"" + hex(3) +
      "\",\"type\":\"data\",\"offset\":0,\"length\":38}]," + "\"time\":\"2026-05-06T07:08:09.123456789+02:00\"}," +
      "{\"id\":\"" + hex(4) + "\",\"blobs\":[],\"time\":\"2026-05-06T05:08:10Z\",\"size\":77}]}");
  ASSERT_EQ(marked.size(), 2u);
  EXPECT_EQ(marked[0].listing.blobs.size(), 1u);
  EXPECT_FALSE(marked[0].mark.holders.has_value()) << "it is not known who may rely on them";
  EXPECT_EQ(marked[1].mark.size, 77u);
  EXPECT_EQ(marked[1].mark.time->seconds, marked[0].mark.time->seconds + 1);
  for (const auto* text :
       {"{\"packs\":[],\"packs_to_delete\":7}", "{\"packs\":[],\"packs_to_delete\":[{\"blobs\":[]}]}"})
    expect_error(error_code::damaged, "index", [text] { (void)decode_marked(text); });
  expect_error(error_code::damaged, "time", [] {
    (void)decode_marked("{\"packs\":[],\"packs_to_delete\":[{\"id\":\"" + hex(1) + "\",\"time\":\"yesterday\"}]}");
  });
}

TEST(index_file, several_marks_of_a_pack_are_believed_with_caution) {
  const lock_holder a{"a", "u", 1}, b{"b", "u", 2};
  pack_mark early{timestamp{100, 0, 0}, {{a}}, {}}, late{timestamp{200, 0, 0}, {{b, a}}, 5};
  for (const auto& both : {merged(early, late), merged(late, early)}) {
    EXPECT_EQ(both.time->seconds, 200);
    EXPECT_EQ(both.holders->size(), 2u);
    EXPECT_EQ(both.size, 5u);
  }
  late.holders.reset();
  EXPECT_FALSE(merged(early, late).holders.has_value());
  early.time.reset();
  EXPECT_FALSE(merged(early, late).time.has_value());
}

TEST(index_file, passes_over_what_others_add) {
  const auto packs =
      decode("{\"supersedes\":[\"" + hex(9) + "\"],\"packs\":[{\"size\":7,\"blobs\":null,\"id\":\"" + hex(1) +
             "\",\"time\":null}],\"packs_to_delete\":[{\"id\":\"" + hex(5) + "\",\"blobs\":[]}]}");
  ASSERT_EQ(packs.size(), 1u);
  EXPECT_EQ(packs[0].pack, id_with(1));
  EXPECT_TRUE(packs[0].blobs.empty());
  EXPECT_TRUE(decode(R"({"packs":null})").empty());
  EXPECT_TRUE(decode("{}").empty());
}

TEST(index_file, the_largest_pack) {
  const auto packs =
      decode(with_blob("\"id\":\"" + hex(2) + "\",\"type\":\"data\",\"offset\":4294967263,\"length\":32"));
  EXPECT_EQ(packs[0].blobs[0].offset, 4294967263u);
  refuse(with_blob("\"id\":\"" + hex(2) + "\",\"type\":\"data\",\"offset\":4294967264,\"length\":32"), "beyond 4 GiB");
}

TEST(index_file, refuses_impossible_blobs) {
  const auto start = "\"id\":\"" + hex(2) + "\",\"type\":\"data\",";
  refuse(with_blob(start + "\"offset\":0,\"length\":31"), "packs[0].blobs[0]: length is less than the 32 bytes");
  refuse(with_blob(start + "\"offset\":4294967296,\"length\":32"), "packs[0].blobs[0].offset: must be an integer");
  refuse(with_blob(start + "\"offset\":-1,\"length\":32"), "offset: must be an integer");
  refuse(with_blob(start + "\"offset\":0,\"length\":4294967296"), "length: must be an integer");
  refuse(with_blob(start + "\"offset\":0,\"length\":32,\"uncompressed_length\":4294967296"),
         "uncompressed_length: must be");
  refuse(with_blob(start + "\"offset\":0"), "is missing");
  refuse(with_blob("\"type\":\"data\",\"offset\":0,\"length\":32"), "is missing");
  refuse(with_blob("\"id\":\"" + hex(2) + "\",\"offset\":0,\"length\":32"), "is missing");
  refuse(with_blob("\"id\":\"" + hex(2) + "\",\"type\":\"Data\""), "type: must be \"data\" or \"tree\"");
  refuse(with_blob("\"id\":\"" + hex(2).substr(1) + "\""), "blobs[0].id: must be 64");
  refuse(R"({"packs":[{"blobs":[]}]})", "packs[0]: id is missing");
  refuse(R"({"packs":[null]})", "packs[0]: must be an object");
  refuse(R"({"packs":{}})", "packs: must be an array");
}

TEST(index_file, the_oldest_format_is_named) {
  expect_error(error_code::unsupported, "repair index", [] { (void)decode("[]"); });
}

TEST(index_file, cut_off_anywhere_is_an_error) {
  indexed_pack entry{id_with(1), {{{blob_type::data, id_with(2)}, 0, 38, 12}}};
  const auto json = encode_index(std::span(&entry, 1));
  for (std::size_t length = 0; length + 2 <= json.size(); ++length)
    EXPECT_THROW((void)decode(std::string_view(json).substr(0, length)), error) << length;
}

TEST(index_file, a_full_file) {
  indexed_pack entry{id_with(1), {}};
  for (std::uint32_t i = 0; i < most_blobs_per_index_file; ++i) {
    packed_blob blob{{blob_type::data, {}}, i * 100, 100, i % 3};
    std::memcpy(blob.handle.id.value.data(), &i, sizeof i);
    entry.blobs.push_back(blob);
  }
  const auto decoded = decode(encode_index(std::span(&entry, 1)));
  ASSERT_EQ(decoded[0].blobs.size(), entry.blobs.size());
  for (std::size_t i = 0; i < entry.blobs.size(); ++i) {
    EXPECT_EQ(decoded[0].blobs[i].handle, entry.blobs[i].handle);
    EXPECT_EQ(decoded[0].blobs[i].offset, entry.blobs[i].offset);
    EXPECT_EQ(decoded[0].blobs[i].uncompressed_length, entry.blobs[i].uncompressed_length);
  }
}

/// The packs that come, or the message if it ends with an error: how many come before that is open.
std::string outcome(const std::function<void(const std::function<void(const indexed_pack&)>&)>& decode_with) {
  std::vector<indexed_pack> packs;
  try {
    decode_with([&](const indexed_pack& pack) { packs.push_back(pack); });
  } catch (const error& thrown) {
    return thrown.what();
  }
  return encode_index(packs);
}

/// The quick reader must see what the JSON parser sees: in whole files, and in such as have one thing changed.
TEST(index_file, the_quick_reader_does_as_the_parser_does) {
  std::vector<indexed_pack> packs{{id_with(1), {}}, {id_with(2), {}}, {id_with(3), {}}};
  packs[0].blobs = {{{blob_type::data, id_with(0xab)}, 0, 38, 0}, {{blob_type::tree, id_with(0xcd)}, 38, 100, 500}};
  packs[1].blobs = {{{blob_type::tree, id_with(0xef)}, 4294967263u, 32, 4294967295u}};
  const auto json = encode_index(packs);
  const auto same = [](const std::string& text) {
    if (text.starts_with('[')) return;  // has a message of its own
    EXPECT_EQ(outcome([&](const auto& visit) { decode_index(as_bytes(text), visit); }),
              outcome([&](const auto& visit) { parse_index(as_bytes(text), 0, visit); }))
        << text;
  };
  same(json);
  const std::string_view inserted[] = {" ",  "\n", "0", "9", "1e3", ".5", "-", "\"", "}", "]", "{", "[", ",", ":", "A", "f",
                                       "g",  "\xff", "null", "\\u0061", ",\"x\":[1,{}]", "\"x\":1,", ",{}", "00000000000"};
  for (std::size_t at = 0; at <= json.size(); ++at) {
    for (const auto text : inserted) {
      same(std::string(json).insert(at, text));
      if (at + text.size() <= json.size()) same(std::string(json).replace(at, text.size(), text));
    }
    if (at < json.size()) same(std::string(json).erase(at, 1));
    same(json.substr(0, at));
  }
  std::mt19937 random(5);
  for (int i = 0; i < 20'000; ++i) {
    auto text = json;
    for (auto times = 1 + random() % 3; times > 0; --times) {
      const auto at = random() % text.size(), length = random() % 40;
      switch (random() % 3) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.erase(at, length); break;
        default: text.insert(at, json.substr(random() % json.size(), length));
      }
      if (text.empty()) text = " ";
    }
    same(text);
  }
}

TEST(index_file, hexadecimal_digits) {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string text(16, '0');
    for (auto& digit : text) digit = "0123456789abcdefABCDEF"[random() % 22];
    if (i % 2 == 1) text[random() % text.size()] = static_cast<char>(random());
    std::array<std::uint8_t, 8> ours{}, expected{};
    const bool good = read_hex(text.data(), ours);
    EXPECT_EQ(good, from_hex(text, expected)) << text;
    if (good) {
      EXPECT_EQ(ours, expected) << text;
    }
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string text = "00000000";
    text[byte % 8] = static_cast<char>(byte);
    std::array<std::uint8_t, 4> ours{}, expected{};
    EXPECT_EQ(read_hex(text.data(), ours), from_hex(text, expected)) << byte;
  }
}

}  // namespace
}  // namespace recoup
