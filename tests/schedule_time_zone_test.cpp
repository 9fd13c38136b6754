// Time zones from the tz database: the same offsets as the C library's, rules, machines without the files, damaged
// files.
#include <recoup/schedule/time_zone.hpp>

#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>

#include "scoped_environment.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

std::int32_t offset_of_library(std::int64_t at, bool& is_summer_time) {
  const auto time = static_cast<std::time_t>(at);
  std::tm shown{};
  ::localtime_r(&time, &shown);
  is_summer_time = shown.tm_isdst > 0;
  return static_cast<std::int32_t>(shown.tm_gmtoff);
}

TEST(time_zone, offsets_are_those_of_the_library) {
  std::mt19937_64 random(7);
  std::uniform_int_distribution<std::int64_t> times(0, 7258118399);  // 1970 to 2199
  for (const char* name :
       {"UTC", "Europe/Berlin", "America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "Africa/Casablanca",
        "Asia/Kathmandu", "Pacific/Apia", "Antarctica/Troll", "America/Havana", "Asia/Gaza", "Etc/GMT+5"}) {
    scoped_environment environment;
    environment.set("TZ", name);
    ::tzset();
    const auto zone = time_zone::named(name);
    for (int i = 0; i < 3000; ++i) {
      const auto at = times(random);
      bool is_summer_time = false;
      ASSERT_EQ(zone.at(at).seconds, offset_of_library(at, is_summer_time)) << name << " at " << at;
      ASSERT_EQ(zone.at(at).is_summer_time, is_summer_time) << name << " at " << at;
    }
  }
  ::tzset();
}

TEST(time_zone, changes_to_the_second) {
  const auto berlin = time_zone::named("Europe/Berlin");
  EXPECT_EQ(berlin.at(1774745999), (zone_offset{3600, false}));
  EXPECT_EQ(berlin.at(1774746000), (zone_offset{7200, true}));
  EXPECT_EQ(berlin.at(4741952400 - 1).seconds, berlin.at(4741952400 - 2).seconds);
}

TEST(time_zone, names) {
  EXPECT_EQ(time_zone::named("UTC").name(), "UTC");
  EXPECT_EQ(time_zone::utc().at(0), zone_offset{});
  for (const char* wrong : {"", "europe/berlin", "Europe/Berlin/", "/etc/localtime", "../zoneinfo/UTC",
                            "Europe//Berlin", "Europe", "tzdata.zi", "CEST", "a\nb"})
    EXPECT_THROW((void)time_zone::named(wrong), error) << wrong;
}

TEST(time_zone, without_files_utc_works_and_the_rest_names_the_package) {
  scoped_environment environment;
  environment.set("TZDIR", "/nonexistent/zoneinfo");
  EXPECT_EQ(time_zone::named("UTC").at(0), zone_offset{});
  try {
    (void)time_zone::named("Europe/Berlin");
    ADD_FAILURE() << "was found";
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::not_found);
    EXPECT_NE(std::string(problem.what()).find("install the package tzdata, or use UTC"), std::string::npos)
        << problem.what();
  }
}

TEST(time_zone, of_this_process) {
  scoped_environment environment;
  environment.set("TZ", "Europe/Berlin");
  EXPECT_EQ(time_zone::local().name(), "Europe/Berlin");
  EXPECT_EQ(time_zone::local().at(1774746000).seconds, 7200);
  environment.set("TZ", ":America/New_York");
  EXPECT_EQ(time_zone::local().at(1774746000).seconds, -4 * 3600);
  environment.set("TZ", "/usr/share/zoneinfo/Asia/Tokyo");
  EXPECT_EQ(time_zone::local().at(0).seconds, 9 * 3600);
  environment.set("TZ", "");
  EXPECT_EQ(time_zone::local().at(0), zone_offset{});
  environment.set("TZ", "no such zone");
  EXPECT_EQ(time_zone::local().at(0), zone_offset{});
  environment.set("TZ", "CET-1CEST,M3.5.0,M10.5.0/3");
  EXPECT_EQ(time_zone::local().at(1774745999), (zone_offset{3600, false}));
  EXPECT_EQ(time_zone::local().at(1774746000), (zone_offset{7200, true}));
  environment.unset("TZ");
  EXPECT_NO_THROW((void)time_zone::local());
}

TEST(time_zone, rules) {
  const auto rule = zone_rule::parse("<+0330>-3:30<+0430>,J79/24,J263/24");
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->standard().seconds, 12600);
  EXPECT_EQ(rule->transitions_in(2024)[0].at, 1710966600);  // 21 March 00:00, though it is a leap year
  EXPECT_EQ(rule->transitions_in(2024)[0].offset, (zone_offset{16200, true}));
  const auto southern = zone_rule::parse("AEST-10AEDT,M10.1.0,M4.1.0/3");
  ASSERT_TRUE(southern);
  EXPECT_FALSE(southern->transitions_in(2026)[0].offset.is_summer_time);  // the year begins in summer
  const auto counted_from_0 = zone_rule::parse("AAA0BBB,59,60");
  ASSERT_TRUE(counted_from_0);
  EXPECT_EQ(counted_from_0->transitions_in(2024)[0].at, 1709172000);  // 29 February 02:00
  for (const char* wrong :
       {"", "A-1", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J1", "CET-999", "<+01-1", "CET-1CEST,M3.5.0,M10.5.0x"})
    EXPECT_FALSE(zone_rule::parse(wrong)) << wrong;
}

TEST(time_zone, damaged_files_are_refused) {
  std::ifstream file("/usr/share/zoneinfo/Europe/Berlin", std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  ASSERT_GT(whole.size(), 100u);
  const unique_directory directory;
  scoped_environment environment;
  environment.set("TZDIR", directory.path().string());
  const auto write = [&](const std::string& content) {
    std::ofstream(directory.path() / "Broken", std::ios::binary | std::ios::trunc) << content;
  };
  write(whole);
  EXPECT_EQ(time_zone::named("Broken").at(1774746000).seconds, 7200);
  // Cut anywhere before the rule at the end, it is refused, and never read beyond.
  const auto rule = whole.rfind("\nCET");
  ASSERT_NE(rule, std::string::npos);
  for (std::size_t size = 0; size < rule; ++size) {
    write(whole.substr(0, size));
    EXPECT_THROW((void)time_zone::named("Broken"), error) << size;
  }
  std::mt19937 random(11);
  for (int i = 0; i < 3000; ++i) {
    auto changed = whole;
    for (int bytes = 0; bytes < 3; ++bytes)
      changed[random() % (i % 2 == 0 ? 120 : changed.size())] = static_cast<char>(random());
    write(changed);
    try {
      (void)time_zone::named("Broken").at(1774746000);
    } catch (const error&) {
    }
  }
}

}  // namespace
}  // namespace recoup
