// The units of a schedule: each word arrives in the service as it was given, systemd has nothing to say against them,
// and what confines the backup does not hide what it has to read.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <recoup/schedule/schedule_files.hpp>

#include "unique_directory.hpp"

namespace {

using namespace recoup;

schedule_definition simple() {
  schedule_definition definition;
  definition.name = "restic-backup";
  definition.executable = "/bin/true";
  definition.backup.paths = {"/srv", "/etc"};
  definition.calendar = {"0 2 * * *"};
  return definition;
}

unit_surroundings around(const schedule_definition& definition) { return surroundings_of(definition, {}); }
std::string service(const schedule_definition& definition) { return render_service(definition, around(definition)); }
std::string timer(const schedule_definition& definition) { return render_timer(definition, around(definition)); }

/// Whether the line is there, as a whole.
bool has(const std::string& unit, const std::string& line) {
  return unit.find("\n" + line + "\n") != std::string::npos;
}

struct outcome {
  int status = -1;
  std::string output;
};

outcome run(const std::string& command) {
  outcome result;
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const auto got = std::fread(buffer, 1, sizeof buffer, pipe)) result.output.append(buffer, got);
  result.status = WEXITSTATUS(::pclose(pipe));
  return result;
}

bool has_systemd_analyze() { return run("systemd-analyze --version").status == 0; }

TEST(schedule_units, the_runbooks_schedule) {
  auto definition = simple();
  definition.executable = "/usr/local/bin/recoup";
  definition.backup.tags = {"production"};
  definition.on_boot = "15min";
  definition.randomized_delay = "10min";
  definition.time_zone = "Europe/Berlin";
  definition.limits.cpu_quota = "50%", definition.limits.memory_max = "1G", definition.limits.nice = 10;
  definition.limits.io_weight = 50, definition.limits.timeout = "12h", definition.limits.io_class = "idle";
  definition.on_failure = {"mail-admin@%n.service"};
  const auto unit = service(definition);
  for (const char* line : {"Type=oneshot",
                           "ExecStart=/usr/local/bin/recoup schedule run restic-backup",
                           "LoadCredential=environment:/etc/restic.env",
                           "OnFailure=mail-admin@%n.service",
                           "After=network-online.target",
                           "Wants=network-online.target",
                           "CPUQuota=50%",
                           "MemoryMax=1G",
                           "IOWeight=50",
                           "Nice=10",
                           "IOSchedulingClass=idle",
                           "TimeoutStartSec=12h",
                           "SuccessExitStatus=3",
                           "ProtectSystem=strict",
                           "ProtectHome=read-only",
                           "NoNewPrivileges=yes",
                           "PrivateTmp=yes",
                           "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
                           "UMask=0077",
                           "CacheDirectory=recoup",
                           "Environment=RESTIC_CACHE_DIR=/var/cache/recoup",
                           "SyslogIdentifier=restic-backup"})
    EXPECT_TRUE(has(unit, line)) << line << "\nin\n" << unit;
  for (const char* line :
       {"OnCalendar=*-*-* 02:00:00 Europe/Berlin", "Persistent=yes", "OnBootSec=15min", "RandomizedDelaySec=10min",
        "AccuracySec=1s", "Unit=restic-backup.service", "WantedBy=timers.target"})
    EXPECT_TRUE(has(timer(definition), line)) << line;
  EXPECT_TRUE(unit.starts_with(unit_mark));
  EXPECT_TRUE(timer(definition).starts_with(unit_mark));
}

TEST(schedule_units, what_is_not_wanted_is_not_there) {
  auto definition = simple();
  definition.partial_is_failure = true, definition.persistent = false, definition.hardening = false;
  EXPECT_FALSE(has(service(definition), "SuccessExitStatus=3"));
  EXPECT_EQ(service(definition).find("Protect"), std::string::npos);
  EXPECT_EQ(timer(definition).find("Persistent"), std::string::npos);
  EXPECT_EQ(timer(definition).find("OnBootSec"), std::string::npos);
}

TEST(schedule_units, what_is_backed_up_is_not_hidden_from_the_backup) {
  auto definition = simple();
  const auto with_paths = [&](std::vector<std::string> paths) {
    definition.backup.paths = std::move(paths);
    return service(definition);
  };
  for (const char* path : {"/", "/tmp", "/tmp/", "/tmp/exports", "/var", "/var/tmp/x"}) {
    const auto unit = with_paths({"/srv", path});
    EXPECT_FALSE(has(unit, "PrivateTmp=yes")) << path;
    EXPECT_TRUE(has(unit, "ReadWritePaths=-/tmp")) << path;  // temporary files need a place all the same
  }
  EXPECT_TRUE(has(with_paths({"/tmpx", "/variable"}), "PrivateTmp=yes"));
  for (const char* path : {"/", "/usr", "/lib", "/usr/lib/modules/6.1"})
    EXPECT_FALSE(has(with_paths({path}), "ProtectKernelModules=yes")) << path;
  EXPECT_TRUE(has(with_paths({"/usr/local"}), "ProtectKernelModules=yes"));
  EXPECT_FALSE(has(with_paths({"/dev"}), "ProtectKernelLogs=yes"));
  definition.backup.exclude_files = {"/tmp/excludes"};
  EXPECT_FALSE(has(with_paths({"/srv"}), "PrivateTmp=yes"));
}

TEST(schedule_units, a_repository_that_is_a_directory_can_be_written_to) {
  const auto definition = simple();
  const auto unit =
      render_service(definition, surroundings_of(definition, {{"RESTIC_REPOSITORY", "/mnt/100% \"mine\""}}));
  EXPECT_TRUE(has(unit, "ReadWritePaths=-\"/mnt/100%% \\\"mine\\\"\"")) << unit;
  EXPECT_TRUE(has(unit, "CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE"));
  EXPECT_EQ(local_directory_of("local:/mnt/x"), "/mnt/x");
  EXPECT_EQ(local_directory_of("s3:http://10.20.0.103:9000/x"), "");
  const auto cached = render_service(definition, surroundings_of(definition, {{"RESTIC_CACHE_DIR", "/big/cache"}}));
  EXPECT_TRUE(has(cached, "ReadWritePaths=-/big/cache"));
  EXPECT_FALSE(has(cached, "Environment=RESTIC_CACHE_DIR=/var/cache/recoup"));
}

TEST(schedule_units, commands_run_outside_of_what_confines_the_backup) {
  auto definition = simple();
  definition.commands_before = {{"/usr/local/bin/dump", "--all"}};
  definition.commands_after = {{"/bin/rm", "-f", "/srv/a b"}};
  const auto unit = service(definition);
  EXPECT_TRUE(has(unit, "ExecStartPre=+/usr/local/bin/dump --all"));
  EXPECT_TRUE(has(unit, "ExecStopPost=+/bin/rm -f \"/srv/a b\""));
  EXPECT_TRUE(has(unit, "ExecStart=/bin/true schedule run --no-commands restic-backup"));
}

TEST(schedule_units, no_secret_is_in_any_file_but_the_one_for_secrets) {
  const std::vector<environment_setting> secrets = {
      {"RESTIC_PASSWORD", "PW-4711"}, {"RESTIC_REPOSITORY", "s3:http://h/b"}, {"AWS_SECRET_ACCESS_KEY", "SK-4711"}};
  const auto files = render_schedule_files(simple(), &secrets);
  ASSERT_EQ(files.size(), 4U);
  for (const auto& file : files) {
    EXPECT_EQ(file.is_secret, file.path == "/etc/restic.env");
    EXPECT_EQ(file.mode, file.is_secret ? 0600U : 0644U);
    EXPECT_EQ(file.content.find("4711") != std::string::npos, file.is_secret) << file.path;
  }
  EXPECT_EQ(render_schedule_files(simple(), nullptr).size(), 3U);
}

TEST(schedule_units, systemd_has_nothing_to_say_against_them) {
  if (!has_systemd_analyze()) GTEST_SKIP() << "no systemd-analyze here";
  auto plain = simple();
  plain.name = "plain";
  auto full = simple();
  full.name = "full.backup-1_x";
  full.description = "50% of \"it\" costs $5 \\ ünïcode";
  full.backup.paths = {"/", "/tmp/x y"};
  full.on_boot = "1h 30min", full.randomized_delay = "90", full.time_zone = "America/New_York";
  full.calendar = {"*/15 9-17 * * mon-fri", "@weekly", "Mon..Fri *-*-* 03:30:00 UTC"};
  full.limits = {"150%", "50%", 9999, "best-effort", -5, "infinity", 1, 2};
  full.on_failure = {"mail-admin@%n.service", "emergency.target"};
  full.commands_before = {{"/bin/echo", "$HOME", "%h", "", "a\"b\\c'd", ";", "two\nlines", "-x=${Y}"}};
  full.environment = {{"RESTIC_REPOSITORY", "/mnt/a b%"}};
  const unique_directory directory;
  directory.write("mail-admin@.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
  for (const auto& definition : {plain, full}) {
    require_valid(definition);
    const auto unit = directory.write(definition.name + ".service", service(definition));
    const auto trigger = directory.write(definition.name + ".timer", timer(definition));
    const auto verified = run("systemd-analyze verify --man=no " + unit + " " + trigger);
    EXPECT_EQ(verified.status, 0);
    EXPECT_EQ(verified.output, "") << service(definition) << timer(definition);
    // Of 100; whoever backs up everything can confine less.
    const auto most = std::string(definition.name == "plain" ? "28" : "40");
    const auto looked = run("systemd-analyze security --offline=true --no-pager --threshold=" + most + " " + unit);
    EXPECT_EQ(looked.status, 0) << looked.output;
  }
  // That the tool would complain.
  const auto wrong = directory.write("wrong.service", service(plain) + "ProtectSystem=nonsense\n");
  EXPECT_NE(run("systemd-analyze verify --man=no " + wrong).output, "");
}

/// systemd 252's own way from the text after "ExecStart=" to the arguments of the process, but for specifiers.
class systemd_words {
public:
  systemd_words() {
    for (const char* path :
         {"/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so", "/usr/lib/systemd/libsystemd-shared-252.so"})
      if (library_ == nullptr) library_ = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) return;
    extract_ = reinterpret_cast<extract>(::dlsym(library_, "extract_first_word"));
    replace_ = reinterpret_cast<replace>(::dlsym(library_, "replace_env_argv"));
  }
  [[nodiscard]] bool are_there() const { return extract_ != nullptr && replace_ != nullptr; }

  [[nodiscard]] std::vector<std::string> words_of(const std::string& line, bool is_path) const {
    constexpr int c_unescape = 1 << 1, unquote = 1 << 5;
    std::vector<std::string> words;
    const char* rest = line.c_str();
    for (;;) {
      char* word = nullptr;
      const int result = extract_(&rest, &word, nullptr, is_path ? unquote : unquote | c_unescape);
      if (result < 0) return {"extract_first_word failed"};
      if (result == 0) break;
      words.push_back(with_specifiers(word));
      std::free(word);
    }
    if (is_path) return words;
    std::vector<char*> raw;
    for (auto& word : words) raw.push_back(word.data());
    raw.push_back(nullptr);
    char home[] = "HOME=/root";
    char* environment[] = {home, nullptr};
    char** replaced = replace_(raw.data(), environment);
    std::vector<std::string> result;
    for (char** each = replaced; *each != nullptr; ++each) {
      result.emplace_back(*each);
      std::free(*each);
    }
    std::free(replaced);
    return result;
  }

private:
  static std::string with_specifiers(const std::string& word) {
    std::string result;
    for (std::size_t i = 0; i < word.size(); ++i) {
      result += word[i];
      if (word[i] != '%') continue;
      if (i + 1 >= word.size() || word[i + 1] != '%') return "a specifier in " + word;
      ++i;
    }
    return result;
  }

  using extract = int (*)(const char**, char**, const char*, int);
  using replace = char** (*)(char**, char**);
  void* library_ = nullptr;
  extract extract_ = nullptr;
  replace replace_ = nullptr;
};

std::string random_word(std::mt19937& random, bool controls) {
  static constexpr std::string_view pieces[] = {"a",     "/",   " ",  "\"", "'",    "\\",  "$", "${HOME}",
                                                "$HOME", "%",   "%n", ";",  "=",    "-",   "ä", "@",
                                                "#",     "\\n", "\n", "\t", "\x01", "\x7f"};
  std::string word;
  const std::size_t most = std::size(pieces) - (controls ? 1 : 5);
  for (int i = std::uniform_int_distribution<int>(0, 8)(random); i > 0; --i)
    word += pieces[std::uniform_int_distribution<std::size_t>(0, most)(random)];
  return word;
}

TEST(schedule_units, each_word_arrives_as_it_was_given) {
  const systemd_words systemd;
  if (!systemd.are_there()) GTEST_SKIP() << "no libsystemd-shared-252 here";
  std::mt19937 random(252);
  for (int round = 0; round < 50'000; ++round) {
    const std::vector<std::string> command = {"/bin/" + random_word(random, false), random_word(random, true),
                                              random_word(random, true)};
    auto line = unit_program(command[0]);
    for (std::size_t i = 1; i < command.size(); ++i) line += " " + unit_argument(command[i]);
    // The program's name is never looked at for variables, which extract the words and replace them does here.
    auto expected = command;
    const auto words = systemd.words_of("/bin/x " + line.substr(unit_program(command[0]).size() + 1), false);
    expected[0] = "/bin/x";
    ASSERT_EQ(words, expected) << line;
    ASSERT_EQ(systemd.words_of(unit_program(command[0]), true), std::vector<std::string>{command[0]});
    const auto path = "/" + random_word(random, false);
    ASSERT_EQ(systemd.words_of(unit_path(path), true), std::vector<std::string>{path}) << unit_path(path);
  }
}

TEST(schedule_units, what_no_unit_can_say_is_refused) {
  EXPECT_THROW((void)unit_argument(std::string("a\0b", 3)), error);
  EXPECT_THROW((void)unit_program("relative"), error);
  EXPECT_THROW((void)unit_path("/a\nb"), error);
}

}  // namespace
