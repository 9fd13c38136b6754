// systemd's calendar events: how they are read and written. The expected texts are what systemd 252's
// `systemd-analyze calendar` prints; tests/interop/test_calendar.py compares with it on random ones.
#include "schedule_calendar_fixture.hpp"

namespace recoup {
namespace {

struct normalised_case {
  const char* text;
  const char* normal;
};

TEST(on_calendar, reads_what_the_manual_shows) {
  // The table in systemd.time(7), and what its text describes.
  constexpr normalised_case cases[] = {
      {"Sat,Thu,Mon..Wed,Sat..Sun", "Mon..Thu,Sat,Sun *-*-* 00:00:00"},
      {"Mon,Sun 12-*-* 2,1:23", "Mon,Sun 2012-*-* 01,02:23:00"},
      {"Wed *-1", "Wed *-*-01 00:00:00"},
      {"Wed..Wed,Wed *-1", "Wed *-*-01 00:00:00"},
      {"Wed, 17:48", "Wed *-*-* 17:48:00"},
      {"Wed..Sat,Tue 12-10-15 1:2:3", "Tue..Sat 2012-10-15 01:02:03"},
      {"*-*-7 0:0:0", "*-*-07 00:00:00"},
      {"10-15", "*-10-15 00:00:00"},
      {"monday *-12-* 17:00", "Mon *-12-* 17:00:00"},
      {"Mon,Fri *-*-3,1,2 *:30:45", "Mon,Fri *-*-01,02,03 *:30:45"},
      {"12,14,13,12:20,10,30", "*-*-* 12,13,14:10,20,30:00"},
      {"12..14:10,20,30", "*-*-* 12..14:10,20,30:00"},
      {"mon,fri *-1/2-1,3 *:30:45", "Mon,Fri *-01/2-01,03 *:30:45"},
      {"03-05 08:05:40", "*-03-05 08:05:40"},
      {"08:05:40", "*-*-* 08:05:40"},
      {"05:40", "*-*-* 05:40:00"},
      {"Sat,Sun 12-05 08:05:40", "Sat,Sun *-12-05 08:05:40"},
      {"2003-03-05 05:40", "2003-03-05 05:40:00"},
      {"05:40:23.4200004/3.1700005", "*-*-* 05:40:23.420000/3.170001"},
      {"2003-02..04-05", "2003-02..04-05 00:00:00"},
      {"2003-03-05 05:40 UTC", "2003-03-05 05:40:00 UTC"},
      {"hourly", "*-*-* *:00:00"},
      {"daily", "*-*-* 00:00:00"},
      {"daily utc", "*-*-* 00:00:00 UTC"},
      {"monthly", "*-*-01 00:00:00"},
      {"weekly", "Mon *-*-* 00:00:00"},
      {"weekly Pacific/Auckland", "Mon *-*-* 00:00:00 Pacific/Auckland"},
      {"Yearly", "*-01-01 00:00:00"},
      {"annually", "*-01-01 00:00:00"},
      {"minutely", "*-*-* *:*:00"},
      {"quarterly", "*-01,04,07,10-01 00:00:00"},
      {"semiannually", "*-01,07-01 00:00:00"},
      {"*:2/3", "*-*-* *:02/3:00"},
      {"*-02~03", "*-02~03 00:00:00"},
      {"Mon *-05~07/1", "Mon *-05~07/1 00:00:00"},
  };
  for (const auto& [text, normal] : cases) {
    SCOPED_TRACE(text);
    EXPECT_EQ(normalised(text), normal);
    EXPECT_EQ(parse_calendar(normal), parse_calendar(text));
  }
}

TEST(on_calendar, one_form_for_what_means_the_same) {
  constexpr normalised_case cases[] = {
      {"Mon..Sun 10:00", "*-*-* 10:00:00"},    // any weekday
      {"*-*~*", "*-*-* 00:00:00"},             // any day, from either end
      {"*:0..50/20", "*-*-* *:00..40/20:00"},  // the end is reached
      {"*:5..9/7", "*-*-* *:05:00"},           // nothing is repeated
      {"*:5..5", "*-*-* *:05:00"},
      {"*:*:*", "*-*-* *:*:*"},
      {"*:*:0/1", "*-*-* *:*:*"},
      {"*:*:42,0/1,20", "*-*-* *:*:*"},
      {"*:*:0..30/1", "*-*-* *:*:00..30"},
      {"*:*:0/0.5", "*-*-* *:*:00/0.500000"},
      {"*:*:1.9999999", "*-*-* *:*:02"},       // rounded to microseconds
      {"Mon-Fri", "Mon..Fri *-*-* 00:00:00"},  // the old sign for ranges
      {"Sat,", "Sat *-*-* 00:00:00"},
      {"@1395716396", "2014-03-25 02:59:56 UTC"},
      {"2020-01-01  10:00", "2020-01-01 10:00:00"},
      {" daily\n", "*-*-* 00:00:00"},
  };
  for (const auto& [text, normal] : cases) {
    SCOPED_TRACE(text);
    EXPECT_EQ(normalised(text), normal);
  }
}

TEST(on_calendar, years_of_two_digits) {
  EXPECT_EQ(normalised("69-1-1"), "2069-01-01 00:00:00");
  EXPECT_EQ(normalised("70-1-1"), "1970-01-01 00:00:00");
  EXPECT_EQ(normalised("99..2012-1-1"), "1999..2012-01-01 00:00:00");
}

TEST(on_calendar, limits) {
  for (const char* text : {"1970-01-01 00:00:00", "2199-12-31 23:59:59.999999", "*-*~28", "*-*~25,1", "*-*~22,19,1"})
    EXPECT_NO_THROW((void)parse_calendar(text)) << text;
  EXPECT_NE(refusal_of("1969-1-1").find("character 1: year 1969 is not within 1970 to 2199"), std::string::npos);
  EXPECT_NE(refusal_of("2200-1-1").find("year 2200"), std::string::npos);
  EXPECT_NE(refusal_of("*-13-1").find("character 3: month 13 is not within 1 to 12"), std::string::npos);
  EXPECT_NE(refusal_of("*-0-1").find("month 0"), std::string::npos);
  EXPECT_NE(refusal_of("*-*-32").find("day of the month 32"), std::string::npos);
  EXPECT_NE(refusal_of("*-*~29").find("is not within 1 to 28"), std::string::npos);
  EXPECT_NE(refusal_of("*-*~26,1,2").find("only days up to 22"), std::string::npos);
  EXPECT_NE(refusal_of("24:00").find("hour 24 is not within 0 to 23"), std::string::npos);
  EXPECT_NE(refusal_of("1:2,60").find("character 5: minute 60"), std::string::npos);
  EXPECT_NE(refusal_of("1:2:60").find("second 60 is not within 0 to 59.999999"), std::string::npos);
  EXPECT_NE(refusal_of("*:99999999999").find("too large"), std::string::npos);
}

TEST(on_calendar, refusals_say_where_and_what_to_write) {
  const struct {
    const char* text;
    const char* part;
  } cases[] = {
      {"", "character 1: it is empty; write for example \"daily\""},
      {"5", "character 2: after the hour comes \":\""},
      {"Fri..Mon", "goes backwards; write Fri..Sun,Mon..Mon"},
      {"Mon..Foo", "character 6: this is no weekday"},
      {"Monn", "this is no weekday"},
      {"Mon Tue", "weekdays come first"},
      {"Mon/2", "after a weekday comes"},
      {"*:5/0", "character 5: a step of 0"},
      {"*:50/20", "minute 50/20 is never repeated; leave the step out"},
      {"*:9..5", "minute 9..5 goes backwards; write it as two ranges"},
      {"*:*:1..1.5", "this range of seconds ends before its next second"},
      {"*:*:1.", "after the decimal point digits are missing"},
      {"*~1-1", "after \"~\" comes the day"},
      {"*-*-*-*", "after the date comes a blank"},
      {"*-*-*T10:00", "after the date comes a blank"},
      {"10:00:00:00", "nothing can follow here"},
      {"daily Mars/Phobos", "character 7: time zone \"Mars/Phobos\": there is none of this name"},
      {"daily CEST", "abbreviations such as CEST"},
      {"daily ../../etc/passwd", "there is none of this name"},
      {"0 2 * *", "a cron expression has five fields"},
      {"*:a", "here a number is missing"},
      {"*:1a", "this can't stand here"},
      {"*-*-1\xff", "there is \"\\xff\""},
  };
  for (const auto& [text, part] : cases) {
    const auto message = refusal_of(text);
    EXPECT_NE(message.find(part), std::string::npos) << text << ": " << message;
  }
}

TEST(on_calendar, lists_have_a_limit) {
  std::string longest = "0";
  for (int i = 1; i < 241; ++i) longest += ",0";
  EXPECT_NO_THROW((void)parse_calendar("*:" + longest));
  EXPECT_NE(refusal_of("*:" + longest + ",0").find("at most 241"), std::string::npos);
}

}  // namespace
}  // namespace recoup
