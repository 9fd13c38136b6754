#include "inner_command.hpp"

#include <iterator>

namespace recoup::cli {

inner_command::inner_command(context& call, const schedule_definition& definition)
    : tree_(call.commands.program), call_(call), definition_(definition) {
  tree_.options.features = call.options.features;
}

context& inner_command::read(std::vector<std::string> words) {
  const auto& limits = definition_.limits;
  std::vector<std::string> flags;
  if (limits.upload_kib != 0) flags.push_back("--limit-upload=" + std::to_string(limits.upload_kib));
  if (limits.download_kib != 0) flags.push_back("--limit-download=" + std::to_string(limits.download_kib));
  if (!definition_.retry_lock.empty()) flags.push_back("--retry-lock=" + definition_.retry_lock);
  // Right behind the name: what the schedule gives as flags counts more, and nothing may come after "--".
  words.insert(words.begin() + 1, std::make_move_iterator(flags.begin()), std::make_move_iterator(flags.end()));
  line_ = parse_command_line(tree_, words);
  auto& options = tree_.options;
  options.verbose = call_.options.verbose;
  options.json = call_.options.json;
  const bool is_brief = !call_.screen.output_is_tty() && options.verbose == 0 && !options.json;
  options.quiet = call_.options.quiet || is_brief;
  options.finish();
  out_.emplace(call_.screen, options.verbosity(), options.json);
  return context_.emplace(context{options, call_.screen, call_.signals, *out_, line_.arguments, tree_});
}

}  // namespace recoup::cli
