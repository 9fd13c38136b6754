#include <atomic>
#include <chrono>
#include <memory>
#include <optional>

#include <recoup/ops/sync.hpp>

#include "bucket.hpp"
#include "flags.hpp"
#include "format.hpp"
#include "json_output.hpp"
#include "s3_client.hpp"

namespace recoup::cli {

namespace {

struct sync_flags {
  bool checksum = false, read_back = false, remove = false, allow_emptying = false, dry_run = false,
       escape_names = false;
  std::vector<std::string> from_options;
  std::string from_profile;
};

/// One end of the copy, and the client that a bucket needs.
struct sync_end {
  std::shared_ptr<s3_client> client;
  std::unique_ptr<sync_place> place;
};

sync_end open_end(context& call, const std::string& text, const std::map<std::string, std::string>& settings,
                  directory_place_options directory) {
  if (text.starts_with("s3:")) {
    const auto where = parse_bucket_location(text);
    auto client = open_s3_client(call, where, settings);
    auto prefix = where.prefix;
    if (!prefix.empty() && !prefix.ends_with('/')) prefix += '/';
    auto place = std::make_unique<bucket_place>(*client, where.bucket, prefix);
    return {std::move(client), std::move(place)};
  }
  const auto path = text.starts_with("local:") ? text.substr(6) : text;
  return {nullptr, std::make_unique<directory_place>(path, directory)};
}

/// The source is reached with what -o says, unless something of it is set for the source alone.
std::map<std::string, std::string> source_settings(const context& call, const sync_flags& flags) {
  auto settings = call.options.backend_options;
  for (const auto& each : flags.from_options) {
    const auto equals = each.find('=');
    if (equals == std::string::npos) throw usage_error("--from-option " + each + ": write key=value");
    settings[each.substr(0, equals)] = each.substr(equals + 1);
  }
  if (!flags.from_profile.empty()) settings["s3.profile"] = flags.from_profile;
  return settings;
}

const char* name_of(sync_reason reason) {
  switch (reason) {
    case sync_reason::missing: return "missing";
    case sync_reason::differs: return "differs";
    case sync_reason::to_compare: return "to_compare";
  }
  return "missing";
}

class sync_progress : public sync_observer {
public:
  sync_progress(context& call, const sync_plan& plan) : call_(call), plan_(plan) {
    const auto interval = progress_interval(!call.options.quiet, call.options.json, call.screen.can_update_status());
    updater_ = std::make_unique<updater>(
        call.signals, interval, [this](std::chrono::nanoseconds elapsed, bool final) { report(elapsed, final); });
  }
  ~sync_progress() override { updater_.reset(); }

  void on_bytes(std::uint64_t count) override { bytes_ += count; }
  void on_done(const sync_item& item) override {
    ++done_;
    if (!call_.options.json) call_.out.detail("copied " + quoted_if_needed(item.entry.key));
  }
  void on_failure(const sync_failure& failure) override {
    ++done_;
    print_failure(call_, failure);
  }
  void on_removed(std::uint64_t count) override { removed_ += count; }

  static void print_failure(const context& call, const sync_failure& failure) {
    if (!call.options.json) return call.out.error(quoted_if_needed(failure.key) + ": " + failure.reason);
    call.out.error(json_writer{}
                       .begin_object()
                       .field("message_type", "error")
                       .field("key", failure.key)
                       .field("message", failure.reason)
                       .end_object()
                       .take());
  }

private:
  void report(std::chrono::nanoseconds elapsed, bool final) {
    const std::uint64_t done = done_, bytes = bytes_;
    if (final) return call_.options.json ? void() : call_.screen.set_status({});
    if (call_.options.json) {
      json_writer json;
      json.begin_object().field("message_type", "status");
      json.field("seconds_elapsed", std::chrono::duration_cast<std::chrono::seconds>(elapsed).count());
      json.field("total_objects", plan_.items.size()).field("objects_done", done);
      call_.screen.print(json.field("total_bytes", plan_.bytes).field("bytes_done", bytes).end_object().take());
      return;
    }
    auto line = '[' + format_duration(elapsed) + "] " + format_percent(bytes, plan_.bytes) + "  " +
                std::to_string(done) + " / " + std::to_string(plan_.items.size()) + " objects, " + format_bytes(bytes) +
                " / " + format_bytes(plan_.bytes);
    const auto seconds = std::chrono::duration<double>(elapsed).count();
    if (bytes > 0 && seconds > 2 && plan_.bytes > bytes)
      line += ", ETA " + format_seconds(static_cast<std::uint64_t>(static_cast<double>(plan_.bytes - bytes) * seconds /
                                                                   static_cast<double>(bytes)));
    if (removed_ != 0) line += ", " + std::to_string(removed_) + " removed";
    call_.screen.set_status({line});
  }

  context& call_;
  const sync_plan& plan_;
  std::atomic<std::uint64_t> done_{0}, bytes_{0}, removed_{0};
  std::unique_ptr<updater> updater_;  // last: its thread uses what is above
};

void print_item(const context& call, const char* type, const std::string& key, std::optional<sync_item> item) {
  if (!call.options.json) {
    const char* verb =
        item ? (item->reason == sync_reason::to_compare ? "would compare " : "would copy ") : "would remove ";
    return call.out.result(verb + quoted_if_needed(key) + (item ? " (" + format_bytes(item->entry.size) + ")" : ""));
  }
  json_writer json;
  json.begin_object().field("message_type", type).field("key", key);
  if (item) json.field("size", item->entry.size).field("reason", name_of(item->reason));
  call.out.result(json.end_object().take());
}

void print_plan(const context& call, const sync_plan& plan) {
  for (const auto& item : plan.items) print_item(call, "copy", item.entry.key, item);
  for (const auto& key : plan.removals) print_item(call, "remove", key, std::nullopt);
  for (const auto& failure : plan.failures) sync_progress::print_failure(call, failure);
}

void print_summary(const context& call, const sync_plan& plan, const sync_result& done, bool dry_run) {
  if (call.options.json) {
    json_writer json;
    json.begin_object().field("message_type", "summary").field("dry_run", dry_run);
    json.field("source_objects", plan.source_objects).field("destination_objects", plan.destination_objects);
    json.field("to_copy", plan.items.size()).field("to_copy_bytes", plan.bytes);
    json.field("copied", done.copied).field("copied_bytes", done.copied_bytes).field("equal", done.equal);
    json.field("verified_by_etag", done.proven_by_etag).field("verified_by_reading", done.proven_by_reading);
    json.field("extra", plan.extra).field("removed", done.removed).field("failed", done.failures.size());
    return call.out.result(json.end_object().take());
  }
  const auto number = [](std::uint64_t count) { return static_cast<unsigned long long>(count); };
  if (dry_run)
    return call.out.result(formatted("would copy %llu objects (%s) and remove %llu; %llu are equal already",
                                     number(plan.items.size()), format_bytes(plan.bytes).c_str(),
                                     number(plan.removals.size()), number(plan.equal)));
  call.out.result(formatted("copied %llu objects (%s), all verified (%llu by the server's ETag, %llu by reading back)",
                            number(done.copied), format_bytes(done.copied_bytes).c_str(), number(done.proven_by_etag),
                            number(done.proven_by_reading)));
  call.out.result(formatted("%llu were equal already", number(done.equal)));
  if (done.removed != 0) call.out.result(formatted("removed %llu that the source does not have", number(done.removed)));
  if (plan.extra > done.removed)
    call.out.result(
        formatted("%llu more lie at the destination and not in the source", number(plan.extra - done.removed)));
}

void run(context& call, const sync_flags& flags) {
  if (call.arguments.size() != 2) throw usage_error("bucket sync expects a source and a destination");
  const auto from = open_end(call, call.arguments[0], source_settings(call, flags), {flags.escape_names, false});
  const auto to = open_end(call, call.arguments[1], call.options.backend_options, {flags.escape_names, !flags.dry_run});
  sync_options options;
  options.checksum = flags.checksum;
  options.read_back = flags.read_back;
  options.remove_extra = flags.remove;
  options.allow_emptying = flags.allow_emptying;
  const auto plan = plan_sync(*from.place, *to.place, options);
  for (const auto& each : plan.left_alone)
    call.out.error("Warning: left alone at the destination: " + quoted_if_needed(each.key) + ": " + each.reason);
  sync_result done;
  if (flags.dry_run) {
    print_plan(call, plan);
    done.equal = plan.equal;
    done.failures = plan.failures;
  } else {
    for (const auto& failure : plan.failures) sync_progress::print_failure(call, failure);
    sync_progress progress(call, plan);
    done = execute_sync(plan, *from.place, *to.place, options, progress, call.signals.token());
  }
  print_summary(call, plan, done, flags.dry_run);
  if (!done.failures.empty())
    throw error(error_code::incomplete, std::to_string(done.failures.size()) + " objects could not be copied" +
                                            (plan.removals.empty() ? "" : ", so nothing was removed"));
}

}  // namespace

void add_bucket_sync_command(command_tree& tree, CLI::App& group) {
  auto& command = tree.add(group, "sync", "[flags] source destination",
                           "Copy a bucket to another one or to a directory, and verify it");
  command.details =
      "Copies all current objects below a location in S3 to another one, also of another server, or to a directory;\n"
      "or the files of a directory into a bucket. What is there already and equal is passed over, so a run that was\n"
      "interrupted is simply begun again. Each copy is verified before it counts: against the ETag of the\n"
      "destination, or by reading it back. Exit code 3: some objects could not be copied.\n\n"
      "The two ends may need different credentials: those for the source can be another profile of ~/.aws\n"
      "(--from-profile).\n";
  const auto flags = std::make_shared<sync_flags>();
  auto& app = *command.app;
  add_switch(app, "--checksum", flags->checksum,
             "read both ends to find out what differs, instead of comparing size and ETag or time");
  add_switch(app, "--read-back", flags->read_back, "read each copy back, also where the ETag proves it");
  add_switch(app, "--delete", flags->remove, "remove from the destination what the source does not have");
  add_switch(app, "--allow-emptying", flags->allow_emptying, "even if that removes all that is there now");
  add_switch(app, "--escape-names", flags->escape_names,
             "write keys that cannot be names of files in a form that can be read back (with directories)");
  add_switch(app, "-n,--dry-run", flags->dry_run, "say what would be done, and do nothing");
  add_text(app, "--from-profile", flags->from_profile, "profile of ~/.aws with the credentials for the source",
           "profile");
  add_list(app, "--from-option", flags->from_options,
           "extended option for the source alone (can be specified multiple times)", "key=value");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
