#include <memory>

#include <recoup/ops/ls.hpp>
#include <recoup/ops/ls/ncdu.hpp>

#include "command.hpp"
#include "format.hpp"
#include "json_output.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

struct ls_flags {
  snapshot_flags choice;
  bool long_format = false, recursive = false, human_readable = false, ncdu = false, reverse = false;
  ls_sort sort = ls_sort::name;
};

std::string snapshot_json_line(const found_snapshot& of) {
  json_writer json;
  json.begin_object();
  write_snapshot_with_id(json, of);
  return json.field("message_type", "snapshot").field("struct_type", "snapshot").end_object().take();
}

void check(const context& call, const ls_flags& flags) {
  const auto refuse = [](const char* why) { throw error(error_code::invalid_argument, why); };
  if (call.arguments.empty()) refuse("no snapshot ID specified, specify snapshot ID or use special ID 'latest'");
  if (flags.ncdu && call.options.json) refuse("only either '--json' or '--ncdu' can be specified");
  if (flags.ncdu && flags.sort != ls_sort::name) refuse("--sort and --ncdu are mutually exclusive");
  if (flags.ncdu && flags.reverse) refuse("--reverse and --ncdu are mutually exclusive");
  for (std::size_t i = 1; i < call.arguments.size(); ++i)
    if (!call.arguments[i].starts_with('/'))
      refuse("All path filters must be absolute, starting with a forward slash '/'");
}

void run(context& call, const ls_flags& flags) {
  check(call, flags);
  found_snapshot found;
  session open(call, unless_no_lock(call, lock_mode::shared), [&](session& opened) {
    found = find_snapshot(opened.repo(), call.arguments[0], flags.choice.filter());
    opened.load_index();
  });
  found.snapshot.tree = find_subtree(open.repo(), found.snapshot.tree, found.subfolder);

  ls_options options;
  options.directories.assign(call.arguments.begin() + 1, call.arguments.end());
  options.recursive = flags.recursive;
  options.sort = flags.sort;
  options.reverse = flags.reverse;
  options.with_leading = flags.ncdu;
  options.stop = open.token();
  call.screen.collect_output(true);
  if (flags.ncdu) {
    ncdu_export exporter;
    const auto put = [&](const std::string& text) { call.screen.write_collected(text); };
    put(ncdu_export::begin(found.snapshot));
    ls(open.repo(), found.snapshot.tree, options, [&](const walked_node& at, bool) { put(exporter.add(at)); });
    return put(exporter.end());
  }
  if (call.options.json)
    call.out.result(snapshot_json_line(found));
  else
    call.out.info(describe(found) + " filtered by " + bracketed(options.directories) + ":");
  ls(open.repo(), found.snapshot.tree, options, [&](const walked_node& at, bool) {
    call.out.result(call.options.json ? node_json(at)
                                      : node_line(at.path, at.node, flags.long_format, flags.human_readable));
  });
}

}  // namespace

void add_ls_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "ls", "[flags] snapshotID [dir...]", "List files in a snapshot");
  command.details =
      "Lists files and directories in a snapshot, which is named by its ID, by \"latest\", or by \"latest~1\" for the\n"
      "one before. Paths after it are absolute paths in the snapshot: only these directories and what is in them are\n"
      "listed, with --recursive also what is in their subdirectories. Without paths everything is listed.\n";
  const auto flags = std::make_shared<ls_flags>();
  auto& app = *command.app;
  add_snapshot_flags(app, flags->choice, snapshot_choice::one);
  add_switch(app, "-l,--long", flags->long_format, "use a long listing format showing size and mode");
  add_switch(app, "--recursive", flags->recursive, "include files in subfolders of the listed directories");
  add_switch(app, "--human-readable", flags->human_readable, "print sizes in human readable format");
  add_switch(app, "--ncdu", flags->ncdu, "output NCDU export format (pipe into 'ncdu -f -')");
  add_parsed(
      app, "-s,--sort",
      [flags](const std::string& text) {
        const auto sort = parse_ls_sort(text);
        if (!sort)
          throw error(
              error_code::invalid_argument,
              "invalid sort mode \"" + text + "\", must be one of (name|size|time=mtime|atime|ctime|extension)");
        flags->sort = *sort;
      },
      "sort output", "name|size|time|mtime|atime|ctime|extension");
  add_switch(app, "--reverse", flags->reverse, "reverse sorted output");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
