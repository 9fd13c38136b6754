// The command as scripts see it: exit codes, the lines they look for, JSON, what signals do.
#include "cli_process.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <recoup/repo/lock.hpp>
#include <recoup/storage/local.hpp>

#include "at_last.hpp"
#include "test_repository.hpp"
#include "unique_directory.hpp"

namespace {

using cli_test::outcome;
using cli_test::process;
using cli_test::variables;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct cli_run : ::testing::Test {
  cli_run() {
    environment = {{"PATH", "/usr/bin:/bin"},
                   {"HOME", place / "home"},
                   {"TZ", "UTC"},
                   {"RESTIC_REPOSITORY", place / "repo"},
                   {"RESTIC_PASSWORD", recoup::test_password}};
    place.write("src/a", "hello");
    place.write("src/sub/b", "world");
  }

  void make() {
    repo = recoup::make_repository(std::make_shared<recoup::local_backend>(place / "repo", recoup::local_options{}));
  }
  outcome run(const std::vector<std::string>& arguments, const std::string& input = {}) {
    return cli_test::run(arguments, environment, input);
  }
  void back_up() {
    const auto done = run({"backup", "-q", place / "src"});
    ASSERT_EQ(done.code, 0) << done.err;
  }

  unique_directory place;
  variables environment;
  std::shared_ptr<recoup::repository> repo;
};

TEST_F(cli_run, init_backup_restore) {
  auto done = run({"init"});
  EXPECT_EQ(done.code, 0);
  EXPECT_TRUE(contains(done.out, "created restic repository ")) << done.out;
  EXPECT_TRUE(contains(done.out, " at " + (place / "repo")));
  EXPECT_EQ(run({"init"}).code, 1);

  done = run({"backup", place / "src", "--tag", "x,y"});
  EXPECT_EQ(done.code, 0);
  EXPECT_EQ(done.err, "");
  for (const auto* line :
       {"no parent snapshot found, will read all files\n", "Files:           2 new,     0 changed,     0 unmodified\n",
        "Added to the repository: ", "processed 2 files, 10 B in 0:0", " saved\n"})
    EXPECT_TRUE(contains(done.out, line)) << line << "\n" << done.out;
  done = run({"backup", place / "src", "--dry-run"});
  EXPECT_TRUE(contains(done.out, "using parent snapshot ")) << done.out;
  EXPECT_TRUE(contains(done.out, "Files:           0 new,     0 changed,     2 unmodified\n")) << done.out;
  EXPECT_TRUE(contains(done.out, "Would add to the repository: ")) << done.out;
  EXPECT_FALSE(contains(done.out, " saved"));

  done = run({"restore", "latest:" + (place / "src"), "--target", place / "back", "--verify"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_TRUE(contains(done.out, "Summary: Restored 3 files/dirs (10 B) in 0:0")) << done.out;
  EXPECT_TRUE(contains(done.out, "finished verifying 2 files in "));
  EXPECT_EQ(content_of(place / "back/sub/b"), "world");
  done = run({"check", "--read-data"});
  EXPECT_EQ(done.code, 0);
  EXPECT_TRUE(contains(done.out, "no errors were found\n")) << done.out;
}

TEST_F(cli_run, json_of_backup_and_restore) {
  make();
  auto done = run({"backup", "--json", "-v", place / "src"});
  EXPECT_EQ(done.code, 0);
  EXPECT_TRUE(
      contains(done.out, R"({"message_type":"verbose_status","action":"new","item":")" + (place / "src/a") + "\""))
      << done.out;
  EXPECT_TRUE(contains(done.out, R"({"message_type":"summary","files_new":2,"files_changed":0,)")) << done.out;
  EXPECT_TRUE(contains(done.out, R"("snapshot_id":")"));
  done = run({"restore", "latest", "--json", "-vv", "-t", place / "back"});
  EXPECT_EQ(done.code, 0);
  EXPECT_TRUE(contains(done.out, R"("message_type":"verbose_status","action":"restored","item":")")) << done.out;
  EXPECT_TRUE(contains(done.out, R"({"message_type":"summary",)"));
  EXPECT_TRUE(contains(done.out, R"("bytes_restored":10)"));
  done = run({"snapshots", "--json"});
  EXPECT_TRUE(contains(done.out, R"("short_id":")")) << done.out;
  EXPECT_EQ(run({"snapshots", "--json", "--host", "nobody"}).out, "[]\n");
  EXPECT_EQ(run({"snapshots", "--host", "nobody"}).out, "");
}

TEST_F(cli_run, each_reason_to_fail_has_its_exit_code) {
  auto done = run({"snapshots", "--json"});
  EXPECT_EQ(done.code, 10);
  EXPECT_TRUE(
      done.err.starts_with(R"({"message_type":"exit_error","code":10,"message":"Fatal: repository does not exist)"))
      << done.err;
  make();
  environment["RESTIC_PASSWORD"] = "wrong";
  done = run({"snapshots"});
  EXPECT_EQ(done.code, 12);
  EXPECT_EQ(done.err, "Fatal: wrong password or no key found\n");
  environment["RESTIC_PASSWORD"] = recoup::test_password;
  done = run({"backup", place / "src", place / "missing"});
  EXPECT_EQ(done.code, 3);
  EXPECT_TRUE(contains(done.err, "missing does not exist, skipping\n")) << done.err;
  EXPECT_TRUE(contains(done.err, "Warning: at least one source file could not be read\n"));
  EXPECT_EQ(run({"backup", place / "missing"}).code, 1);
  EXPECT_EQ(run({"backup"}).err, "Fatal: nothing to backup, please specify source files/dirs\n");
  {
    recoup::lock_options options;
    options.exclusive = true;
    const recoup::repository_lock other(*repo, options);
    done = run({"backup", place / "src"});
    EXPECT_EQ(done.code, 11);
    EXPECT_TRUE(contains(done.err, "repository is already locked exclusively by PID ")) << done.err;
    EXPECT_TRUE(contains(done.err, "the `unlock` command can be used to remove stale locks"));
    EXPECT_EQ(run({"snapshots", "--no-lock"}).code, 0);
  }
  EXPECT_EQ(run({"snapshots", "--frobnicate"}).err, "unknown flag: --frobnicate\n");
  done = run({"frobnicate"});
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(contains(done.err, "unknown command \"frobnicate\" for \"recoup\"")) << done.err;
  done = run({"bucket", "lock", "frobnicate"});
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(contains(done.err, "unknown command \"frobnicate\" for \"recoup bucket lock\"")) << done.err;
  environment.erase("RESTIC_REPOSITORY");
  EXPECT_EQ(run({"snapshots"}).err, "Fatal: Please specify repository location (-r or --repository-file)\n");
}

TEST_F(cli_run, damage_is_named_and_counted) {
  make();
  back_up();
  for (const auto& pack : repo->list(recoup::file_type::pack))
    repo->storage().remove({recoup::file_type::pack, pack.name});
  auto done = run({"check"});
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(contains(done.err, "does not exist")) << done.err;
  EXPECT_TRUE(contains(done.err, "Fatal: repository contains errors\n"));
  EXPECT_FALSE(contains(done.out, "no errors"));
  done = run({"check", "--json"});
  EXPECT_TRUE(contains(done.out, R"({"message_type":"summary","num_errors":)")) << done.out;
  EXPECT_TRUE(contains(done.out, R"("broken_packs":[")"));
  EXPECT_TRUE(contains(done.err, R"({"message_type":"error","message":"pack )")) << done.err;
}

TEST_F(cli_run, stdin_and_commands_as_source) {
  make();
  EXPECT_EQ(run({"backup", "--stdin", "--stdin-filename", "dump.sql"}, "from stdin").code, 0);
  auto done = run({"dump", "latest", "/dump.sql"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.out, "from stdin");
  const std::string copy = place / "copy";
  done = run({"dump", "latest", "/dump.sql", "--target", copy});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(content_of(copy), "from stdin");
  EXPECT_EQ(run({"backup", "--stdin-from-command", "--", "sh", "-c", "printf \"$0\" from-command", "%s"}).code, 0);
  EXPECT_EQ(run({"dump", "latest", "stdin"}).out, "from-command");
  done = run({"backup", "--stdin-from-command", "--", "sh", "-c", "echo half; exit 7"});
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(contains(done.err, "exit status 7")) << done.err;
  EXPECT_EQ(repo->list(recoup::file_type::snapshot).size(), 2u);
  EXPECT_EQ(run({"backup", "--stdin-from-command", "--", "no-such-program"}).code, 1);
  environment.erase("RESTIC_PASSWORD");
  EXPECT_EQ(run({"backup", "--stdin"}).err, "Fatal: cannot read both password and data from stdin\n");
}

TEST_F(cli_run, passwords_from_everywhere) {
  make();
  const std::string password = recoup::test_password;
  environment.erase("RESTIC_PASSWORD");
  EXPECT_EQ(run({"list", "keys"}, password + "\n").code, 0);
  EXPECT_EQ(run({"list", "keys", "-p", place.write("plain", "  " + password + "\r\n\n")}).code, 0);
  std::string wide = "\xff\xfe";
  for (const char c : password) (wide += c) += '\0';
  EXPECT_EQ(run({"list", "keys", "--password-file", place.write("utf16", wide)}).code, 0);
  EXPECT_EQ(run({"list", "keys", "--password-command", "echo '" + password + "'"}).code, 0);
  auto done = run({"list", "keys", "--password-command", "false"});
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(contains(done.err, "Fatal: Resolving password failed: exit status 1")) << done.err;
  EXPECT_TRUE(contains(run({"list", "keys", "-p", place / "none"}).err, "none does not exist"));
  EXPECT_TRUE(contains(run({"list", "keys"}).err, "an empty password is not allowed by default"));
  environment["RESTIC_PASSWORD"] = password + " ";  // not trimmed, so another one
  EXPECT_EQ(run({"list", "keys"}).code, 12);
  environment.erase("RESTIC_PASSWORD");
  environment["RESTIC_PASSWORD_FILE"] = place / "plain";
  environment["RESTIC_REPOSITORY_FILE"] = place.write("where", (place / "repo") + "\n");
  environment.erase("RESTIC_REPOSITORY");
  EXPECT_EQ(run({"list", "keys"}).code, 0);
}

TEST_F(cli_run, keys_come_and_go) {
  make();
  EXPECT_EQ(run({"key", "add", "--new-password-file", place.write("new", "second"), "--user", "u", "--host", "h"}).code,
            0);
  auto done = run({"key", "list"});
  EXPECT_TRUE(contains(done.out, "  u     h     ")) << done.out;
  environment["RESTIC_PASSWORD"] = "second";
  EXPECT_TRUE(contains(run({"key", "remove", repo->key_id().short_hex()}).out, "removed key " + repo->key_id().hex()));
  environment["RESTIC_PASSWORD"] = recoup::test_password;
  EXPECT_EQ(run({"snapshots"}).code, 12);
}

TEST_F(cli_run, an_interrupt_ends_in_order) {
  make();
  process child({"backup", "--stdin"}, environment);
  child.send("some data");
  EXPECT_TRUE(at_last([&] { return !repo->list(recoup::file_type::lock).empty(); }));
  child.signal(SIGINT);
  const auto done = child.finish();
  EXPECT_EQ(done.code, 130) << done.err;
  EXPECT_TRUE(contains(done.err, "signal interrupt received, cleaning up")) << done.err;
  EXPECT_TRUE(repo->list(recoup::file_type::lock).empty());
  EXPECT_TRUE(repo->list(recoup::file_type::snapshot).empty());
}

TEST_F(cli_run, a_status_signal_prints_one_line) {
  make();
  process child({"backup", "--stdin"}, environment);
  child.send(std::string(20 << 20, 'x'));  // two chunks of the greatest length, and more to come
  EXPECT_TRUE(at_last([&] { return !repo->list(recoup::file_type::lock).empty(); }));
  {
    const std::jthread signalling([&](const std::stop_token& stop) {
      for (; !stop.stop_requested(); std::this_thread::sleep_for(std::chrono::milliseconds(20))) child.signal(SIGUSR1);
    });
    EXPECT_TRUE(child.wait_for(" errors"));
  }
  const auto done = child.finish();
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_TRUE(contains(done.out, " errors")) << done.out;
}

TEST_F(cli_run, a_reader_that_goes_away_ends_the_command_quietly) {
  make();
  back_up();
  process child({"ls", "latest"}, environment);
  child.close_output();
  const auto done = child.finish();
  EXPECT_EQ(done.code, 128 + SIGPIPE);
  EXPECT_EQ(done.err, "");
  EXPECT_TRUE(repo->list(recoup::file_type::lock).empty());
}

TEST_F(cli_run, a_full_disk_under_stdout_is_an_error) {
  make();
  back_up();
  environment["COMMAND"] = cli_test::command_path();
  process shell({"-c", "\"$COMMAND\" ls latest > /dev/full"}, environment, "/bin/sh");
  const auto done = shell.finish();
  EXPECT_EQ(done.code, 1);
  EXPECT_EQ(done.err, "Fatal: cannot write to stdout: No space left on device\n");
}

TEST_F(cli_run, other_programs_add_commands) {
  const auto script = place.write("bin/recoup-greet", "#!/bin/sh\necho \"greet: $*\"\nexit 5\n");
  ::chmod(script.c_str(), 0755);
  environment["PATH"] += ":" + (place / "bin");
  const auto done = run({"--json", "greet", "you", "--twice"});
  EXPECT_EQ(done.code, 5);
  EXPECT_EQ(done.out, "greet: --json you --twice\n");
}

TEST_F(cli_run, completion_scripts_are_valid) {
  const auto script = place / "completion.bash";
  ASSERT_EQ(run({"generate", "--bash-completion", script, "--man", place / "man"}).code, 0);
  process bash({"-c", "source " + script + "; COMP_WORDS=(recoup key pa); COMP_CWORD=2; _recoup; echo ${COMPREPLY[@]}; "
                      "COMP_WORDS=(recoup backup --exclude-c); _recoup; echo ${COMPREPLY[@]}"},
               environment, "/bin/bash");
  const auto done = bash.finish();
  EXPECT_EQ(done.out, "passwd\n--exclude-caches\n") << done.err;
  EXPECT_TRUE(std::filesystem::exists(place / "man/recoup-key-add.1"));
}

TEST_F(cli_run, excludes_and_lists_of_files) {
  make();
  place.write("src/c.o", "object");
  place.write("src/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55");
  place.write("src/cache/big", "x");
  const auto list = place.write("list", "# comment\n" + (place / "src") + "/*\n");
  const auto done = run({"backup", "-q", "--files-from", list, "-e", "*.o", "--exclude-caches", "--iexclude", "B"});
  EXPECT_EQ(done.code, 0) << done.err;
  const auto listed = run({"ls", "latest", "-q"}).out;
  EXPECT_TRUE(contains(listed, "/src/a\n")) << listed;
  EXPECT_TRUE(contains(listed, "/src/cache/CACHEDIR.TAG\n"));
  EXPECT_FALSE(contains(listed, "/src/cache/big"));
  EXPECT_FALSE(contains(listed, "/src/sub/b"));
}

}  // namespace
