#include "format.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include <recoup/repo/node.hpp>

namespace {

using namespace recoup::cli;
using namespace std::chrono_literals;

TEST(cli_format, bytes_as_restic_prints_them) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.000 KiB");
  EXPECT_EQ(format_bytes(1294000), "1.234 MiB");
  EXPECT_EQ(format_bytes((1ull << 40) - 1), "1024.000 GiB");
  EXPECT_EQ(format_bytes(1ull << 50), "1024.000 TiB");
  EXPECT_EQ(format_bytes(~0ull), "16777216.000 TiB");
}

TEST(cli_format, percent_and_time) {
  EXPECT_EQ(format_percent(1, 3), "33.33%");
  EXPECT_EQ(format_percent(9, 3), "100.00%");
  EXPECT_EQ(format_percent(1, 0), "");
  EXPECT_EQ(format_seconds(62), "1:02");
  EXPECT_EQ(format_seconds(3723), "1:02:03");
  EXPECT_EQ(format_duration(-1s), "0:00");
  EXPECT_EQ(format_duration(61999ms), "1:01");
}

TEST(cli_format, modes_as_go_prints_them) {
  namespace mode = recoup::go_mode;
  EXPECT_EQ(format_mode(0644), "-rw-r--r--");
  EXPECT_EQ(format_mode(mode::dir | 0755), "drwxr-xr-x");
  EXPECT_EQ(format_mode(mode::symlink | 0777), "Lrwxrwxrwx");
  EXPECT_EQ(format_mode(mode::dir | mode::sticky | 0777), "dtrwxrwxrwx");
  EXPECT_EQ(format_mode(mode::setuid | mode::setgid | 0755), "ugrwxr-xr-x");
  EXPECT_EQ(format_mode(mode::device | mode::char_device | 0660), "Dcrw-rw----");
  EXPECT_EQ(format_mode(mode::named_pipe | 0600), "prw-------");
}

TEST(cli_format, width_of_text_on_a_terminal) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("e\xcc\x81"), 1u);
  EXPECT_EQ(truncated("日本語", 5), "日本");
  EXPECT_EQ(truncated("abc", 2), "ab");
  EXPECT_EQ(truncated("abc", 9), "abc");
}

TEST(cli_format, what_could_upset_a_terminal_is_quoted) {
  EXPECT_EQ(quoted_if_needed("a b"), "a b");
  EXPECT_EQ(quoted_if_needed("a\nb"), "\"a\\nb\"");
  EXPECT_EQ(quoted_if_needed("\x1b[2J"), "\"\\x1b[2J\"");
  EXPECT_EQ(quoted_if_needed("\xff"), "\"\\xff\"");
}

TEST(cli_format, control_characters_do_not_reach_a_terminal) {
  EXPECT_EQ(without_control_characters("a b\tc\nd"), "a b\tc\nd");
  EXPECT_EQ(without_control_characters("gr\u00fc\u00df \u65e5 \U0001f600"), "gr\u00fc\u00df \u65e5 \U0001f600");
  EXPECT_EQ(without_control_characters("\x1b[2J\x07\x7f\r"), "\\x1b[2J\\x07\\x7f\\x0d");
  EXPECT_EQ(without_control_characters("\xc2\x9b"
                                       "31m\x9b"),
            "\\xc2\\x9b31m\\x9b");
}

TEST(cli_format, table_as_restic_prints_snapshots) {
  table rows({"ID", "Time", "Host      ", "Paths"});
  rows.add_row({"9a869617", "2026-11-23 21:11:02", "vm", "/a\n/b"});
  rows.add_row({"34f1997a", "2026-11-23 21:11:03", "日本", "/c"});
  rows.separate_rows(true);
  rows.add_footer("2 snapshots");
  EXPECT_EQ(rows.text(),
            "ID        Time                 Host        Paths\n"
            "------------------------------------------------\n"
            "9a869617  2026-11-23 21:11:02  vm          /a\n"
            "                                           /b\n"
            "\n"
            "34f1997a  2026-11-23 21:11:03  日本        /c\n"
            "------------------------------------------------\n"
            "2 snapshots\n");
}

TEST(cli_format, times_in_the_local_zone) {
  ::setenv("TZ", "Europe/Berlin", 1);
  ::tzset();
  const recoup::timestamp winter{1700000000, 120'000'000, 3600};
  EXPECT_EQ(format_local_time(winter), "2023-11-14 23:13:20");
  EXPECT_EQ(format_full_time(winter), "2023-11-14 23:13:20.12 +0100 CET");
  EXPECT_EQ(format_full_time({1700000000, 0, 0}), "2023-11-14 22:13:20 +0000 UTC");
  EXPECT_EQ(format_full_time({1700000000, 0, -19800}), "2023-11-14 16:43:20 -0530 -0530");
  ::unsetenv("TZ");
  ::tzset();
}

}  // namespace
