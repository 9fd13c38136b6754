#include <memory>

#include "command.hpp"
#include "session.hpp"

namespace recoup::cli {

void add_unlock_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "unlock", "[flags]", "Remove locks other processes created");
  const auto all = std::make_shared<bool>(false);
  add_switch(*command.app, "--remove-all", *all, "remove all locks, even non-stale ones");
  command.run = [all](context& call) {
    session open(call, lock_mode::none);
    const auto result = remove_locks(open.repo(), *all);
    if (result.removed > 0) call.out.info("successfully removed " + std::to_string(result.removed) + " locks");
  };
}

}  // namespace recoup::cli
