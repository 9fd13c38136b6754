#include <memory>
#include <mutex>

#include <recoup/s3/bucket/list.hpp>
#include <recoup/s3/bucket/usage.hpp>

#include "bucket.hpp"
#include "flags.hpp"
#include "format.hpp"

namespace recoup::cli {

namespace {

struct usage_flags {
  unsigned depth = 0;
};

void print_json(const context& call, const bucket_end& end, const bucket_usage& found) {
  json_writer json;
  json.begin_object().field("bucket", end.bucket()).field("prefix", end.directory());
  json.key("total").begin_object();
  write_counts(json, found.total);
  json.end_object().key("prefixes").begin_array();
  for (const auto& [prefix, counts] : found.prefixes) {
    json.begin_object().field("prefix", prefix);
    write_counts(json, counts);
    json.end_object();
  }
  json.end_array().field("versions_known", found.versions_are_known);
  call.out.result(json.field("incomplete_uploads_known", found.uploads_are_known).end_object().take());
}

void print_text(const context& call, const bucket_end& end, const bucket_usage& found) {
  table rows({"Objects", "Size", "Old versions", "Size", "Delete markers", "Uploads", "Size", "Prefix"});
  const auto add = [&](const std::string& prefix, const usage_counts& counts) {
    rows.add_row({std::to_string(counts.objects), format_bytes(counts.bytes), std::to_string(counts.old_versions),
                  format_bytes(counts.old_bytes), std::to_string(counts.delete_markers), std::to_string(counts.uploads),
                  format_bytes(counts.upload_bytes), quoted_if_needed(prefix)});
  };
  for (const auto& [prefix, counts] : found.prefixes) add(prefix, counts);
  add(end.bucket().empty() ? "all buckets" : end.bucket() + '/' + end.directory(), found.total);
  call.out.result(rows.text());
  if (!found.versions_are_known)
    call.out.result("Old versions and delete markers are not counted: the server or its policy does not list them.");
  if (!found.uploads_are_known)
    call.out.result("Incomplete uploads are not counted: the server or its policy does not list them.");
}

/// Of all buckets of the server, each as a prefix of that name.
bucket_usage count_all_buckets(const bucket_end& end, usage_options options) {
  bucket_usage all;
  if (options.depth != 0) --options.depth;
  for (const auto& bucket : list_buckets(*end.client)) {
    const auto found = count_usage(*end.client, bucket.name, options);
    all.total += found.total;
    all.prefixes[bucket.name + '/'] = found.total;
    for (const auto& [prefix, counts] : found.prefixes) all.prefixes[bucket.name + '/' + prefix] = counts;
    all.versions_are_known = all.versions_are_known && found.versions_are_known;
    all.uploads_are_known = all.uploads_are_known && found.uploads_are_known;
  }
  return all;
}

void run(context& call, const usage_flags& flags) {
  const auto end = open_bucket(call, 0, true);
  usage_options options;
  options.prefix = end.directory();
  options.depth = flags.depth;
  bucket_usage found;
  {
    std::mutex mutex;
    usage_counts so_far;
    options.on_progress = [&](const usage_counts& more) {
      const std::lock_guard lock(mutex);
      so_far += more;
    };
    live_line line(call, [&] {
      const std::lock_guard lock(mutex);
      return std::to_string(so_far.objects + so_far.old_versions) + " objects, " +
             format_bytes(so_far.bytes + so_far.old_bytes);
    });
    found = end.bucket().empty() ? count_all_buckets(end, options) : count_usage(*end.client, end.bucket(), options);
  }
  if (call.options.json)
    print_json(call, end, found);
  else
    print_text(call, end, found);
}

}  // namespace

void add_bucket_usage_command(command_tree& tree, CLI::App& group) {
  auto& command = tree.add(group, "usage", "[flags] [location]", "Count objects and bytes, below each prefix");
  command.details =
      "Counts what lies in a bucket or below a prefix: current objects, old versions that are kept, delete markers,\n"
      "and the parts of uploads that were never completed, which no listing shows. With the location of a server\n"
      "(s3:http://host:9000) all its buckets, a line each.\n";
  const auto flags = std::make_shared<usage_flags>();
  add_number(*command.app, "-d,--depth", flags->depth, "also count each prefix down to so many levels (default: 0)",
             "n");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
