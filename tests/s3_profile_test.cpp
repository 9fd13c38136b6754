// Profiles of ~/.aws: keys, programs, roles.
#include <recoup/s3/credentials.hpp>

#include <thread>

#include "canned_http_server.hpp"
#include "credentials_fixture.hpp"

namespace recoup {
namespace {

using namespace std::chrono_literals;

class s3_profile_test : public credentials_fixture {
protected:
  s3_profile_test() { environment_.set("AWS_EC2_METADATA_DISABLED", "true"); }

  std::shared_ptr<credential_provider> provider(std::string profile = {}) {
    return default_credentials({{false, "127.0.0.1:9000"}, "", false, std::move(profile)}, http_);
  }
  std::string found(std::string profile = {}) { return shown(*provider(std::move(profile))->get({})); }
  void refused(std::string_view why, std::string profile = {}, error_code code = error_code::invalid_argument) {
    expect_error(code, why, [&] { (void)provider(profile)->get({}); });
  }
  void credentials(std::string_view text) { home_.write(".aws/credentials", text); }
  void config(std::string_view text) { home_.write(".aws/config", text); }

  std::shared_ptr<http_client> http_ = std::make_shared<http_client>();
};

TEST_F(s3_profile_test, keys_as_aws_configure_writes_them) {
  credentials("[default]\naws_access_key_id = AKIA\naws_secret_access_key = a/b+c=\n\n"
              "[work]\naws_access_key_id=W\naws_secret_access_key=s\naws_session_token=t==\n");
  EXPECT_EQ(found(), "AKIA/a/b+c=/");
  EXPECT_EQ(found("work"), "W/s/t==");
  EXPECT_EQ(provider("work")->get({})->source, "profile work of " + (home_ / ".aws/credentials"));
  environment_.set("AWS_PROFILE", "work");
  EXPECT_EQ(found(), "W/s/t==");
  environment_.set("AWS_PROFILE", "none");
  refused("there are no credentials for the profile none");
  refused("it is the environment variable AWS_PROFILE that names it");
}

TEST_F(s3_profile_test, spellings) {
  credentials("\xef\xbb\xbf# comment\r\n; another\r\n\r\n[ default ]\r\n"
              "AWS_Access_Key_ID  =  id ; remark\r\naws_secret_access_key = s#;c # remark\r\n"
              "s3 =\r\n  aws_access_key_id = nested\r\n\taws_secret_access_key = nested\r\nempty =\r\n"
              "[other]\n[default]\naws_session_token = late");
  EXPECT_EQ(found(), "id/s#;c/late");
  // Where all settings of a section are indented alike, none of them is nested.
  credentials("[default]\n  aws_access_key_id = id\n  s3 =\n    aws_access_key_id = nested\n"
              "  aws_secret_access_key = s\n");
  EXPECT_EQ(found(), "id/s/");
}

TEST_F(s3_profile_test, faults_name_the_line_and_not_its_content) {
  const auto fault = [&](std::string_view text, const std::string& why) {
    credentials(text);
    try {
      (void)found();
      ADD_FAILURE() << text;
    } catch (const error& problem) {
      const std::string said = problem.what();
      EXPECT_NE(said.find(".aws/credentials, line " + why), std::string::npos) << said;
      EXPECT_EQ(said.find("hush"), std::string::npos) << said;
    }
  };
  fault("[default]\naws_secret_access_key: hush\n", "2: there is neither a section nor");
  fault("\naws_secret_access_key = hush\n", "2: a setting stands before the first section");
  fault("[default]\n[hush\n", "2: a section's name lacks its closing bracket");
}

TEST_F(s3_profile_test, half_a_pair) {
  credentials("[default]\naws_access_key_id = id\n");
  refused("profile default of " + (home_ / ".aws/credentials") + " has aws_access_key_id but no aws_secret_access_key");
  credentials("[default]\naws_secret_access_key = s\n");
  refused("has aws_secret_access_key but no aws_access_key_id");
}

TEST_F(s3_profile_test, both_files_make_one_profile) {
  config("[default]\nregion = eu\naws_access_key_id = c\naws_secret_access_key = c\naws_session_token = c\n"
         "[profile work]\naws_access_key_id = p\naws_secret_access_key = p\n[work]\naws_access_key_id = no profile\n");
  EXPECT_EQ(found(), "c/c/c");
  EXPECT_EQ(found("work"), "p/p/");
  credentials("[default]\naws_access_key_id = d\naws_secret_access_key = d\n[profile work]\naws_access_key_id = x\n");
  EXPECT_EQ(found(), "d/d/");
  EXPECT_EQ(found("work"), "p/p/");
  const auto files = aws_profile_files::load();
  EXPECT_EQ(files.find("default")->get("region"), "eu");
}

TEST_F(s3_profile_test, files_elsewhere) {
  environment_.set("AWS_SHARED_CREDENTIALS_FILE", home_.write("there", "[default]\naws_access_key_id=a\n"));
  environment_.set("AWS_CONFIG_FILE", home_.write("here", "[default]\naws_secret_access_key=b\n"));
  refused("has aws_access_key_id but no");
  environment_.unset("AWS_SHARED_CREDENTIALS_FILE");
  environment_.set("AWS_SHARED_CREDENTIALS_FILE", home_.path().string());
  refused("cannot read AWS's credentials file (" + home_.path().string() + ")", {}, error_code::io);
}

TEST_F(s3_profile_test, new_keys_in_the_file_are_found) {
  credentials("[default]\naws_access_key_id = a\naws_secret_access_key = a\n");
  const auto source = provider();
  const auto before = source->get({});
  credentials("[default]\naws_access_key_id = b\naws_secret_access_key = b\n");
  EXPECT_EQ(source->get({}), before);
  EXPECT_TRUE(source->renew(*before));
  const auto after = source->get({});
  EXPECT_EQ(shown(*after), "b/b/");
  EXPECT_TRUE(source->renew(*after));
  EXPECT_FALSE(source->renew(*source->get({})));
}

TEST_F(s3_profile_test, credential_process) {
  const auto script = home_.write("give keys", "#!/bin/sh\ncat \"$1\"\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  config("[default]\ncredential_process = '" + script + "' \"" + (home_ / "answer") + "\"\n");
  home_.write("answer", R"({"Version": 1, "AccessKeyId": "p", "SecretAccessKey": "q\/r", "SessionToken": "t",
                            "Expiration": "2100-01-02T03:04:05Z"})");
  const auto given = provider()->get({});
  EXPECT_EQ(shown(*given), "p/q/r/t");
  EXPECT_EQ(given->expires, std::chrono::sys_days{std::chrono::January / 2 / 2100} + 3h + 4min + 5s);
  EXPECT_EQ(given->source, "the credential_process of profile default of " + (home_ / ".aws/config"));
  home_.write("answer", R"({"Version": 1, "AccessKeyId": "p", "SecretAccessKey": "q"})");
  EXPECT_FALSE(provider()->get({})->expires.has_value());
  home_.write("answer", R"({"AccessKeyId": "p", "SecretAccessKey": "q", "Expiration": "9999-12-31T23:59:59Z"})");
  EXPECT_GT(provider()->get({})->expires, std::chrono::sys_days{std::chrono::January / 1 / 2200});
  home_.write("answer", R"({"Version": 1, "AccessKeyId": "p", "SecretAccessKey": "q", "Expiration": "tomorrow"})");
  refused("Expiration must be a time", {}, error_code::damaged);
  home_.write("answer", R"({"Version": 1})");
  refused("has no AccessKeyId", {}, error_code::damaged);
  home_.write("answer", "hush");
  refused("the credential_process of profile default", {}, error_code::damaged);
  config("[default]\ncredential_process = echo; exit 3\n");
  refused("failed with exit status 3", {}, error_code::io);
  config("[default]\ncredential_process = kill -9 $$\n");
  refused("was ended by signal 9", {}, error_code::io);
  config("[default]\ncredential_process = /nowhere/at/all\n");
  refused("failed with exit status 127", {}, error_code::io);
  config("[default]\ncredential_process = yes\n");
  refused("more than 64 KiB", {}, error_code::io);
}

TEST_F(s3_profile_test, a_credential_process_can_be_stopped) {
  config("[default]\ncredential_process = sleep 60\n");
  const auto source = provider();
  std::stop_source stop;
  std::thread stopper([&] {
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
  });
  const auto start = std::chrono::steady_clock::now();
  expect_error(error_code::interrupted, "", [&] { (void)source->get(stop.get_token()); });
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
  stopper.join();
}

TEST_F(s3_profile_test, a_role_with_another_profiles_keys) {
  recoup_test::canned_http_server service([](const recoup_test::received_request& request) {
    const bool is_second = request.body.find("outer") != std::string::npos;
    return recoup_test::canned_answer{200, std::string("<AssumeRoleResponse><AssumeRoleResult><Credentials>"
                                                       "<AccessKeyId>") + (is_second ? "outer" : "inner") +
                                               "</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t"
                                               "</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>"
                                               "</Credentials></AssumeRoleResult></AssumeRoleResponse>"};
  });
  environment_.set("AWS_ENDPOINT_URL_STS", service.url());
  config("[profile outer]\nrole_arn = arn:aws:iam::1:role/outer\nsource_profile = inner\nexternal_id = e f\n"
         "role_session_name = nightly\nduration_seconds = 900\nregion = eu-central-1\n"
         "[profile inner]\nrole_arn = arn:aws:iam::1:role/inner\nsource_profile = base\n"
         "[profile base]\naws_access_key_id = base\naws_secret_access_key = b\n"
         "[profile self]\nrole_arn = r\nsource_profile = self\naws_access_key_id = own\naws_secret_access_key = o\n");
  EXPECT_EQ(found("outer"), "outer/s/t");
  const auto requests = service.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_NE(requests[0].header("authorization").find("Credential=base/"), std::string::npos);
  EXPECT_NE(requests[0].header("authorization").find("/us-east-1/sts/aws4_request"), std::string::npos);
  EXPECT_EQ(requests[0].body.find("ExternalId"), std::string::npos);
  EXPECT_NE(requests[1].header("authorization").find("Credential=inner/"), std::string::npos);
  EXPECT_NE(requests[1].header("authorization").find("/eu-central-1/sts/aws4_request"), std::string::npos);
  EXPECT_EQ(requests[1].header("x-amz-security-token"), "t");
  EXPECT_EQ(requests[1].body, "Action=AssumeRole&Version=2011-06-15&ExternalId=e%20f&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3A"
                              "role%2Fouter&RoleSessionName=nightly&DurationSeconds=900");
  EXPECT_EQ(found("self"), "inner/s/t");
  EXPECT_NE(service.requests().back().header("authorization").find("Credential=own/"), std::string::npos);
}

TEST_F(s3_profile_test, roles_that_make_no_sense) {
  config("[profile none]\nrole_arn = r\n"
         "[profile both]\nrole_arn = r\nsource_profile = a\ncredential_source = Environment\n"
         "[profile lost]\nrole_arn = r\nsource_profile = nowhere\n"
         "[profile round]\nrole_arn = r\nsource_profile = back\n[profile back]\nrole_arn = r\nsource_profile = round\n"
         "[profile mfa]\nrole_arn = r\nsource_profile = a\nmfa_serial = m\n"
         "[profile sso]\nsso_session = s\nsso_account_id = 1\nsso_role_name = n\n"
         "[profile env]\nrole_arn = r\ncredential_source = Environment\n"
         "[profile ecs]\nrole_arn = r\ncredential_source = EcsContainer\n"
         "[profile odd]\nrole_arn = r\ncredential_source = Odd\n");
  refused("it has none", "none");
  refused("it has several", "both");
  refused("source_profile nowhere does not exist", "lost");
  refused("leads back to itself", "round");
  refused("second factor", "mfa", error_code::unsupported);
  refused("single sign-on", "sso", error_code::unsupported);
  refused("AWS_SECRET_ACCESS_KEY are not set", "env");
  refused("AWS_CONTAINER_CREDENTIALS_FULL_URI is set", "ecs");
  refused("must be Environment, Ec2InstanceMetadata or EcsContainer", "odd");
}

}  // namespace
}  // namespace recoup
