#include <memory>

#include <recoup/s3/bucket/list.hpp>
#include <recoup/s3/object.hpp>

#include "bucket.hpp"
#include "flags.hpp"
#include "format.hpp"

namespace recoup::cli {

namespace {

struct list_flags {
  bool recursive = false, versions = false;
};

void list_all_buckets(context& call, const bucket_end& end) {
  for (const auto& bucket : list_buckets(*end.client)) {
    if (!call.options.json) {
      call.out.result(shown_time(bucket.created) + "  " + bucket.name + '/');
      continue;
    }
    json_writer json;
    json.begin_object().field("type", "bucket").field("name", bucket.name).field("created", bucket.created);
    if (!bucket.region.empty()) json.field("region", bucket.region);
    call.out.result(json.end_object().take());
  }
}

class entry_printer {
public:
  entry_printer(context& call, const bucket_end& end, bool versions)
      : call_(call), start_(end.directory().size()), versions_(versions) {}

  void object(const listed_object& object) const {
    const char* type = object.is_delete_marker ? "delete_marker" : "object";
    if (call_.options.json) return print_json(object, type);
    auto line = shown_time(object.info.last_modified) + formatted("  %12s  ", size_of(object).c_str());
    if (versions_)
      line +=
          (object.is_latest ? "" : "old ") + (object.info.version_id.empty() ? "null" : object.info.version_id) + "  ";
    call_.screen.print(line + quoted_if_needed(relative(object.key)));
  }

  void prefix(const std::string& prefix) const {
    if (!call_.options.json)
      return call_.screen.print(std::string(19, ' ') + formatted("  %12s  ", "") + quoted_if_needed(relative(prefix)));
    call_.screen.print(json_writer{}.begin_object().field("type", "prefix").field("key", prefix).end_object().take());
  }

private:
  void print_json(const listed_object& object, const char* type) const {
    json_writer json;
    json.begin_object().field("type", type).field("key", object.key).field("modified", object.info.last_modified);
    if (!object.is_delete_marker) json.field("size", object.info.size).field("etag", object.info.etag);
    if (!object.info.storage_class.empty()) json.field("storage_class", object.info.storage_class);
    if (versions_) json.field("version_id", object.info.version_id).field("is_latest", object.is_latest);
    call_.screen.print(json.end_object().take());
  }

  [[nodiscard]] static std::string size_of(const listed_object& object) {
    return object.is_delete_marker ? "deleted" : format_bytes(object.info.size);
  }
  [[nodiscard]] std::string_view relative(const std::string& key) const {
    return std::string_view(key).substr(std::min(start_, key.size()));
  }

  context& call_;
  const std::size_t start_;
  const bool versions_;
};

void run(context& call, const list_flags& flags) {
  const auto end = open_bucket(call, 0, true);
  if (end.bucket().empty()) return list_all_buckets(call, end);
  const entry_printer print(call, end, flags.versions);
  list_options options;
  options.prefix = end.directory();
  options.use_version_1 = end.client->settings().list_objects_v1;
  if (!flags.recursive) options.delimiter = "/";
  const auto visit = [&](const listed_object& object) { print.object(object); };
  const auto visit_prefix = [&](const std::string& prefix) { print.prefix(prefix); };
  call.screen.collect_output(true);
  if (flags.versions)
    list_object_versions(*end.client, end.bucket(), options, visit, visit_prefix);
  else
    list_objects(*end.client, end.bucket(), options, visit, visit_prefix);
  call.screen.flush();
}

}  // namespace

void add_bucket_list_command(command_tree& tree, CLI::App& group) {
  auto& command =
      tree.add(group, "list", "[flags] [location]", "List the buckets of a server, or the objects of a bucket");
  command.details =
      "With the location of a server (s3:http://host:9000) lists its buckets, with that of a bucket the objects and\n"
      "\"directories\" in it. With --json each is a line of its own.\n";
  const auto flags = std::make_shared<list_flags>();
  add_switch(*command.app, "--recursive", flags->recursive, "all objects below, not only this level");
  add_switch(*command.app, "--versions", flags->versions, "old versions and delete markers too");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
