// /etc/restic.env means to us what it means to systemd: against its own reader where its library is there (the one that
// `systemctl` uses), against vectors anywhere, and against a shell for what is written here.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <string>

#include <recoup/schedule/environment_file.hpp>

#include "unique_directory.hpp"

namespace {

using namespace recoup;
using settings = std::map<std::string, std::string>;

settings as_map(const std::vector<environment_setting>& list) {
  settings map;
  for (const auto& [name, value] : list) map[name] = value;
  return map;
}

settings parsed(std::string_view text) { return as_map(parse_environment_file(text, "test.env")); }

std::string refusal(std::string_view text) {
  try {
    (void)parsed(text);
    return "taken";
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::invalid_argument);
    return problem.what();
  }
}

/// systemd's load_env_file(); nothing if the library is not there.
class systemd_reader {
public:
  systemd_reader() {
    for (int version = 260; version >= 240 && library_ == nullptr; --version)
      for (const std::string directory : {"/usr/lib/x86_64-linux-gnu/systemd/", "/usr/lib/systemd/", "/lib/systemd/"})
        if (library_ == nullptr)
          library_ = ::dlopen((directory + "libsystemd-shared-" + std::to_string(version) + ".so").c_str(),
                              RTLD_NOW | RTLD_LOCAL);
    if (library_ != nullptr) load_ = reinterpret_cast<load_function>(::dlsym(library_, "load_env_file"));
  }
  [[nodiscard]] bool is_there() const { return load_ != nullptr; }

  [[nodiscard]] settings read(const std::string& text) const {
    std::FILE* file = ::fmemopen(const_cast<char*>(text.data()), text.size(), "r");
    char** list = nullptr;
    const int result = load_(file, "test.env", &list);
    std::fclose(file);
    settings map;
    if (result < 0) {
      map["load_env_file"] = "failed";
      return map;
    }
    for (char** each = list; each != nullptr && *each != nullptr; ++each) {
      const std::string assignment = *each;
      std::free(*each);
      map[assignment.substr(0, assignment.find('='))] = assignment.substr(assignment.find('=') + 1);
    }
    std::free(list);
    return map;
  }

private:
  using load_function = int (*)(std::FILE*, const char*, char***);
  void* library_ = nullptr;
  load_function load_ = nullptr;
};

TEST(environment_file, reads_what_people_write) {
  const settings expected = {{"RESTIC_REPOSITORY", "s3:http://10.20.0.103:9000/restic-backups"},
                             {"RESTIC_PASSWORD", "correct horse # battery"},
                             {"AWS_ACCESS_KEY_ID", "key"},
                             {"AWS_SECRET_ACCESS_KEY", "a$b"},
                             {"EMPTY", ""}};
  EXPECT_EQ(parsed("# where\nRESTIC_REPOSITORY=s3:http://10.20.0.103:9000/restic-backups\n\n"
                   "  RESTIC_PASSWORD = \"correct horse # battery\"  \n; and who\nAWS_ACCESS_KEY_ID='key'\r\n"
                   "AWS_SECRET_ACCESS_KEY=a$b\nEMPTY=\nno assignment\n"),
            expected);
}

TEST(environment_file, quotes_and_escapes_are_systemds) {
  EXPECT_EQ(parsed("A=\"x\\\"y\\\\z\\$w\\`v\\n\"")["A"], "x\"y\\z$w`v\\n");  // "\n" is no escape
  EXPECT_EQ(parsed("A='x\\y\"z'")["A"], "x\\y\"z");
  EXPECT_EQ(parsed("A=one\\\ntwo\nB=3"), (settings{{"A", "onetwo"}, {"B", "3"}}));
  EXPECT_EQ(parsed("A=\"one\\\ntwo\nthree\"")["A"], "onetwo\nthree");
  EXPECT_EQ(parsed("A=a\\ b\\ \\ ")["A"], "a b  ");
  EXPECT_EQ(parsed("A='a'\"b\"c \"d\"  ")["A"], "abc \"d\"");
  EXPECT_EQ(parsed("A=\"a \"  \n")["A"], "a ");
  EXPECT_EQ(parsed("A=it's # no comment")["A"], "it's # no comment");
  EXPECT_EQ(parsed("# comment\\\nA=still one\nB=1"), (settings{{"B", "1"}}));  // until systemd 253
  EXPECT_EQ(parsed("A=\"open")["A"], "open");
  EXPECT_EQ(parsed("A=1\nA=2"), (settings{{"A", "2"}}));
}

TEST(environment_file, what_no_environment_may_have_is_refused_with_its_line_and_without_its_value) {
  EXPECT_EQ(refusal("A=1\nB C=secret\n"),
            "test.env, line 2: what stands before \"=\" is no name of a variable: letters, digits and underscores, no "
            "digit first");
  EXPECT_EQ(refusal("A='1\n2'\n2B=secret\n").substr(0, 16), "test.env, line 3");
  EXPECT_EQ(refusal("export A=secret").find("secret"), std::string::npos);
  EXPECT_EQ(refusal("A=\"secret\x01\""),
            "test.env, line 1: the value of A is not UTF-8, or has control characters in it");
  EXPECT_EQ(refusal("A=secret\xff").find("secret"), std::string::npos);
  EXPECT_EQ(refusal(std::string("A=1\nB=sec\0ret", 13)), "test.env, line 2: there is a zero byte in it");
}

std::string random_text(std::mt19937& random) {
  static constexpr std::string_view pieces[] = {"A", "B=", "=", "\n", "\\", "\"", "'",    " ",   "\t",  "#",
                                                ";", "$",  "`", "x",  "\r", "ä",  "C=\"", "D='", "\\\n"};
  std::string text;
  for (int i = std::uniform_int_distribution<int>(0, 24)(random); i > 0; --i)
    text += pieces[std::uniform_int_distribution<std::size_t>(0, std::size(pieces) - 1)(random)];
  return text;
}

TEST(environment_file, random_files_mean_what_they_mean_to_systemd) {
  const systemd_reader reader;
  if (!reader.is_there()) GTEST_SKIP() << "no libsystemd-shared here";
  std::mt19937 random(20261127);
  int compared = 0;
  for (int round = 0; round < 200'000; ++round) {
    const auto text = random_text(random);
    if (text.empty()) continue;
    settings ours;
    try {
      ours = parsed(text);
    } catch (const error&) {
      continue;  // what systemd drops later, when it starts the service
    }
    ++compared;
    ASSERT_EQ(ours, reader.read(text)) << "file: [" << text << "]";
  }
  EXPECT_GT(compared, 50'000);
}

std::string random_value(std::mt19937& random) {
  static constexpr std::string_view pieces[] = {"a", "Z", "0", " ", "\t", "\n", "\"", "'", "\\", "$",   "`",
                                                "#", ";", "=", "!", "%",  "ä",  "€",  "*", "~",  "$(x)"};
  std::string value;
  for (int i = std::uniform_int_distribution<int>(0, 12)(random); i > 0; --i)
    value += pieces[std::uniform_int_distribution<std::size_t>(0, std::size(pieces) - 1)(random)];
  return value;
}

TEST(environment_file, what_is_written_comes_back_here_and_in_systemd) {
  const systemd_reader reader;
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    const std::vector<environment_setting> written = {{"RESTIC_PASSWORD", random_value(random)},
                                                      {"AWS_X", random_value(random)}};
    const auto text = render_environment_file(written);
    ASSERT_EQ(parse_environment_file(text, "x"), written) << text;
    if (!reader.is_there()) continue;
    ASSERT_EQ(reader.read(text), as_map(written)) << text;
  }
}

TEST(environment_file, a_shell_reads_the_same) {
  const unique_directory directory;
  const auto path = directory.path() / "restic.env";
  std::mt19937 random(8);
  for (int round = 0; round < 100; ++round) {
    const auto value = "x" + random_value(random) + "x";  // $(…) drops line breaks at the end
    std::ofstream(path) << render_environment_setting({"RESTIC_PASSWORD", value});
    const auto command = "env -i sh -c '. " + path.string() + " && printf %s \"$RESTIC_PASSWORD\"'";
    std::FILE* shell = ::popen(command.c_str(), "r");
    std::string got(1000, '\0');
    got.resize(std::fread(got.data(), 1, got.size(), shell));
    ASSERT_EQ(::pclose(shell), 0);
    ASSERT_EQ(got, value);
  }
}

TEST(environment_file, writing_refuses_what_systemd_would_drop) {
  EXPECT_THROW((void)render_environment_setting({"2A", "x"}), error);
  EXPECT_THROW((void)render_environment_setting({"", "x"}), error);
  EXPECT_THROW((void)render_environment_setting({"A", std::string("a\0b", 3)}), error);
  EXPECT_THROW((void)render_environment_setting({"A", "a\rb"}), error);
  EXPECT_THROW((void)render_environment_setting({"A", "\xff"}), error);
  EXPECT_TRUE(is_schedule_variable("RESTIC_X"));
  EXPECT_FALSE(is_schedule_variable("LD_PRELOAD"));
  EXPECT_FALSE(is_schedule_variable("RESTIC_X Y"));
}

}  // namespace
