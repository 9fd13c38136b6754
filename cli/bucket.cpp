#include "bucket.hpp"

#include <algorithm>

#include <recoup/storage/open_backend.hpp>

#include "format.hpp"
#include "s3_client.hpp"

namespace recoup::cli {

s3_location parse_bucket_location(const std::string& text, bool may_lack_bucket) {
  if (!text.starts_with("s3:"))
    throw usage_error("\"" + location_without_secrets(text) +
                      "\" is no location in S3: write s3:https://host[:port]/bucket[/prefix]");
  return may_lack_bucket ? parse_s3_endpoint(text) : parse_s3_location(text);
}

bucket_end open_bucket(context& call, std::size_t position, bool may_lack_bucket) {
  if (call.arguments.size() > position + 1)
    throw usage_error("\"" + call.arguments[position + 1] + "\" is one argument too many: give one location");
  const auto text = call.arguments.size() > position ? call.arguments[position] : call.options.location();
  auto where = parse_bucket_location(text, may_lack_bucket);
  auto client = open_s3_client(call, where);
  return {std::move(where), std::move(client)};
}

live_line::live_line(context& call, std::function<std::string()> text)
    : screen_(call.screen),
      text_(std::move(text)),
      updater_(call.signals,
               call.options.json ? std::chrono::nanoseconds{0}
                                 : progress_interval(!call.options.quiet, false, call.screen.can_update_status()),
               [this, json = call.options.json](std::chrono::nanoseconds elapsed, bool final) {
                 if (json) return;
                 if (final)
                   screen_.set_status({});
                 else
                   screen_.set_status({'[' + format_duration(elapsed) + "] " + text_()});
               }) {}

void write_counts(json_writer& json, const usage_counts& counts) {
  json.field("objects", counts.objects)
      .field("bytes", counts.bytes)
      .field("old_versions", counts.old_versions)
      .field("old_version_bytes", counts.old_bytes)
      .field("delete_markers", counts.delete_markers)
      .field("incomplete_uploads", counts.uploads)
      .field("incomplete_upload_bytes", counts.upload_bytes);
}

namespace {

void write_totals(json_writer& json, const char* name, const lock_totals& totals) {
  json.key(name).begin_object().field("objects", totals.objects).field("bytes", totals.bytes);
  if (totals.first_until) json.field("first_until", *totals.first_until);
  if (totals.last_until) json.field("last_until", *totals.last_until);
  json.end_object();
}

void print_totals(const context& call, const char* what, const lock_totals& totals) {
  if (totals.objects == 0) return;
  auto line = formatted("%-22s %llu objects, %s, until ", what, static_cast<unsigned long long>(totals.objects),
                        format_bytes(totals.bytes).c_str());
  const auto local = [](const timestamp& time) { return format_local_time(local_timestamp(time.seconds, 0)); };
  line += local(*totals.first_until);
  if (earlier(*totals.first_until, *totals.last_until))
    line += " at first and " + local(*totals.last_until) + " at last";
  call.out.result(line);
}

}  // namespace

void write_lock_report(json_writer& json, const lock_report& report) {
  write_totals(json, "governance", report.governance);
  write_totals(json, "compliance", report.compliance);
  json.key("legal_hold").begin_object();
  json.field("objects", report.held_objects).field("bytes", report.held_bytes).end_object();
  json.key("unlocked").begin_object();
  json.field("objects", report.unlocked_objects).field("bytes", report.unlocked_bytes).end_object();
  write_totals(json, "hidden", report.hidden);
}

void print_lock_report(const context& call, const lock_report& report) {
  const auto number = [](std::uint64_t count) { return static_cast<unsigned long long>(count); };
  print_totals(call, "locked (GOVERNANCE):", report.governance);
  print_totals(call, "locked (COMPLIANCE):", report.compliance);
  if (report.held_objects != 0)
    call.out.result(formatted("%-22s %llu objects, %s, until the hold is lifted", "held:", number(report.held_objects),
                              format_bytes(report.held_bytes).c_str()));
  call.out.result(formatted("%-22s %llu objects, %s", "not locked:", number(report.unlocked_objects),
                            format_bytes(report.unlocked_bytes).c_str()));
  print_totals(call, "deleted, yet stored:", report.hidden);
  if (report.governance.objects + report.compliance.objects + report.held_objects == 0) return;
  call.out.result(
      "\nUntil then `forget` and `prune` cannot free what is locked: the server hides an object that they delete\n"
      "behind a delete marker and keeps it, and you go on paying for it. A lifecycle rule for old versions (recoup\n"
      "bucket lifecycle add --noncurrent-days 1) removes what is hidden once its lock has run out.");
}

std::string shown_time(const std::string& from_server) {
  const auto time = parse_rfc3339(from_server);
  return time ? format_local_time(local_timestamp(time->seconds, 0)) : from_server;
}

}  // namespace recoup::cli
