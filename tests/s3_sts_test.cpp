// Roles taken on at a real MinIO, and what its S3 says to requests signed by us.
#include <recoup/s3/credentials.hpp>

#include <thread>

#include "credentials_fixture.hpp"
#include "s3_server.hpp"

namespace recoup {
namespace {

using recoup_test::s3_program;
using recoup_test::s3_server;

class s3_sts_test : public credentials_fixture {
protected:
  // Before the home of a test hides where the programs are.
  static void SetUpTestSuite() { server_ = std::make_unique<s3_server>(s3_program::minio); }
  static void TearDownTestSuite() { server_.reset(); }
  static s3_server& minio() { return *server_; }

  s3_sts_test() {
    environment_.set("AWS_ACCESS_KEY_ID", minio().access_key());
    environment_.set("AWS_SECRET_ACCESS_KEY", minio().secret_key());
    environment_.set("RESTIC_AWS_ASSUME_ROLE_ARN", "arn:minio:iam:::role/any");
    environment_.set("RESTIC_AWS_ASSUME_ROLE_STS_ENDPOINT", minio().endpoint());
  }

  std::shared_ptr<credential_provider> provider() {
    return default_credentials({{false, "127.0.0.1:" + std::to_string(minio().port())}, "", false, ""}, http_);
  }

  /// MinIO says for some moments after its start that it is not there yet.
  std::shared_ptr<const s3_credentials> role() {
    const auto source = provider();
    for (int attempt = 1;; ++attempt) {
      try {
        return source->get({});
      } catch (const http_error& problem) {
        if (!problem.is_passing() || attempt == 100) throw;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
  }

  /// What a GET of `path` is answered.
  http_response get(const s3_credentials& credentials, const std::string& path, const uri_query& query = {}) {
    signing_request to_sign;
    to_sign.host = "127.0.0.1:" + std::to_string(minio().port());
    to_sign.path = path;
    to_sign.query = query;
    http_request request;
    request.url = minio().endpoint() + uri_escape_path(path) + (query.empty() ? "" : "?" + uri_query_string(query));
    request.headers = sign(to_sign, credentials, {"us-east-1"}, std::chrono::system_clock::now());
    return http_->perform(request);
  }

  inline static std::unique_ptr<s3_server> server_;
  std::shared_ptr<http_client> http_ = std::make_shared<http_client>();
};

TEST_F(s3_sts_test, a_role_signs_requests) {
  minio().make_bucket("bucket");
  const auto given = role();
  EXPECT_NE(given->access_key_id, minio().access_key());
  EXPECT_FALSE(given->session_token.empty());
  ASSERT_TRUE(given->expires.has_value());
  const auto lifetime = *given->expires - std::chrono::system_clock::now();
  EXPECT_GT(lifetime, std::chrono::minutes(58));
  EXPECT_LE(lifetime, std::chrono::minutes(61));
  const auto listed = get(*given, "/");
  ASSERT_EQ(listed.status, 200) << listed.body;
  const auto buckets = parse_xml(listed.body, "the list", "ListAllMyBucketsResult");
  EXPECT_EQ(buckets.text_of("Buckets", "Bucket", "Name"), "bucket");

  auto tampered = *given;
  tampered.session_token.back() = tampered.session_token.back() == 'A' ? 'B' : 'A';
  EXPECT_EQ(get(tampered, "/").status, 403);
}

TEST_F(s3_sts_test, a_policy_narrows_it) {
  minio().make_bucket("bucket");
  environment_.set("RESTIC_AWS_ASSUME_ROLE_POLICY", R"({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::bucket"]}]})");
  const auto given = role();
  EXPECT_EQ(get(*given, "/bucket", {{"list-type", "2"}}).status, 200);
  EXPECT_EQ(get(*given, "/bucket/object").status, 403);
}

TEST_F(s3_sts_test, wrong_keys) {
  (void)role();
  environment_.set("AWS_SECRET_ACCESS_KEY", "something else");
  expect_error(error_code::io, "refuses: status 403 AccessDenied: The request signature we calculated does not match",
               [&] { (void)provider()->get({}); });
  expect_error(error_code::io, "asked with environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
               [&] { (void)provider()->get({}); });
  environment_.set("RESTIC_AWS_ASSUME_ROLE_STS_ENDPOINT", "http://127.0.0.1:9");
  EXPECT_THROW((void)provider()->get({}), http_error);
}

TEST_F(s3_sts_test, names_that_need_escaping) {
  minio().make_bucket("bucket");
  s3_credentials keys;
  keys.access_key_id = minio().access_key();
  keys.secret_access_key = make_secret(minio().secret_key());
  for (const std::string key : {"a b", "a+b", "a=b&c", "50%", "%41", "\xc3\xa4\xe1\x88\xb4", "a~b", "a?b#c", "(a)*'!",
                                "a:@,;$", "d/e f/g"}) {
    const auto response = get(keys, "/bucket/" + key);
    EXPECT_EQ(response.status, 404) << key << ": " << response.body;
    const auto refusal = parse_xml(response.body, "an error", "Error");
    EXPECT_EQ(refusal.text_of("Code"), "NoSuchKey") << key;
    EXPECT_EQ(refusal.text_of("Key"), key);
    const auto list = get(keys, "/bucket", {{"list-type", "2"}, {"prefix", key}, {"delimiter", "/"}});
    ASSERT_EQ(list.status, 200) << list.body;
    EXPECT_EQ(parse_xml(list.body, "a list", "ListBucketResult").text_of("Prefix"), key);
  }
}

TEST_F(s3_sts_test, presigned_urls) {
  minio().make_bucket("bucket");
  s3_credentials keys;
  keys.access_key_id = minio().access_key();
  keys.secret_access_key = make_secret(minio().secret_key());
  signing_request to_sign;
  to_sign.host = "127.0.0.1:" + std::to_string(minio().port());
  to_sign.path = "/bucket/a b+c";
  const auto ask = [&](std::chrono::system_clock::time_point now) {
    http_request request;
    request.url = minio().endpoint() + presign(to_sign, keys, {"us-east-1"}, now, std::chrono::seconds(60));
    return http_->perform(request);
  };
  EXPECT_EQ(ask(std::chrono::system_clock::now()).status, 404);
  EXPECT_EQ(ask(std::chrono::system_clock::now() - std::chrono::seconds(120)).status, 403);
  to_sign.query = {{"response-content-type", "text/plain; charset=utf-8"}};
  EXPECT_EQ(ask(std::chrono::system_clock::now()).status, 404);
}

}  // namespace
}  // namespace recoup
