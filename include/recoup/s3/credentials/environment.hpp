// Keys from environment variables, under the names that minio-go, and so restic, looks at.
#pragma once

#include <optional>
#include <string>

#include <recoup/core/error.hpp>
#include <recoup/core/parse_setting.hpp>
#include <recoup/crypto/secret.hpp>
#include <recoup/s3/credentials/provider.hpp>

namespace recoup {

namespace credential_environment {

struct pair_of_names {
  const char* id;
  const char* secret;
};

/// Nothing if neither variable is set. Throws invalid_argument if only one is.
[[nodiscard]] inline std::optional<s3_credentials> read_pair(const pair_of_names& names) {
  auto id = environment_variable(names.id);
  auto secret = environment_variable(names.secret);
  if (id.empty() && secret.empty()) return std::nullopt;
  if (id.empty() || secret.empty()) {
    const char* const given = id.empty() ? names.secret : names.id;
    const char* const missing = id.empty() ? names.id : names.secret;
    ::sodium_memzero(secret.data(), secret.size());
    throw error(error_code::invalid_argument, std::string("the environment variable ") + given + " is set but " +
                                                  missing + " is empty: set both, or neither");
  }
  s3_credentials found;
  found.access_key_id = std::move(id);
  found.secret_access_key = make_secret(secret);
  ::sodium_memzero(secret.data(), secret.size());
  found.source = std::string("environment variables ") + names.id + " and " + names.secret;
  return found;
}

}  // namespace credential_environment

/// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in place of either its old name, AWS_ACCESS_KEY and AWS_SECRET_KEY;
/// with AWS_SESSION_TOKEN.
[[nodiscard]] inline std::optional<s3_credentials> credentials_from_aws_environment() {
  const bool has_id = !environment_variable("AWS_ACCESS_KEY_ID").empty();
  const bool has_secret = !environment_variable("AWS_SECRET_ACCESS_KEY").empty();
  const bool has_old_id = !environment_variable("AWS_ACCESS_KEY").empty();
  const bool has_old_secret = !environment_variable("AWS_SECRET_KEY").empty();
  auto found = credential_environment::read_pair(
      {!has_id && has_old_id ? "AWS_ACCESS_KEY" : "AWS_ACCESS_KEY_ID",
       !has_secret && has_old_secret ? "AWS_SECRET_KEY" : "AWS_SECRET_ACCESS_KEY"});
  if (found) found->session_token = environment_variable("AWS_SESSION_TOKEN");
  return found;
}

/// What MinIO's server itself is started with.
[[nodiscard]] inline std::optional<s3_credentials> credentials_from_minio_environment() {
  if (auto found = credential_environment::read_pair({"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"})) return found;
  return credential_environment::read_pair({"MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"});
}

}  // namespace recoup
