// Where credentials come from, unless somebody hands them over: the places that restic looks at (minio-go's chain), in
// its order, and what AWS's own programs look at beside them.
//
//   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY[, AWS_SESSION_TOKEN]
//   MINIO_ROOT_USER, MINIO_ROOT_PASSWORD or MINIO_ACCESS_KEY, MINIO_SECRET_KEY
//   ~/.aws/credentials, ~/.aws/config            keys, credential_process, roles; AWS_PROFILE
//   ~/.mc/config.json                            MINIO_ALIAS, the server's alias, "s3"
//   AWS_WEB_IDENTITY_TOKEN_FILE                  Kubernetes
//   AWS_CONTAINER_CREDENTIALS_{RELATIVE,FULL}_URI  ECS, EKS
//   instance metadata                            virtual machines
//
// and on top of whichever it is the role in RESTIC_AWS_ASSUME_ROLE_ARN. What is half given is an error: going on to the
// next place, as restic mostly does, ends in a message about something that nobody set up.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/parse_setting.hpp>
#include <recoup/http/client.hpp>
#include <recoup/s3/credentials/environment.hpp>
#include <recoup/s3/credentials/mc_config.hpp>
#include <recoup/s3/credentials/metadata_service.hpp>
#include <recoup/s3/credentials/profile.hpp>
#include <recoup/s3/credentials/provider.hpp>
#include <recoup/s3/credentials/sts.hpp>
#include <recoup/s3/location.hpp>
#include <recoup/s3/settings.hpp>

namespace recoup {

struct credential_options {
  s3_endpoint endpoint{};    ///< the server, for which mc may have an alias
  std::string region{};      ///< of the security token service, if one is needed; may be empty
  bool anonymous = false;    ///< look nowhere, sign nothing
  std::string profile{};     ///< of ~/.aws; before the environment; empty: AWS_PROFILE, then "default"
};

[[nodiscard]] inline credential_options credential_options_for(const s3_endpoint& endpoint,
                                                               const s3_settings& settings) {
  return {endpoint, settings.region, settings.anonymous, settings.profile};
}

namespace credential_chain {

[[nodiscard]] inline error nothing_found(const std::vector<std::string>& looked_at) {
  std::string text = "no credentials for S3 found; looked at ";
  for (std::size_t i = 0; i < looked_at.size(); ++i)
    text += (i == 0 ? "" : i + 1 == looked_at.size() ? " and " : ", ") + looked_at[i];
  return {error_code::invalid_argument,
          text + ". Set the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write a profile with "
                 "`aws configure`; for a bucket that is open to everybody use -o s3.unsafe-anonymous-auth=true"};
}

/// The last resort. Where it has nothing, the message must tell of all places.
class last_in_chain final : public credential_provider {
public:
  last_in_chain(std::shared_ptr<credential_provider> inner, std::vector<std::string> looked_at)
      : inner_(std::move(inner)), looked_at_(std::move(looked_at)) {}

  [[nodiscard]] std::shared_ptr<const s3_credentials> get(std::stop_token stop) override {
    try {
      return inner_->get(std::move(stop));
    } catch (const error& problem) {
      if (problem.code() != error_code::not_found) throw;
      auto places = looked_at_;
      places.emplace_back(problem.what());
      throw nothing_found(places);
    }
  }

  bool renew(const s3_credentials& rejected) override { return inner_->renew(rejected); }

private:
  std::shared_ptr<credential_provider> inner_;
  std::vector<std::string> looked_at_;
};

[[nodiscard]] inline std::shared_ptr<credential_provider> first_given(const credential_options& options,
                                                                      const std::shared_ptr<http_client>& http) {
  const auto fixed = [](s3_credentials found) { return std::make_shared<fixed_credentials>(std::move(found)); };
  if (options.profile.empty()) {
    if (auto found = credentials_from_aws_environment()) return fixed(std::move(*found));
    if (auto found = credentials_from_minio_environment()) return fixed(std::move(*found));
  }

  auto files = aws_profile_files::load();
  const auto places = files.describe();
  auto profile = options.profile.empty() ? environment_variable("AWS_PROFILE") : options.profile;
  const bool was_named = !profile.empty();
  if (!was_named) profile = "default";
  if (auto found = profile_reader(std::move(files), options.region, http).provider(profile)) return found;
  if (was_named)
    throw error(error_code::invalid_argument,
                "there are no credentials for the profile " + profile + " in " + places +
                    (options.profile.empty() ? "; it is the environment variable AWS_PROFILE that names it" : ""));
  if (auto found = credentials_from_mc_config(options.endpoint)) return fixed(std::move(*found));

  if (auto token = environment_variable("AWS_WEB_IDENTITY_TOKEN_FILE"); !token.empty()) {
    sts_role role;
    role.arn = environment_variable("AWS_ROLE_ARN");
    role.session_name = environment_variable("AWS_ROLE_SESSION_NAME");
    role.region = options.region;
    return std::make_shared<web_identity_role>(std::move(token), std::move(role), http);
  }
  if (auto url = metadata_service::container_url(); !url.empty())
    return std::make_shared<container_credentials>(std::move(url), http);

  std::vector<std::string> looked_at{"the environment (AWS_*, MINIO_*)", places, mc_config::path()};
  if (metadata_service::is_disabled()) {
    looked_at.emplace_back("the instance metadata service, which AWS_EC2_METADATA_DISABLED turns off");
    throw nothing_found(looked_at);
  }
  return std::make_shared<last_in_chain>(std::make_shared<instance_credentials>(http), std::move(looked_at));
}

}  // namespace credential_chain

/// Looks at files and environment now, but asks nobody before the first `get`. Throws invalid_argument for settings
/// that make no sense or, where that can be told without asking, if there are none.
[[nodiscard]] inline std::shared_ptr<credential_provider> default_credentials(const credential_options& options,
                                                                              std::shared_ptr<http_client> http) {
  if (options.anonymous) return anonymous_credentials();
  auto found = credential_chain::first_given(options, http);
  sts_role role;
  role.arn = environment_variable("RESTIC_AWS_ASSUME_ROLE_ARN");
  if (role.arn.empty()) return found;
  role.session_name = environment_variable("RESTIC_AWS_ASSUME_ROLE_SESSION_NAME");
  role.external_id = environment_variable("RESTIC_AWS_ASSUME_ROLE_EXTERNAL_ID");
  role.policy = environment_variable("RESTIC_AWS_ASSUME_ROLE_POLICY");
  role.region = environment_variable("RESTIC_AWS_ASSUME_ROLE_REGION");
  if (role.region.empty()) role.region = options.region;
  role.endpoint = environment_variable("RESTIC_AWS_ASSUME_ROLE_STS_ENDPOINT");
  return std::make_shared<assumed_role>(std::move(found), std::move(role), std::move(http));
}

}  // namespace recoup
