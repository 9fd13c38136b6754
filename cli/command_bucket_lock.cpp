#include <atomic>
#include <charconv>
#include <memory>

#include <recoup/ops/object_retention.hpp>
#include <recoup/s3/object_lock.hpp>

#include "bucket.hpp"
#include "flags.hpp"
#include "format.hpp"

namespace recoup::cli {

namespace {

struct default_flags {
  std::string mode = "governance";
  unsigned days = 0, years = 0;
};

struct extend_flags {
  std::string mode = "governance", period, until;
  bool dry_run = false;
};

retention_mode mode_named(const std::string& text) {
  if (const auto mode = parse_retention_mode(text)) return *mode;
  throw usage_error("--mode " + text + ": give governance or compliance");
}

/// "30d", "26w", "2y". Years are of 365 days, as S3's are.
std::int64_t parse_period(const std::string& text) {
  unsigned count = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), count);
  const auto unit = std::string_view(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const unsigned days = unit == "d" ? 1 : unit == "w" ? 7 : unit == "y" ? 365 : 0;
  if (problem != std::errc{} || days == 0 || count == 0 || count > 36500 / days)
    throw usage_error("--for " + text + ": give a number of days, weeks or years, such as 30d, 8w or 1y");
  return std::int64_t{count} * days * 86400;
}

timestamp end_of(const extend_flags& flags) {
  if (flags.period.empty() == flags.until.empty()) throw usage_error("say until when: --for 30d or --until 2030-12-31");
  if (!flags.period.empty()) return {current_time().seconds + parse_period(flags.period), 0, 0};
  auto time = parse_rfc3339(flags.until);
  if (!time) time = parse_any_time(flags.until);
  if (!time) throw usage_error("--until " + flags.until + ": give a day, or a day and a time");
  return {time->seconds, 0, 0};
}

void print_default(const context& call, const bucket_end& end) {
  const auto lock = get_object_lock(*end.client, end.bucket());
  if (call.options.json) {
    json_writer json;
    json.begin_object().field("bucket", end.bucket()).field("enabled", lock.enabled).key("default_retention");
    if (lock.retention)
      json.begin_object()
          .field("mode", name_of(lock.retention->mode))
          .field("days", lock.retention->days)
          .field("years", lock.retention->years)
          .end_object();
    else
      json.null();
    return call.out.result(json.end_object().take());
  }
  auto line = "object lock of bucket " + end.bucket() + ": ";
  if (!lock.enabled)
    line += "none";
  else if (!lock.retention)
    line += "possible; new objects are not locked unless asked for";
  else
    line += std::string("new objects are locked for ") +
            (lock.retention->years != 0 ? std::to_string(lock.retention->years) + " years"
                                        : std::to_string(lock.retention->days) + " days") +
            " (" + name_of(lock.retention->mode) + ')';
  call.out.result(line);
}

void run_set(context& call, const default_flags& flags) {
  if ((flags.days == 0) == (flags.years == 0)) throw usage_error("give --days or --years, one of the two");
  const default_retention wanted{mode_named(flags.mode), flags.days, flags.years};
  const auto end = open_bucket(call);
  put_object_lock(*end.client, end.bucket(), wanted);
  print_default(call, end);
  if (wanted.mode == retention_mode::compliance && !call.options.json)
    call.out.info(
        "Nobody can remove what is saved from now on before then, not even you: neither forget and prune nor\n"
        "stale locks of a repository; what they delete is hidden and stays.");
}

void run_clear(context& call) {
  const auto end = open_bucket(call);
  put_object_lock(*end.client, end.bucket(), std::nullopt);
  print_default(call, end);
}

/// "[0:05] 40.00%  2 / 5 objects"
class object_progress {
public:
  explicit object_progress(context& call)
      : line_(call, [this] {
          return format_percent(done_, total_) + "  " + std::to_string(done_) + " / " + std::to_string(total_) +
                 " objects";
        }) {}

  [[nodiscard]] std::function<void(std::uint64_t, std::uint64_t)> callback() {
    return [this](std::uint64_t done, std::uint64_t total) { done_ = done, total_ = total; };
  }

private:
  std::atomic<std::uint64_t> done_{0}, total_{0};
  live_line line_;  // last: it reads what is above
};

void fail_if_any(const context& call, const std::vector<failed_extension>& failed, const char* what) {
  for (const auto& each : failed) call.out.error(each.key + ": " + each.reason);
  if (!failed.empty())
    throw error(error_code::incomplete, std::to_string(failed.size()) + " objects could not be " + what);
}

void run_show(context& call, bool objects) {
  const auto end = open_bucket(call);
  if (!objects) return print_default(call, end);
  retention_extension found;
  {
    object_progress progress(call);
    found = report_locks(*end.client, end.bucket(), end.where.prefix, progress.callback());
  }
  if (call.options.json) {
    json_writer json;
    json.begin_object().field("bucket", end.bucket()).field("prefix", end.directory());
    write_lock_report(json, found.after);
    call.out.result(json.end_object().take());
  } else {
    print_lock_report(call, found.after);
  }
  fail_if_any(call, found.failed, "looked at");
}

void run_extend(context& call, const extend_flags& flags) {
  retention_options options;
  options.mode = mode_named(flags.mode);
  options.until = end_of(flags);
  options.dry_run = flags.dry_run;
  const auto end = open_bucket(call);
  retention_extension done;
  {
    object_progress progress(call);
    options.on_progress = progress.callback();
    done = extend_retention(*end.client, end.bucket(), end.where.prefix, options);
  }
  if (call.options.json) {
    json_writer json;
    json.begin_object().field("bucket", end.bucket()).field("prefix", end.directory());
    json.field("until", options.until).field("dry_run", flags.dry_run);
    json.field("extended", done.extended).field("extended_bytes", done.extended_bytes);
    json.field("long_enough", done.long_enough).field("long_enough_bytes", done.long_enough_bytes);
    json.field("failed", done.failed.size()).key("locked").begin_object();
    write_lock_report(json, done.after);
    call.out.result(json.end_object().end_object().take());
  } else {
    call.out.result(formatted(
        "%s %llu objects (%s) until %s; %llu (%s) are locked that long already\n",
        flags.dry_run ? "would lock" : "locked", static_cast<unsigned long long>(done.extended),
        format_bytes(done.extended_bytes).c_str(), format_local_time(local_timestamp(options.until.seconds, 0)).c_str(),
        static_cast<unsigned long long>(done.long_enough), format_bytes(done.long_enough_bytes).c_str()));
    print_lock_report(call, done.after);
  }
  fail_if_any(call, done.failed, "locked");
}

void run_clear_governance(context& call, const std::string& confirm) {
  const auto end = open_bucket(call);
  if (confirm != end.bucket())
    throw error(error_code::invalid_argument,
                "this lets all that is locked in mode GOVERNANCE at " +
                    recoup::describe(end.client->endpoint(), end.bucket(), end.directory()) +
                    " be removed: confirm it with --confirm " + end.bucket());
  retention_extension done;
  {
    object_progress progress(call);
    done = clear_governance(*end.client, end.bucket(), end.directory(), progress.callback());
  }
  if (call.options.json)
    call.out.result(json_writer{}
                        .begin_object()
                        .field("bucket", end.bucket())
                        .field("prefix", end.directory())
                        .field("cleared", done.extended)
                        .field("cleared_bytes", done.extended_bytes)
                        .field("failed", done.failed.size())
                        .end_object()
                        .take());
  else
    call.out.result("lifted the locks of " + std::to_string(done.extended) + " versions (" +
                    format_bytes(done.extended_bytes) + ")");
  fail_if_any(call, done.failed, "unlocked");
}

}  // namespace

void add_bucket_lock_command(command_tree& tree, CLI::App& bucket) {
  auto& group = *tree.add(bucket, "lock", "[command]", "Keep objects from being removed before a day").app;
  tree.add(group, "clear", "[flags] [location]", "Lock no new objects; those that are locked stay so").run = run_clear;

  const auto confirm = std::make_shared<std::string>();
  auto& governance = tree.add(group, "clear-governance", "[flags] [location]", "Lift all locks of mode GOVERNANCE");
  add_text(*governance.app, "--confirm", *confirm, "the bucket's name", "bucket");
  governance.run = [confirm](context& call) { run_clear_governance(call, *confirm); };

  const auto extend = std::make_shared<extend_flags>();
  auto& extension = tree.add(group, "extend-retention", "[flags] [location]",
                             "Lock all files of a repository for some time from now");
  extension.details =
      "Locks config, keys, index, snapshots and packs of the repository at the location until a day; what is locked\n"
      "longer stays so. Run it regularly, for instance after each backup: packs that new snapshots go on using are\n"
      "old, and their locks run out while the snapshots are young.\n\n"
      "GOVERNANCE can be lifted by whoever has the right to; COMPLIANCE by nobody, so try it in days first.\n";
  add_text(*extension.app, "--mode", extend->mode, "governance or compliance (default: governance)",
           "governance|compliance");
  add_text(*extension.app, "--for", extend->period, "for so long from now: 30d, 8w, 1y", "period");
  add_text(*extension.app, "--until", extend->until, "until a day", "date");
  add_switch(*extension.app, "-n,--dry-run", extend->dry_run, "say what would be locked, and do nothing");
  extension.run = [extend](context& call) { run_extend(call, *extend); };

  const auto flags = std::make_shared<default_flags>();
  auto& set = tree.add(group, "set", "[flags] [location]", "Lock each new object for some time");
  add_text(*set.app, "--mode", flags->mode, "governance or compliance (default: governance)", "governance|compliance");
  add_number(*set.app, "--days", flags->days, "for so many days", "days");
  add_number(*set.app, "--years", flags->years, "for so many years", "years");
  set.run = [flags](context& call) { run_set(call, *flags); };

  const auto objects = std::make_shared<bool>(false);
  auto& show = tree.add(group, "show", "[flags] [location]", "Show how new objects are locked");
  add_switch(*show.app, "--objects", *objects, "what of the repository at the location is locked, and until when");
  show.run = [objects](context& call) { run_show(call, *objects); };
}

}  // namespace recoup::cli
