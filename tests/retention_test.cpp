// Policies: what they are written as, and what they keep and why. Every case that restic has of its own; zones, weeks and the
// calendar; and what must hold for any policy and any snapshots.
#include <recoup/ops/retention.hpp>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "test_data.hpp"

namespace recoup {
namespace {

timestamp at(std::string_view text) {
  const auto stamp = parse_rfc3339(text);
  EXPECT_TRUE(stamp) << text;
  return stamp.value_or(timestamp{});
}

found_snapshot made_at(std::string_view time, std::vector<std::string> tags = {}) {
  found_snapshot made;
  made.snapshot.time = at(time);
  made.snapshot.tags = std::move(tags);
  return made;
}

std::vector<found_snapshot> made_at_all(const std::vector<const char*>& times) {
  std::vector<found_snapshot> list;
  for (const auto* time : times) list.push_back(made_at(time));
  return list;
}

/// "2024-01-02T03:04:05Z: last snapshot, daily snapshot", newest first.
std::vector<std::string> kept(std::vector<found_snapshot> list, const retention_policy& policy,
                              const timestamp& now = at("2100-01-01T00:00:00Z")) {
  std::vector<std::string> lines;
  for (const auto& each : apply_policy(std::move(list), policy, now).keep) {
    std::string reasons;
    for (const auto& reason : each.reasons) reasons += (reasons.empty() ? "" : ", ") + reason;
    lines.push_back(to_rfc3339(each.found.snapshot.time) + ": " + reasons);
  }
  return lines;
}

using lines = std::vector<std::string>;

// --- restic's own cases ---

struct restic_cases {
  std::vector<found_snapshot> snapshots;
  std::vector<retention_policy> policies;
};

void read_duration(json_value& value, calendar_duration& into) {
  std::string text;
  read(value, text);
  into = calendar_duration::parse(text);
}

restic_cases read_cases(const std::string& json) {
  restic_cases cases;
  read_json(as_bytes(json), "cases", [&](json_object root) {
    for_each_field(root, [&](std::string_view key, json_value& value) {
      if (key == "snapshots")
        for_each_element(value, [&](json_value& element) {
          auto& made = cases.snapshots.emplace_back().snapshot;
          for_each_field(object_of(element), [&](std::string_view name, json_value& part) {
            if (name == "time") return read(part, made.time);
            if (name == "tags") return read(part, made.tags);
            if (name == "paths") return read(part, made.paths);
            ADD_FAILURE() << name;
          });
        });
      else if (key == "policies")
        for_each_element(value, [&](json_value& element) {
          auto& policy = cases.policies.emplace_back();
          for_each_field(object_of(element), [&](std::string_view name, json_value& part) {
            if (name == "keep-last") return read(part, policy.last);
            if (name == "keep-hourly") return read(part, policy.hourly);
            if (name == "keep-daily") return read(part, policy.daily);
            if (name == "keep-weekly") return read(part, policy.weekly);
            if (name == "keep-monthly") return read(part, policy.monthly);
            if (name == "keep-yearly") return read(part, policy.yearly);
            if (name == "keep-within") return read_duration(part, policy.within);
            if (name == "keep-within-hourly") return read_duration(part, policy.within_hourly);
            if (name == "keep-within-daily") return read_duration(part, policy.within_daily);
            if (name == "keep-within-weekly") return read_duration(part, policy.within_weekly);
            if (name == "keep-within-monthly") return read_duration(part, policy.within_monthly);
            if (name == "keep-within-yearly") return read_duration(part, policy.within_yearly);
            if (name == "keep-tag") {
              for_each_element(part, [&](json_value& list) { read(list, policy.tags.emplace_back()); });
              return;
            }
            ADD_FAILURE() << name;
          });
        });
    });
  });
  return cases;
}

std::string line_of(const timestamp& time, const std::vector<std::string>& reasons, const retention_counters& left) {
  auto text = to_rfc3339(time);
  for (const auto& reason : reasons) text += " | " + reason;
  for (const auto count : {left.last, left.hourly, left.daily, left.weekly, left.monthly, left.yearly})
    text += " " + std::to_string(count);
  return text;
}

lines read_expected(const std::string& json) {
  lines expected;
  read_json(as_bytes(json), "expected", [&](json_object root) {
    for_each_field(root, [&](std::string_view key, json_value& value) {
      if (key != "reasons") return;
      for_each_element(value, [&](json_value& element) {
        timestamp time;
        std::vector<std::string> reasons;
        retention_counters left;
        for_each_field(object_of(element), [&](std::string_view name, json_value& part) {
          if (name == "matches") return read(part, reasons);
          const bool is_snapshot = name == "snapshot";
          for_each_field(object_of(part), [&](std::string_view inner, json_value& number) {
            if (is_snapshot && inner == "time") return read(number, time);
            if (inner == "last") return read(number, left.last);
            if (inner == "hourly") return read(number, left.hourly);
            if (inner == "daily") return read(number, left.daily);
            if (inner == "weekly") return read(number, left.weekly);
            if (inner == "monthly") return read(number, left.monthly);
            if (inner == "yearly") return read(number, left.yearly);
          });
        });
        expected.push_back(line_of(time, reasons, left));
      });
    });
  });
  return expected;
}

using restic_policy_cases = needs_fixtures<testing::Test>;

TEST_F(restic_policy_cases, keep_the_same_for_the_same_reasons) {
  const auto folder = fixtures() / "restic-policy";
  const auto cases = read_cases(read_file(folder / "cases.json"));
  ASSERT_EQ(cases.snapshots.size(), 103u);
  ASSERT_EQ(cases.policies.size(), 26u);
  for (std::size_t i = 0; i < cases.policies.size(); ++i) {
    const auto& policy = cases.policies[i];
    const auto decision = apply_policy(cases.snapshots, policy);
    lines found;
    for (const auto& each : decision.keep)
      found.push_back(line_of(each.found.snapshot.time, each.reasons, each.left));
    EXPECT_EQ(found, read_expected(read_file(folder / ("keep_" + std::to_string(i) + ".json"))))
        << i << ": " << policy.text();
    EXPECT_EQ(decision.keep.size() + decision.remove.size(), cases.snapshots.size());
  }
}

// --- reading and writing ---

TEST(calendar_duration_test, parsing) {
  const auto parse = [](std::string_view text) { return calendar_duration::parse(text); };
  EXPECT_EQ(parse("1y5m7d2h"), (calendar_duration{1, 5, 7, 2}));
  EXPECT_EQ(parse(" 2h1y\t"), (calendar_duration{1, 0, 0, 2}));
  EXPECT_EQ(parse("1d2d"), (calendar_duration{0, 0, 2, 0}));
  EXPECT_EQ(parse("-3d0h"), (calendar_duration{0, 0, -3, 0}));
  EXPECT_TRUE(parse("").is_zero());
  EXPECT_TRUE(parse("0y-0d").is_zero());
  EXPECT_EQ(parse("9223372036854775807h").hours, 9223372036854775807);
  const std::map<std::string, std::string> refused{
      {"1", "no unit found after number 1"},       {"1d2", "no unit found after number 2"},
      {"z", "no number found"},                    {"-", "no number found"},
      {"--1d", "no number found"},                 {"1y 2m", "no number found"},
      {"5z", "invalid unit 'z' found after number 5"},
      {"-5'", "invalid unit '\\'' found after number -5"},
      {"5\"", "invalid unit '\"' found after number 5"},
      {"5\n1", "invalid unit '\\n' found after number 5"},
      {"5ü", "invalid unit 'Ã' found after number 5"},
      {"9223372036854775808d", "the number 9223372036854775808 is too large"}};
  for (const auto& [text, message] : refused)
    expect_error(error_code::invalid_argument, message, [&, &given = text] { (void)parse(given); });
}

TEST(calendar_duration_test, text) {
  EXPECT_EQ((calendar_duration{1, 5, 7, 2}).text(), "1y5m7d2h");
  EXPECT_EQ((calendar_duration{0, 0, 30, 0}).text(), "30d");
  EXPECT_EQ(calendar_duration{}.text(), "");
}

TEST(calendar_duration_test, arithmetic_is_that_of_go) {
  const auto before = [](const char* time, const char* span) {
    return to_rfc3339(earlier_by(at(time), calendar_duration::parse(span)));
  };
  EXPECT_EQ(before("2024-03-31T10:20:30.5Z", "1m"), "2024-03-02T10:20:30.5Z");  // 31 February
  EXPECT_EQ(before("2023-03-31T10:20:30Z", "1m"), "2023-03-03T10:20:30Z");
  EXPECT_EQ(before("2024-02-29T00:00:00Z", "1y"), "2023-03-01T00:00:00Z");
  EXPECT_EQ(before("2024-01-15T00:00:00Z", "1m"), "2023-12-15T00:00:00Z");
  EXPECT_EQ(before("2024-01-15T00:00:00Z", "25m"), "2021-12-15T00:00:00Z");
  EXPECT_EQ(before("2024-03-01T00:00:00Z", "1y1m1d1h"), "2023-01-30T23:00:00Z");
  EXPECT_EQ(before("2024-03-01T23:30:00-07:00", "1d"), "2024-02-29T23:30:00-07:00");
  EXPECT_EQ(before("2024-01-01T00:00:00+05:30", "1h"), "2023-12-31T23:00:00+05:30");
  EXPECT_EQ(before("0001-01-01T00:00:00Z", "1y"), "0000-01-01T00:00:00Z");
  for (const auto* huge : {"9223372036854775807y", "9223372036854775807m", "9223372036854775807d", "9223372036854775807h",
                           "9223372036854775807y9223372036854775807m9223372036854775807d9223372036854775807h"})
    EXPECT_TRUE(earlier(earlier_by(at("9999-12-31T23:59:59Z"), calendar_duration::parse(huge)), at("0000-01-01T00:00:00Z")))
        << huge;
}

TEST(retention_policy_test, counts) {
  EXPECT_EQ(retention_policy::parse_count("unlimited"), -1);
  EXPECT_EQ(retention_policy::parse_count("7"), 7);
  EXPECT_EQ(retention_policy::parse_count("+007"), 7);
  EXPECT_EQ(retention_policy::parse_count("-0"), 0);
  const auto refuse = [](const char* text, const char* message) {
    expect_error(error_code::invalid_argument, message, [&] { (void)retention_policy::parse_count(text); });
  };
  refuse("-1", "negative values not allowed, use 'unlimited' instead");
  for (const auto* text : {"", "x", "1x", "+", "+-1", " 1", "1.5", "0x10", "1_0"})
    refuse(text, (std::string("strconv.ParseInt: parsing \"") + text + "\": invalid syntax").c_str());
  refuse("9223372036854775808", "strconv.ParseInt: parsing \"9223372036854775808\": value out of range");
  refuse("-99999999999999999999", "value out of range");
}

TEST(retention_policy_test, text) {
  retention_policy policy;
  EXPECT_EQ(policy.text(), "remove");
  EXPECT_TRUE(policy.is_empty());
  policy.within = {0, 0, 2, 0};
  EXPECT_EQ(policy.text(), "keep all snapshots within 2d of the newest");
  policy.tags = {{"a", "b"}, {""}};
  EXPECT_EQ(policy.text(), "keep all snapshots with tags [[a, b] []] and all snapshots within 2d of the newest");
  policy.within_yearly = {3, 0, 0, 0};
  policy.within_hourly = {0, 0, 0, 5};
  policy.last = 1;
  policy.monthly = retention_policy::unlimited;
  EXPECT_EQ(policy.text(),
            "keep 1 latest, all monthly snapshots, hourly snapshots within 5h, yearly snapshots within 3y and all snapshots "
            "with tags [[a, b] []] and all snapshots within 2d of the newest");
  EXPECT_FALSE(policy.is_empty());
}

TEST(retention_policy_test, numbers_that_make_no_sense) {
  expect_error(error_code::invalid_argument, "negative values other than -1",
               [] { retention_policy{.daily = -2}.require_valid(); });
  expect_error(error_code::invalid_argument, "durations containing negative values",
               [] { retention_policy{.within_weekly = {0, 0, 1, -1}}.require_valid(); });
  EXPECT_NO_THROW(retention_policy{.daily = -1}.require_valid());
}

// --- deciding ---

TEST(apply_policy_test, no_snapshots) {
  const auto decision = apply_policy({}, {.last = 1});
  EXPECT_TRUE(decision.keep.empty());
  EXPECT_TRUE(decision.remove.empty());
}

TEST(apply_policy_test, the_oldest_is_kept_while_a_count_is_left) {
  const auto list = made_at_all({"2024-01-03T20:00:00Z", "2024-01-03T10:00:00Z", "2024-01-03T09:00:00Z"});
  EXPECT_EQ(kept(list, {.daily = 2}),
            (lines{"2024-01-03T20:00:00Z: daily snapshot", "2024-01-03T09:00:00Z: oldest daily snapshot"}));
  EXPECT_EQ(kept(list, {.daily = 1}), (lines{"2024-01-03T20:00:00Z: daily snapshot"}));
  EXPECT_EQ(kept(list, {.within_monthly = {1, 0, 0, 0}}),
            (lines{"2024-01-03T20:00:00Z: monthly within 1y", "2024-01-03T09:00:00Z: oldest monthly within 1y"}));
}

TEST(apply_policy_test, days_are_those_of_each_snapshots_own_clock) {
  const auto list = made_at_all({"2024-01-02T00:30:00+02:00", "2024-01-01T20:00:00Z", "2024-01-01T23:00:00-08:00"});
  EXPECT_EQ(kept(list, {.daily = -1}),
            (lines{"2024-01-01T23:00:00-08:00: daily snapshot", "2024-01-02T00:30:00+02:00: daily snapshot",
                   "2024-01-01T20:00:00Z: daily snapshot"}));
}

TEST(apply_policy_test, weeks_are_those_of_iso_8601) {
  const std::map<std::string, int> weeks{{"2020-12-31", 202053}, {"2021-01-03", 202053}, {"2021-01-04", 202101},
                                         {"2018-12-31", 201901}, {"2016-01-03", 201553}, {"2016-01-04", 201601},
                                         {"2024-12-29", 202452}, {"2024-12-30", 202501}, {"1969-12-29", 197001},
                                         {"0000-01-01", -48}};
  for (const auto& [day, week] : weeks)
    EXPECT_EQ(retention::week_of(calendar::wall_clock_of(at(day + "T12:00:00Z")), 0), week) << day;
}

TEST(apply_policy_test, spans_are_counted_back_from_the_newest_that_is_not_in_the_future) {
  const auto list = made_at_all({"2030-01-01T00:00:00Z", "2024-01-10T00:00:00Z", "2024-01-09T00:00:00Z", "2024-01-08T00:00:00Z"});
  EXPECT_EQ(kept(list, {.within = {0, 0, 1, 0}}, at("2025-01-01T00:00:00Z")),
            (lines{"2030-01-01T00:00:00Z: within 1d", "2024-01-10T00:00:00Z: within 1d"}));  // exactly a day is too old
  EXPECT_EQ(kept(list, {.within = {0, 0, 1, 0}}, at("2040-01-01T00:00:00Z")), (lines{"2030-01-01T00:00:00Z: within 1d"}));
  EXPECT_EQ(kept(list, {.within = {0, 0, 1, 0}}, at("2020-01-01T00:00:00Z")).size(), 4u);
}

TEST(apply_policy_test, tags) {
  const std::vector<found_snapshot> list{made_at("2024-01-04T00:00:00Z", {"a", "b"}), made_at("2024-01-03T00:00:00Z"),
                                         made_at("2024-01-02T00:00:00Z", {"b"})};
  EXPECT_EQ(kept(list, {.tags = {{"a", "b"}, {"b"}}}),
            (lines{"2024-01-04T00:00:00Z: has tags [a, b], has tags [b]", "2024-01-02T00:00:00Z: has tags [b]"}));
  EXPECT_EQ(kept(list, {.tags = {{"", "a"}}}), (lines{"2024-01-03T00:00:00Z: has tags [, a]"}));
  EXPECT_EQ(kept(list, {.tags = {{"a", ""}}}), lines{});
}

/// For whatever snapshots and counts: nothing is lost or doubled, what is kept has a reason, the newest is kept, and more
/// counts keep no less.
TEST(apply_policy_test, what_holds_for_any_policy) {
  std::mt19937_64 random(7);
  const auto below = [&random](std::uint64_t limit) { return static_cast<std::int64_t>(random() % limit); };
  for (int round = 0; round < 300; ++round) {
    std::vector<found_snapshot> list(static_cast<std::size_t>(1 + below(40)));
    const auto range = std::uint64_t{1} << (8 + below(24));
    for (std::size_t i = 0; i < list.size(); ++i) {
      list[i].id.value[0] = static_cast<std::uint8_t>(i);
      list[i].snapshot.time = {1'700'000'000 + below(range), 0, static_cast<std::int32_t>(below(25) - 12) * 3600};
    }
    retention_policy policy{.last = below(5), .hourly = below(5), .daily = below(4) - 1, .weekly = below(4)};
    policy.within_monthly = {below(2), below(3), 0, 0};
    if (policy.is_empty()) policy.last = 1;
    const auto decision = apply_policy(list, policy);
    std::set<id> seen;
    for (const auto& each : decision.keep) EXPECT_TRUE(!each.reasons.empty() && seen.insert(each.found.id).second);
    for (const auto& each : decision.remove) EXPECT_TRUE(seen.insert(each.id).second);
    EXPECT_EQ(seen.size(), list.size());
    ASSERT_FALSE(decision.keep.empty()) << policy.text();
    for (const auto& each : decision.remove)
      EXPECT_FALSE(earlier(decision.keep.front().found.snapshot.time, each.snapshot.time));

    auto more = policy;
    more.last += 1, more.hourly += 1, more.weekly += 1;
    std::set<id> kept_by_more;
    for (const auto& each : apply_policy(list, more).keep) kept_by_more.insert(each.found.id);
    // The oldest of all may be kept only because a count was left.
    for (std::size_t i = 0; i + 1 < decision.keep.size(); ++i)
      EXPECT_TRUE(kept_by_more.contains(decision.keep[i].found.id)) << policy.text();
  }
}

TEST(apply_policy_test, summer_time_counts_in_the_zone_of_this_process_only) {
  ::setenv("TZ", "Europe/Berlin", 1);
  ::tzset();
  const auto before = [](const char* time, const char* span) {
    return to_rfc3339(earlier_by(at(time), calendar_duration::parse(span)));
  };
  EXPECT_EQ(before("2024-07-01T12:00:00+02:00", "6m"), "2024-01-01T12:00:00+01:00");
  EXPECT_EQ(before("2024-01-01T12:00:00+02:00", "6m"), "2023-07-01T12:00:00+02:00");  // not Berlin: a fixed offset
  EXPECT_EQ(before("2024-07-01T12:00:00Z", "6m"), "2024-01-01T12:00:00Z");
  EXPECT_EQ(before("2024-04-01T02:30:00+02:00", "1d"), "2024-03-31T03:30:00+02:00");  // does not exist
  EXPECT_EQ(before("2024-10-28T02:30:00+01:00", "1d"), "2024-10-27T02:30:00+01:00");  // there are two
  EXPECT_EQ(before("2024-04-01T02:30:00+02:00", "24h"), "2024-03-31T01:30:00+01:00");
  ::unsetenv("TZ");
  ::tzset();
}

}  // namespace
}  // namespace recoup
