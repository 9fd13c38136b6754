#include <memory>

#include <recoup/json/json_writer.hpp>
#include <recoup/ops/diff.hpp>
#include <recoup/ops/snapshots.hpp>

#include "command.hpp"
#include "format.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

class diff_printer : public diff_observer {
public:
  explicit diff_printer(const context& call) : call_(call) {}

  void on_change(const std::string& path, std::string_view modifier) override {
    if (call_.options.quiet) return;
    if (!call_.options.json) {
      call_.out.result(formatted("%-5s", std::string(modifier).c_str()) + path);
      return;
    }
    call_.out.result(json_writer{}
                         .begin_object()
                         .field("message_type", "change")
                         .field("path", path)
                         .field("modifier", modifier)
                         .end_object()
                         .take());
  }
  void on_error(const error& problem) override { call_.out.error(std::string("error: ") + problem.what()); }

private:
  const context& call_;
};

void write_side(json_writer& json, const char* name, const diff_stats& of) {
  json.key(name)
      .begin_object()
      .field("files", of.files)
      .field("dirs", of.dirs)
      .field("others", of.others)
      .field("data_blobs", of.data_blobs)
      .field("tree_blobs", of.tree_blobs)
      .field("bytes", of.bytes)
      .end_object();
}

void print_json(const context& call, const diff_result& result) {
  json_writer json;
  json.begin_object().field("message_type", "statistics");
  json.field("source_snapshot", call.arguments[0]).field("target_snapshot", call.arguments[1]);
  json.field("changed_files", result.changed_files);
  write_side(json, "added", result.added);
  write_side(json, "removed", result.removed);
  call.out.result(json.end_object().take());
}

void print_text(const context& call, const diff_result& result) {
  const auto line = [&](const char* name, std::uint64_t added, std::uint64_t removed) {
    return formatted("%-12s %5llu new, %5llu removed", name, static_cast<unsigned long long>(added),
                     static_cast<unsigned long long>(removed));
  };
  const auto &added = result.added, &removed = result.removed;
  const auto& out = call.out;
  out.result("");
  out.result(line("Files:", added.files, removed.files) +
             formatted(", %5llu changed", static_cast<unsigned long long>(result.changed_files)));
  out.result(line("Dirs:", added.dirs, removed.dirs));
  out.result(line("Others:", added.others, removed.others));
  out.result(line("Data Blobs:", added.data_blobs, removed.data_blobs));
  out.result(line("Tree Blobs:", added.tree_blobs, removed.tree_blobs));
  out.result(formatted("  Added:   %-5s", format_bytes(added.bytes).c_str()));
  out.result(formatted("  Removed: %-5s", format_bytes(removed.bytes).c_str()));
}

void run(context& call, bool metadata) {
  if (call.arguments.size() != 2) throw error(error_code::invalid_argument, "specify two snapshot IDs");
  found_snapshot before, after;
  session open(call, unless_no_lock(call, lock_mode::shared), [&](session& opened) {
    before = find_snapshot(opened.repo(), call.arguments[0]);
    after = find_snapshot(opened.repo(), call.arguments[1]);
    call.out.info("comparing snapshot " + before.id.short_hex() + " to " + after.id.short_hex() + ":\n\n");
    opened.load_index();
  });
  auto& repo = open.repo();
  diff_options options;
  options.metadata = metadata;
  options.stop = open.token();
  const auto first = find_subtree(repo, before.snapshot.tree, before.subfolder);
  const auto second = find_subtree(repo, after.snapshot.tree, after.subfolder);
  call.screen.collect_output(true);
  diff_printer printer(call);
  const auto result = diff(repo, first, second, options, printer);
  if (call.options.json)
    print_json(call, result);
  else
    print_text(call, result);
}

}  // namespace

void add_diff_command(command_tree& tree) {
  auto& command =
      tree.add(tree.root, "diff", "[flags] snapshotID snapshotID", "Show differences between two snapshots");
  command.details =
      "Shows differences from the first to the second snapshot. The letters before each path:\n\n"
      "+  The item was added\n"
      "-  The item was removed\n"
      "U  The metadata (access mode, timestamps, ...) for the item was updated\n"
      "M  The file's content was modified\n"
      "T  The type was changed, e.g. a file was made a symlink\n"
      "?  Bitrot detected: The file's content has changed but all metadata is the same\n\n"
      "\"snapshotID:folder\" compares only a folder of a snapshot.\n";
  const auto metadata = std::make_shared<bool>(false);
  add_switch(*command.app, "--metadata", *metadata, "print changes in metadata");
  command.run = [metadata](context& call) { run(call, *metadata); };
}

}  // namespace recoup::cli
