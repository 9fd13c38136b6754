#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command_schedule.hpp"
#include "format.hpp"
#include "schedule_flags.hpp"
#include "schedule_json.hpp"

namespace recoup::cli {

namespace {

void run(context& call, const schedule_flags& flags) {
  const auto definition = definition_of(call, flags);
  std::optional<std::vector<environment_setting>> environment;
  try {
    environment = flags.store().environment(definition);
  } catch (const error& problem) {
    if (problem.code() != error_code::access_denied) throw;
    call.out.error(std::string("Warning: ") + problem.what() +
                   "; if the repository is a directory, the service lacks the line that lets it write there");
  }
  const auto files =
      render_schedule_files(definition, nullptr, environment.value_or(std::vector<environment_setting>{}));
  if (call.options.json) return call.out.result(render_json(definition, files));
  for (const auto& file : files) {
    call.out.result(formatted("### %s (%04o)", file.path.c_str(), file.mode));
    call.out.result(file.content);
  }
}

}  // namespace

void add_schedule_render_command(command_tree& tree, CLI::App& schedule) {
  auto& command = tree.add(schedule, "render", "NAME [flags]", "Print the files of a schedule");
  command.details =
      "Prints the definition, the service and the timer that `schedule install` would write with the same flags, and\n"
      "changes nothing. A schedule that is installed is what the flags change.\n";
  const auto flags = std::make_shared<schedule_flags>();
  add_definition_flags(*command.app, *flags);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
