#include "completion.hpp"

#include <CLI/CLI.hpp>

#include <recoup/core/version.hpp>
#include <recoup/fs/pattern_file.hpp>

#include "command_line.hpp"
#include "format.hpp"
#include "program_name.hpp"

namespace recoup::cli {

namespace {

/// "key add"; "" for the program itself.
std::string path_of(const CLI::App& app) { return full_name(app, ""); }

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

/// "'it'\''s'", for any POSIX shell.
std::string shell_quoted(const std::string& text) { return "'" + replaced(text, "'", "'\\''") + "'"; }

std::string short_of(const CLI::Option& option) {
  return option.get_snames().empty() ? "" : "-" + option.get_snames().front();
}

std::string long_of(const CLI::Option& option) { return "--" + option.get_lnames().front(); }

/// A placeholder like "tar|zip" lists all that the value can be.
std::vector<std::string> choices_of(const CLI::Option& option) {
  auto choices = split(option.get_type_name(), '|');
  if (choices.size() < 2) choices.clear();
  return choices;
}

enum class value_kind { none, file, directory, other };

value_kind kind_of(const CLI::Option& option) {
  if (!takes_value(option)) return value_kind::none;
  const auto& placeholder = option.get_type_name();
  if (placeholder == "file" || placeholder == "path" || placeholder == "repository") return value_kind::file;
  return placeholder == "directory" ? value_kind::directory : value_kind::other;
}

std::vector<const CLI::Option*> with_global(const command_tree& tree, const CLI::App& app) {
  auto options = shown_options(app);
  if (&app != &tree.root)
    for (const auto* option : shown_options(tree.root)) options.push_back(option);
  return options;
}

std::vector<std::string> names_below(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* each : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(each->get_name());
  return names;
}

std::string flags_of(const command_tree& tree, const CLI::App& app) {
  std::string flags = "-h --help";
  for (const auto* option : with_global(tree, app))
    flags += (short_of(*option).empty() ? "" : " " + short_of(*option)) + " " + long_of(*option);
  return flags;
}

}  // namespace

// ---- bash -----------------------------------------------------------------------------------------------------------

namespace {

std::string bash_value_case(const CLI::Option& option) {
  std::string action = ":";
  if (const auto choices = choices_of(option); !choices.empty())
    action = "COMPREPLY=($(compgen -W \"" + join(choices, " ") + "\" -- \"$current\"))";
  else if (kind_of(option) == value_kind::file)
    action = "COMPREPLY=($(compgen -f -- \"$current\"))";
  else if (kind_of(option) == value_kind::directory)
    action = "COMPREPLY=($(compgen -d -- \"$current\"))";
  const auto pattern = (short_of(option).empty() ? "" : short_of(option) + "|") + long_of(option);
  return pattern + ") " + action + "; return ;;";
}

}  // namespace

std::string bash_completion(const command_tree& tree) {
  std::string steps, values, flags, words;
  const auto describe = [&](const CLI::App& app, const command* made) {
    const auto path = path_of(app);
    for (const auto& name : names_below(app))
      steps += "      '" + path + " " + name + "') command='" + (path.empty() ? name : path + " " + name) + "' ;;\n";
    std::string cases;
    for (const auto* option : with_global(tree, app))
      if (takes_value(*option)) cases += "        " + bash_value_case(*option) + "\n";
    values += "    '" + path + "')\n      case \"$previous\" in\n" + cases + "      esac ;;\n";
    flags += "    '" + path + "') flags='" + flags_of(tree, app) + "' ;;\n";
    auto next = names_below(app);
    if (made != nullptr) next.insert(next.end(), made->words.begin(), made->words.end());
    if (!next.empty()) words += "    '" + path + "') words='" + join(next, " ") + "' ;;\n";
  };
  describe(tree.root, nullptr);
  for (const auto& each : tree.commands) describe(*each->app, each.get());

  return "# bash completion for " + tree.program + ", made by `" + tree.program + " generate`\n_" + tree.program + "() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
         "  local command='' flags='' words='' i\n"
         "  COMPREPLY=()\n"
         "  compopt -o filenames 2>/dev/null\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    case \"$command ${COMP_WORDS[i]}\" in\n" +
         steps +
         "    esac\n"
         "  done\n"
         "  case \"$command\" in\n" +
         values +
         "  esac\n"
         "  case \"$command\" in\n" +
         flags +
         "  esac\n"
         "  case \"$command\" in\n" +
         words +
         "  esac\n"
         "  if [[ $current == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$flags\" -- \"$current\"))\n"
         "  elif [[ -n $words ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  else\n"
         "    COMPREPLY=($(compgen -f -- \"$current\"))\n"
         "  fi\n"
         "}\n"
         "complete -F _" + tree.program + " " + tree.program + "\n";
}

// ---- zsh ------------------------------------------------------------------------------------------------------------

namespace {

std::string zsh_spec(const CLI::Option& option) {
  auto description = option.get_description();
  for (const auto* special : {"[", "]", ":"}) description = replaced(description, special, std::string("\\") + special);
  auto spec = "[" + description + "]";
  if (takes_value(option)) {
    spec += ":" + replaced(option.get_type_name(), ":", "\\:") + ":";
    if (const auto choices = choices_of(option); !choices.empty())
      spec += "(" + join(choices, " ") + ")";
    else if (kind_of(option) == value_kind::file)
      spec += "_files";
    else if (kind_of(option) == value_kind::directory)
      spec += "_files -/";
  }
  const auto value_mark = takes_value(option) ? "=" : "";
  auto text = shell_quoted("*" + long_of(option) + value_mark + spec);
  if (!short_of(option).empty())
    text += " " + shell_quoted("*" + short_of(option) + (takes_value(option) ? "+" : "") + spec);
  return text;
}

std::string zsh_function_name(const command_tree& tree, const CLI::App& app) {
  return "_" + replaced(full_name(app, tree.program), " ", "_");
}

std::string zsh_function(const command_tree& tree, const CLI::App& app, const command* made) {
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  std::string text = zsh_function_name(tree, app) + "() {\n  local curcontext=\"$curcontext\" state line\n";
  text += "  _arguments -C -s -S";
  for (const auto* option : with_global(tree, app)) text += " \\\n    " + zsh_spec(*option);
  text += " \\\n    '(-h --help)'{-h,--help}'[show help]'";
  if (below.empty()) {
    if (made != nullptr && !made->words.empty()) text += " \\\n    '1:what:(" + join(made->words, " ") + ")'";
    return text + " \\\n    '*:file:_files'\n}\n";
  }
  text +=
      " \\\n    '1:command:->command' '*::argument:->arguments'\n  case $state in\n    command)\n      local -a "
      "commands=(\n";
  for (const auto* each : below)
    text += "        " + shell_quoted(each->get_name() + ":" + replaced(each->get_description(), ":", "\\:")) + "\n";
  text += "      )\n      _describe command commands ;;\n    arguments)\n      case $words[1] in\n";
  for (const auto* each : below) text += "        " + each->get_name() + ") " + zsh_function_name(tree, *each) + " ;;\n";
  return text + "      esac ;;\n  esac\n}\n";
}

}  // namespace

std::string zsh_completion(const command_tree& tree) {
  const auto& program = tree.program;
  auto text = "#compdef " + program + "\n# zsh completion for " + program + ", made by `" + program + " generate`\n";
  for (const auto& each : tree.commands) text += zsh_function(tree, *each->app, each.get());
  text += zsh_function(tree, tree.root, nullptr);
  return text + "if [ \"$funcstack[1]\" = _" + program + " ]; then _" + program + " \"$@\"; else compdef _" + program + " " +
         program + "; fi\n";
}

// ---- fish -----------------------------------------------------------------------------------------------------------

namespace {

std::string fish_quoted(const std::string& text) {
  return "'" + replaced(replaced(text, "\\", "\\\\"), "'", "\\'") + "'";
}

std::string fish_option(const command_tree& tree, const std::string& condition, const CLI::Option& option) {
  auto line = "complete -c " + tree.program + condition;
  if (!short_of(option).empty()) line += " -s " + short_of(option).substr(1);
  line += " -l " + long_of(option).substr(2);
  if (const auto choices = choices_of(option); !choices.empty())
    line += " -x -a " + fish_quoted(join(choices, " "));
  else if (kind_of(option) == value_kind::file || kind_of(option) == value_kind::directory)
    line += " -r -F";
  else if (kind_of(option) == value_kind::other)
    line += " -x";
  return line + " -d " + fish_quoted(option.get_description()) + "\n";
}

std::string fish_seen(const CLI::App& app) {
  std::string condition;
  for (const auto& name : split(path_of(app), ' '))
    condition += (condition.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + name);
  return condition;
}

std::string fish_word(const command_tree& tree, const std::string& condition, const std::string& word,
                      const std::string& description) {
  return "complete -c " + tree.program + " -n " + fish_quoted(condition) + " -f -a " + word +
         (description.empty() ? "" : " -d " + fish_quoted(description)) + "\n";
}

}  // namespace

std::string fish_completion(const command_tree& tree) {
  auto text = "# fish completion for " + tree.program + ", made by `" + tree.program + " generate`\n";
  for (const auto* option : shown_options(tree.root)) text += fish_option(tree, "", *option);
  text += "complete -c " + tree.program + " -s h -l help -d 'show help'\n";
  for (const auto& each : tree.commands) {
    const auto& app = *each->app;
    const bool top = app.get_parent()->get_parent() == nullptr;
    text += fish_word(tree, top ? "__fish_use_subcommand"
                          : fish_seen(*app.get_parent()) + "; and not __fish_seen_subcommand_from " +
                                join(names_below(*app.get_parent()), " "),
                      app.get_name(), app.get_description());
    for (const auto* option : shown_options(app)) text += fish_option(tree, " -n " + fish_quoted(fish_seen(app)), *option);
    for (const auto& word : each->words) text += fish_word(tree, fish_seen(app), word, "");
  }
  return text;
}

// ---- PowerShell -----------------------------------------------------------------------------------------------------

std::string powershell_completion(const command_tree& tree) {
  const auto list = [](const std::vector<std::string>& items) {
    std::string text;
    for (const auto& item : items) text += (text.empty() ? "'" : ", '") + item + "'";
    return "@(" + text + ")";
  };
  std::string flags, words;
  const auto describe = [&](const CLI::App& app, const command* made) {
    flags += "    '" + path_of(app) + "' = " + list(split(flags_of(tree, app), ' ')) + "\n";
    auto next = names_below(app);
    if (made != nullptr) next.insert(next.end(), made->words.begin(), made->words.end());
    words += "    '" + path_of(app) + "' = " + list(next) + "\n";
  };
  describe(tree.root, nullptr);
  for (const auto& each : tree.commands) describe(*each->app, each.get());
  return "# PowerShell completion for " + tree.program + ", made by `" + tree.program + " generate`\n" +
         "Register-ArgumentCompleter -Native -CommandName " + tree.program + " -ScriptBlock {\n"
         "  param($wordToComplete, $commandAst, $cursorPosition)\n"
         "  $flags = @{\n" +
         flags + "  }\n  $words = @{\n" + words +
         "  }\n"
         "  $command = ''\n"
         "  foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {\n"
         "    $longer = (\"$command $element\").Trim()\n"
         "    if ($flags.ContainsKey($longer)) { $command = $longer }\n"
         "  }\n"
         "  $candidates = if ($wordToComplete.StartsWith('-')) { $flags[$command] } else { $words[$command] }\n"
         "  $candidates | Where-Object { $_ -like \"$wordToComplete*\" } | ForEach-Object {\n"
         "    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)\n"
         "  }\n"
         "}\n";
}

// ---- manual pages ---------------------------------------------------------------------------------------------------

namespace {

std::string roff(std::string text) {
  text = replaced(std::move(text), "\\", "\\e");
  text = replaced(std::move(text), "-", "\\-");
  text = replaced(std::move(text), "`", "\\(ga");
  // A line must not begin with a request's mark.
  text = replaced(std::move(text), "\n.", "\n\\&.");
  return replaced(std::move(text), "\n'", "\n\\&'");
}

/// Paragraphs are filled; a line that sets something off with spaces, as in a list of letters or of examples, stays one.
std::string roff_paragraphs(const std::string& details) {
  std::string text;
  for (const auto& line : split(details, '\n')) {
    if (line.empty())
      text += ".PP\n";
    else
      text += (line.find("  ") != std::string::npos ? ".br\n" : "") + roff("\n" + line).substr(1) + "\n";
  }
  return text;
}

std::string roff_options(const CLI::App& app) {
  std::string text;
  for (const auto* option : shown_options(app))
    text += ".TP\n\\fB" + roff(std::string(trim_space(names_of(*option)))) + "\\fR\n" +
            roff(option->get_description()) + "\n";
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> manual_pages(const command_tree& tree) {
  std::vector<std::pair<std::string, std::string>> pages;
  const auto add = [&](const CLI::App& app, const command* made) {
    const auto name = replaced(full_name(app, tree.program), " ", "-");
    std::string text = ".TH \"" + roff(name) + "\" 1 \"\" \"recoup " + std::string(library_version) + "\"\n.ad l\n.SH NAME\n" +
                       roff(name) + " \\- " + roff(app.get_description()) + "\n.SH SYNOPSIS\n\\fB" +
                       roff(full_name(app, tree.program)) + "\\fR " + roff(made == nullptr ? "[command]" : made->usage) +
                       "\n";
    if (made != nullptr && !made->details.empty())
      text += ".SH DESCRIPTION\n" + roff_paragraphs(in_own_words(made->details, tree.program));
    const auto names = names_below(app);
    if (!names.empty()) {
      text += ".SH COMMANDS\n";
      for (const auto* each : app.get_subcommands([](const CLI::App*) { return true; }))
        text += ".TP\n\\fB" + each->get_name() + "\\fR\n" + roff(each->get_description()) + "\n";
    }
    if (const auto options = roff_options(app); !options.empty()) text += ".SH OPTIONS\n" + options;
    if (made != nullptr) text += ".SH OPTIONS OF ALL COMMANDS\n" + roff_options(tree.root);
    pages.emplace_back(name + ".1", text);
  };
  add(tree.root, nullptr);
  for (const auto& each : tree.commands) add(*each->app, each.get());
  return pages;
}

}  // namespace recoup::cli
