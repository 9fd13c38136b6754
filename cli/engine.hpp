// The machine interface: `recoup engine` reads requests, one JSON object a line, and answers with lines of JSON; the
// protocol is in docs/engine.md. What it can do is a table of methods; each file cli/engine_<domain>.cpp adds its own.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include <recoup/json/json_reader.hpp>

#include "command.hpp"

namespace recoup::cli {

/// One request while it is served.
struct engine_call {
  const simdjson::dom::object& params;
  context& command;  ///< signals and options; nothing may be printed through it, standard output is the protocol's
  const std::function<void(std::string_view json)>& progress;  ///< sends a JSON object as a progress message
};

/// Returns the JSON text of the result. What it throws is sent as an error message.
using engine_method = std::function<std::string(engine_call&)>;

/// By name, "bucket.get".
using engine_methods = std::map<std::string, engine_method, std::less<>>;

/// A problem with one parameter: `attribute` is its path in the request, "repository.password".
class engine_parameter_error : public plain_error {
public:
  engine_parameter_error(std::string attribute, const std::string& message)
      : engine_parameter_error(std::move(attribute), error_code::invalid_argument, message) {}
  /// `word` is what the answer calls it where the code alone says too little: "already_exists".
  engine_parameter_error(std::string attribute, error_code code, const std::string& message, std::string word = {})
      : plain_error(code, message), attribute_(std::move(attribute)), word_(std::move(word)) {}

  [[nodiscard]] const std::string& attribute() const noexcept { return attribute_; }
  /// "" for the code's own word.
  [[nodiscard]] const std::string& word() const noexcept { return word_; }

private:
  std::string attribute_, word_;
};

// Each of these is in engine_<name>.cpp.
void add_calendar_methods(engine_methods& to);
void add_schedule_methods(engine_methods& to);
void add_bucket_methods(engine_methods& to);
void add_object_methods(engine_methods& to);
void add_repository_methods(engine_methods& to);

}  // namespace recoup::cli
