#include <algorithm>
#include <memory>

#include <recoup/ops/find.hpp>
#include <recoup/ops/find/object_search.hpp>
#include <recoup/ops/snapshot_groups.hpp>

#include "command.hpp"
#include "format.hpp"
#include "listed_snapshots.hpp"
#include "json_output.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

struct find_flags {
  snapshot_flags choice;
  std::string oldest, newest;
  std::vector<std::string> snapshots;
  bool blob = false, tree = false, pack = false, show_pack = false;
  bool ignore_case = false, reverse = false, long_format = false, human_readable = false;

  [[nodiscard]] bool objects() const noexcept { return blob || tree || pack; }
};

std::optional<timestamp> time_argument(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto time = parse_any_time(text);
  if (!time) throw error(error_code::invalid_argument, "unable to parse time: \"" + text + "\"");
  return time;
}

tree_error_handler tell_unreadable(const context& call, const found_snapshot& in) {
  return [&call, &in](const std::string&, const id& tree, const error& problem) {
    call.out.error("Unable to load tree " + tree.hex() + "\n ... which belongs to snapshot " + in.id.hex() + "\n ... " +
                   problem.what());
  };
}

/// A node as restic's `find --json` shows it: without the fields that lead to its content.
std::string match_json(const walked_node& at) {
  const auto& of = at.node;
  json_writer json;
  json.begin_object().field("path", at.path).field("permissions", format_mode(of.mode)).field("type", name_of(of.type));
  field_unless_zero(json, "mode", std::uint64_t{of.mode});
  json.field("mtime", of.mtime).field("atime", of.atime).field("ctime", of.ctime);
  json.field("uid", of.uid).field("gid", of.gid);
  field_unless_empty(json, "user", of.user);
  field_unless_empty(json, "group", of.group);
  field_unless_zero(json, "inode", of.inode);
  field_unless_zero(json, "device_id", of.device_id);
  field_unless_zero(json, "size", of.size);
  field_unless_zero(json, "links", of.links);
  field_unless_empty(json, "linktarget", of.link_target);
  field_unless_empty(json, "error", of.error);
  return json.end_object().take();
}

void find_files(context& call, session& open, const find_flags& flags, const std::vector<found_snapshot>& snapshots) {
  std::string separator = "[";
  bool first_text = true;
  for (const auto& each : snapshots) {
    find_options options;
    options.patterns = call.arguments;
    options.ignore_case = flags.ignore_case;
    options.oldest = time_argument(flags.oldest);
    options.newest = time_argument(flags.newest);
    options.on_error = tell_unreadable(call, each);
    options.stop = open.token();
    std::uint64_t hits = 0;
    file_search(std::move(options)).run(open.repo(), each.snapshot.tree, [&](const walked_node& at) {
      if (call.options.json) {
        call.screen.write_collected((hits == 0 ? std::exchange(separator, ",") + "{\"matches\":[" : std::string(",")) +
                                    match_json(at));
      } else {
        if (hits == 0) {
          if (!std::exchange(first_text, false)) call.out.info("");
          call.out.info("Found matching entries in snapshot " + each.id.short_hex() + " from " +
                        format_local_time(each.snapshot.time));
        }
        call.out.result(node_line(at.path, at.node, flags.long_format, flags.human_readable));
      }
      ++hits;
    });
    if (call.options.json && hits != 0)
      call.screen.write_collected("],\"hits\":" + std::to_string(hits) + ",\"snapshot\":\"" + each.id.hex() + "\"}");
  }
  if (call.options.json) call.screen.write_collected(separator == "[" ? "[]\n" : "]\n");
}

std::string object_json(const found_object& found, const found_snapshot& in) {
  const bool is_blob = found.object.type == blob_type::data;
  json_writer json;
  json.begin_object()
      .field("object_type", is_blob ? "blob" : "tree")
      .field("id", found.object.id)
      .field("path", found.path);
  if (is_blob) json.field("parent_tree", found.parent_tree);
  return json.field("snapshot", in.id).field("time", in.snapshot.time).end_object().take();
}

void print_object(const context& call, const found_object& found, const found_snapshot& in) {
  const bool is_blob = found.object.type == blob_type::data;
  call.out.result(std::string("Found ") + (is_blob ? "blob " : "tree ") + found.object.id.hex());
  if (is_blob) {
    call.out.result(" ... in file " + found.path);
    call.out.result("     (tree " + found.parent_tree.hex() + ")");
  } else {
    call.out.result(" ... path " + found.path);
  }
  call.out.result(" ... in snapshot " + in.id.short_hex() + " (" + format_local_time(in.snapshot.time) + ")");
}

void print_packs(const context& call, repository& repo, const object_search& search) {
  for (const auto& object : search.objects()) {
    const auto places = repo.index().find_all(object);
    if (places.empty()) {
      call.out.result(std::string("Object ") + name_of(object.type) + " with type " + object.id.short_hex() +
                      " not found in the index");
      continue;
    }
    const auto& [pack, blob] = places.front();
    call.out.result("Object belongs to pack " + pack.hex());
    call.out.result(" ... Pack " + pack.short_hex() + ": <Blob (" + name_of(object.type) + ") " +
                    object.id.short_hex() + ", offset " + std::to_string(blob.offset) + ", length " +
                    std::to_string(blob.length) + ", uncompressed length " +
                    std::to_string(blob.uncompressed_length) + ">");
  }
}

void find_objects(context& call, session& open, const find_flags& flags, const std::vector<found_snapshot>& snapshots) {
  const auto kind = flags.blob ? object_kind::blob : flags.tree ? object_kind::tree : object_kind::pack;
  const found_snapshot* current = nullptr;
  object_search_options options;
  options.on_error = [&](const std::string& path, const id& tree, const error& problem) {
    tell_unreadable(call, *current)(path, tree, problem);
  };
  options.stop = open.token();
  object_search search(open.repo(), kind, call.arguments, std::move(options));
  std::string separator = "[";
  for (const auto& each : snapshots) {
    current = &each;
    search.run(each.snapshot.tree, [&](const found_object& found) {
      if (call.options.json)
        call.screen.write_collected(std::exchange(separator, ",") + object_json(found, each));
      else
        print_object(call, found, each);
    });
  }
  if (call.options.json) call.screen.write_collected(separator == "[" ? "[]\n" : "]\n");
  if (flags.show_pack) print_packs(call, open.repo(), search);
}

void run(context& call, const find_flags& flags) {
  if (call.arguments.empty()) throw error(error_code::invalid_argument, "wrong number of arguments");
  if (int{flags.blob} + int{flags.tree} + int{flags.pack} > 1)
    throw error(error_code::invalid_argument, "cannot have several ID types");
  (void)time_argument(flags.oldest);  // a mistake there is told before the password is asked for
  (void)time_argument(flags.newest);

  std::vector<found_snapshot> snapshots;
  session open(call, unless_no_lock(call, lock_mode::shared), [&](session& opened) {
    snapshots = find_listed_snapshots(opened.repo(), flags.snapshots, flags.choice.filter(), call.out);
    opened.load_index();
  });
  std::stable_sort(snapshots.begin(), snapshots.end(), [&](const auto& a, const auto& b) {
    return flags.reverse ? earlier(a.snapshot.time, b.snapshot.time) : earlier(b.snapshot.time, a.snapshot.time);
  });
  call.screen.collect_output(true);
  if (flags.objects())
    find_objects(call, open, flags, snapshots);
  else
    find_files(call, open, flags, snapshots);
}

}  // namespace

void add_find_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "find", "[flags] PATTERN...", "Find a file, a directory or restic IDs");
  command.details =
      "Searches for files or directories in all snapshots, the newest first, or with --blob, --tree and --pack for\n"
      "the files and snapshots that blobs, trees and packs belong to.\n\n"
      "Examples: `recoup find config.json`\n"
      "          `recoup find --json \"*.yml\" \"*.json\"`\n"
      "          `recoup find --blob 420f620f b46ebe8a ddd38656`\n";
  const auto flags = std::make_shared<find_flags>();
  auto& app = *command.app;
  add_text(app, "-O,--oldest", flags->oldest, "oldest modification date/time", "time");
  add_text(app, "-N,--newest", flags->newest, "newest modification date/time", "time");
  add_list(app, "-s,--snapshot", flags->snapshots, "snapshot to search in (can be given multiple times)", "id");
  add_switch(app, "--blob", flags->blob, "pattern is a blob-ID");
  add_switch(app, "--tree", flags->tree, "pattern is a tree-ID");
  add_switch(app, "--pack", flags->pack, "pattern is a pack-ID");
  add_switch(app, "--show-pack-id", flags->show_pack,
             "display the pack-ID the blobs belong to (with --blob or --tree)");
  add_switch(app, "-i,--ignore-case", flags->ignore_case, "ignore case for pattern");
  add_switch(app, "-R,--reverse", flags->reverse, "reverse sort order oldest to newest");
  add_switch(app, "-l,--long", flags->long_format, "use a long listing format showing size and mode");
  add_switch(app, "--human-readable", flags->human_readable, "print sizes in human readable format");
  add_snapshot_flags(app, flags->choice, snapshot_choice::many);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
