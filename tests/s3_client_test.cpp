// Which refusals the client takes for passing, and for how long. What real servers do is in tests/interop/s3.
#include <recoup/s3/client.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "canned_http_server.hpp"

namespace recoup {
namespace {

using recoup_test::canned_answer;
using recoup_test::canned_http_server;
using recoup_test::received_request;

const canned_answer name_is_a_directory{
    409, "<Error><Code>ExistingObjectIsDirectory</Code><Message>Existing Object is a directory.</Message></Error>"};

http_response put(const canned_http_server& server, std::vector<std::string>& warnings) {
  s3_settings settings;
  settings.region = "us-east-1";
  settings.lookup = s3_bucket_lookup::path;
  settings.anonymous = true;
  s3_environment environment;
  environment.on_warning = [&](const std::string& text) { warnings.push_back(text); };
  s3_client client({false, server.url().substr(7)}, settings, {}, environment);
  s3_request request;
  request.what = "save pack 1a2b3c4d";
  request.method = "PUT";
  request.bucket = "bucket";
  request.key = "data/1a/1a2b3c4d";
  return client.send(request);
}

TEST(s3_client_test, a_directory_that_went_away_under_an_upload_is_tried_again) {
  int asked = 0;
  const canned_http_server server(
      [&](const received_request&) { return ++asked <= 2 ? name_is_a_directory : canned_answer{}; });
  std::vector<std::string> warnings;
  EXPECT_EQ(put(server, warnings).status, 200);
  EXPECT_EQ(server.requests().size(), 3u);
}

TEST(s3_client_test, a_directory_that_stays_is_told_soon) {
  const canned_http_server server([](const received_request&) { return name_is_a_directory; });
  std::vector<std::string> warnings;
  try {
    put(server, warnings);
    FAIL() << "nothing was thrown";
  } catch (const s3_error& problem) {
    EXPECT_EQ(problem.refusal().code, "ExistingObjectIsDirectory");
    EXPECT_NE(std::string(problem.what()).find("save pack 1a2b3c4d"), std::string::npos) << problem.what();
  }
  EXPECT_EQ(server.requests().size(), 5u);
}

}  // namespace
}  // namespace recoup
