#include "command_line.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "child_process.hpp"
#include "completion.hpp"

namespace {

using namespace recoup::cli;

struct line : ::testing::Test {
  void SetUp() override {
    for (const auto* name : {"RESTIC_REPOSITORY", "RESTIC_PACK_SIZE", "RESTIC_COMPRESSION", "RESTIC_CACERT"})
      ::unsetenv(name);
    tree = std::make_unique<command_tree>();
    test = &tree->add(tree->root, "test", "[flags]", "A command to test with");
    test->run = [](context&) {};
    add_text(*test->app, "-t,--target", target, "target", "directory");
    add_list(*test->app, "-e,--exclude", excludes, "exclude", "pattern");
    add_switch(*test->app, "-n,--dry-run", dry_run, "dry run");
    add_number(*test->app, "--jobs", jobs, "jobs", "n");
  }

  parsed_command_line parse(const std::vector<std::string>& arguments) { return parse_command_line(*tree, arguments); }

  std::string complaint(const std::vector<std::string>& arguments) {
    try {
      (void)parse(arguments);
    } catch (const usage_error& problem) {
      return problem.what();
    }
    return "";
  }

  std::unique_ptr<command_tree> tree;
  command* test = nullptr;
  std::string target;
  std::vector<std::string> excludes;
  bool dry_run = false;
  unsigned jobs = 0;
};

TEST_F(line, flags_stand_anywhere_and_in_every_spelling) {
  const auto parsed =
      parse({"-r", "/srv", "test", "one", "--exclude=*.o", "-e", "[ab]", "-t/x", "two", "--json", "-nvv"});
  EXPECT_EQ(parsed.app, test->app);
  EXPECT_EQ(parsed.arguments, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(tree->options.repository, "/srv");
  EXPECT_EQ(excludes, (std::vector<std::string>{"*.o", "[ab]"}));
  EXPECT_EQ(target, "/x");
  EXPECT_TRUE(dry_run);
  EXPECT_TRUE(tree->options.json);
  EXPECT_EQ(tree->options.verbosity(), 3);
}

TEST_F(line, values_are_taken_as_they_are) {
  EXPECT_EQ(
      parse({"test", "-t=/x", "--exclude", "-n", "--exclude=", "-e", "a,b", "--jobs", "3", "-t", ""}).arguments.size(),
      0u);
  EXPECT_EQ(excludes, (std::vector<std::string>{"-n", "", "a,b"}));
  EXPECT_EQ(target, "");
  EXPECT_EQ(jobs, 3u);
  EXPECT_FALSE(dry_run);
}

TEST_F(line, two_dashes_end_the_flags) {
  EXPECT_EQ(parse({"test", "-n", "--", "cmd", "--flag", "-x", "--"}).arguments,
            (std::vector<std::string>{"cmd", "--flag", "-x", "--"}));
  EXPECT_TRUE(dry_run);
}

TEST_F(line, a_dash_and_a_commands_name_are_arguments_too) {
  EXPECT_EQ(parse({"test", "-", "version", "test"}).arguments, (std::vector<std::string>{"-", "version", "test"}));
}

TEST_F(line, switches_and_counts_take_a_value_behind_an_equals_sign) {
  (void)parse({"test", "-n=false", "--verbose=2", "--quiet=0"});
  EXPECT_FALSE(dry_run);
  EXPECT_EQ(tree->options.verbose, 2);
  EXPECT_FALSE(tree->options.quiet);
}

TEST_F(line, the_last_value_counts) {
  (void)parse({"test", "-t", "a", "--target", "b"});
  EXPECT_EQ(target, "b");
}

TEST_F(line, mistakes_are_named_as_restic_names_them) {
  EXPECT_EQ(complaint({"test", "--foo"}), "unknown flag: --foo");
  EXPECT_EQ(complaint({"test", "-nX"}), "unknown shorthand flag: 'X' in -nX");
  EXPECT_EQ(complaint({"test", "--target"}), "flag needs an argument: --target");
  EXPECT_EQ(complaint({"test", "-t"}), "flag needs an argument: 't' in -t");
  EXPECT_EQ(complaint({"test", "--jobs", "x"}),
            "invalid argument \"x\" for \"--jobs\" flag: not a whole number that is 0 or more");
  EXPECT_EQ(complaint({"--compression", "zip", "test"}),
            "invalid argument \"zip\" for \"--compression\" flag: invalid compression mode \"zip\", must be one of "
            "(auto|off|fastest|better|max)");
}

TEST_F(line, an_unknown_command_is_handed_back_with_its_place) {
  const auto parsed = parse({"--json", "velero", "--keep-last", "3"});
  EXPECT_EQ(parsed.unknown_command, "velero");
  EXPECT_EQ(parsed.unknown_position, 1u);
}

TEST_F(line, help_is_found_everywhere) {
  EXPECT_TRUE(parse({"help"}).help);
  EXPECT_TRUE(parse({"-h"}).help);
  const auto parsed = parse({"help", "test"});
  EXPECT_TRUE(parsed.help);
  const auto text = help_text(*tree, *parsed.app);
  EXPECT_NE(text.find("recoup test [flags]"), std::string::npos);
  EXPECT_NE(text.find("-t, --target directory"), std::string::npos);
  EXPECT_NE(text.find("--repo repository"), std::string::npos);
}

TEST_F(line, extended_options_are_taken_apart) {
  (void)parse({"test", "-o", "s3.Region=x, local.connections = 4", "-o", "s3.region=x"});
  tree->options.finish();
  EXPECT_EQ(tree->options.backend_options,
            (std::map<std::string, std::string>{{"s3.region", "x"}, {"local.connections", "4"}}));
  tree->options.settings = {"a.b=1", "a.b=2"};
  EXPECT_THROW(tree->options.finish(), recoup::error);
}

TEST_F(line, a_flag_beats_its_variable) {
  ::setenv("RESTIC_REPOSITORY", "/from/environment", 1);
  ::setenv("RESTIC_PACK_SIZE", "64", 1);
  ::setenv("RESTIC_COMPRESSION", "max", 1);
  ::setenv("RESTIC_CACERT", "a,b", 1);
  command_tree fresh;
  (void)parse_command_line(fresh, {"version", "--pack-size", "8"});
  fresh.options.finish();
  EXPECT_EQ(fresh.options.repository, "/from/environment");
  EXPECT_EQ(fresh.options.pack_size_mib, 8u);
  EXPECT_EQ(fresh.options.compression_mode, recoup::compression::max);
  EXPECT_EQ(fresh.options.root_certificates.size(), 2u);
  command_tree second;
  (void)parse_command_line(second, {"version", "-r", "/flag", "--cacert", "c"});
  EXPECT_EQ(second.options.location(), "/flag");
  EXPECT_EQ(second.options.root_certificates, (std::vector<std::string>{"c"}));
  for (const auto* name : {"RESTIC_REPOSITORY", "RESTIC_PACK_SIZE", "RESTIC_COMPRESSION", "RESTIC_CACERT"})
    ::unsetenv(name);
}

TEST_F(line, completion_knows_each_flag_of_each_command) {
  for (const auto& script : {bash_completion(*tree), zsh_completion(*tree), powershell_completion(*tree)}) {
    EXPECT_NE(script.find("--target"), std::string::npos);
    EXPECT_NE(script.find("--repository-file"), std::string::npos);
  }
  EXPECT_NE(fish_completion(*tree).find("-n '__fish_seen_subcommand_from test' -s t -l target"), std::string::npos);
  EXPECT_EQ(manual_pages(*tree).size(), tree->commands.size() + 1);
}

TEST(command_words, are_split_as_restic_splits_them) {
  using words = std::vector<std::string>;
  EXPECT_EQ(split_command("pass show  backup"), (words{"pass", "show", "backup"}));
  EXPECT_EQ(split_command("a 'b c' \"d e\""), (words{"a", "b c", "d e"}));
  EXPECT_EQ(split_command("a 'it\"s'"), (words{"a", "it\"s"}));
  EXPECT_EQ(split_command(R"(a \"b)"), (words{"a", "\"b"}));
  EXPECT_THROW(split_command("a 'b"), recoup::error);
  EXPECT_THROW(split_command("  "), recoup::error);
}

}  // namespace
