#include <memory>

#include <recoup/core/version.hpp>

#include "command.hpp"

namespace recoup::cli {

void add_self_update_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "self-update", "[flags]", "Say how this program is updated");
  command.details =
      "restic replaces itself by its newest release. This program changes only by whatever installed it, so that\n"
      "nothing that runs with the right to read all files is loaded unasked: this command says how that goes.\n\n"
      "Exit status is 1: nothing was updated.\n";
  const auto output = std::make_shared<std::string>();
  add_text(*command.app, "--output", *output, "taken and not used: restic would save the new program there", "filename");
  command.run = [output](context&) {
    throw error(error_code::unsupported,
                "recoup " + std::string(library_version) +
                    " does not update itself. Update it the way it was installed: `pip install --upgrade recoup` for the "
                    "Python package, else build the new version and put the executable in this one's place");
  };
}

}  // namespace recoup::cli
