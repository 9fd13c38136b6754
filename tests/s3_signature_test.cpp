// Signature Version 4 against what AWS publishes: the examples in S3's documentation ("Authenticating Requests: Using
// the Authorization Header" and "… Using Query Parameters") and the cases of AWS's general test suite.
#include <gtest/gtest.h>

#include <thread>

#include <recoup/s3/signature.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

using namespace std::chrono_literals;

s3_credentials credentials(std::string id, std::string_view secret, std::string token = {}) {
  return {std::move(id), make_secret(secret), std::move(token), std::nullopt, "a test"};
}

std::string signature(const std::vector<http_header>& added) {
  for (const auto& header : added)
    if (header.name == "authorization") return header.value.substr(header.value.rfind('=') + 1);
  return "none";
}

class s3_documentation_test : public testing::Test {
protected:
  signing_request request(std::string method = "GET", std::string path = "/") const {
    signing_request made;
    made.method = std::move(method);
    made.host = "examplebucket.s3.amazonaws.com";
    made.path = std::move(path);
    return made;
  }

  const s3_credentials keys_ = credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
  const signing_scope scope_{"us-east-1"};
  const std::chrono::system_clock::time_point now_ = std::chrono::sys_days{std::chrono::May / 24 / 2013};
};

TEST_F(s3_documentation_test, get_object) {
  auto get = request("GET", "/test.txt");
  get.headers = {{"Range", "bytes=0-9"}};
  const auto added = sign(get, keys_, scope_, now_);
  ASSERT_EQ(added.size(), 3u);
  EXPECT_EQ(added[0].name + ": " + added[0].value, "x-amz-date: 20130524T000000Z");
  EXPECT_EQ(added[1].name, "x-amz-content-sha256");
  EXPECT_EQ(added[1].value, empty_payload_hash);
  EXPECT_EQ(added[2].value,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST_F(s3_documentation_test, put_object) {
  auto put = request("PUT", "/test$file.text");
  put.headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  put.payload_hash = sha256(as_bytes("Welcome to Amazon S3.")).hex();
  EXPECT_EQ(signature(sign(put, keys_, scope_, now_)),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST_F(s3_documentation_test, get_bucket_lifecycle) {
  auto get = request();
  get.query = {{"lifecycle", ""}};
  EXPECT_EQ(signature(sign(get, keys_, scope_, now_)),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST_F(s3_documentation_test, list_objects) {
  auto get = request();
  get.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(signature(sign(get, keys_, scope_, now_)),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST_F(s3_documentation_test, presigned_url) {
  EXPECT_EQ(presign(request("GET", "/test.txt"), keys_, scope_, now_, 86400s),
            "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1"
            "%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

/// One case of the general suite: service "service", us-east-1, 2015-08-30T12:36:00Z.
struct suite_case {
  const char* name;
  const char* method;
  const char* path;
  uri_query query;
  std::vector<http_header> headers;
  const char* body;
  const char* signature;
};

constexpr char unreserved[] = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr char vanilla[] = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
constexpr char short_token[] = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
constexpr char long_token[] =
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwth"
    "Ax7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAk"
    "iY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

const suite_case suite[] = {
    {"vanilla", "GET", "/", {}, {}, "", vanilla},
    {"vanilla post", "POST", "/", {}, {}, "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"equal headers", "GET", "/", {},
     {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}, "",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"order of equal headers", "GET", "/", {},
     {{"My-Header1", "value4"}, {"My-Header1", "value1"}, {"My-Header1", "value3"}, {"My-Header1", "value2"}}, "",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    // The suite folds this over three lines, which HTTP no longer has (RFC 9112 section 5.2): blanks stand for them.
    {"folded header", "GET", "/", {}, {{"My-Header1", "value1   value2      value3"}}, "",
     "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"},
    {"blanks in headers", "GET", "/", {}, {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}, "",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"header in order", "POST", "/", {}, {{"My-Header1", "value1"}}, "",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"case of header values", "POST", "/", {}, {{"My-Header1", "VALUE1"}}, "",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"unreserved path", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", {}, {}, "",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"utf-8 path", "GET", "/\u1234", {}, {}, "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"one parameter", "GET", "/", {{"Param1", "value1"}}, {}, "",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"one parameter posted", "POST", "/", {{"Param1", "value1"}}, {}, "",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"order of escaped names", "GET", "/", {{"Param-3", "Value3"}, {"Param", "Value2"}, {"\u1234", "Value1"}}, {}, "",
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
    {"order of names", "GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}, {}, "",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"order of values, by case", "GET", "/", {{"Param1", "value2"}, {"Param1", "Value1"}}, {}, "",
     "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
    {"order of values", "GET", "/", {{"Param1", "value2"}, {"Param1", "value1"}}, {}, "",
     "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
    {"unreserved query", "GET", "/", {{unreserved, unreserved}}, {}, "",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"utf-8 query", "GET", "/", {{"\u1234", "bar"}}, {}, "",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"relative twice", "GET", "/example1/example2/../..", {}, {}, "", vanilla},
    {"relative", "GET", "/example/..", {}, {}, "", vanilla},
    {"dot and slash", "GET", "/./", {}, {}, "", vanilla},
    {"dot in front", "GET", "/./example", {}, {}, "",
     "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
    {"two slashes", "GET", "//", {}, {}, "", vanilla},
    {"many slashes", "GET", "//example//", {}, {}, "",
     "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
    {"space", "GET", "/example space/", {}, {}, "", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"special character", "GET", "/example/$delete", {}, {}, "",
     "a853c9b21b528b19643d00910d35b83a10c366a10833ceefb45edd6c80e40f27"},
    {"form with charset", "POST", "/", {}, {{"Content-Type", "application/x-www-form-urlencoded; charset=utf8"}},
     "Param1=value1", "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
    {"form", "POST", "/", {}, {{"Content-Type", "application/x-www-form-urlencoded"}}, "Param1=value1",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
};

class signature_suite_test : public testing::Test {
protected:
  std::string signature_of(const suite_case& given, std::string token = {}) const {
    const signing_request request{given.method, "example.amazonaws.com", given.path,
                                  given.query,  given.headers,           sha256(as_bytes(given.body)).hex()};
    const auto keys = credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", std::move(token));
    return signature(sign(request, keys, {"us-east-1", "service", true}, now_));
  }

  const std::chrono::system_clock::time_point now_ =
      std::chrono::sys_days{std::chrono::August / 30 / 2015} + 12h + 36min + 999ms;
};

TEST_F(signature_suite_test, every_case) {
  for (const auto& given : suite) EXPECT_EQ(signature_of(given), given.signature) << given.name;
}

TEST_F(signature_suite_test, session_tokens_are_signed) {
  EXPECT_EQ(signature_of({"", "GET", "/", {}, {}, "", ""}, short_token),
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8");
  EXPECT_EQ(signature_of({"", "POST", "/", {}, {}, "", ""}, long_token),
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead");
}

TEST_F(s3_documentation_test, paths_are_not_normalised) {
  const auto plain = signature(sign(request("GET", "/a/b"), keys_, scope_, now_));
  EXPECT_NE(signature(sign(request("GET", "/a//b"), keys_, scope_, now_)), plain);
  EXPECT_NE(signature(sign(request("GET", "/a/./b"), keys_, scope_, now_)), plain);
  EXPECT_NE(signature(sign(request("GET", "/c/../a/b"), keys_, scope_, now_)), plain);
}

TEST_F(s3_documentation_test, keys_are_kept_apart) {
  const auto first = signature(sign(request(), keys_, scope_, now_));
  const auto other = [&](const s3_credentials& keys, const signing_scope& scope, auto now) {
    return signature(sign(request(), keys, scope, now));
  };
  // The same id with another secret, another region, service and day: more of them than are kept.
  const auto changed = credentials(keys_.access_key_id, "another");
  std::vector<std::string> seen{first};
  for (int round = 0; round < 2; ++round) {
    for (const auto& next : {other(changed, scope_, now_), other(keys_, {"eu-west-1"}, now_),
                             other(keys_, {"us-east-1", "sts"}, now_), other(keys_, scope_, now_ + 24h),
                             other(keys_, {"eu-west-2"}, now_)}) {
      EXPECT_EQ(std::ranges::count(seen, next), round);
      if (round == 0) seen.push_back(next);
    }
    EXPECT_EQ(other(keys_, scope_, now_), first);
  }
  // Memory of a secret that is gone may be used again by the next one.
  for (int round = 0; round < 100; ++round) {
    const auto one = other(credentials("id", "secret " + std::to_string(round)), scope_, now_);
    EXPECT_EQ(std::ranges::count(seen, one), 0);
    seen.push_back(one);
  }
}

TEST_F(s3_documentation_test, threads_sign_alike) {
  const auto expected = signature(sign(request(), keys_, scope_, now_));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round)
        EXPECT_EQ(signature(sign(request(), keys_, scope_, now_)), expected);
    });
  for (auto& thread : threads) thread.join();
}

TEST_F(s3_documentation_test, anonymous_requests_stay_unsigned) {
  EXPECT_TRUE(sign(request(), {}, {}, now_).empty());
  auto get = request("GET", "/a b");
  EXPECT_EQ(presign(get, {}, {}, now_, 1s), "/a%20b");
  get.query = {{"versionId", "1"}};
  EXPECT_EQ(presign(get, {}, {}, now_, 1s), "/a%20b?versionId=1");
}

TEST_F(s3_documentation_test, a_presigned_url_carries_token_and_headers) {
  auto get = request("GET", "/a");
  get.headers = {{"x-amz-meta-b", "c"}};
  const auto url = presign(get, credentials("id", "secret", "to/ken"), scope_, now_, 1s);
  EXPECT_NE(url.find("&X-Amz-Security-Token=to%2Fken&X-Amz-SignedHeaders=host%3Bx-amz-meta-b&"), std::string::npos);
}

TEST_F(s3_documentation_test, refuses_what_cannot_be_right) {
  const auto refused = [&](const std::string& expected, const signing_request& bad, const signing_scope& scope) {
    expect_error(error_code::invalid_argument, expected, [&] { (void)sign(bad, keys_, scope, now_); });
  };
  refused("must begin with a slash", request("GET", "a"), scope_);
  refused("without a region", request(), {""});
  auto split = request();
  split.headers = {{"x-amz-meta-a", "b\r\nauthorization: c"}};
  refused("line breaks", split, scope_);
  for (const auto lifetime : {0s, -1s, std::chrono::seconds(604801)})
    expect_error(error_code::invalid_argument, "1 second to 7 days",
                 [&] { (void)presign(request(), keys_, scope_, now_, lifetime); });
}

}  // namespace
}  // namespace recoup
