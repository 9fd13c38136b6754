// Writing JSON as Go does, and reading what may be anything.
#include <recoup/json/json_reader.hpp>
#include <recoup/json/json_writer.hpp>

#include <limits>

#include "test_data.hpp"

namespace recoup {
namespace {

std::string number(double value) {
  std::string text;
  append_json_number(text, value);
  return text;
}

TEST(json_writer, sets_commas) {
  json_writer json;
  json.begin_object().field("a", 1).field("b", "x").key("c").begin_array().value(true).null().value("[").value(",");
  json.begin_object().end_object().begin_array().end_array().end_array().field("d", false).end_object();
  EXPECT_EQ(json.text(), R"({"a":1,"b":"x","c":[true,null,"[",",",{},[]],"d":false})");
}

TEST(json_writer, values_of_all_kinds) {
  json_writer json;
  json.begin_object();
  json.field("u", std::numeric_limits<std::uint64_t>::max()).field("i", std::numeric_limits<std::int64_t>::min());
  json.field("t", timestamp{0, 0, 3600}).field("b", bytes{0, 255}).field("e", bytes{});
  json.strings("s", std::vector<std::string>{"<", ""}).field("id", id{}).key("raw").raw("{}");
  EXPECT_EQ(json.end_object().take(),
            R"({"u":18446744073709551615,"i":-9223372036854775808,"t":"1970-01-01T01:00:00+01:00","b":"AP8=","e":"",)"
            R"("s":["\u003c",""],"id":")" +
                std::string(64, '0') + R"(","raw":{}})");
  EXPECT_TRUE(json.text().empty());
}

TEST(json_writer, lines_do_not_get_commas_between_them) {
  json_writer json;
  json.begin_object().end_object().line().begin_object().end_object().line();
  EXPECT_EQ(json.text(), "{}\n{}\n");
}

// Expected values: Go 1.26, json.Marshal.
TEST(json_writer, floating_point_as_go) {
  EXPECT_EQ(number(0), "0");
  EXPECT_EQ(number(-0.0), "-0");
  EXPECT_EQ(number(1), "1");
  EXPECT_EQ(number(0.1), "0.1");
  EXPECT_EQ(number(1.0 / 3), "0.3333333333333333");
  EXPECT_EQ(number(1e20), "100000000000000000000");
  EXPECT_EQ(number(1e21), "1e+21");
  EXPECT_EQ(number(1.5e300), "1.5e+300");
  EXPECT_EQ(number(1e-6), "0.000001");
  EXPECT_EQ(number(9.9e-7), "9.9e-7");
  EXPECT_EQ(number(-1e-10), "-1e-10");
  EXPECT_EQ(number(123456789.125), "123456789.125");
  EXPECT_EQ(number(5e-324), "5e-324");
  EXPECT_EQ(number(1.7976931348623157e308), "1.7976931348623157e+308");
  EXPECT_EQ(number(std::numeric_limits<double>::infinity()), "null");
}

struct everything {
  std::string text = "old";
  std::uint64_t big = 7;
  std::uint8_t small = 7;
  std::int32_t with_sign = 7;
  bool truth = true;
  timestamp time{7, 0, 0};
  bytes data{7};
  std::optional<id> name;
  std::vector<std::string> list{"old"};
};

everything read_all(std::string_view json) {
  everything all;
  read_json(as_bytes(json), "thing", [&all](json_object root) {
    for_each_field(root, [&all](std::string_view key, json_value& value) {
      if (key == "text") return read(value, all.text);
      if (key == "big") return read(value, all.big);
      if (key == "small") return read(value, all.small);
      if (key == "with_sign") return read(value, all.with_sign);
      if (key == "truth") return read(value, all.truth);
      if (key == "time") return read(value, all.time);
      if (key == "data") return read(value, all.data);
      if (key == "name") return read(value, all.name);
      if (key == "list") return read(value, all.list);
    });
  });
  return all;
}

TEST(json_reader, reads_values_of_all_kinds) {
  const auto all = read_all(
      " {\"text\":\"a\\u20ac\\n\", \"big\" : 18446744073709551615,\"small\":255,\"with_sign\":-2147483648,"
      "\"truth\":false,\"time\":\"1970-01-01T00:00:01Z\",\"data\":\"AP8=\",\"name\":\"" +
      std::string(64, 'a') + "\",\"list\":[\"x\",\"\"]} \n");
  EXPECT_EQ(all.text, "a\u20ac\n");
  EXPECT_EQ(all.big, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(all.small, 255);
  EXPECT_EQ(all.with_sign, std::numeric_limits<std::int32_t>::min());
  EXPECT_FALSE(all.truth);
  EXPECT_EQ(all.time, (timestamp{1, 0, 0}));
  EXPECT_EQ(all.data, (bytes{0, 255}));
  EXPECT_EQ(all.name->hex(), std::string(64, 'a'));
  EXPECT_EQ(all.list, (std::vector<std::string>{"x", ""}));
}

TEST(json_reader, null_changes_nothing_but_empties_lists) {
  const auto all =
      read_all(R"({"text":null,"big":null,"small":null,"with_sign":null,"truth":null,"time":null,"data":null,)"
               R"("name":null,"list":null})");
  EXPECT_EQ(all.text, "old");
  EXPECT_EQ(all.big, 7u);
  EXPECT_TRUE(all.truth);
  EXPECT_EQ(all.data, bytes{7});
  EXPECT_FALSE(all.name);
  EXPECT_TRUE(all.list.empty());
}

TEST(json_reader, unknown_fields_of_any_shape_are_passed_over) {
  const auto all = read_all(R"({"x":{"text":"no","y":[[[{"a":1}]]]},"":[],"text":"yes","z":1e999,"q":"\"}"})");
  EXPECT_EQ(all.text, "yes");
}

TEST(json_reader, of_equal_keys_the_last_counts_and_keys_may_be_escaped) {
  EXPECT_EQ(read_all(R"({"text":"1","text":"2"})").text, "2");
  EXPECT_EQ(read_all(R"({"te\u0078t":"1","text\"":"2"})").text, "1");
  EXPECT_EQ(read_all(R"({"TEXT":"1"})").text, "old");
}

TEST(json_reader, says_which_field_is_wrong) {
  const auto refuse = [](std::string_view json, std::string_view part) {
    expect_error(error_code::damaged, part, [json] { (void)read_all(json); });
  };
  refuse(R"({"text":1})", "thing is damaged: field text: must be a string");
  refuse(R"({"text":nul})", "field text: not a JSON value");
  refuse(R"({"text":"\q"})", "field text: ");
  refuse(R"({"text":"\ud800"})", "field text: ");
  refuse(R"({"big":18446744073709551616})", "field big: must be an integer");
  refuse(R"({"big":-1})", "field big: must be an integer");
  refuse(R"({"big":1.0})", "field big: must be an integer");
  refuse(R"({"big":1e3})", "field big: must be an integer");
  refuse(R"({"big":"1"})", "field big: must be an integer");
  refuse(R"({"big":01})", "field big: must be an integer");
  refuse(R"({"small":256})", "field small: must be an integer from 0 to 255");
  refuse(R"({"with_sign":2147483648})", "field with_sign: must be an integer");
  refuse(R"({"truth":tru})", "field truth: must be true or false");
  refuse(R"({"truth":1})", "field truth: must be true or false");
  refuse(R"({"time":"yesterday"})", "field time: must be a time");
  refuse(R"({"data":"A"})", "field data: must be base64");
  refuse(R"({"name":"ab"})", "field name: must be 64 hexadecimal digits");
  refuse(R"({"name":")" + std::string(63, 'a') + "g\"}", "field name: must be 64 hexadecimal digits");
  refuse(R"({"name":")" + std::string(65, 'a') + "\"}", "field name: must be 64 hexadecimal digits");
  refuse(R"({"list":["a",1]})", "field list[1]: must be a string");
  refuse(R"({"list":{}})", "field list: must be an array");
}

TEST(json_reader, refuses_what_is_not_one_object) {
  for (const std::string_view text : {"",
                                      " ",
                                      "{",
                                      "}",
                                      "[]",
                                      "1",
                                      "null",
                                      "\"a\"",
                                      "{}{}",
                                      "{} x",
                                      "{},",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{\"a\":1 \"b\":2}",
                                      "{a:1}",
                                      "{\"a\":1",
                                      "{\"a\":[1}",
                                      "{\"a\":\"",
                                      "{\"a\":\"\x01\"}",
                                      "{\"a\":\"\xff\"}",
                                      "\xef\xbb\xbf{}x"})
    expect_error(error_code::damaged, "thing is damaged", [text] { (void)read_all(text); });
  EXPECT_NO_THROW((void)read_all("{}"));
}

TEST(json_reader, deep_nesting_costs_nothing) {
  const std::string open(1 << 20, '['), close(1 << 20, ']');
  EXPECT_EQ(read_all("{\"x\":" + open + close + ",\"text\":\"still here\"}").text, "still here");
  expect_error(error_code::damaged, "", [&] { (void)read_all("{\"x\":" + open); });
  expect_error(error_code::damaged, "", [&] { (void)read_all("{\"list\":" + open + close + "}"); });
}

TEST(json_reader, embedded_nul_bytes_are_refused_where_json_has_none) {
  using namespace std::string_literals;
  expect_error(error_code::damaged, "", [] { (void)read_all("{\"te\0xt\":1}"s); });
  expect_error(error_code::damaged, "", [] { (void)read_all("{}\0"s); });
  EXPECT_EQ(read_all("{\"text\":\"a\\u0000b\"}").text, "a\0b"s);
}

TEST(json_reader, documents_can_be_read_inside_one_another) {
  std::string seen;
  read_json(as_bytes(R"({"a":"1","b":"2"})"), "outer", [&](json_object outer) {
    for_each_field(outer, [&](std::string_view key, json_value& value) {
      read_json(as_bytes(R"({"c":"3","d":"4"})"), "inner", [&](json_object inner) {
        for_each_field(inner, [&](std::string_view inner_key, json_value& inner_value) {
          seen.append(inner_key).append(string_of(inner_value));
        });
      });
      seen.append(key).append(string_of(value));
    });
  });
  EXPECT_EQ(seen, "c3d4a1c3d4b2");
}

TEST(json_reader, lengths_around_the_parser_s_own_sizes) {
  for (const std::size_t length : {0u, 1u, 63u, 64u, 65u, 4000u, 4095u, 4096u, 100'000u, 300'000u, 1'000'000u}) {
    const std::string text(length, 'x');
    EXPECT_EQ(read_all("{\"text\":\"" + text + "\"}").text, text);
  }
}

}  // namespace
}  // namespace recoup
