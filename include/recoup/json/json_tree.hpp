// A JSON document read whole, for the few small ones whose shape is not known beforehand: policies, lifecycle rules.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

#include <recoup/core/error.hpp>

namespace recoup {

/// The outermost value must be an object. What is taken from the tree is good for as long as the tree is there.
class json_tree {
public:
  /// `what` names the document in messages. Throws invalid_argument if it is no JSON object.
  json_tree(std::string_view text, const std::string& what) : padded_(text) {
    if (const auto problem = parser_.parse(padded_).get(root_); problem != simdjson::SUCCESS)
      throw error(error_code::invalid_argument,
                  what + " is not valid JSON: " + std::string(simdjson::error_message(problem)));
    if (!root_.is_object()) throw error(error_code::invalid_argument, what + " must be a JSON object");
  }
  json_tree(const json_tree&) = delete;
  json_tree& operator=(const json_tree&) = delete;

  [[nodiscard]] simdjson::dom::object object() const { return simdjson::dom::object(root_); }

private:
  simdjson::padded_string padded_;
  simdjson::dom::parser parser_;
  simdjson::dom::element root_;
};

}  // namespace recoup
