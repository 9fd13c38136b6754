// Times as Go prints and reads them, and the other types that everything is made of: bytes, ids, errors.
#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>

#include <cstdlib>
#include <limits>

#include "test_data.hpp"

namespace recoup {
namespace {

/// Sets TZ for one scope.
class local_zone {
public:
  explicit local_zone(const char* name) {
    if (const char* before = std::getenv("TZ")) before_ = before;
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  local_zone(const local_zone&) = delete;
  local_zone& operator=(const local_zone&) = delete;
  ~local_zone() {
    before_ ? ::setenv("TZ", before_->c_str(), 1) : ::unsetenv("TZ");
    ::tzset();
  }

private:
  std::optional<std::string> before_;
};

std::string shown(std::int64_t seconds, const char* zone) {
  const local_zone set(zone);
  return to_rfc3339(local_timestamp(seconds, 0));
}

TEST(time, fraction_has_as_many_digits_as_it_needs) {
  EXPECT_EQ(to_rfc3339({0, 0, 0}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(to_rfc3339({0, 1, 0}), "1970-01-01T00:00:00.000000001Z");
  EXPECT_EQ(to_rfc3339({0, 600'000'000, 0}), "1970-01-01T00:00:00.6Z");
  EXPECT_EQ(to_rfc3339({0, 999'999'999, 0}), "1970-01-01T00:00:00.999999999Z");
  EXPECT_EQ(to_rfc3339({-1, 999'999'000, 0}), "1969-12-31T23:59:59.999999Z");
}

TEST(time, zone_is_whole_minutes_cut_towards_zero) {
  EXPECT_EQ(to_rfc3339({0, 0, 3600}), "1970-01-01T01:00:00+01:00");
  EXPECT_EQ(to_rfc3339({0, 0, -12600}), "1969-12-31T20:30:00-03:30");
  EXPECT_EQ(to_rfc3339({0, 0, -2670}), "1969-12-31T23:15:30-00:44");  // Liberia until 1972: -0:44:30
  EXPECT_EQ(to_rfc3339({0, 0, 59}), "1970-01-01T00:00:59+00:00");
  EXPECT_EQ(to_rfc3339({0, 0, -59}), "1969-12-31T23:59:01+00:00");
  EXPECT_EQ(to_rfc3339({0, 0, 14 * 3600}), "1970-01-01T14:00:00+14:00");
}

TEST(time, calendar) {
  EXPECT_EQ(to_rfc3339({951782400, 0, 0}), "2000-02-29T00:00:00Z");
  EXPECT_EQ(to_rfc3339({4107542400, 0, 0}), "2100-03-01T00:00:00Z");
  EXPECT_EQ(to_rfc3339({-62135596800, 0, 0}), "0001-01-01T00:00:00Z");
  EXPECT_EQ(to_rfc3339({-62167219200, 0, 0}), "0000-01-01T00:00:00Z");
  EXPECT_EQ(to_rfc3339({253402300799, 0, 0}), "9999-12-31T23:59:59Z");
}

TEST(time, reads_what_it_prints) {
  for (const std::int64_t seconds : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1704164645},
                                     std::int64_t{-62167219200}, std::int64_t{253402300799}, std::int64_t{951868799}})
    for (const std::int32_t nanoseconds : {0, 1, 10, 123'456'789, 900'000'000})
      for (const std::int32_t offset : {0, 60, 3600, -12600, 20700, -86340}) {
        const timestamp stamp{seconds - offset, nanoseconds, offset};
        EXPECT_EQ(parse_rfc3339(to_rfc3339(stamp)), stamp) << to_rfc3339(stamp);
      }
}

TEST(time, reads_other_spellings) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00+00:00"), (timestamp{0, 0, 0}));
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.070Z"), (timestamp{0, 70'000'000, 0}));
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.1234567899Z"), (timestamp{0, 123'456'789, 0}));
}

TEST(time, refuses_what_is_none) {
  for (const auto* text : {"",
                           "1970",
                           "1970-01-01",
                           "1970-01-01T00:00:00",
                           "1970-01-01 00:00:00Z",
                           "1970-13-01T00:00:00Z",
                           "1970-00-01T00:00:00Z",
                           "1970-02-30T00:00:00Z",
                           "1900-02-29T00:00:00Z",
                           "1970-01-01T24:00:00Z",
                           "1970-01-01T00:60:00Z",
                           "1970-01-01T00:00:60Z",
                           "1970-01-01T00:00:00.Z",
                           "1970-01-01T00:00:00Zx",
                           "1970-01-01T00:00:00+1:00",
                           "1970-01-01T00:00:00+01:60",
                           "1970-01-01T00:00:00+25:00",
                           "-970-01-01T00:00:00Z",
                           "+1970-01-01T00:00:00Z",
                           "19700-01-01T00:00:00Z",
                           "1970-1-01T00:00:00Z"})
    EXPECT_FALSE(parse_rfc3339(text)) << text;
}

TEST(time, is_shown_in_the_zone_of_that_instant) {
  EXPECT_EQ(shown(1704164645, "Europe/Berlin"), "2024-01-02T04:04:05+01:00");
  EXPECT_EQ(shown(1720000000, "Europe/Berlin"), "2024-07-03T11:46:40+02:00");
  EXPECT_EQ(shown(1704164645, "Asia/Kathmandu"), "2024-01-02T08:49:05+05:45");
  EXPECT_EQ(shown(31000000, "Africa/Monrovia"), "1970-12-25T18:22:10-00:44");
}

// All as restic 0.19.1 stored them, with the files on a tmpfs.
TEST(time, outside_the_years_0_to_9999_only_the_year_moves) {
  EXPECT_EQ(shown(253402300799, "UTC"), "9999-12-31T23:59:59Z");
  EXPECT_EQ(shown(253402300800, "UTC"), "9999-01-01T00:00:00Z");
  EXPECT_EQ(shown(266028192000, "UTC"), "9999-02-06T00:00:00Z");
  EXPECT_EQ(shown(266075999999, "UTC"), "9999-08-12T07:59:59Z");
  EXPECT_EQ(shown(9000000000000, "UTC"), "9999-08-24T16:00:00Z");
  EXPECT_EQ(shown(900000000000000000, "UTC"), "9999-02-17T16:00:00Z");
  EXPECT_EQ(shown(-62167219200, "UTC"), "0000-01-01T00:00:00Z");
  EXPECT_EQ(shown(-62167219201, "UTC"), "0000-12-31T23:59:59Z");
  EXPECT_EQ(shown(-9000000000000, "UTC"), "0000-05-10T08:00:00Z");
  EXPECT_EQ(shown(253402300800, "America/St_Johns"), "9999-12-31T20:30:00-03:30");
  EXPECT_EQ(shown(266075999999, "America/St_Johns"), "9999-08-12T05:29:59-02:30");
  EXPECT_EQ(shown(-62167219200, "America/St_Johns"), "0000-12-31T20:29:08-03:30");
  EXPECT_EQ(shown(-62167219201, "America/St_Johns"), "0000-12-31T20:29:07-03:30");
  EXPECT_EQ(shown(253402300799, "Europe/Berlin"), "9999-01-01T00:59:59+01:00");
  EXPECT_EQ(shown(253402300800, "Europe/Berlin"), "9999-01-01T01:00:00+01:00");
  EXPECT_EQ(shown(266075999999, "Europe/Berlin"), "9999-08-12T09:59:59+02:00");
  EXPECT_EQ(shown(-62167219201, "Europe/Berlin"), "0000-01-01T00:53:27+00:53");
}

TEST(time, the_29th_of_february_of_a_far_year_becomes_the_1st_of_march) {
  EXPECT_EQ(shown(253402300800 + (31 + 28) * 86400, "UTC"), "9999-03-01T00:00:00Z");  // 10000-02-29
  EXPECT_EQ(shown(253402300800 + (31 + 27) * 86400, "UTC"), "9999-02-28T00:00:00Z");
}

TEST(time, any_number_of_seconds_gives_a_time_that_can_be_read) {
  for (const auto* zone : {"UTC", "America/St_Johns", "Pacific/Kiritimati"}) {
    const local_zone set(zone);
    for (const std::int64_t seconds :
         {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()})
      for (const std::int64_t nudge : {0, 1, 86400, 12345678})
        EXPECT_TRUE(parse_rfc3339(to_rfc3339(local_timestamp(seconds < 0 ? seconds + nudge : seconds - nudge, 5))));
  }
}

TEST(time, instants_and_stamps_are_different_things) {
  const timestamp here{100, 5, 3600}, there{100, 5, 0}, later{100, 6, -3600};
  EXPECT_NE(here, there);
  EXPECT_TRUE(same_instant(here, there));
  EXPECT_TRUE(earlier(here, later));
  EXPECT_FALSE(earlier(there, here));
}

TEST(bytes, hexadecimal) {
  EXPECT_EQ(to_hex(bytes{0x00, 0xff, 0x1a}), "00ff1a");
  EXPECT_EQ(to_hex({}), "");
  std::array<std::uint8_t, 2> two{};
  EXPECT_TRUE(from_hex("fFa0", two));
  EXPECT_EQ(two, (std::array<std::uint8_t, 2>{0xff, 0xa0}));
  for (const auto* text : {"", "ff", "ffa", "ffa00", "ffag", "ff a", " ffa", "ff:a"})
    EXPECT_FALSE(from_hex(text, two)) << text;
}

TEST(bytes, base64) {
  EXPECT_EQ(to_base64({}), "");
  EXPECT_EQ(to_base64(bytes{0}), "AA==");
  EXPECT_EQ(to_base64(bytes{0xfb, 0xff}), "+/8=");
  for (std::size_t length = 0; length < 70; ++length) {
    const bytes data(length, static_cast<std::uint8_t>(length * 7));
    EXPECT_EQ(from_base64(to_base64(data)), data);
  }
  EXPECT_EQ(from_base64("AA\r\n=="), bytes{0});  // Go's decoder passes over line breaks
  for (const auto* text : {"A", "AA", "AAA", "AA=", "AA=A", "A A=", "-_8=", "AAAA=", "AA==AA=="})
    expect_error(error_code::damaged, "base64", [text] { (void)from_base64(text); });
}

TEST(bytes, resize_leaves_new_bytes_as_they_are) {
  bytes data(4, 7);
  data.resize(2);
  data.resize(4);
  EXPECT_EQ(data[3], 7);  // were it std::vector's own allocator, this would be 0
}

TEST(id, has_one_spelling) {
  const std::string text = "d1580d2df7f24b6f5e2a861eba2918755c3a7246b7068817e349d8adc66a8566";
  const auto parsed = id::parse(text);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->hex(), text);
  EXPECT_EQ(parsed->short_hex(), "d1580d2d");
  EXPECT_FALSE(parsed->is_zero());
  EXPECT_TRUE(id{}.is_zero());
  for (const auto& other : {text.substr(1), text + "0", "D" + text.substr(1), "g" + text.substr(1), std::string()})
    EXPECT_FALSE(id::parse(other)) << other;
}

TEST(id, orders_by_bytes) {
  id small, large;
  small.value[31] = 0xff;
  large.value[0] = 0x80;
  EXPECT_LT(small, large);
  EXPECT_NE(id_hash{}(small), id_hash{}(large));
}

TEST(error, exit_codes_are_restic_s) {
  EXPECT_EQ(exit_code(error_code::failure), 1);
  EXPECT_EQ(exit_code(error_code::damaged), 1);
  EXPECT_EQ(exit_code(error_code::incomplete), 3);
  EXPECT_EQ(exit_code(error_code::repository_missing), 10);
  EXPECT_EQ(exit_code(error_code::locked), 11);
  EXPECT_EQ(exit_code(error_code::wrong_password), 12);
  EXPECT_EQ(exit_code(error_code::interrupted), 130);
}

TEST(error, of_the_system_keep_what_matters) {
  EXPECT_EQ(system_error(ENOENT, "x").code(), error_code::not_found);
  EXPECT_EQ(system_error(ENOSPC, "x").code(), error_code::no_space);
  EXPECT_EQ(system_error(EDQUOT, "x").code(), error_code::no_space);
  EXPECT_EQ(system_error(EIO, "x").code(), error_code::io);
  EXPECT_EQ(std::string(system_error(ENOENT, "open /a").what()), "open /a: No such file or directory");
}

TEST(zone, only_what_names_a_zone_file_is_one) {
  for (const auto* zone : {"", ":", "UTC", "Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Asia/Kathmandu"})
    EXPECT_TRUE(names_zone_file(zone)) << zone;
  EXPECT_TRUE(names_zone_file(nullptr));
  for (const auto* zone : {"CET-1CEST", "UTC+3", ":Nowhere/At/All", "/nowhere"}) EXPECT_FALSE(names_zone_file(zone)) << zone;
}

}  // namespace
}  // namespace recoup
