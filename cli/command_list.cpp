#include <recoup/ops/list.hpp>
#include <recoup/ops/snapshots.hpp>

#include "command.hpp"
#include "format.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

const std::vector<std::string> listed_names{"blobs", "packs", "index", "snapshots", "keys", "locks"};

void run(context& call) {
  const auto& words = call.arguments;
  const bool packs_of_snapshot = words.size() == 2 && words[0] == "packs";
  if (words.size() != 1 && !packs_of_snapshot)
    throw error(error_code::invalid_argument, "too many parameters or type not specified. Must be one of [" +
                                                  join(listed_names, "|") + "] or 'packs snapshotID'");
  const auto type = parse_listed_type(words[0]);
  const bool blobs = words[0] == "blobs";
  if (!type && !blobs)
    throw error(error_code::invalid_argument,
                "invalid type \"" + words[0] + "\", must be one of [" + join(listed_names, "|") + "]");

  session open(call, words[0] == "locks" ? lock_request(lock_mode::none) : unless_no_lock(call, lock_mode::shared));
  call.screen.collect_output(true);
  if (blobs)
    return list_blobs(
        open.repo(),
        [&](const id&, const packed_blob& blob) {
          call.out.result(std::string(name_of(blob.handle.type)) + " " + blob.handle.id.hex());
        },
        open.token());
  if (packs_of_snapshot) {
    const auto found = find_snapshot(open.repo(), words[1]);
    open.load_index();
    used_blobs_options options;
    options.stop = open.token();
    for (const auto& pack : list_packs_of(open.repo(), found.snapshot.tree, options)) call.out.result(pack.hex());
    return;
  }
  for (const auto& file : open.repo().list(*type)) call.out.result(file.name.hex());
}

}  // namespace

void add_list_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "list", "[flags] [blobs|packs|index|snapshots|keys|locks|packs snapshotID]",
                           "List objects in the repository");
  command.words = listed_names;
  command.run = run;
}

}  // namespace recoup::cli
