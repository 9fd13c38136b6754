// Calendar events as cron expressions, where cron can say the same, and which part it cannot say where not.
#include "schedule_calendar_fixture.hpp"

namespace recoup {
namespace {

std::string cron_of(std::string_view event) { return to_cron(parse_calendar(event, calendar_syntax::on_calendar)); }

TEST(conversion, to_cron) {
  const struct {
    const char* event;
    const char* cron;
  } cases[] = {
      {"daily", "0 0 * * *"},
      {"weekly", "0 0 * * 1"},
      {"hourly", "0 * * * *"},
      {"minutely", "* * * * *"},
      {"quarterly", "0 0 1 1,4,7,10 *"},
      {"02:30 Europe/Berlin", "CRON_TZ=Europe/Berlin 30 2 * * *"},
      {"daily UTC", "CRON_TZ=UTC 0 0 * * *"},
      {"Mon..Fri 08..18:0/15", "*/15 8-18 * * 1-5"},
      {"Sat,Sun 10:00", "0 10 * * 0,6"},
      {"*:5/20", "5-45/20 * * * *"},
      {"*:0/7", "*/7 * * * *"},
      {"*:10..50/20,3", "3,10-50/20 * * * *"},
      {"*-*-1..31 00:00", "0 0 * * *"},
      {"*-*-1,7/7,7/1,9 00:00", "0 0 1,7-28/7,7-31,9 * *"},
      {"*-2/3-1 0:0", "0 0 1 2-11/3 *"},
      {"Mon *-*-1/2 00:00", "0 0 */2 * 1"},  // both, by Vixie's rule
      {"Sun *-*-1..7 00:00", "0 0 1-7 * */7"},
      {"Sun *-*-1 00:00", "0 0 1 * */7"},
      {"Mon *-*-1 00:00", "0 0 */31 * 1"},
      {"Mon,Sun *-*-15 00:00", "0 0 15 * */7,1"},
      {"Mon *-*-1..31 00:00", "0 0 * * 1"},
  };
  for (const auto& [event, cron] : cases) {
    SCOPED_TRACE(event);
    EXPECT_EQ(cron_of(event), cron);
    EXPECT_NO_THROW((void)parse_calendar(cron, calendar_syntax::cron));
  }
}

TEST(conversion, says_what_cron_has_not) {
  const struct {
    const char* event;
    const char* part;
  } cases[] = {
      {"2030-01-01 00:00", "cron has no field for the year"},
      {"@1395716396", "cron has no field for the year"},
      {"*:*:30", "cron has no field for seconds"},
      {"*:*:*", "cron has no field for seconds"},
      {"*-*~1 00:00", "does not count days from the end of the month"},
      {"Mon *-*-15 00:00", "mean either of them to cron, not both"},
      {"Mon *-*-8..14 00:00", "mean either of them to cron, not both"},
  };
  for (const auto& [event, part] : cases) {
    const auto message = refusal([&] { (void)cron_of(event); });
    EXPECT_NE(message.find(part), std::string::npos) << event << ": " << message;
    EXPECT_NE(message.find(to_on_calendar(parse_calendar(event)).front().substr(0, 8)), std::string::npos) << message;
  }
}

// The events that cron's day fields give come back as the same cron expression and the same events.
TEST(conversion, there_and_back) {
  for (const char* cron : {"0 2 * * *", "*/15 * 1,15 * 5", "0 0 */2 * 1", "0 0 1-7 * */7", "5-50/9 */6 * 2-4 *",
                           "CRON_TZ=UTC 0 0 13 * 5"}) {
    const auto expression = parse_calendar(cron);
    EXPECT_EQ(to_cron(expression), cron);
    const auto events = to_on_calendar(expression);
    ASSERT_EQ(events.size(), expression.events.size());
    for (std::size_t i = 0; i < events.size(); ++i) {
      const auto back = parse_calendar(events[i]);
      EXPECT_EQ(back.events, std::vector{expression.events[i]});
      EXPECT_EQ(back.time_zone, expression.time_zone);
    }
  }
}

}  // namespace
}  // namespace recoup
