// A schedule's definition: what is read, what is refused and with which path, and that what is written comes back.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <recoup/schedule/schedule_files.hpp>

namespace {

using namespace recoup;

const std::string least = R"({"name":"a","backup":{"paths":["/srv"]},"calendar":["0 2 * * *"]})";

/// Every member, and none as it would be anyway.
const std::string everything = R"({
  "v": 1, "name": "restic-backup", "description": "Daily backup of the file server", "executable": "/opt/recoup",
  "environment_file": "/etc/other.env", "environment": {"RESTIC_PROCS": "2"},
  "backup": {"paths": ["/srv", "/etc"], "tags": ["production"], "host": "restic-backup", "exclude": ["*.tmp"], "iexclude": ["*.BAK"],
    "exclude_files": ["/etc/excludes"], "exclude_if_present": [".nobackup"], "exclude_caches": true, "exclude_larger_than": "10G",
    "one_file_system": true, "skip_if_unchanged": true, "arguments": ["--read-concurrency=4"]},
  "calendar": ["0 2 * * *"], "time_zone": "Europe/Berlin", "persistent": false, "on_boot": "15min", "randomized_delay": "10min",
  "retry_lock": "2h",
  "retention": {"keep_last": 1, "keep_hourly": 2, "keep_daily": 7, "keep_weekly": 4, "keep_monthly": 12, "keep_yearly": -1,
    "keep_within": "1y", "keep_within_hourly": "1d", "keep_within_daily": "1m", "keep_within_weekly": "2m", "keep_within_monthly": "1y",
    "keep_within_yearly": "9y", "keep_tags": [["keep"], ["a", "b"]], "group_by": "host", "prune": false},
  "check": {"read_data_subset": "2%"}, "partial_is_failure": true,
  "limits": {"cpu_quota": "50%", "memory_max": "1G", "io_weight": 50, "io_class": "idle", "nice": 10, "timeout": "12h", "upload_kib": 1, "download_kib": 2},
  "hardening": false, "on_failure": ["mail-admin@%n.service"], "commands_before": [["/usr/local/bin/dump-databases"]],
  "commands_after": [["/bin/a", "b"]]})";

std::string with(const std::string& member) { return least.substr(0, least.size() - 1) + "," + member + "}"; }

/// The path that reading or checking blames, and why; "taken" if it blames none.
std::pair<std::string, std::string> refusal(const std::string& text) {
  try {
    require_valid(parse_schedule(text));
    return {"taken", ""};
  } catch (const schedule_error& problem) {
    EXPECT_EQ(problem.code(), error_code::invalid_argument);
    return {problem.path(), problem.reason()};
  }
}

TEST(schedule_definition, what_is_left_out_is_as_documented) {
  const auto definition = parse_schedule(least);
  require_valid(definition);
  EXPECT_EQ(definition.executable, "/usr/local/bin/recoup");
  EXPECT_EQ(definition.environment_file, "/etc/restic.env");
  EXPECT_TRUE(definition.persistent);
  EXPECT_TRUE(definition.hardening);
  EXPECT_FALSE(definition.partial_is_failure);
  EXPECT_FALSE(definition.retention);
  EXPECT_FALSE(definition.check);
  EXPECT_EQ(definition.on_boot, "");
  EXPECT_EQ(parse_schedule(with(R"("retention":null,"check":null,"on_boot":null,"limits":null)")), definition);
  EXPECT_EQ(parse_schedule_retention(R"({"keep_daily":7})").group_by, "host,paths");
}

TEST(schedule_definition, every_member_is_read_and_written) {
  const auto definition = parse_schedule(everything);
  require_valid(definition);
  EXPECT_EQ(definition.backup.arguments, std::vector<std::string>{"--read-concurrency=4"});
  EXPECT_EQ(definition.retention->keep_yearly, -1);
  EXPECT_EQ(definition.retention->keep_tags, (std::vector<std::vector<std::string>>{{"keep"}, {"a", "b"}}));
  EXPECT_EQ(definition.limits.nice, 10);
  EXPECT_EQ(definition.environment.at("RESTIC_PROCS"), "2");
  EXPECT_EQ(parse_schedule(schedule_json_text(definition)), definition);
  EXPECT_EQ(parse_schedule(render_schedule(definition)), definition);
  // No member is as it would be anyway, so that each of them must have been written.
  std::size_t members = 0;
  schedule_json::describe(definition, [&](std::string_view name, const auto&) {
    ++members;
    EXPECT_NE(schedule_json_text(definition).find("\"" + std::string(name) + "\":"), std::string::npos) << name;
  });
  EXPECT_EQ(members, 20U);
}

TEST(schedule_definition, only_what_was_decided_is_written) {
  EXPECT_EQ(schedule_json_text(parse_schedule(least)),
            R"({"v":1,"name":"a","backup":{"paths":["/srv"]},"calendar":["0 2 * * *"]})");
  EXPECT_EQ(render_schedule(parse_schedule(least)),
            "{\n  \"v\": 1,\n  \"name\": \"a\",\n  \"backup\": {\n    \"paths\": [\"/srv\"]\n  },\n  \"calendar\": "
            "[\"0 2 * * *\"]\n}\n");
  EXPECT_EQ(indented_json(R"({"a":"{\"[,:","b":[["x","y"],[]],"c":{}})", json_lists::on_one_line),
            "{\n  \"a\": \"{\\\"[,:\",\n  \"b\": [[\"x\", \"y\"], []],\n  \"c\": {}\n}");
}

TEST(schedule_definition, what_nobody_knows_is_refused_with_its_path) {
  EXPECT_EQ(refusal(with(R"("calender":[])")).first, "calender");
  EXPECT_EQ(refusal(R"({"backup":{"path":[]}})").first, "backup.path");
  EXPECT_EQ(refusal(with(R"("limits":{"cpu":1})")).first, "limits.cpu");
  EXPECT_EQ(refusal(with(R"("limits":{"cpu":1})")).second,
            "there is no such member; there are: cpu_quota, memory_max, io_weight, io_class, nice, timeout, "
            "upload_kib, download_kib");
  EXPECT_EQ(refusal(with(R"("v":2)")).first, "v");
}

TEST(schedule_definition, types_are_refused_with_their_path) {
  EXPECT_EQ(refusal(R"({"name":7})"), (std::pair<std::string, std::string>{"name", "must be a string"}));
  EXPECT_EQ(refusal(R"({"backup":{"paths":["/a",7]}})").first, "backup.paths[1]");
  EXPECT_EQ(refusal(R"({"backup":["/a"]})"), (std::pair<std::string, std::string>{"backup", "must be an object"}));
  EXPECT_EQ(refusal(with(R"("retention":{"keep_daily":"7"})")).first, "retention.keep_daily");
  EXPECT_EQ(refusal(with(R"("retention":{"keep_tags":["a"]})")).first, "retention.keep_tags[0]");
  EXPECT_EQ(refusal(with(R"("environment":{"RESTIC_PROCS":2})")).first, "environment.RESTIC_PROCS");
  EXPECT_EQ(refusal(with(R"("persistent":"yes")")).first, "persistent");
  EXPECT_EQ(refusal("[]").second, "must be a JSON object");
  EXPECT_EQ(refusal(least + "x").first, "");
  EXPECT_EQ(refusal("").first, "");
}

TEST(schedule_definition, what_makes_no_sense_is_refused_with_its_path) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "name"},
      {R"({"name":"a b"})", "name"},
      {R"({"name":"../x"})", "name"},
      {R"({"name":"x@y"})", "name"},
      {R"({"name":"x.service"})", "name"},
      {R"({"name":"x"})", "backup.paths"},
      {R"({"name":"x","backup":{"paths":["srv"]}})", "backup.paths[0]"},
      {R"({"name":"x","backup":{"paths":["/a\u0000b"]}})", "backup.paths[0]"},
      {R"({"name":"x","backup":{"paths":["/srv"],"tags":["a,b"]}})", "backup.tags[0]"},
      {R"({"name":"x","backup":{"paths":["/srv"],"arguments":["--dry-run"]}})", "backup.arguments[0]"},
      {R"({"name":"x","backup":{"paths":["/srv"]}})", "calendar"},
      {R"({"name":"x","executable":"recoup"})", "executable"},
      {R"({"name":"x","description":"a\nb"})", "description"},
      {R"({"name":"x","description":"a\\"})", "description"},
      {R"({"name":"x","environment":{"PATH":"/evil"}})", "environment.PATH"},
      {R"({"name":"x","environment":{"RESTIC_PASSWORD":"x"}})", "environment.RESTIC_PASSWORD"},
      {R"({"name":"x","environment":{"AWS_SECRET_ACCESS_KEY":"x"}})", "environment.AWS_SECRET_ACCESS_KEY"},
  };
  for (const auto& [text, path] : cases) EXPECT_EQ(refusal(text).first, path) << text;
  const std::pair<const char*, const char*> members[] = {
      {R"("calendar":[""])", "calendar[0]"},
      {R"("on_boot":"soon")", "on_boot"},
      {R"("on_boot":"infinity")", "on_boot"},
      {R"("randomized_delay":"10 parsecs")", "randomized_delay"},
      {R"("retry_lock":"1")", "retry_lock"},
      {R"("retention":{})", "retention"},
      {R"("retention":{"keep_daily":-2})", "retention.keep_daily"},
      {R"("check":{"read_data_subset":"all"})", "check.read_data_subset"},
      {R"("limits":{"cpu_quota":"half"})", "limits.cpu_quota"},
      {R"("limits":{"cpu_quota":"50"})", "limits.cpu_quota"},
      {R"("limits":{"memory_max":"1GB"})", "limits.memory_max"},
      {R"("limits":{"io_weight":0})", "limits.io_weight"},
      {R"("limits":{"io_class":"realtime"})", "limits.io_class"},
      {R"("limits":{"nice":20})", "limits.nice"},
      {R"("on_failure":["mail admin"])", "on_failure[0]"},
      {R"("commands_before":[[]])", "commands_before[0]"},
      {R"("commands_after":[["/bin/a"],["b"]])", "commands_after[1][0]"},
  };
  for (const auto& [member, path] : members) EXPECT_EQ(refusal(with(member)).first, path) << member;
}

TEST(schedule_definition, spans_are_systemds) {
  for (const char* span : {"90", "15min", "1h 30min", "2h30m", "1.5h", "500 ms", "1w2d"})
    EXPECT_EQ(refusal(with("\"on_boot\":\"" + std::string(span) + "\"")).first, "taken") << span;
  for (const char* span : {"min", "1.h", ".5h", "1..5h", "-1h", "1h\\n2h", "1h;"})
    EXPECT_EQ(refusal(with("\"on_boot\":\"" + std::string(span) + "\"")).first, "on_boot") << span;
}

TEST(schedule_definition, the_calendar_becomes_systemds_in_the_schedules_zone) {
  auto definition = parse_schedule(least);
  definition.calendar = {"0 2 * * *", "CRON_TZ=UTC 30 3 * * 1", "*-*-* 04:00:00", "@daily"};
  definition.time_zone = "Europe/Berlin";
  EXPECT_EQ(on_calendar_lines(definition),
            (std::vector<std::string>{"*-*-* 02:00:00 Europe/Berlin", "Mon *-*-* 03:30:00 UTC",
                                      "*-*-* 04:00:00 Europe/Berlin", "*-*-* 00:00:00 Europe/Berlin"}));
  definition.calendar = {"0 2 * * *", "61 * * * *"};
  try {
    (void)on_calendar_lines(definition);
    FAIL();
  } catch (const schedule_error& problem) {
    EXPECT_EQ(problem.path(), "calendar[1]");
  }
}

TEST(schedule_definition, the_next_runs_are_those_of_all_expressions_together) {
  auto definition = parse_schedule(least);
  definition.time_zone = "UTC";
  definition.calendar = {"0 2 * * *", "*-*-* 02:00:00", "0 14 * * *"};
  std::vector<std::string> texts;
  for (const auto& time : next_runs(definition, *parse_rfc3339("2026-11-27T12:00:00Z"), 3))
    texts.push_back(to_rfc3339(time));
  EXPECT_EQ(texts, (std::vector<std::string>{"2026-11-27T14:00:00Z", "2026-11-28T02:00:00Z", "2026-11-28T14:00:00Z"}));
}

}  // namespace
