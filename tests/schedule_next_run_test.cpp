// When calendar expressions are due: leap years, the end of months, clocks that change, what never comes. The expected
// times are systemd 252's; tests/interop/test_calendar.py compares with it on random expressions, zones and times.
#include "schedule_calendar_fixture.hpp"

namespace recoup {
namespace {

const auto berlin = time_zone::named("Europe/Berlin");

TEST(next_run, is_after_the_given_time) {
  EXPECT_EQ(shown_runs("02:00", "2026-01-31T01:59:59Z", 2, {}),
            (texts{"2026-01-31T02:00:00Z", "2026-02-01T02:00:00Z"}));
  EXPECT_EQ(shown_runs("02:00", "2026-01-31T02:00:00Z", 1, {}), texts{"2026-02-01T02:00:00Z"});
  EXPECT_EQ(shown_runs("*:*:0/0.5", "2026-01-31T02:00:00.5Z", 2, {}),
            (texts{"2026-01-31T02:00:01Z", "2026-01-31T02:00:01.5Z"}));
  EXPECT_EQ(shown_runs("*:*:0/0.5", "2026-01-31T02:00:00.499999999Z", 1, {}), texts{"2026-01-31T02:00:00.5Z"});
}

TEST(next_run, days_of_months) {
  EXPECT_EQ(shown_runs("*-2-29", "2026-01-01T00:00:00Z", 2, {}),
            (texts{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}));
  EXPECT_EQ(shown_runs("*-2-29", "2096-03-01T00:00:00Z", 1, {}), texts{"2104-02-29T00:00:00Z"});
  EXPECT_EQ(shown_runs("*-*-31", "2026-01-31T00:00:00Z", 2, {}),
            (texts{"2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"}));
  EXPECT_EQ(shown_runs("*-*~1", "2027-12-31T00:00:00Z", 3, {}),
            (texts{"2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"}));
  EXPECT_EQ(shown_runs("*-2~1..2", "2026-01-01T00:00:00Z", 3, {}),
            (texts{"2026-02-27T00:00:00Z", "2026-02-28T00:00:00Z", "2027-02-27T00:00:00Z"}));
  EXPECT_EQ(shown_runs("Mon *-05~07/1", "2026-01-01T00:00:00Z", 2, {}),
            (texts{"2026-05-25T00:00:00Z", "2027-05-31T00:00:00Z"}));
  EXPECT_EQ(shown_runs("Fri *-*-13", "2026-01-01T00:00:00Z", 2, {}),
            (texts{"2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z"}));
}

TEST(next_run, what_never_comes_ends) {
  for (const char* never : {"2-30", "*-4,6,9,11-31", "2025-01-01", "Mon 2030-01-01", "0 0 31 2 *"})
    EXPECT_EQ(shown_runs(never, "2026-01-01T00:00:00Z", 5, berlin), texts{}) << never;
  EXPECT_EQ(shown_runs("2199-12-31", "2026-01-01T00:00:00Z", 5, {}), texts{"2199-12-31T00:00:00Z"});
  EXPECT_EQ(shown_runs("daily", "2199-12-30T12:00:00Z", 5, {}), texts{"2199-12-31T00:00:00Z"});
  EXPECT_EQ(shown_runs("daily", "9999-12-31T23:59:59Z", 5, {}), texts{});
  EXPECT_EQ(shown_runs("daily", "1900-01-01T00:00:00Z", 1, {}), texts{"1970-01-02T00:00:00Z"});
}

TEST(next_run, cron_with_days_of_month_or_week) {
  EXPECT_EQ(
      shown_runs("0 0 1 * 1", "2026-05-30T00:00:00Z", 3, {}),
      (texts{"2026-06-01T00:00:00Z", "2026-06-08T00:00:00Z", "2026-06-15T00:00:00Z"}));  // the first is both, once
  EXPECT_EQ(shown_runs("0 0 2 * 1", "2026-05-30T00:00:00Z", 3, {}),
            (texts{"2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z", "2026-06-08T00:00:00Z"}));
}

TEST(next_run, own_zone_comes_first) {
  EXPECT_EQ(shown_runs("02:00 UTC", "2026-07-01T12:00:00Z", 1, berlin), texts{"2026-07-02T02:00:00Z"});
  EXPECT_EQ(shown_runs("02:00", "2026-07-01T12:00:00Z", 1, berlin), texts{"2026-07-02T02:00:00+02:00"});
  EXPECT_EQ(shown_runs("02:00 Europe/Berlin", "2026-07-01T12:00:00Z", 1, {}), texts{"2026-07-02T02:00:00+02:00"});
}

// In Berlin 02:00 to 03:00 did not exist on 29 March 2026, and was there twice on 25 October.
TEST(next_run, a_skipped_time_does_not_happen) {
  EXPECT_EQ(shown_runs("02:30", "2026-03-28T00:00:00+01:00", 3, berlin),
            (texts{"2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00", "2026-03-31T02:30:00+02:00"}));
  EXPECT_EQ(shown_runs("*:0/30", "2026-03-29T01:00:00+01:00", 3, berlin),
            (texts{"2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"}));
}

TEST(next_run, a_repeated_time_happens_once) {
  EXPECT_EQ(shown_runs("02:30", "2026-10-24T12:00:00+02:00", 2, berlin),
            (texts{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}));
  EXPECT_EQ(shown_runs("*:0/30", "2026-10-25T02:00:00+02:00", 3, berlin),
            (texts{"2026-10-25T02:30:00+02:00", "2026-10-25T03:00:00+01:00", "2026-10-25T03:30:00+01:00"}));
  // From within the second of the two it is that one.
  EXPECT_EQ(shown_runs("02:30", "2026-10-25T02:10:00+01:00", 1, berlin), texts{"2026-10-25T02:30:00+01:00"});
}

// A fault of systemd that schedules have to live with: an open range that overshoots the day takes the rest along.
TEST(next_run, an_open_range_passes_over_midnight_as_in_systemd) {
  EXPECT_EQ(shown_runs("*:0/7", "2026-01-01T23:50:00Z", 2, {}),
            (texts{"2026-01-01T23:56:00Z", "2026-01-02T00:07:00Z"}));
  EXPECT_EQ(shown_runs("*:0..56/7", "2026-01-01T23:50:00Z", 2, {}),
            (texts{"2026-01-01T23:56:00Z", "2026-01-02T00:00:00Z"}));
  EXPECT_EQ(shown_runs("*/7 * * * *", "2026-01-01T23:50:00Z", 2, {}),
            (texts{"2026-01-01T23:56:00Z", "2026-01-02T00:00:00Z"}));
}

// In Santiago clocks are put forward at midnight.
TEST(next_run, where_systemd_is_stuck_we_say_so) {
  const auto santiago = time_zone::named("America/Santiago");
  const auto after = instant("2026-09-05T23:40:00Z");
  try {
    (void)next_runs(parse_calendar("0/6:00"), after, 1, santiago);
    ADD_FAILURE() << "was found";
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::unsupported);
    EXPECT_NE(std::string(problem.what()).find("give each repetition an end"), std::string::npos) << problem.what();
  }
  EXPECT_EQ(shown_runs("0 */6 * * *", "2026-09-05T23:40:00Z", 2, santiago),
            (texts{"2026-09-06T06:00:00-03:00", "2026-09-06T12:00:00-03:00"}));
}

}  // namespace
}  // namespace recoup
