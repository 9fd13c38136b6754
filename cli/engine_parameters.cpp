#include "engine_parameters.hpp"

#include <algorithm>

#include <recoup/json/go_quote.hpp>

namespace recoup::cli {

engine_parameters::engine_parameters(const simdjson::dom::object& from, std::string path,
                                     std::initializer_list<std::string_view> known)
    : from_(from), path_(std::move(path)) {
  std::vector<std::string_view> seen;
  for (const auto [key, value] : from_) {
    if (std::ranges::find(known, key) == known.end()) {
      std::string names;
      for (const auto each : known) names += (names.empty() ? "" : ", ") + std::string(each);
      throw problem(go_quoted(key), "there is no such parameter" +
                                        (names.empty() ? std::string() : "; there are " + names));
    }
    if (std::ranges::find(seen, key) != seen.end()) throw problem(key, "it is there twice");
    seen.push_back(key);
  }
}

std::string engine_parameters::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + '.' + std::string(name);
}

engine_parameter_error engine_parameters::problem(std::string_view name, const std::string& why) const {
  const auto path = path_of(name);
  return {path, path + ": " + why};
}

std::optional<simdjson::dom::element> engine_parameters::find(std::string_view name) const {
  simdjson::dom::element found;
  if (from_.at_key(name).get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

bool engine_parameters::has(std::string_view name) const {
  const auto found = find(name);
  return found && !found->is_null();
}

bool engine_parameters::is_null(std::string_view name) const {
  const auto found = find(name);
  return found && found->is_null();
}

std::optional<std::string_view> engine_parameters::text(std::string_view name) const {
  if (!has(name)) return std::nullopt;
  std::string_view value;
  if (find(name)->get(value) != simdjson::SUCCESS) throw problem(name, "it must be a text");
  return value;
}

std::string_view engine_parameters::required_text(std::string_view name) const {
  const auto value = text(name);
  if (!value) throw problem(name, "it is missing");
  if (value->empty()) throw problem(name, "it is empty");
  return *value;
}

bool engine_parameters::flag(std::string_view name, bool otherwise) const {
  if (!has(name)) return otherwise;
  bool value = false;
  if (find(name)->get(value) != simdjson::SUCCESS) throw problem(name, "it must be true or false");
  return value;
}

std::optional<std::uint64_t> engine_parameters::number(std::string_view name, std::uint64_t least,
                                                       std::uint64_t most) const {
  if (!has(name)) return std::nullopt;
  std::uint64_t value = 0;
  if (find(name)->get(value) != simdjson::SUCCESS || value < least || value > most)
    throw problem(name, "it must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return value;
}

std::vector<std::string> engine_parameters::texts(std::string_view name) const {
  std::vector<std::string> values;
  if (!has(name)) return values;
  simdjson::dom::array list;
  if (find(name)->get(list) != simdjson::SUCCESS) throw problem(name, "it must be a list of texts");
  for (const auto each : list) {
    std::string_view value;
    if (each.get(value) != simdjson::SUCCESS) throw problem(name, "it must be a list of texts");
    values.emplace_back(value);
  }
  return values;
}

std::optional<simdjson::dom::object> engine_parameters::object(std::string_view name) const {
  if (!has(name)) return std::nullopt;
  simdjson::dom::object value;
  if (find(name)->get(value) != simdjson::SUCCESS) throw problem(name, "it must be an object");
  return value;
}

engine_parameters engine_parameters::part(std::string_view name, std::initializer_list<std::string_view> known) const {
  static simdjson::dom::parser parser;
  static const simdjson::dom::object nothing = parser.parse(std::string_view("{}")).get_object();
  const auto found = object(name);
  return {found ? *found : nothing, path_of(name), known};
}

}  // namespace recoup::cli
