// Credentials that the place we run in gives to whoever runs there: the agents of ECS and EKS to a container, the
// instance metadata service (IMDS) to a virtual machine.
#pragma once

#include <algorithm>
#include <array>
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

namespace recoup {

namespace metadata_service {

[[nodiscard]] inline std::string environment_token() {
  const auto file = environment_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  std::string token = environment_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (!file.empty()) {
    const auto content = read_secret_file(file, "the container's authorisation token");
    if (!content)
      throw error(error_code::not_found,
                  "there is no file " + file + ", which AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names");
    token = as_text(content->view());
    token.resize(token.find_last_not_of(" \t\r\n") + 1);  // npos + 1 is 0
  }
  if (token.find_first_of("\r\n") != std::string::npos)
    throw error(error_code::invalid_argument, "the container's authorisation token must not have line breaks");
  return token;
}

/// The address that the environment gives to a container, empty if it gives none. Throws invalid_argument for one that
/// would send the token through a network unencrypted: without TLS the agents themselves and this machine are allowed.
[[nodiscard]] inline std::string container_url() {
  if (const auto relative = environment_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !relative.empty())
    return "http://169.254.170.2" + relative;
  auto url = environment_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (url.empty() || url.starts_with("https://")) return url;
  constexpr std::string_view variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
  constexpr std::string_view scheme = "http://";
  if (!url.starts_with(scheme))
    throw error(error_code::invalid_argument, std::string(variable) + " must begin with https:// or http://");
  const auto authority =
      std::string_view(url).substr(scheme.size(), url.find_first_of("/?", scheme.size()) - scheme.size());
  const auto host = location_text::endpoint(url, authority, false).host_name();
  constexpr std::array<std::string_view, 5> allowed{"localhost", "::1", "169.254.170.2", "169.254.170.23",
                                                    "fd00:ec2::23"};
  const bool is_loopback = host.starts_with("127.") && problem_of_bucket_name(host).ends_with("IP address");
  if (!is_loopback && std::ranges::find(allowed, host) == allowed.end())
    throw error(error_code::invalid_argument,
                std::string(variable) + " names " + host +
                    " without TLS: only this machine and the agents of ECS and EKS may be asked so; use https://");
  return url;
}

[[nodiscard]] inline std::string instance_endpoint() {
  auto endpoint = environment_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (endpoint.empty())
    endpoint = environment_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE") == "IPv6" ? "http://[fd00:ec2::254]"
                                                                                        : "http://169.254.169.254";
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint;
}

[[nodiscard]] inline bool is_disabled() {
  return parse_bool(environment_variable("AWS_EC2_METADATA_DISABLED")).value_or(false);
}

}  // namespace metadata_service

/// From an agent beside the container.
class container_credentials final : public fetched_credentials {
public:
  container_credentials(std::string url, std::shared_ptr<http_client> http)
      : url_(std::move(url)), http_(std::move(http)), what_("the container's credential service " + url_) {}

private:
  [[nodiscard]] s3_credentials fetch(const std::stop_token& stop) override {
    auto token = metadata_service::environment_token();  // the file's content changes
    const wiped_at_end token_wiped(token);
    http_request request;
    request.url = url_;
    request.headers = {{"accept", "application/json"}};
    if (!token.empty()) request.headers.push_back({"authorization", token});
    request.connect_timeout = std::chrono::seconds(2);
    request.timeout = std::chrono::seconds(10);
    auto response = http_->perform(request, stop);
    const wiped_at_end response_wiped(response.body);
    if (!response.is_success()) {
      const auto message = what_ + " answers with status " + std::to_string(response.status);
      if (response.status >= 500 || response.status == 429) throw http_error(http_failure::broken, message);
      throw error(error_code::io, message);
    }
    return parse_credentials_json(as_bytes(response.body), what_);
  }

  std::string url_;
  std::shared_ptr<http_client> http_;
  std::string what_;
};

/// From the instance metadata service, version 2, or version 1 where there is only that. Throws not_found where there
/// is no such service, or no role for this machine.
class instance_credentials final : public fetched_credentials {
public:
  explicit instance_credentials(std::shared_ptr<http_client> http)
      : endpoint_(metadata_service::instance_endpoint()), http_(std::move(http)),
        what_("the instance metadata service " + endpoint_) {}

private:
  // Where nothing answers, everybody without credentials waits for this.
  static constexpr std::chrono::seconds connect_timeout{1};
  static constexpr std::chrono::seconds timeout{5};
  static constexpr const char* roles = "/latest/meta-data/iam/security-credentials/";

  [[nodiscard]] s3_credentials fetch(const std::stop_token& stop) override {
    auto token = session_token(stop);
    const wiped_at_end token_wiped(token);
    auto role = get(roles, token, stop);
    role.resize(std::min(role.find_first_of("\r\n"), role.size()));
    if (role.empty()) throw error(error_code::not_found, what_ + " has no role for this machine");
    auto answer = get(roles + uri_escape_path(role), token, stop);
    const wiped_at_end answer_wiped(answer);
    auto found = parse_credentials_json(as_bytes(answer), what_);
    found.source = what_ + " (role " + role + ")";
    return found;
  }

  [[nodiscard]] http_request request(const char* method, const std::string& path) const {
    http_request made;
    made.method = method;
    made.url = endpoint_ + path;
    made.connect_timeout = connect_timeout;
    made.timeout = timeout;
    return made;
  }

  /// Empty where version 2 is not spoken.
  [[nodiscard]] std::string session_token(const std::stop_token& stop) {
    auto put = request("PUT", "/latest/api/token");
    put.headers = {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}};
    put.timeout = std::chrono::seconds(1);  // from inside a container the answer may get lost: one hop is the limit
    http_response response;
    try {
      response = http_->perform(put, stop);
    } catch (const http_error& problem) {
      if (problem.kind() == http_failure::stalled) return {};
      throw error(error_code::not_found, what_ + " does not answer: " + problem.what());
    }
    if (response.is_success()) return std::move(response.body);
    if (response.status == 403 || response.status == 404 || response.status == 405) return {};
    throw_status(response.status);
  }

  [[nodiscard]] std::string get(const std::string& path, const std::string& token, const std::stop_token& stop) {
    auto asked = request("GET", path);
    if (!token.empty()) asked.headers = {{"x-aws-ec2-metadata-token", token}};
    http_response response;
    try {
      response = http_->perform(asked, stop);
    } catch (const http_error& problem) {
      if (token.empty()) throw error(error_code::not_found, what_ + " does not answer: " + problem.what());
      throw;
    }
    if (!response.is_success()) throw_status(response.status);
    return std::move(response.body);
  }

  [[noreturn]] void throw_status(int status) const {
    const auto message = what_ + " answers with status " + std::to_string(status);
    if (status >= 500 || status == 429) throw http_error(http_failure::broken, message);
    if (status == 404 || status == 403)
      throw error(error_code::not_found, message + ": it has no role for this machine");
    throw error(error_code::io, message);
  }

  std::string endpoint_;
  std::shared_ptr<http_client> http_;
  std::string what_;
};

}  // namespace recoup
