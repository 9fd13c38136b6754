#include "command.hpp"
#include "features.hpp"
#include "format.hpp"

namespace recoup::cli {

void add_features_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "features", "[flags]", "Print list of feature flags");
  command.details =
      "Prints the feature flags that the environment variable RESTIC_FEATURES can turn on and off, as\n"
      "\"featureA=true,featureB=false\". They are restic's; an unknown one is an error.\n\n"
      "An alpha feature is off by default and may change or go. A beta feature is on by default. A stable feature is\n"
      "always on.\n";
  command.run = [](context& call) {
    if (!call.arguments.empty())
      throw error(error_code::invalid_argument, "the feature command expects no arguments");
    call.out.result("All Feature Flags:");
    table rows({"Name", "Type", "Default", "Description"});
    for (const auto& each : all_features())
      rows.add_row({std::string(each.name), std::string(name_of(each.state)), each.on_by_default() ? "true" : "false",
                    std::string(each.description)});
    call.out.result(rows.text());
  };
}

}  // namespace recoup::cli
