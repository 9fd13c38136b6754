#include "engine_failure.hpp"

#include <new>
#include <string_view>

#include <recoup/http/message.hpp>
#include <recoup/s3/error.hpp>

#include "engine.hpp"

namespace recoup::cli {

const char* name_of(error_code code) noexcept {
  switch (code) {
    case error_code::failure: return "failure";
    case error_code::invalid_argument: return "invalid_argument";
    case error_code::not_found: return "not_found";
    case error_code::damaged: return "damaged";
    case error_code::unsupported: return "unsupported";
    case error_code::io: return "io";
    case error_code::access_denied: return "access_denied";
    case error_code::no_space: return "no_space";
    case error_code::incomplete: return "incomplete";
    case error_code::repository_missing: return "repository_missing";
    case error_code::locked: return "locked";
    case error_code::wrong_password: return "wrong_password";
    case error_code::interrupted: return "interrupted";
  }
  return "failure";
}

namespace {

/// No answer at all: whether to wait for the server or to correct its address is for people to decide.
[[nodiscard]] std::string word_of(const http_error& problem) {
  switch (problem.kind()) {
    case http_failure::unreachable:
    case http_failure::broken:
    case http_failure::stalled: return "unreachable";
    case http_failure::tls: return "tls";
    case http_failure::bad_response:
    case http_failure::local: break;
  }
  return name_of(problem.code());
}

void look_at(const s3_error& problem, const std::string& connection, engine_failure& into) {
  const std::string_view code = problem.refusal().code;
  if (code == "BucketAlreadyExists") into.word = "already_exists";
  if (code == "BucketNotEmpty") into.word = "not_empty";
  if (code == "InvalidAccessKeyId") into.attribute = "s3.access_key";
  if (code == "SignatureDoesNotMatch") into.attribute = "s3.secret_key";
  if (code == "ExpiredToken" || code == "InvalidToken") into.attribute = "s3.session_token";
  if (code == "BucketAlreadyExists" || code == "NoSuchBucket" || code == "InvalidBucketName")
    into.attribute = connection == "s3.endpoint" ? "bucket" : connection;
}

}  // namespace

engine_failure describe_failure(const std::exception& problem, const std::string& connection) {
  engine_failure found{name_of(error_code::failure), problem.what(), {}, exit_code(error_code::failure)};
  if (dynamic_cast<const std::bad_alloc*>(&problem) != nullptr) {
    found.message = "out of memory";
    return found;
  }
  const auto* known = dynamic_cast<const error*>(&problem);
  if (known == nullptr) return found;
  found.word = name_of(known->code());
  found.exit_code = exit_code(known->code());
  if (const auto* parameter = dynamic_cast<const engine_parameter_error*>(known)) {
    found.attribute = parameter->attribute();
    if (!parameter->word().empty()) found.word = parameter->word();
  } else if (const auto* connecting = dynamic_cast<const http_error*>(known)) {
    found.word = word_of(*connecting);
    found.attribute = found.word == "tls" ? "s3.ca_file" : connection;
  } else if (const auto* refused = dynamic_cast<const s3_error*>(known)) {
    look_at(*refused, connection, found);
  }
  return found;
}

}  // namespace recoup::cli
