#include "command_line.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>
#include <utility>

#include <recoup/core/version.hpp>
#include <recoup/fs/pattern_file.hpp>
#include <recoup/json/go_quote.hpp>

#include "format.hpp"
#include "program_name.hpp"

namespace recoup::cli {

namespace {

class argument_reader {
public:
  argument_reader(command_tree& tree, const std::vector<std::string>& arguments) : arguments_(arguments) {
    result_.app = &tree.root;
  }

  parsed_command_line read() {
    bool flags_ended = false;
    while (next_ < arguments_.size() && result_.unknown_command.empty()) {
      const auto& current = arguments_[next_++];
      if (flags_ended || current.size() < 2 || current.front() != '-')
        word(current, flags_ended);
      else if (current == "--")
        flags_ended = true;
      else if (current[1] == '-')
        long_flag(current.substr(2));
      else
        short_flags(current);
    }
    if (result_.unknown_command.empty()) apply();
    return std::move(result_);
  }

private:
  /// A word is the name of a command as long as the command so far has others below it.
  void word(const std::string& text, bool flags_ended) {
    const auto below = result_.app->get_subcommands({});
    if (below.empty() || flags_ended) {
      result_.arguments.push_back(text);
      return;
    }
    const auto found = std::find_if(below.begin(), below.end(), [&](auto* app) { return app->check_name(text); });
    if (found != below.end()) {
      result_.app = *found;
    } else if (result_.app->get_parent() == nullptr && text == "help") {
      result_.help = true;  // `help backup` is `backup --help`
    } else {
      result_.unknown_command = text;
      result_.unknown_position = next_ - 1;
    }
  }

  [[nodiscard]] CLI::Option* find(const std::string& name) const {
    for (auto* app = result_.app; app != nullptr; app = app->get_parent())
      if (auto* option = app->get_option_no_throw(name)) return option;
    return nullptr;
  }

  void long_flag(const std::string& text) {
    const auto equals = text.find('=');
    const auto name = "--" + text.substr(0, equals);
    if (name == "--help") {
      result_.help = true;
      return;
    }
    auto* option = find(name);
    if (option == nullptr) throw usage_error("unknown flag: " + name);
    if (equals != std::string::npos)
      give(option, text.substr(equals + 1));
    else if (!takes_value(*option))
      give(option, "true");
    else if (next_ < arguments_.size())
      give(option, arguments_[next_++]);
    else
      throw usage_error("flag needs an argument: " + name);
  }

  void short_flags(const std::string& text) {
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i] == 'h' && find("-h") == nullptr) {
        result_.help = true;
        continue;
      }
      auto* option = find(std::string("-") + text[i]);
      if (option == nullptr)
        throw usage_error(std::string("unknown shorthand flag: '") + text[i] + "' in " + text);
      const bool has_equals = i + 2 < text.size() && text[i + 1] == '=';
      if (has_equals) return give(option, text.substr(i + 2));
      if (!takes_value(*option)) {
        give(option, "true");
        continue;
      }
      if (i + 1 < text.size()) return give(option, text.substr(i + 1));
      if (next_ >= arguments_.size())
        throw usage_error(std::string("flag needs an argument: '") + text[i] + "' in " + text);
      return give(option, arguments_[next_++]);
    }
  }

  void give(CLI::Option* option, std::string value) {
    // The option of a command that is named later cannot be known yet, so flags before it are global ones.
    if (std::find(given_.begin(), given_.end(), option) == given_.end()) given_.push_back(option);
    option->add_result(std::move(value));
  }

  void apply() {
    for (auto* option : given_) {
      try {
        option->run_callback();
      } catch (const error& problem) {
        throw usage_error("invalid argument " + quoted(option->results().back()) + " for \"" +
                          std::string(trim_space(names_without_value(*option))) + "\" flag: " + problem.what());
      }
    }
  }

  static std::string names_without_value(const CLI::Option& option) {
    const auto names = names_of(option);
    return takes_value(option) ? names.substr(0, names.size() - option.get_type_name().size()) : names;
  }

  static std::string quoted(const std::string& text) {
    std::string result = "\"";
    append_go_quoted(result, text);
    return result + "\"";
  }

  const std::vector<std::string>& arguments_;
  std::size_t next_ = 0;
  std::vector<CLI::Option*> given_;
  parsed_command_line result_;
};

/// A line for each flag, the one for help among them unless `help_of` is empty.
std::string flag_lines(const CLI::App& app, const std::string& help_of) {
  struct line {
    std::string names, description;
  };
  std::vector<line> lines;
  for (const auto* option : shown_options(app)) lines.push_back({names_of(*option), option->get_description()});
  if (!help_of.empty()) {
    const auto after = std::find_if(lines.begin(), lines.end(), [](const line& each) {
      return each.names.substr(each.names.find("--")) > "--help";
    });
    lines.insert(after, {"-h, --help", "help for " + help_of});
  }
  std::size_t width = 0;
  for (const auto& each : lines) width = std::max(width, each.names.size());
  std::string text;
  for (auto& each : lines) {
    each.names.resize(width, ' ');
    text += "  " + each.names + "   " + each.description + "\n";
  }
  return text;
}

std::string command_lines(const CLI::App& app) {
  std::map<std::string, std::string> lines;
  for (const auto* each : app.get_subcommands([](const CLI::App*) { return true; }))
    lines.emplace(each->get_name(), each->get_description());
  if (!lines.empty() && app.get_parent() == nullptr) lines.emplace("help", "Help about any command");
  std::size_t width = 0;
  for (const auto& [name, description] : lines) width = std::max(width, name.size());
  std::string text;
  for (const auto& [name, description] : lines)
    text += "  " + name + std::string(width - name.size(), ' ') + "  " + description + "\n";
  return text;
}

}  // namespace

std::string full_name(const CLI::App& app, const std::string& program) {
  if (app.get_parent() == nullptr) return program;
  const auto above = full_name(*app.get_parent(), program);
  return above.empty() ? app.get_name() : above + " " + app.get_name();
}

parsed_command_line parse_command_line(command_tree& tree, const std::vector<std::string>& arguments) {
  return argument_reader(tree, arguments).read();
}

std::string help_text(const command_tree& tree, const CLI::App& app) {
  const auto* found = tree.find(&app);
  const bool is_root = found == nullptr;
  std::string text = "\n" + (is_root || found->details.empty() ? app.get_description() + ".\n" : found->details);
  if (is_root)
    text += "\nThe repository format is restic's; commands, flags and variables are named as there.\n"
            "`recoup NAME` runs the program recoup-NAME from PATH if NAME is none of the commands below.\n";
  if (is_root && tree.program != "recoup")
    text += "This is recoup " + std::string(library_version) + ", called as " + tree.program + ".\n";
  text = in_own_words(std::move(text), tree.program);
  text += "\nUsage:\n  " + full_name(app, tree.root.get_name()) + " " + (is_root ? "[command]" : found->usage) + "\n";
  if (const auto commands = command_lines(app); !commands.empty()) text += "\nAvailable Commands:\n" + commands;
  text += "\nFlags:\n" + flag_lines(app, app.get_name());
  if (!is_root) text += "\nGlobal Flags:\n" + flag_lines(tree.root, {});
  return text + "\nUse \"" + tree.program + " [command] --help\" for more information about a command.\n";
}

}  // namespace recoup::cli
