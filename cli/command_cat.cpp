#include <recoup/ops/cat.hpp>

#include "command.hpp"
#include "format.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

const std::vector<std::string> object_names{"config", "index", "snapshot", "key",  "masterkey",
                                            "lock",   "pack",  "blob",     "tree"};

void run(context& call) {
  if (call.arguments.empty()) throw error(error_code::invalid_argument, "type not specified");
  const auto what = parse_cat_object(call.arguments[0]);
  if (!what)
    throw error(error_code::invalid_argument,
                "invalid type \"" + call.arguments[0] + "\", must be one of [" + join(object_names, "|") + "]");
  const bool needs_id = *what != cat_object::masterkey && *what != cat_object::config;
  if (needs_id && call.arguments.size() != 2) throw error(error_code::invalid_argument, "ID not specified");

  session open(call, unless_no_lock(call, lock_mode::shared));
  if (*what == cat_object::blob || *what == cat_object::tree) open.load_index();
  cat(open.repo(), *what, needs_id ? call.arguments[1] : "", [&](byte_view content) {
    call.screen.write_raw(content);
    if (!is_raw(*what) && (content.empty() || content.back() != '\n')) call.screen.write_raw(as_bytes("\n"));
  });
}

}  // namespace

void add_cat_command(command_tree& tree) {
  auto& command = tree.add(
      tree.root, "cat",
      "[flags] [masterkey|config|pack ID|blob ID|snapshot ID|index ID|key ID|lock ID|tree snapshot:subfolder]",
      "Print internal objects to stdout");
  command.words = object_names;
  command.run = run;
}

}  // namespace recoup::cli
