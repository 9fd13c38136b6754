#include <memory>

#include <recoup/s3/bucket.hpp>
#include <recoup/s3/bucket/list.hpp>
#include <recoup/s3/bucket/versioning.hpp>
#include <recoup/s3/object_lock.hpp>

#include "bucket.hpp"
#include "flags.hpp"
#include "s3_client.hpp"

namespace recoup::cli {

namespace {

struct create_flags {
  bool object_lock = false, versioning = false;
  std::string region;
};

void run(context& call, const create_flags& flags) {
  if (call.arguments.size() > 1) throw usage_error("bucket create expects one location");
  const auto where = parse_bucket_location(call.arguments.empty() ? call.options.location() : call.arguments[0]);
  auto settings = call.options.backend_options;
  if (!flags.region.empty()) settings["s3.region"] = flags.region;
  const auto client = open_s3_client(call, where, settings);
  const bool was_there = bucket_exists(*client, where.bucket);
  if (!was_there) create_bucket(*client, where.bucket, {flags.object_lock});
  if (flags.object_lock && was_there && !get_object_lock(*client, where.bucket).enabled)
    throw error(error_code::invalid_argument,
                "bucket " + where.bucket +
                    " is there already and has no object lock; most servers give one only to a "
                    "new bucket: choose another name, and move what is in this one (recoup bucket sync)");
  if (flags.versioning || flags.object_lock) set_versioning(*client, where.bucket, versioning_state::enabled);
  const auto location = recoup::describe(client->endpoint(), where.bucket);
  if (!call.options.json)
    return call.out.info((was_there ? "bucket is there already: " : "created bucket ") + location);
  call.out.result(json_writer{}
                      .begin_object()
                      .field("bucket", where.bucket)
                      .field("location", location)
                      .field("created", !was_there)
                      .field("versioning", flags.versioning || flags.object_lock)
                      .field("object_lock", flags.object_lock)
                      .end_object()
                      .take());
}

}  // namespace

void add_bucket_create_command(command_tree& tree, CLI::App& group) {
  auto& command = tree.add(group, "create", "[flags] [location]", "Make a bucket, unless it is there");
  command.details =
      "Makes a bucket and sets what is asked for. One of yours that is there already stays as it is but for the\n"
      "flags given, so the command can be run again and again.\n\n"
      "Object lock keeps what is saved from being removed before a day (recoup bucket lock); it brings versioning\n"
      "with it.\n";
  const auto flags = std::make_shared<create_flags>();
  add_switch(*command.app, "--object-lock", flags->object_lock, "let objects in it be locked; has to be chosen now");
  add_switch(*command.app, "--versioning", flags->versioning, "keep what is overwritten and deleted");
  add_text(*command.app, "--region", flags->region, "where the bucket shall lie (default: the server's own)", "region");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
