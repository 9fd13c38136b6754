// The servers that other tests run against: they start, keep what they hold across a kill, and end with the test.
#include "s3_server.hpp"

#include <gtest/gtest.h>

namespace {

using namespace recoup_test;

class s3_servers : public testing::TestWithParam<s3_program> {};

TEST_P(s3_servers, answer_and_refuse_who_does_not_sign) {
  const s3_server server(GetParam());
  server.make_bucket("somewhere");
  EXPECT_EQ(server.status_of("/somewhere/object"), 403) << server.log();
}

TEST_P(s3_servers, come_back_on_the_same_port_after_a_kill) {
  s3_server server(GetParam());
  const auto port = server.port();
  server.kill();
  EXPECT_EQ(server.status_of("/"), 0);
  server.start();
  EXPECT_EQ(server.port(), port);
  EXPECT_EQ(server.status_of("/"), 403);
}

TEST_P(s3_servers, run_beside_each_other_with_their_own_credentials) {
  const s3_server one(GetParam()), two(GetParam());
  EXPECT_NE(one.port(), two.port());
  EXPECT_NE(one.secret_key(), two.secret_key());
  EXPECT_NE(one.data(), two.data());
}

INSTANTIATE_TEST_SUITE_P(both, s3_servers, testing::Values(s3_program::minio, s3_program::versitygw),
                         [](const auto& chosen) { return chosen.param == s3_program::minio ? "minio" : "versitygw"; });

}  // namespace
