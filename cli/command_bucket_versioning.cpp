#include <recoup/s3/bucket/versioning.hpp>

#include "bucket.hpp"

namespace recoup::cli {

namespace {

void print(const context& call, const bucket_end& end, const bucket_versioning& found) {
  if (!call.options.json) {
    auto line = "versioning of bucket " + end.bucket() + ": " + name_of(found.state);
    if (found.mfa_delete) line += ", removing versions needs MFA";
    for (const auto& prefix : found.excluded_prefixes) line += ", not for " + prefix;
    return call.out.result(line);
  }
  json_writer json;
  json.begin_object().field("bucket", end.bucket()).field("versioning", name_of(found.state));
  json.field("mfa_delete", found.mfa_delete).strings("excluded_prefixes", found.excluded_prefixes);
  call.out.result(json.field("exclude_folders", found.excludes_folders).end_object().take());
}

void run_show(context& call) {
  const auto end = open_bucket(call);
  print(call, end, get_versioning(*end.client, end.bucket()));
}

void run_set(context& call, versioning_state state) {
  const auto end = open_bucket(call);
  set_versioning(*end.client, end.bucket(), state);
  print(call, end, get_versioning(*end.client, end.bucket()));
}

}  // namespace

void add_bucket_versioning_command(command_tree& tree, CLI::App& bucket) {
  auto& group = *tree.add(bucket, "versioning", "[command]", "Keep what is overwritten and deleted, or not").app;
  tree.add(group, "enable", "[flags] [location]", "Keep old versions from now on").run = [](context& call) {
    run_set(call, versioning_state::enabled);
  };
  tree.add(group, "show", "[flags] [location]", "Show whether old versions are kept").run = run_show;
  tree.add(group, "suspend", "[flags] [location]", "Keep no more old versions; those that there are stay").run =
      [](context& call) { run_set(call, versioning_state::suspended); };
}

}  // namespace recoup::cli
