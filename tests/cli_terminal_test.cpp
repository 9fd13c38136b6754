// Status lines, progress, and what happens on a real terminal (a pseudo-terminal here).
#include "terminal.hpp"

#include <gtest/gtest.h>
#include <pty.h>
#include <termios.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include <recoup/storage/local.hpp>

#include "at_last.hpp"
#include "cli_process.hpp"
#include "format.hpp"
#include "password.hpp"
#include "progress.hpp"
#include "test_repository.hpp"
#include "text_file.hpp"
#include "unique_directory.hpp"

namespace {

using namespace recoup::cli;
using namespace std::chrono_literals;

struct pipe_pair {
  int ends[2];
  pipe_pair() { EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0); }
  ~pipe_pair() { ::close(ends[0]), ::close(ends[1]); }
  std::string read() const {
    char buffer[1 << 16];
    const auto got = ::read(ends[0], buffer, sizeof buffer);
    return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : "";
  }
};

TEST(cli_terminal, lines_to_a_pipe) {
  pipe_pair out, err;
  terminal screen(0, out.ends[1], err.ends[1]);
  EXPECT_FALSE(screen.output_is_tty());
  screen.print("one");
  screen.print("two\n");
  screen.print("");
  EXPECT_EQ(out.read(), "one\ntwo\n\n");
  screen.collect_output(true);
  screen.print("later");
  EXPECT_EQ(out.read(), "");
  screen.error("problem");  // what came before it is seen before it
  EXPECT_EQ(out.read(), "later\n");
  EXPECT_EQ(err.read(), "problem\n");
  screen.set_status({"a", "b\nc"});
  screen.set_status({"a", "b\nc"});
  EXPECT_EQ(out.read(), "a\n\"b\\nc\"\n");
}

TEST(cli_terminal, status_lines_are_redrawn_in_place) {
  int master = -1, slave = -1;
  winsize size{24, 20, 0, 0};
  ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, &size), 0);
  termios raw{};
  ::tcgetattr(slave, &raw);
  ::cfmakeraw(&raw);
  ::tcsetattr(slave, TCSANOW, &raw);
  ::setenv("TERM", "xterm", 1);
  const auto written = [&] {
    char buffer[4096];
    const auto got = ::read(master, buffer, sizeof buffer);
    return std::string(buffer, got > 0 ? static_cast<std::size_t>(got) : 0);
  };
  {
    terminal screen(slave, slave, slave);
    EXPECT_TRUE(screen.can_update_status());
    EXPECT_EQ(screen.width(), 20u);
    screen.set_status({"first", "second line that is too long"});
    EXPECT_EQ(written(), "\r\x1b[2Kfirst\n\r\x1b[2Ksecond line that is\x1b[1A\r");
    screen.print("hello");
    EXPECT_EQ(written(), "\r\x1b[2K\n\r\x1b[2K\x1b[1A\rhello\n\r\x1b[2Kfirst\n\r\x1b[2Ksecond line that is\x1b[1A\r");
    screen.set_status({"one"});
    EXPECT_EQ(written(), "\r\x1b[2K\n\r\x1b[2K\x1b[1A\r\r\x1b[2Kone\r");
  }
  EXPECT_EQ(written(), "\r\x1b[2K\r");
  ::close(master), ::close(slave);
}

TEST(cli_progress, how_often) {
  ::unsetenv("RESTIC_PROGRESS_FPS");
  EXPECT_EQ(progress_interval(true, false, true), 100ms);
  EXPECT_EQ(progress_interval(true, false, false), 0ms);
  EXPECT_EQ(progress_interval(true, true, false), 100ms);
  EXPECT_EQ(progress_interval(false, true, true), 0ms);
  ::setenv("RESTIC_PROGRESS_FPS", "0.5", 1);
  EXPECT_EQ(progress_interval(false, false, false), 2s);
  ::setenv("RESTIC_PROGRESS_FPS", "1000", 1);
  EXPECT_NEAR(static_cast<double>(progress_interval(true, false, true).count()), 1e9 / 60, 1);
  ::setenv("RESTIC_PROGRESS_FPS", "-1", 1);
  EXPECT_EQ(progress_interval(true, false, true), 100ms);
  ::unsetenv("RESTIC_PROGRESS_FPS");
}

TEST(cli_progress, rate_forgets_what_is_long_ago) {
  const steady_time start{};
  rate_estimator rate(start);
  EXPECT_EQ(rate.rate(start), 0);
  for (int second = 0; second < 300; ++second) rate.record(start + std::chrono::seconds(second), 10'000'000);
  EXPECT_NEAR(rate.rate(start + 300s), 1e7, 1e6);
  for (int second = 300; second < 900; ++second) rate.record(start + std::chrono::seconds(second), 1'000'000);
  EXPECT_NEAR(rate.rate(start + 900s), 1e6, 1e5);
}

TEST(cli_progress, a_slow_start_is_not_forgotten) {
  const steady_time start{};
  rate_estimator rate(start);
  for (int second = 0; second < 1000; second += 20) rate.record(start + std::chrono::seconds(second), 1000);
  EXPECT_NEAR(rate.rate(start + 1000s), 50, 1);
}

TEST(cli_progress, the_last_report_comes_before_finish_returns) {
  interrupt signals;
  std::atomic<int> reports = 0, finals = 0;
  updater regular(signals, 1ms, [&](std::chrono::nanoseconds, bool final) { final ? ++finals : ++reports; });
  EXPECT_TRUE(at_last([&] { return reports > 2; }));
  regular.finish();
  regular.finish();
  EXPECT_EQ(finals, 1);
}

TEST(cli_progress, bars) {
  EXPECT_EQ(progress_bar(0, 10, 5), ">    ");
  EXPECT_EQ(progress_bar(5, 10, 5), "==>  ");
  EXPECT_EQ(progress_bar(10, 10, 5), "=====");
  EXPECT_EQ(progress_bar(20, 10, 5), "=====");
  EXPECT_EQ(progress_bar(1, 0, 5), "     ");
}

std::string decoded(const std::string& raw) {
  std::string text(raw.size() * 2 + 8, '\0');
  const auto length = decode_secret(
      recoup::as_bytes(raw), recoup::byte_span(reinterpret_cast<std::uint8_t*>(text.data()), text.size()));
  return text.substr(0, length);
}

TEST(cli_password, byte_order_marks) {
  using namespace std::string_literals;
  EXPECT_EQ(decoded("pa\xc3\xa4"), "pa\xc3\xa4");
  EXPECT_EQ(decoded("\xef\xbb\xbfpass"), "pass");
  EXPECT_EQ(decoded("\xff\xfep\0\xe4\0"s), "p\xc3\xa4");
  EXPECT_EQ(decoded("\xfe\xff\0p\x20\xac"s), "p\xe2\x82\xac");
  EXPECT_EQ(decoded("\xfe\xff\xd8\x3d\xde\x00"s), "\xf0\x9f\x98\x80");
  EXPECT_EQ(decoded("\xff\xfe\x3d\xd8!\0x"s), "\xef\xbf\xbd!\xef\xbf\xbd");
  EXPECT_EQ(decoded("\xff\xfe"), "");
}

/// The command with a pseudo-terminal as its only input and output.
class on_terminal {
public:
  on_terminal(const std::vector<std::string>& arguments, const cli_test::variables& environment) {
    const auto executable = cli_test::command_path();
    child_ = ::forkpty(&master_, nullptr, nullptr, nullptr);
    if (child_ != 0) return;
    ::clearenv();
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> raw{const_cast<char*>(executable.c_str())};
    for (const auto& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    ::execv(executable.c_str(), raw.data());
    ::_exit(99);
  }
  ~on_terminal() { ::close(master_); }

  bool wait_for(const std::string& text, std::size_t times = 1) {
    const auto count = [&] {
      std::size_t found = 0;
      for (std::size_t at = 0; (at = seen_.find(text, at)) != std::string::npos; ++at) ++found;
      return found;
    };
    while (count() < times)
      if (!read_some()) return false;
    return true;
  }
  /// Until the prompt is there and the terminal shows nothing of what is typed: what is typed before that is thrown away.
  bool wait_for_prompt(const std::string& text, std::size_t times = 1) {
    return wait_for(text, times) && at_last([&] {
             termios state{};
             return ::tcgetattr(master_, &state) == 0 && (state.c_lflag & static_cast<tcflag_t>(ECHO)) == 0;
           });
  }
  void type(const std::string& text) const { (void)!::write(master_, text.data(), text.size()); }
  int finish() {
    while (read_some()) {
    }
    int status = 0;
    ::waitpid(child_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  [[nodiscard]] const std::string& seen() const { return seen_; }

private:
  bool read_some() {
    char buffer[4096];
    const auto got = ::read(master_, buffer, sizeof buffer);  // EIO once the other side is closed
    if (got <= 0) return false;
    seen_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  int master_ = -1;
  pid_t child_ = -1;
  std::string seen_;
};

struct cli_prompt : ::testing::Test {
  cli_prompt() {
    (void)recoup::make_repository(std::make_shared<recoup::local_backend>(place / "repo", recoup::local_options{}));
    environment = {{"PATH", "/usr/bin:/bin"}, {"TERM", "xterm"}, {"TZ", "UTC"}, {"RESTIC_REPOSITORY", place / "repo"}};
    place.write("src/file", std::string(100'000, 'x'));
  }
  unique_directory place;
  cli_test::variables environment;
};

TEST_F(cli_prompt, asks_three_times_and_shows_nothing_of_it) {
  on_terminal session({"list", "keys"}, environment);
  for (std::size_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(session.wait_for_prompt("enter password for repository: ", i)) << session.seen();
    session.type("s3cret-attempt\n");
  }
  EXPECT_EQ(session.finish(), 12) << session.seen();
  EXPECT_EQ(session.seen().find("s3cret"), std::string::npos);
  EXPECT_NE(session.seen().find("Try again"), std::string::npos);
  EXPECT_NE(session.seen().find("Fatal: wrong password or no key found"), std::string::npos);
}

TEST_F(cli_prompt, a_second_try_may_be_right) {
  on_terminal session({"list", "keys"}, environment);
  ASSERT_TRUE(session.wait_for_prompt("repository: "));
  session.type("wrong\n");
  ASSERT_TRUE(session.wait_for_prompt("repository: ", 2));
  session.type(std::string(recoup::test_password) + "\n");
  EXPECT_EQ(session.finish(), 0) << session.seen();
  EXPECT_NE(session.seen().find(" opened (version 2, compression level auto)"), std::string::npos);
}

TEST_F(cli_prompt, an_interrupt_at_the_prompt_gives_the_echo_back) {
  on_terminal session({"list", "keys"}, environment);
  ASSERT_TRUE(session.wait_for_prompt("repository: "));
  session.type("\x03");
  EXPECT_EQ(session.finish(), 130) << session.seen();
}

TEST_F(cli_prompt, a_new_password_is_asked_for_twice) {
  environment["RESTIC_REPOSITORY"] = place / "other";
  on_terminal session({"init"}, environment);
  ASSERT_TRUE(session.wait_for_prompt("enter password for new repository: "));
  session.type("one\n");
  ASSERT_TRUE(session.wait_for_prompt("enter password again: "));
  session.type("two\n");
  EXPECT_EQ(session.finish(), 1);
  EXPECT_NE(session.seen().find("Fatal: passwords do not match"), std::string::npos) << session.seen();
}

TEST_F(cli_prompt, a_backup_shows_its_status_and_leaves_none_behind) {
  environment["RESTIC_PASSWORD"] = recoup::test_password;
  environment["RESTIC_PROGRESS_FPS"] = "60";
  on_terminal session({"backup", place / "src"}, environment);
  EXPECT_EQ(session.finish(), 0) << session.seen();
  EXPECT_NE(session.seen().find("snapshot "), std::string::npos);
}

}  // namespace
