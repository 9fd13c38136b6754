// Credentials from services that exist inside a cloud only: instance metadata, the agents of ECS and EKS, and AWS's
// security token service with web identities. A server of our own stands in for them and answers as they are documented
// to; the token service of MinIO is asked in s3_sts_test.cpp.
#include <recoup/s3/credentials.hpp>

#include "canned_http_server.hpp"
#include "credentials_fixture.hpp"

namespace recoup {
namespace {

using recoup_test::canned_answer;
using recoup_test::canned_http_server;
using recoup_test::received_request;

constexpr char role_json[] = R"({"Code": "Success", "LastUpdated": "2024-01-01T00:00:00Z", "Type": "AWS-HMAC",
  "AccessKeyId": "ASIA", "SecretAccessKey": "secret", "Token": "token", "Expiration": "2100-01-01T00:00:00Z"})";

class s3_metadata_test : public credentials_fixture {
protected:
  std::shared_ptr<credential_provider> provider() {
    return default_credentials({{true, "s3.amazonaws.com"}, "eu-central-1", false, ""}, http_);
  }
  std::string found() { return shown(*provider()->get({})); }
  void refused(std::string_view why, error_code code = error_code::invalid_argument) {
    expect_error(code, why, [&] { (void)provider()->get({}); });
  }

  std::shared_ptr<http_client> http_ = std::make_shared<http_client>();
};

/// An instance with one role.
canned_answer instance(const received_request& request, bool speaks_version_2 = true) {
  if (request.target == "/latest/api/token") {
    if (!speaks_version_2) return {404, "<html>no</html>"};
    const auto lifetime = request.header("x-aws-ec2-metadata-token-ttl-seconds");
    return {request.method == "PUT" && lifetime == "21600" ? 200 : 400, "session"};
  }
  if (speaks_version_2 && request.header("x-aws-ec2-metadata-token") != "session") return {401, ""};
  if (request.target == "/latest/meta-data/iam/security-credentials/") return {200, "role 1\nrole 2\n"};
  if (request.target == "/latest/meta-data/iam/security-credentials/role%201") return {200, role_json};
  return {404, ""};
}

TEST_F(s3_metadata_test, instance_metadata) {
  canned_http_server service([](const auto& request) { return instance(request); });
  environment_.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url() + "/");
  const auto source = provider();
  const auto given = source->get({});
  EXPECT_EQ(shown(*given), "ASIA/secret/token");
  EXPECT_EQ(given->expires, std::chrono::sys_days{std::chrono::January / 1 / 2100});
  EXPECT_EQ(given->source, "the instance metadata service " + service.url() + " (role role 1)");
  EXPECT_EQ(source->get({}), given);
  EXPECT_EQ(service.requests().size(), 3u);
  EXPECT_TRUE(source->renew(*given));
  EXPECT_EQ(shown(*source->get({})), "ASIA/secret/token");
  EXPECT_EQ(service.requests().size(), 6u);
}

TEST_F(s3_metadata_test, instance_metadata_version_1) {
  canned_http_server service([](const auto& request) { return instance(request, false); });
  environment_.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url());
  EXPECT_EQ(found(), "ASIA/secret/token");
}

TEST_F(s3_metadata_test, instances_without_a_role_or_in_trouble) {
  canned_answer roles{404, ""}, role{200, ""};
  canned_http_server service([&](const received_request& request) -> canned_answer {
    if (request.method == "PUT") return {200, "session"};
    return request.target.ends_with('/') ? roles : role;
  });
  environment_.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url());
  refused("no credentials for S3 found");
  refused("has no role for this machine");
  roles = {200, ""};
  refused("has no role for this machine");
  roles = {500, ""};
  refused("answers with status 500", error_code::io);
  roles = {200, "r"};
  role = {200, R"({"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role r."})"};
  refused("says: AssumeRoleUnauthorizedAccess: EC2 cannot assume the role r.", error_code::io);
  role = {200, "not json"};
  refused("the instance metadata service " + service.url() + " is damaged", error_code::damaged);
}

TEST_F(s3_metadata_test, what_passes_can_be_told_from_what_does_not) {
  canned_http_server service([](const received_request&) { return canned_answer{503, ""}; });
  environment_.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url());
  try {
    (void)found();
    ADD_FAILURE();
  } catch (const http_error& problem) {
    EXPECT_TRUE(problem.is_passing());
  }
}

TEST_F(s3_metadata_test, where_the_instance_is_asked) {
  using metadata_service::instance_endpoint;
  EXPECT_EQ(instance_endpoint(), "http://169.254.169.254");
  environment_.set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6");
  EXPECT_EQ(instance_endpoint(), "http://[fd00:ec2::254]");
  environment_.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1//");
  EXPECT_EQ(instance_endpoint(), "http://127.0.0.1:1");
}

TEST_F(s3_metadata_test, containers) {
  canned_http_server service([](const received_request& request) -> canned_answer {
    if (request.target != "/role?x=1" || request.method != "GET") return {404, ""};
    return request.header("authorization") == "the token" ? canned_answer{200, role_json} : canned_answer{403, ""};
  });
  environment_.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", service.url() + "/role?x=1");
  refused("answers with status 403", error_code::io);
  environment_.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the token");
  EXPECT_EQ(found(), "ASIA/secret/token");
  EXPECT_EQ(provider()->get({})->source, "the container's credential service " + service.url() + "/role?x=1");
  // The file counts, and is read each time.
  const auto file = home_.write("token", "outdated");
  environment_.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file);
  refused("answers with status 403", error_code::io);
  const auto source = provider();
  home_.write("token", "the token\n");
  EXPECT_EQ(shown(*source->get({})), "ASIA/secret/token");
  home_.write("token", "the\r\ntoken");
  refused("must not have line breaks");
  environment_.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", home_ / "missing");
  refused("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names", error_code::not_found);
}

TEST_F(s3_metadata_test, container_addresses) {
  const auto url = [&](const char* value) {
    environment_.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", value);
    return metadata_service::container_url();
  };
  for (const char* good :
       {"https://anywhere.example.org/a", "http://localhost:8080/a", "http://127.9.9.9/a", "http://[::1]/a",
        "http://169.254.170.2/a", "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/a"})
    EXPECT_EQ(url(good), good);
  for (const char* bad : {"http://example.org/a", "http://127.0.0.1.example.org/a", "http://169.254.169.254/",
                          "http://10.0.0.1?127.0.0.1", "http://[fd00:ec2::24]/"})
    expect_error(error_code::invalid_argument, "without TLS", [&] { (void)url(bad); });
  expect_error(error_code::invalid_argument, "must begin with https:// or http://", [&] { (void)url("ftp://a"); });
  environment_.set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1");
  EXPECT_EQ(url("http://localhost/"), "http://169.254.170.2/v2/credentials/1");
}

TEST_F(s3_metadata_test, web_identity) {
  canned_answer answer{200, R"(<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
    <AssumeRoleWithWebIdentityResult><Credentials><SessionToken>token</SessionToken>
    <SecretAccessKey>secret</SecretAccessKey><Expiration>2100-01-01T00:00:00.123Z</Expiration>
    <AccessKeyId>ASIA</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>
    </AssumeRoleWithWebIdentityResponse>)"};
  canned_http_server service([&](const received_request&) { return answer; });
  environment_.set("AWS_ENDPOINT_URL_STS", service.url() + "/ignored");
  environment_.set("AWS_WEB_IDENTITY_TOKEN_FILE", home_.write("jwt", "a.b-c_d\n"));
  environment_.set("AWS_ROLE_ARN", "arn:aws:iam::1:role/r");
  EXPECT_EQ(found(), "ASIA/secret/token");
  const auto asked = service.requests().at(0);
  EXPECT_EQ(asked.method + ' ' + asked.target, "POST /");
  EXPECT_EQ(asked.header("content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(asked.header("authorization"), "");
  EXPECT_EQ(asked.body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=a.b-c_d&RoleArn="
                        "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=recoup&DurationSeconds=3600");
  environment_.set("AWS_ROLE_SESSION_NAME", "pod");
  (void)found();
  EXPECT_NE(service.requests().back().body.find("RoleSessionName=pod"), std::string::npos);

  answer = {403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not you.</Message></Error></ErrorResponse>"};
  refused("refuses: status 403 AccessDenied: Not you.", error_code::io);
  answer = {400, "<html>proxy</html>"};
  refused("refuses: status 400", error_code::io);
  answer = {400, "proxy"};
  refused("refuses: status 400, \"proxy\"", error_code::io);
  answer = {200, "<AssumeRoleWithWebIdentityResponse/>"};
  refused("has no credentials in it", error_code::io);
  answer = {200, "<html/>"};
  refused("<html> stands where <AssumeRoleWithWebIdentityResponse> must", error_code::io);
  std::filesystem::remove(home_ / "jwt");
  refused("there is no web identity token", error_code::not_found);
}

TEST_F(s3_metadata_test, where_the_token_service_is_asked) {
  const auto asked = [](const char* region, const char* endpoint = "") {
    sts_role role;
    role.region = region;
    role.endpoint = endpoint;
    return sts::endpoint_of(role);
  };
  EXPECT_EQ(asked(""), "https://sts.amazonaws.com");
  EXPECT_EQ(asked("eu-west-1"), "https://sts.eu-west-1.amazonaws.com");
  EXPECT_EQ(asked("cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn");
  environment_.set("AWS_ENDPOINT_URL_STS", "https://sts.example.org");
  EXPECT_EQ(asked("eu-west-1"), "https://sts.example.org");
  EXPECT_EQ(asked("eu-west-1", "https://other"), "https://other");
  EXPECT_EQ(sts::parse_endpoint("https://a:443/b/c").url(), "https://a");
  expect_error(error_code::invalid_argument, "must begin with https://",
               [] { (void)sts::parse_endpoint("sts.example.org"); });
  expect_error(error_code::invalid_argument, "security token service",
               [] { (void)sts::parse_endpoint("https://a:b"); });
}

}  // namespace
}  // namespace recoup
