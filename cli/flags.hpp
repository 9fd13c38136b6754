// Declaring flags. Each add_… names them as CLI11 does ("-t,--target"), and the placeholder is what help shows for the
// value. A flag that takes one value may be given again, the last one counts.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

// Not included: it would double the time that each command takes to compile.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace recoup::cli {

CLI::Option* add_text(CLI::App& app, const std::string& names, std::string& value, const std::string& description,
                      const std::string& placeholder = "string");
/// Repeatable; every value is kept as it is.
CLI::Option* add_list(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                      const std::string& description, const std::string& placeholder = "string");
CLI::Option* add_switch(CLI::App& app, const std::string& names, bool& value, const std::string& description);
/// A switch that counts: -v -v, -vv, --verbose=2.
CLI::Option* add_count(CLI::App& app, const std::string& names, int& value, const std::string& description);
CLI::Option* add_number(CLI::App& app, const std::string& names, unsigned& value, const std::string& description,
                        const std::string& placeholder);
CLI::Option* add_duration(CLI::App& app, const std::string& names, std::chrono::nanoseconds& value,
                          const std::string& description);
/// `accept` gets each value given and throws recoup::error if it makes no sense.
CLI::Option* add_parsed(CLI::App& app, const std::string& names, std::function<void(const std::string&)> accept,
                        const std::string& description, const std::string& placeholder);

/// Keeps a flag that old scripts still use out of the help.
CLI::Option* hidden(CLI::Option* option);
[[nodiscard]] bool is_hidden(const CLI::Option& option);

/// "-t, --target directory", as help and messages show it.
[[nodiscard]] std::string names_of(const CLI::Option& option);
[[nodiscard]] bool takes_value(const CLI::Option& option);
/// Options of one command in alphabetical order, without hidden ones.
[[nodiscard]] std::vector<const CLI::Option*> shown_options(const CLI::App& app);

}  // namespace recoup::cli
