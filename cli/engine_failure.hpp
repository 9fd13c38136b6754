// What the machine interface says of an error: the word, the parameter that is to blame, the message.
#pragma once

#include <exception>
#include <string>

#include <recoup/core/error.hpp>

namespace recoup::cli {

struct engine_failure {
  std::string word;       ///< docs/engine.md, "Errors"
  std::string message;    ///< for people
  std::string attribute;  ///< path of a parameter; "" if none is to blame
  int exit_code = 1;      ///< the command's
};

/// "invalid_argument": the code's name in error_code.
[[nodiscard]] const char* name_of(error_code code) noexcept;

/// `connection` is the parameter that says which server is meant, "s3.endpoint" or "repository.location"; "" for methods
/// that talk to none.
[[nodiscard]] engine_failure describe_failure(const std::exception& problem, const std::string& connection);

}  // namespace recoup::cli
