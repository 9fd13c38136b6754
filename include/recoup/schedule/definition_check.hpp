// Whether a definition makes sense, before anything is made of it: each problem names the member and the remedy. What
// only the machine can tell (is the path there? does the unit exist?) is not asked here, so that a plan can be checked
// anywhere.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/parse_setting.hpp>
#include <recoup/json/utf8.hpp>
#include <recoup/schedule/definition.hpp>
#include <recoup/schedule/environment_file.hpp>

namespace recoup {

namespace schedule_check_rules {

[[nodiscard]] inline bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

[[nodiscard]] inline bool has_control_characters(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// "10" at the beginning of "10min"; takes it off. Empty if there is none.
[[nodiscard]] inline std::string_view take_number(std::string_view& text) {
  const auto length = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto number = text.substr(0, length);
  if (number.starts_with('.') || number.ends_with('.') || std::ranges::count(number, '.') > 1) return {};
  text.remove_prefix(length);
  return number;
}

/// systemd.time(7): "2h", "1h 30min", "90" seconds.
[[nodiscard]] inline bool is_time_span(std::string_view text) {
  bool any = false;
  const auto skip_blanks = [&] { text.remove_prefix(std::min(text.find_first_not_of(' '), text.size())); };
  for (skip_blanks(); !text.empty(); any = true) {
    if (take_number(text).empty()) return false;
    skip_blanks();
    const auto length = std::min(text.find_first_of("0123456789. "), text.size());
    const auto unit = text.substr(0, length);
    if (!unit.empty() &&
        !is_one_of(unit, {"us",     "usec",    "ms", "msec",  "s",      "sec",   "second", "seconds", "m",    "min",
                          "minute", "minutes", "h",  "hr",    "hour",   "hours", "d",      "day",     "days", "w",
                          "week",   "weeks",   "M",  "month", "months", "y",     "year",   "years"}))
      return false;
    text.remove_prefix(length);
    skip_blanks();
  }
  return any;
}

class checker {
public:
  explicit checker(const schedule_definition& definition) : all_(definition) {}

  void run() const {
    check_name();
    check_program();
    check_environment();
    check_backup();
    check_times();
    if (all_.retention) try {
        check_retention(*all_.retention);
      } catch (const schedule_error& problem) {
        refuse(problem.path().empty() ? "retention" : "retention." + problem.path(), problem.reason());
      }
    if (all_.check) check_subset(all_.check->read_data_subset);
    check_limits();
    check_commands("commands_before", all_.commands_before);
    check_commands("commands_after", all_.commands_after);
    for (std::size_t i = 0; i < all_.on_failure.size(); ++i) check_unit(at("on_failure", i), all_.on_failure[i]);
  }

  /// Paths in errors are relative to the policy.
  static void check_retention(const schedule_retention& rules) {
    const std::pair<const char*, std::int64_t> counts[] = {
        {"keep_last", rules.keep_last},     {"keep_hourly", rules.keep_hourly},   {"keep_daily", rules.keep_daily},
        {"keep_weekly", rules.keep_weekly}, {"keep_monthly", rules.keep_monthly}, {"keep_yearly", rules.keep_yearly}};
    bool any = !rules.keep_tags.empty();
    for (const auto& [name, count] : counts) {
      if (count < -1) refuse(name, "is how many to keep: 0 or more, or -1 for all");
      any = any || count != 0;
    }
    for (const auto* span : {&rules.keep_within, &rules.keep_within_hourly, &rules.keep_within_daily,
                             &rules.keep_within_weekly, &rules.keep_within_monthly, &rules.keep_within_yearly})
      any = any || !span->empty();
    if (!any)
      refuse("",
             "keeps nothing: give at least one of keep_last, keep_daily, keep_within, …, or leave retention out, "
             "and nothing is ever forgotten");
  }

private:
  [[noreturn]] static void refuse(std::string path, const std::string& why) {
    throw schedule_error(std::move(path), why);
  }
  [[nodiscard]] static std::string at(const char* list, std::size_t position) {
    return std::string(list) + "[" + std::to_string(position) + "]";
  }

  void check_name() const {
    const auto& name = all_.name;
    if (name.empty()) refuse("name", "is missing: the units are named after it, NAME.service and NAME.timer");
    static constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    if (name.find_first_not_of(allowed) != std::string::npos || name.front() == '.' || name.front() == '-' ||
        name.size() > 200)
      refuse("name", "\"" + name +
                         "\" cannot be a unit's name: at most 200 letters, digits, \"_\", \".\" and \"-\", "
                         "beginning with none of the last two");
    for (const std::string_view suffix : {".service", ".timer", ".json"})
      if (name.ends_with(suffix)) refuse("name", "is given without \"" + std::string(suffix) + "\"");
    // In a unit file a backslash at the end of a line goes on in the next one.
    if (has_control_characters(all_.description) || all_.description.ends_with('\\'))
      refuse("description", "is one line of text, without control characters and without a backslash at its end");
  }

  void check_path(const std::string& member, const std::string& path) const {
    if (!path.starts_with('/'))
      refuse(member, "\"" + path + "\" is not absolute: give the whole path, beginning with \"/\"");
    if (path.find('\0') != std::string::npos) refuse(member, "holds a zero byte, which no path can");
  }

  void check_program() const {
    check_path("executable", all_.executable);
    check_path("environment_file", all_.environment_file);
    if (has_control_characters(all_.executable)) refuse("executable", "has control characters in it");
    if (has_control_characters(all_.environment_file)) refuse("environment_file", "has control characters in it");
  }

  void check_environment() const {
    for (const auto& [name, value] : all_.environment) {
      const auto member = "environment." + name;
      if (!is_schedule_variable(name))
        refuse(member,
               "is not a variable of a backup: those are RESTIC_*, AWS_*, proxies, SSL_CERT_FILE, SSL_CERT_DIR, TMPDIR "
               "and TZ");
      if (is_one_of(name, {"RESTIC_PASSWORD", "RESTIC_FROM_PASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}))
        refuse(member,
               "is a secret, and the definition is for everybody to read: put it into " + all_.environment_file);
      if (!is_environment_value(value)) refuse(member, "is not UTF-8, or has control characters in it");
    }
  }

  void check_backup() const {
    const auto& backup = all_.backup;
    if (backup.paths.empty()) refuse("backup.paths", "is missing: what is to be backed up?");
    for (std::size_t i = 0; i < backup.paths.size(); ++i) check_path(at("backup.paths", i), backup.paths[i]);
    for (std::size_t i = 0; i < backup.exclude_files.size(); ++i)
      check_path(at("backup.exclude_files", i), backup.exclude_files[i]);
    for (std::size_t i = 0; i < backup.tags.size(); ++i)
      if (backup.tags[i].empty() || backup.tags[i].find(',') != std::string::npos)
        refuse(at("backup.tags", i), "a tag is not empty and has no comma in it: give each as a text of its own");
    for (std::size_t i = 0; i < backup.arguments.size(); ++i)
      if (is_one_of(backup.arguments[i], {"--", "-n", "--dry-run", "--stdin", "--stdin-from-command"}))
        refuse(at("backup.arguments", i), "\"" + backup.arguments[i] + "\" makes no sense in a schedule");
  }

  void check_times() const {
    if (all_.calendar.empty())
      refuse("calendar", "is missing: when is the backup to be made? \"0 2 * * *\" is every day at 2:00");
    for (std::size_t i = 0; i < all_.calendar.size(); ++i)
      if (all_.calendar[i].empty() || has_control_characters(all_.calendar[i]))
        refuse(at("calendar", i), "is a cron expression or a calendar event of systemd, in one line");
    check_span("on_boot", all_.on_boot, false);
    check_span("randomized_delay", all_.randomized_delay, false);
    if (!all_.retry_lock.empty() && !parse_duration(all_.retry_lock))
      refuse("retry_lock", "\"" + all_.retry_lock + "\" is not a duration such as 30s, 5m or 1h30m");
    if (has_control_characters(all_.time_zone) || all_.time_zone.find(' ') != std::string::npos)
      refuse("time_zone", "is a name such as Europe/Berlin");
  }

  void check_span(const char* member, const std::string& text, bool may_be_infinite) const {
    if (text.empty() || is_time_span(text) || (may_be_infinite && text == "infinity")) return;
    refuse(member, "\"" + text + "\" is not a time span such as 90s, 15min or \"1h 30min\" (systemd.time(7))");
  }

  void check_limits() const {
    const auto& limits = all_.limits;
    check_span("limits.timeout", limits.timeout, true);
    if (auto text = std::string_view(limits.cpu_quota);
        !text.empty() && (!text.ends_with('%') || take_number(text).empty() || text != "%"))
      refuse("limits.cpu_quota",
             "\"" + limits.cpu_quota + "\" is not a percentage of one processor such as 50% or 200%");
    if (auto text = std::string_view(limits.memory_max);
        !text.empty() && text != "infinity" &&
        (take_number(text).empty() || !is_one_of(text, {"", "K", "M", "G", "T", "%"})))
      refuse("limits.memory_max", "\"" + limits.memory_max + "\" is not a size such as 512M or 1G, nor a percentage");
    if (limits.io_weight && (*limits.io_weight < 1 || *limits.io_weight > 10000))
      refuse("limits.io_weight", "is a number from 1 to 10000; 100 is usual");
    if (!is_one_of(limits.io_class, {"", "idle", "best-effort"}))
      refuse("limits.io_class", "is \"idle\" or \"best-effort\"");
    if (limits.nice && (*limits.nice < -20 || *limits.nice > 19)) refuse("limits.nice", "is a number from -20 to 19");
  }

  void check_commands(const char* member, const std::vector<schedule_command>& commands) const {
    for (std::size_t i = 0; i < commands.size(); ++i) {
      if (commands[i].empty()) refuse(at(member, i), "is empty: give the program and its arguments as a list of texts");
      check_path(at(member, i) + "[0]", commands[i].front());
      for (const auto& word : commands[i])
        if (word.find('\0') != std::string::npos) refuse(at(member, i), "holds a zero byte, which no argument can");
    }
  }

  /// As `check --read-data-subset` takes it; that a number makes sense is asked there.
  static void check_subset(const std::string& subset) {
    auto text = std::string_view(subset);
    if (text.empty()) return;
    if (!take_number(text).empty()) {
      if (text.starts_with('/')) {
        text.remove_prefix(1);
        if (!take_number(text).empty() && text.empty()) return;
      } else if (is_one_of(text, {"", "%", "k", "K", "m", "M", "g", "G", "t", "T"})) {
        return;
      }
    }
    refuse("check.read_data_subset",
           "\"" + subset + "\" is none of \"2%\" (at random), \"1/10\" (the first tenth), \"5G\" (about so much)");
  }

  void check_unit(const std::string& member, const std::string& unit) const {
    const auto dot = unit.rfind('.');
    if (unit.find_first_of(" \t\"'\\/") == std::string::npos && !has_control_characters(unit) &&
        dot != std::string::npos && dot > 0 &&
        is_one_of(std::string_view(unit).substr(dot), {".service", ".target", ".path", ".timer", ".socket"}))
      return;
    refuse(member, "\"" + unit + "\" is not a unit's name such as mail-admin@%n.service");
  }

  const schedule_definition& all_;
};

}  // namespace schedule_check_rules

/// Throws schedule_error for the first member that makes no sense.
inline void require_valid(const schedule_definition& definition) { schedule_check_rules::checker(definition).run(); }

}  // namespace recoup
