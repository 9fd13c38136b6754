// AWS's Security Token Service, which MinIO and others speak too: temporary credentials for a role, in exchange for
// lasting ones (AssumeRole) or for a token of somebody else's (AssumeRoleWithWebIdentity: Kubernetes mounts them).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/core/parse_setting.hpp>
#include <recoup/http/client.hpp>
#include <recoup/s3/credentials/fetched.hpp>
#include <recoup/s3/credentials/secret_text.hpp>
#include <recoup/s3/location.hpp>
#include <recoup/s3/signature.hpp>
#include <recoup/s3/uri.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

struct sts_role {
  std::string arn{};           ///< MinIO needs none
  std::string session_name{};  ///< shows up in the service's logs
  std::string external_id{}, policy{};
  std::string duration_seconds{};  ///< empty: an hour
  std::string region{};            ///< empty: the service without a region
  std::string endpoint{};          ///< URL; empty: AWS's for the region
};

namespace sts {

/// Where to ask. AWS_ENDPOINT_URL_STS is how AWS's own programs are told of another service.
[[nodiscard]] inline std::string endpoint_of(const sts_role& role) {
  if (!role.endpoint.empty()) return role.endpoint;
  if (auto named = environment_variable("AWS_ENDPOINT_URL_STS"); !named.empty()) return named;
  if (role.region.empty()) return "https://sts.amazonaws.com";
  return "https://sts." + role.region + (role.region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com");
}

/// The host of a URL, without what it has as a path: STS lives in the root.
[[nodiscard]] inline s3_endpoint parse_endpoint(const std::string& url) {
  const bool is_plain = url.starts_with("http://");
  const std::size_t scheme = is_plain ? 7 : 8;
  if (!is_plain && !url.starts_with("https://"))
    throw error(error_code::invalid_argument, "the address of the security token service must begin with https:// or "
                                              "http://");
  try {
    const auto host = std::string_view(url).substr(scheme, url.find('/', scheme) - scheme);
    return location_text::endpoint(url, host, !is_plain);
  } catch (const error& problem) {
    throw error(problem.code(), std::string("the address of the security token service: ") + problem.what());
  }
}

/// Throws http_error for what may pass, io for the rest.
[[noreturn]] inline void refuse(const http_response& response, const std::string& what) {
  std::string said = "status " + std::to_string(response.status);
  try {
    // Errors of the service itself lie in an ErrorResponse; MinIO answers some with S3's bare Error.
    const auto document = parse_xml(response.body, "an answer");
    const auto* const found = document.name == "Error" ? &document : document.child("Error");
    if (found != nullptr)
      said += " " + std::string(found->text_of("Code")) + ": " + std::string(found->text_of("Message"));
  } catch (const error&) {
    if (!response.body.empty()) said += ", " + xml_reading::beginning(response.body);
  }
  const auto message = what + " refuses: " + said;
  if (response.status >= 500 || response.status == 429) throw http_error(http_failure::broken, message);
  throw error(error_code::io, message);
}

/// Sends a form and reads the credentials in the answer's `<action>Result`. Signed if `signer` is given.
[[nodiscard]] inline s3_credentials ask(http_client& http, const sts_role& role, const std::string& action,
                                        uri_query fields, const s3_credentials* signer, const std::string& what,
                                        const std::stop_token& stop) {
  fields.insert(fields.begin(), {{"Action", action}, {"Version", "2011-06-15"}});
  if (!role.arn.empty()) fields.emplace_back("RoleArn", role.arn);
  // AWS wants a name for the session; whoever reads its logs then sees what asked.
  if (!role.arn.empty())
    fields.emplace_back("RoleSessionName", role.session_name.empty() ? "recoup" : role.session_name);
  if (!role.policy.empty()) fields.emplace_back("Policy", role.policy);
  fields.emplace_back("DurationSeconds", role.duration_seconds.empty() ? "3600" : role.duration_seconds);
  auto form = uri_form(fields);
  const wiped_at_end form_wiped(form);

  const auto service = parse_endpoint(endpoint_of(role));
  http_request request;
  request.method = "POST";
  request.url = service.url() + '/';
  request.headers = {{"content-type", "application/x-www-form-urlencoded"}};
  request.body = as_bytes(form);
  request.connect_timeout = std::chrono::seconds(10);
  request.timeout = std::chrono::seconds(60);
  if (signer != nullptr) {
    signing_request to_sign{"POST", service.host, "/", {}, request.headers, sha256(request.body).hex()};
    const signing_scope scope{role.region.empty() ? "us-east-1" : role.region, "sts", true};
    for (auto& header : sign(to_sign, *signer, scope, std::chrono::system_clock::now()))
      request.headers.push_back(std::move(header));
  }
  auto response = http.perform(request, stop);
  const wiped_at_end response_wiped(response.body);
  if (!response.is_success()) refuse(response, what);

  auto document = parse_xml(response.body, "the answer of " + what, action + "Response");
  const auto* const given = document.first(action + "Result", "Credentials");
  s3_credentials found;
  if (given != nullptr) {
    found.access_key_id = given->text_of("AccessKeyId");
    found.secret_access_key = make_secret(given->text_of("SecretAccessKey"));
    found.session_token = given->text_of("SessionToken");
    found.expires = parse_expiry(given->text_of("Expiration"));
  }
  if (found.access_key_id.empty() || found.secret_access_key->empty() || !found.expires)
    throw error(error_code::io,
                "the answer of " + what + " has no credentials in it, or does not say how long they hold");
  found.source = what;
  return found;
}

}  // namespace sts

/// A role taken on with other credentials.
class assumed_role final : public fetched_credentials {
public:
  assumed_role(std::shared_ptr<credential_provider> base, sts_role role, std::shared_ptr<http_client> http)
      : base_(std::move(base)), role_(std::move(role)), http_(std::move(http)),
        what_("the security token service " + sts::parse_endpoint(sts::endpoint_of(role_)).url() + " (AssumeRole" +
              (role_.arn.empty() ? "" : ", role " + role_.arn) + ")") {}

private:
  [[nodiscard]] s3_credentials fetch(const std::stop_token& stop) override {
    const auto signer = base_->get(stop);
    if (signer->anonymous())
      throw error(error_code::invalid_argument, "a role cannot be taken on without credentials: the role " + role_.arn +
                                                    " needs some, so leave out s3.unsafe-anonymous-auth");
    uri_query fields;
    if (!role_.external_id.empty()) fields.emplace_back("ExternalId", role_.external_id);
    return sts::ask(*http_, role_, "AssumeRole", std::move(fields), signer.get(),
                    what_ + ", asked with " + signer->source + ",", stop);
  }

  std::shared_ptr<credential_provider> base_;
  sts_role role_;
  std::shared_ptr<http_client> http_;
  std::string what_;
};

/// A role taken on with a token from a file, which whoever wrote it replaces now and then.
class web_identity_role final : public fetched_credentials {
public:
  web_identity_role(std::string token_file, sts_role role, std::shared_ptr<http_client> http)
      : token_file_(std::move(token_file)), role_(std::move(role)), http_(std::move(http)),
        what_("the security token service " + sts::parse_endpoint(sts::endpoint_of(role_)).url() +
              " (AssumeRoleWithWebIdentity, token " + token_file_ + ")") {}

private:
  [[nodiscard]] s3_credentials fetch(const std::stop_token& stop) override {
    const auto token = read_secret_file(token_file_, "the web identity token");
    if (!token)
      throw error(error_code::not_found, "there is no web identity token " + token_file_ +
                                             ", which AWS_WEB_IDENTITY_TOKEN_FILE or the profile names");
    auto text = as_text(token->view());
    text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);  // npos + 1 is 0
    return sts::ask(*http_, role_, "AssumeRoleWithWebIdentity", {{"WebIdentityToken", std::string(text)}}, nullptr,
                    what_, stop);
  }

  std::string token_file_;
  sts_role role_;
  std::shared_ptr<http_client> http_;
  std::string what_;
};

}  // namespace recoup
