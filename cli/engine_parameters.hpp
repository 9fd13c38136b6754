// Reading a request's parameters: each with the type that it must have, none that is not known, and every complaint with
// the path of the parameter that is to blame.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine.hpp"

namespace recoup::cli {

/// An object in a request. Texts are good as long as the request is served. null counts as left out unless is_null() is
/// asked.
class engine_parameters {
public:
  /// Throws for members that are not in `known`, and for two of the same name. `path` is "" for the parameters themselves.
  engine_parameters(const simdjson::dom::object& from, std::string path, std::initializer_list<std::string_view> known);

  [[nodiscard]] bool has(std::string_view name) const;      ///< there, and not null
  [[nodiscard]] bool is_null(std::string_view name) const;  ///< there, and null

  [[nodiscard]] std::optional<std::string_view> text(std::string_view name) const;
  /// Throws if it is left out or empty.
  [[nodiscard]] std::string_view required_text(std::string_view name) const;
  [[nodiscard]] bool flag(std::string_view name, bool otherwise = false) const;
  [[nodiscard]] std::optional<std::uint64_t> number(std::string_view name, std::uint64_t least,
                                                    std::uint64_t most) const;
  [[nodiscard]] std::vector<std::string> texts(std::string_view name) const;
  [[nodiscard]] std::optional<simdjson::dom::object> object(std::string_view name) const;
  /// An empty object if it is left out.
  [[nodiscard]] engine_parameters part(std::string_view name, std::initializer_list<std::string_view> known) const;

  [[nodiscard]] std::string path_of(std::string_view name) const;
  /// To be thrown: "<path>: <why>".
  [[nodiscard]] engine_parameter_error problem(std::string_view name, const std::string& why) const;

private:
  [[nodiscard]] std::optional<simdjson::dom::element> find(std::string_view name) const;

  simdjson::dom::object from_;
  std::string path_;
};

/// Does `work`; what it throws as invalid_argument or unsupported is the fault of that parameter.
template <class Work>
auto blaming(const std::string& attribute, Work&& work) {
  try {
    return work();
  } catch (const engine_parameter_error&) {
    throw;
  } catch (const error& problem) {
    if (problem.code() != error_code::invalid_argument && problem.code() != error_code::unsupported) throw;
    throw engine_parameter_error(attribute, problem.code(), problem.what());
  }
}

}  // namespace recoup::cli
