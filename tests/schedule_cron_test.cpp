// Cron expressions: what they mean as systemd calendar events, and what is refused with which advice.
// tests/interop/test_calendar.py compares when they are due with another implementation of cron.
#include "schedule_calendar_fixture.hpp"

namespace recoup {
namespace {

texts lines(std::string_view cron) { return to_on_calendar(parse_calendar(cron, calendar_syntax::cron)); }

TEST(cron, fields) {
  EXPECT_EQ(lines("0 2 * * *"), texts{"*-*-* 02:00:00"});
  EXPECT_EQ(lines("* * * * *"), texts{"*-*-* *:*:00"});
  EXPECT_EQ(lines("5,1-3,50 0 1 2 *"), texts{"*-02-01 00:01..03,05,50:00"});
  EXPECT_EQ(lines("0  2\t* * 1"), texts{"Mon *-*-* 02:00:00"});
  EXPECT_EQ(lines("30 8-18 * * mon-fri"), texts{"Mon..Fri *-*-* 08..18:30:00"});
  EXPECT_EQ(lines("0 0 * JAN,Mar-may *"), texts{"*-01,03..05-* 00:00:00"});
  EXPECT_EQ(lines("0-59 0-23 1-31 1-12 0-7"), texts{"*-*-* *:*:00"});
}

// With an end, since systemd passes over 00:00 with "*:00/7" (next_run_test).
TEST(cron, steps) {
  EXPECT_EQ(lines("*/15 * * * *"), texts{"*-*-* *:00..45/15:00"});
  EXPECT_EQ(lines("*/7 */5 * * *"), texts{"*-*-* 00..20/5:00..56/7:00"});
  EXPECT_EQ(lines("1-30/7 * * * *"), texts{"*-*-* *:01..29/7:00"});
  EXPECT_EQ(lines("*/1 */1 */1 */1 */1"), texts{"*-*-* *:*:00"});
  EXPECT_EQ(lines("*/60 */24 * */12 *"), texts{"*-01-* 00:00:00"});
  EXPECT_EQ(lines("0 0 * * */2"), texts{"Tue,Thu,Sat,Sun *-*-* 00:00:00"});
  EXPECT_EQ(lines("0 0 * * 1-7/3"), texts{"Mon,Thu,Sun *-*-* 00:00:00"});
}

TEST(cron, sunday_is_0_and_7) {
  for (const char* day : {"0", "7", "sun", "SUN", "0,7", "7-7", "0-0", "sun-sun", "*/7"})
    EXPECT_EQ(lines(std::string("0 0 * * ") + day), texts{"Sun *-*-* 00:00:00"}) << day;
  EXPECT_EQ(lines("0 0 * * 5-7"), texts{"Fri..Sun *-*-* 00:00:00"});
  EXPECT_EQ(lines("0 0 * * sat-sun"), texts{"Sat,Sun *-*-* 00:00:00"});
  EXPECT_EQ(lines("0 0 * * 0-1"), texts{"Mon,Sun *-*-* 00:00:00"});
}

TEST(cron, names) {
  EXPECT_EQ(lines("@hourly"), lines("0 * * * *"));
  EXPECT_EQ(lines("@daily"), lines("0 0 * * *"));
  EXPECT_EQ(lines("@Midnight"), lines("0 0 * * *"));
  EXPECT_EQ(lines("@weekly"), texts{"Sun *-*-* 00:00:00"});  // systemd's week begins on Monday, cron's on Sunday
  EXPECT_EQ(lines("@monthly"), texts{"*-*-01 00:00:00"});
  EXPECT_EQ(lines("@yearly"), texts{"*-01-01 00:00:00"});
  EXPECT_EQ(lines("@annually"), lines("@yearly"));
}

TEST(cron, time_zone) {
  EXPECT_EQ(lines("CRON_TZ=Europe/Berlin 0 2 * * *"), texts{"*-*-* 02:00:00 Europe/Berlin"});
  EXPECT_EQ(lines("TZ=UTC   @daily"), texts{"*-*-* 00:00:00 UTC"});
  EXPECT_EQ(parse_calendar("CRON_TZ=utc 0 2 * * *").time_zone, "UTC");
  EXPECT_EQ(lines("CRON_TZ=Europe/Berlin 0 0 1 * 1"),
            (texts{"*-*-01 00:00:00 Europe/Berlin", "Mon *-*-* 00:00:00 Europe/Berlin"}));
}

TEST(cron, either_day_field_is_enough_if_none_begins_with_a_star) {
  EXPECT_EQ(lines("0 0 1,15 * fri"), (texts{"*-*-01,15 00:00:00", "Fri *-*-* 00:00:00"}));
  EXPECT_EQ(lines("0 0 1-31/2 * 1"), (texts{"*-*-01..31/2 00:00:00", "Mon *-*-* 00:00:00"}));
  EXPECT_EQ(lines("0 0 5,*/10 * 1"), (texts{"*-*-01..31/10,05 00:00:00", "Mon *-*-* 00:00:00"}));
  EXPECT_EQ(lines("0 0 1-31 * 1"), texts{"*-*-* 00:00:00"});
  EXPECT_EQ(lines("0 0 1 * 0-6"), texts{"*-*-* 00:00:00"});
}

TEST(cron, both_day_fields_must_fit_if_one_begins_with_a_star) {
  EXPECT_EQ(lines("0 0 */2 * 1"), texts{"Mon *-*-01..31/2 00:00:00"});
  EXPECT_EQ(lines("0 0 1-7 * */7"), texts{"Sun *-*-01..07 00:00:00"});  // the first Sunday
  EXPECT_EQ(lines("0 0 *,5 * 1"), texts{"Mon *-*-* 00:00:00"});
  EXPECT_EQ(lines("0 0 1 * *"), texts{"*-*-01 00:00:00"});
  EXPECT_EQ(lines("0 0 ? * 1"), texts{"Mon *-*-* 00:00:00"});
  EXPECT_EQ(lines("0 0 1 * ?"), texts{"*-*-01 00:00:00"});
}

TEST(cron, normal_form) {
  EXPECT_EQ(normalised("@weekly"), "0 0 * * 0");
  EXPECT_EQ(normalised("*/15  8-18 * jan-mar mon-fri,sun"), "*/15 8-18 * 1-3 0-5");
  EXPECT_EQ(normalised("0-59/15 0 1-31/2 * 1"), "*/15 0 1-31/2 * 1");  // a star here would mean both days
  EXPECT_EQ(normalised("TZ=UTC 0 0 */2 * 1"), "CRON_TZ=UTC 0 0 */2 * 1");
  for (const char* text : {"0 0 */31 * 1", "0 0 1-7 * */7", "0 0 1 * */7", "*/60 */24 */31 */12 */7", "7 7 7 7 7",
                           "0 0 1-29/7 * 0", "0 0 24 * */3,3-6,sat", "0 0 */2,1-3,5 * 1"}) {
    const auto once = parse_calendar(text);
    EXPECT_EQ(parse_calendar(normalised_calendar(once)), once) << text << " → " << normalised_calendar(once);
  }
}

TEST(cron, refusals_say_where_and_what_to_write) {
  const struct {
    const char* text;
    const char* part;
  } cases[] = {
      {"@reboot", "set \"on_boot\" of the schedule"},
      {"@every 1h", "write times of the day"},
      {"@fortnightly", "write @hourly, @daily"},
      {"0 2 * * * *", "character 11: a cron expression ends after five fields"},
      {"0 0 2 * * ? 2030", "here are 7. A field for seconds or years (Quartz)"},
      {"0 2 * * * root /usr/bin/restic backup", "user and command do not belong here"},
      {"60 0 * * *", "character 1: minute 60 is not within 0 to 59"},
      {"0 24 * * *", "character 3: hour 24 is not within 0 to 23"},
      {"0 0 0 * *", "day of the month 0 is not within 1 to 31"},
      {"0 0 1 13 *", "month 13 is not within 1 to 12"},
      {"0 0 * * 8", "day of the week 8 is not within 0 to 7"},
      {"0 22-2 * * *", "hour 22-2 goes backwards; write 22-23,0-2"},
      {"0 0 * * fri-mon", "day of the week 5-1 goes backwards; write 5-6,0-1"},
      {"0 0 * nov-jan *", "month 11-1 goes backwards; write 11-12,1"},
      {"5/15 * * * *", "write 5-59/15"},
      {"0 2/6 * * *", "write 2-23/6"},
      {"*/0 * * * *", "character 3: a step of 0"},
      {"*/90 * * * *", "a step of 90 goes beyond the 60 values"},
      {"0 0 * * */8", "a step of 8 goes beyond the 7 values"},
      {"? * * * *", "\"?\" is Quartz's, which has it for days only"},
      {"0 0 L * *", "\"*-*~1 02:00\" for the last day"},
      {"0 0 15W * *", "are Quartz's"},
      {"0 0 * * 5#3", "for its first Monday"},
      {"0 0 * * 5L", "are Quartz's"},
      {"H 2 * * *", "set \"randomized_delay\""},
      {"0~30 2 * * *", "set \"randomized_delay\""},
      {"0 0 * * monday", "names have three letters; write mon"},
      {"0 0 * january *", "a name from jan to dec"},
      {"mon 0 * * *", "minute: a number"},
      {"1, 0 * * *", "minute: a number"},
      {"-5 0 * * *", "minute: a number"},
      {"CRON_TZ=Mars/Phobos 0 0 * * *", "character 9: time zone"},
      {"CRON_TZ= 0 0 * * *", "character 9: time zone"},
      {"CRON_TZ=UTC", "here are 0"},
  };
  for (const auto& [text, part] : cases) {
    const auto message = refusal_of(text);
    EXPECT_NE(message.find(part), std::string::npos) << text << ": " << message;
  }
}

TEST(cron, is_told_from_calendar_events) {
  EXPECT_EQ(guess_calendar_syntax("0 2 * * *"), calendar_syntax::cron);
  EXPECT_EQ(guess_calendar_syntax("@daily"), calendar_syntax::cron);
  EXPECT_EQ(guess_calendar_syntax("TZ=UTC 0 2 * *"), calendar_syntax::cron);
  EXPECT_EQ(guess_calendar_syntax("@1395716396"), calendar_syntax::on_calendar);
  EXPECT_EQ(guess_calendar_syntax("daily"), calendar_syntax::on_calendar);
  EXPECT_EQ(guess_calendar_syntax("Mon  *-*-* 02:00 Europe/Berlin"), calendar_syntax::on_calendar);
  EXPECT_EQ(guess_calendar_syntax(""), calendar_syntax::on_calendar);
  EXPECT_NE(refusal_of("0 2 * *", calendar_syntax::cron).find("here are 4"), std::string::npos);
  EXPECT_NE(refusal_of("@daily", calendar_syntax::on_calendar), "");
}

}  // namespace
}  // namespace recoup
