#include "flags.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <utility>

#include <recoup/core/error.hpp>

#include "format.hpp"
#include "parse_number.hpp"

namespace recoup::cli {

namespace {

constexpr const char* hidden_group = "";

/// A flag with one value, whose results all reach `accept` in the order they were given.
CLI::Option* add_valued(CLI::App& app, const std::string& names, std::function<void(const std::string&)> accept,
                        const std::string& description, const std::string& placeholder) {
  auto* option = app.add_option(
      names,
      [accept = std::move(accept)](const CLI::results_t& results) {
        for (const auto& result : results) accept(result);
        return true;
      },
      description);
  // Without this CLI11 takes "[a]" for a list and removes the brackets, which are a file name or a pattern here.
  option->expected(1)->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  option->type_name(placeholder);
  return option;
}

}  // namespace

CLI::Option* add_text(CLI::App& app, const std::string& names, std::string& value, const std::string& description,
                      const std::string& placeholder) {
  return add_valued(app, names, [&value](const std::string& text) { value = text; }, description, placeholder);
}

CLI::Option* add_list(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                      const std::string& description, const std::string& placeholder) {
  return add_valued(app, names, [&values](const std::string& text) { values.push_back(text); }, description,
                    placeholder);
}

CLI::Option* add_switch(CLI::App& app, const std::string& names, bool& value, const std::string& description) {
  const auto accept = [&value](const CLI::results_t& results) {
    const auto parsed = parse_bool(results.back());
    if (!parsed) throw error(error_code::invalid_argument, "it is a switch: true or false");
    value = *parsed;
    return true;
  };
  auto* option = app.add_option(names, accept, description);
  option->expected(0)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return option;
}

CLI::Option* add_count(CLI::App& app, const std::string& names, int& value, const std::string& description) {
  auto* option = app.add_option(
      names,
      [&value](const CLI::results_t& results) {
        for (const auto& text : results) {
          const auto level = parse_number<int>(text);
          if (!level && text != "true") throw error(error_code::invalid_argument, "it counts: give a number");
          value = level.value_or(value + 1);
        }
        return true;
      },
      description);
  option->expected(0)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return option;
}

CLI::Option* add_number(CLI::App& app, const std::string& names, unsigned& value, const std::string& description,
                        const std::string& placeholder) {
  const auto accept = [&value](const std::string& text) {
    const auto given = parse_number<unsigned>(text);
    if (!given) throw error(error_code::invalid_argument, "not a whole number that is 0 or more");
    value = *given;
  };
  return add_valued(app, names, accept, description, placeholder);
}

CLI::Option* add_duration(CLI::App& app, const std::string& names, std::chrono::nanoseconds& value,
                          const std::string& description) {
  const auto accept = [&value](const std::string& text) {
    const auto parsed = parse_duration(text);
    if (!parsed) throw error(error_code::invalid_argument, "not a duration such as 30s, 5m or 1h30m");
    value = *parsed;
  };
  return add_valued(app, names, accept, description, "duration");
}

CLI::Option* add_parsed(CLI::App& app, const std::string& names, std::function<void(const std::string&)> accept,
                        const std::string& description, const std::string& placeholder) {
  return add_valued(app, names, std::move(accept), description, placeholder);
}

CLI::Option* hidden(CLI::Option* option) { return option->group(hidden_group); }

bool is_hidden(const CLI::Option& option) { return option.get_group() == hidden_group; }

bool takes_value(const CLI::Option& option) { return option.get_expected_max() != 0; }

std::string names_of(const CLI::Option& option) {
  std::string text = option.get_snames().empty() ? "    " : "-" + option.get_snames().front() + ", ";
  text += "--" + (option.get_lnames().empty() ? std::string{} : option.get_lnames().front());
  return takes_value(option) ? text + " " + option.get_type_name() : text;
}

std::vector<const CLI::Option*> shown_options(const CLI::App& app) {
  std::vector<const CLI::Option*> options;
  for (const auto* option : app.get_options())
    if (!is_hidden(*option) && !option->get_lnames().empty()) options.push_back(option);
  std::sort(options.begin(), options.end(), [](const auto* a, const auto* b) {
    return a->get_lnames().front() < b->get_lnames().front();
  });
  return options;
}

}  // namespace recoup::cli
