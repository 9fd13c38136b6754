// Values of flags, options and environment variables, as Go reads them.
#include <gtest/gtest.h>

#include <recoup/core/parse_setting.hpp>

namespace recoup {
namespace {

using namespace std::chrono_literals;

TEST(parse_setting_test, durations_as_go_reads_them) {
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("-2ms"), -2ms);
  EXPECT_EQ(parse_duration("0"), 0s);
  EXPECT_EQ(parse_duration("10µs"), 10us);
  for (const auto* wrong : {"", "5", "m", "1d", "1h 2m", "--1s", ".s"}) EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

TEST(parse_setting_test, booleans_as_go_reads_them) {
  for (const auto* yes : {"1", "t", "T", "true", "TRUE", "True"}) EXPECT_EQ(parse_bool(yes), true) << yes;
  for (const auto* no : {"0", "f", "F", "false", "FALSE", "False"}) EXPECT_EQ(parse_bool(no), false) << no;
  for (const auto* wrong : {"", "yes", "tRUE", " true", "2"}) EXPECT_FALSE(parse_bool(wrong)) << wrong;
}

}  // namespace
}  // namespace recoup
