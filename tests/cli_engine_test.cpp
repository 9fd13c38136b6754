// `recoup engine` as another program sees it: the golden conversations of data/engine, and what cannot stand in them.
#include "cli_process.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "at_last.hpp"
#include "canned_http_server.hpp"
#include "unique_directory.hpp"

namespace {

using cli_test::process;
using cli_test::variables;
using element = simdjson::dom::element;

variables clean_environment(const std::string& home) {
  return {{"PATH", "/usr/bin:/bin"}, {"HOME", home}, {"TZ", "UTC"}, {"AWS_EC2_METADATA_DISABLED", "true"}};
}

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

/// The rule of data/engine/README.md. Returns what does not match, "" if all does.
class matcher {
public:
  explicit matcher(std::map<std::string, std::string>& saved) : saved_(saved) {}

  std::string compare(const element& expected, const element& actual, const std::string& path) {
    if (expected.is_object()) return compare_objects(expected, actual, path);
    if (expected.is_array()) return compare_lists(expected, actual, path);
    if (expected.is_string()) return compare_texts(std::string(std::string_view(expected)), actual, path);
    return simdjson::minify(expected) == simdjson::minify(actual) ? "" : differs(expected, actual, path);
  }

private:
  static std::string differs(const element& expected, const element& actual, const std::string& path) {
    return path + ": expected " + simdjson::minify(expected) + ", got " + simdjson::minify(actual) + "\n";
  }

  std::string compare_objects(const element& expected, const element& actual, const std::string& path) {
    if (!actual.is_object()) return differs(expected, actual, path);
    std::string problems;
    for (const auto [key, value] : simdjson::dom::object(expected)) {
      const auto inner = path + '.' + std::string(key);
      const bool may_be_there = !(value.is_string() && std::string_view(value) == "<absent>");
      element found;
      const bool is_there = simdjson::dom::object(actual).at_key(key).get(found) == simdjson::SUCCESS;
      if (is_there && may_be_there)
        problems += compare(value, found, inner);
      else if (is_there != may_be_there)
        problems += inner + (is_there ? ": must not be there" : ": is missing") + "\n";
    }
    return problems;
  }

  std::string compare_lists(const element& expected, const element& actual, const std::string& path) {
    if (!actual.is_array()) return differs(expected, actual, path);
    const simdjson::dom::array wanted(expected), found(actual);
    if (wanted.size() != found.size()) return differs(expected, actual, path);
    std::string problems;
    for (std::size_t at = 0; at < wanted.size(); ++at)
      problems += compare(wanted.at(at), found.at(at), path + '[' + std::to_string(at) + ']');
    return problems;
  }

  std::string compare_texts(const std::string& expected, const element& actual, const std::string& path) {
    const auto fail = [&] { return path + ": expected " + expected + ", got " + simdjson::minify(actual) + "\n"; };
    if (expected == "<any>") return {};
    if (expected == "<number>") return actual.is_number() ? "" : fail();
    if (!actual.is_string()) return fail();
    const std::string text{std::string_view(actual)};
    if (expected == "<text>") return text.empty() ? fail() : "";
    constexpr std::string_view save = "<save:", contains = "<contains:";
    if (expected.starts_with(save)) {
      saved_[expected.substr(save.size(), expected.size() - save.size() - 1)] = text;
      return {};
    }
    if (expected.starts_with(contains)) {
      const auto words = expected.substr(contains.size(), expected.size() - contains.size() - 1);
      return text.find(words) == std::string::npos ? fail() : "";
    }
    return text == expected ? "" : fail();
  }

  std::map<std::string, std::string>& saved_;
};

std::vector<std::string> conversations() {
  const char* tests = std::getenv("RECOUP_TESTS");
  std::vector<std::string> names;
  if (tests == nullptr) return names;
  for (const auto& each : std::filesystem::directory_iterator(std::string(tests) + "/data/engine"))
    if (each.path().extension() == ".jsonl") names.push_back(each.path().string());
  std::ranges::sort(names);
  return names;
}

std::string answer_of(process& engine) {
  simdjson::dom::parser parser;
  for (;;) {
    auto line = engine.read_line();
    if (std::string_view(parser.parse(line)["type"]) != "progress") return line;
  }
}

void play(const std::string& file) {
  SCOPED_TRACE(file);
  unique_directory place;
  std::filesystem::create_directories(place / "work");
  process engine({"engine"}, clean_environment(place / "home"));
  EXPECT_NE(engine.read_line().find(R"("type":"hello")"), std::string::npos);
  std::map<std::string, std::string> saved{{"directory", place / "work"}};
  simdjson::dom::parser parser, answers;
  std::ifstream lines(file);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    for (const auto& [name, value] : saved) replace_all(line, '{' + name + '}', value);
    const element entry = parser.parse(line);
    SCOPED_TRACE(std::string(std::string_view(entry["about"])));
    element request;
    const bool is_request = entry["request"].get(request) == simdjson::SUCCESS;
    engine.send((is_request ? simdjson::minify(request) : std::string(std::string_view(entry["line"]))) + '\n');
    const auto answer = answer_of(engine);
    EXPECT_EQ(matcher(saved).compare(entry["answer"], answers.parse(answer), "answer"), "") << answer;
  }
  EXPECT_GT(count, 0u);
  const auto done = engine.finish();
  EXPECT_EQ(done.code, 0) << done.err;
}

TEST(cli_engine, golden_conversations) {
  const auto files = conversations();
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) play(file);
}

TEST(cli_engine, hello_lists_the_methods) {
  unique_directory place;
  process engine({"engine"}, clean_environment(place / "home"));
  const auto hello = engine.read_line();
  simdjson::dom::parser parser;
  const element parsed = parser.parse(hello);
  EXPECT_EQ(std::uint64_t(parsed["v"]), 1u);
  EXPECT_EQ(std::string_view(parsed["engine"]), "recoup");
  std::vector<std::string> methods;
  for (const auto each : simdjson::dom::array(parsed["methods"])) methods.emplace_back(std::string_view(each));
  for (const auto* wanted : {"bucket.apply", "bucket.create", "bucket.delete", "bucket.get", "bucket.usage", "key.add",
                             "key.change_password", "key.remove", "object.list", "object.read", "repository.create",
                             "repository.delete", "repository.get", "repository.stats", "snapshots.files",
                             "snapshots.list"})
    EXPECT_NE(std::ranges::find(methods, wanted), methods.end()) << wanted;
}

TEST(cli_engine, bytes_that_are_no_text_are_refused) {
  unique_directory place;
  process engine({"engine"}, clean_environment(place / "home"));
  (void)engine.read_line();
  engine.send("{\"v\":1,\"id\":\"\xff\",\"method\":\"none\"}\n");
  EXPECT_NE(engine.read_line().find(R"("code":"invalid_argument")"), std::string::npos);
  engine.send(std::string("\0\0\n", 3));
  EXPECT_NE(engine.read_line().find(R"("code":"invalid_argument")"), std::string::npos);
  engine.send(std::string(5000, '[') + '\n');
  EXPECT_NE(engine.read_line().find(R"("code":"invalid_argument")"), std::string::npos);
  EXPECT_EQ(engine.finish().code, 0);
}

TEST(cli_engine, a_line_without_end_is_not_kept) {
  unique_directory place;
  process engine({"engine"}, clean_environment(place / "home"));
  (void)engine.read_line();
  const std::string mebibyte(1 << 20, ' ');
  for (int i = 0; i < 64; ++i) engine.send(mebibyte);
  engine.send("\n{\"v\":1,\"id\":\"after\",\"method\":\"none\"}\n");
  const auto refused = engine.read_line();
  EXPECT_NE(refused.find(R"("id":null)"), std::string::npos) << refused;
  EXPECT_NE(refused.find("longer than"), std::string::npos) << refused;
  EXPECT_NE(engine.read_line().find(R"("id":"after")"), std::string::npos);
  EXPECT_EQ(engine.finish().code, 0);
}

TEST(cli_engine, the_last_line_needs_no_line_break) {
  unique_directory place;
  process engine({"engine"}, clean_environment(place / "home"));
  (void)engine.read_line();
  engine.send(R"({"v":1,"id":"last","method":"none"})");
  engine.close_input();
  EXPECT_NE(engine.read_line().find(R"("id":"last")"), std::string::npos);
  EXPECT_EQ(engine.finish().code, 0);
}

TEST(cli_engine, a_signal_ends_it_while_it_waits) {
  unique_directory place;
  process engine({"engine"}, clean_environment(place / "home"));
  (void)engine.read_line();
  engine.signal(SIGTERM);
  EXPECT_TRUE(engine.wait_for("terminated received"));
  EXPECT_EQ(engine.finish().code, 130);
}

TEST(cli_engine, a_signal_answers_the_request_it_stops) {
  unique_directory place;
  process engine({"engine"}, clean_environment(place / "home"));
  (void)engine.read_line();
  std::atomic<bool> is_asked{false}, is_over{false};
  recoup_test::canned_http_server slow([&](const recoup_test::received_request&) {
    is_asked = true;
    while (!is_over) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return recoup_test::canned_answer{503, ""};
  });
  const struct releasing {
    std::atomic<bool>& is_over;
    ~releasing() { is_over = true; }
  } when_all_is_over{is_over};  // before the server waits for its answer
  engine.send(R"({"v":1,"id":"a","method":"bucket.get","params":{"bucket":"abc","s3":{"endpoint":")" + slow.url() +
              R"(","access_key":"a","secret_key":"b"}}})"
              "\n");
  EXPECT_TRUE(at_last([&] { return is_asked.load(); }));
  engine.signal(SIGTERM);
  const auto answer = engine.read_line();
  EXPECT_NE(answer.find(R"("code":"interrupted")"), std::string::npos) << answer;
  EXPECT_NE(answer.find(R"("exit_code":130)"), std::string::npos) << answer;
  EXPECT_EQ(engine.finish().code, 130);
}

}  // namespace
