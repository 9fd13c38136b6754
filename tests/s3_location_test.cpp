// S3 locations as restic writes them.
#include <recoup/s3/location.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

struct spelling {
  const char* text;
  bool use_tls;
  const char* host;
  const char* bucket;
  const char* prefix;
};

// The first sixteen are the cases of restic's own test.
const spelling spellings[] = {
    {"s3://eu-central-1/bucketname", true, "eu-central-1", "bucketname", ""},
    {"s3://eu-central-1/bucketname/", true, "eu-central-1", "bucketname", ""},
    {"s3://eu-central-1/bucketname/prefix/directory", true, "eu-central-1", "bucketname", "prefix/directory"},
    {"s3://eu-central-1/bucketname/prefix/directory/", true, "eu-central-1", "bucketname", "prefix/directory"},
    {"s3:eu-central-1/foobar", true, "eu-central-1", "foobar", ""},
    {"s3:eu-central-1/foobar/", true, "eu-central-1", "foobar", ""},
    {"s3:eu-central-1/foobar/prefix/directory", true, "eu-central-1", "foobar", "prefix/directory"},
    {"s3:eu-central-1/foobar/prefix/directory/", true, "eu-central-1", "foobar", "prefix/directory"},
    {"s3:hostname.foo/foobar", true, "hostname.foo", "foobar", ""},
    {"s3:hostname.foo/foobar/prefix/directory", true, "hostname.foo", "foobar", "prefix/directory"},
    {"s3:https://hostname/foobar", true, "hostname", "foobar", ""},
    {"s3:https://hostname:9999/foobar", true, "hostname:9999", "foobar", ""},
    {"s3:https://hostname:9999/foobar/", true, "hostname:9999", "foobar", ""},
    {"s3:http://hostname:9999/foobar", false, "hostname:9999", "foobar", ""},
    {"s3:http://hostname:9999/bucket/prefix/directory", false, "hostname:9999", "bucket", "prefix/directory"},
    {"s3:http://hostname:9999/bucket/prefix/directory/", false, "hostname:9999", "bucket", "prefix/directory"},
    {"s3:http.example.org/bucket/p", true, "http.example.org", "bucket", "p"},
    {"s3:host:9000/bucket", true, "host:9000", "bucket", ""},
    {"s3:https://host:443/bucket", true, "host", "bucket", ""},
    {"s3:http://host:443/bucket", false, "host:443", "bucket", ""},
    {"s3:http://host:80/bucket", false, "host", "bucket", ""},
    {"s3:host:80/bucket", true, "host:80", "bucket", ""},
    {"s3:http://[::1]:9000/bucket/p", false, "[::1]:9000", "bucket", "p"},
    {"s3:https://[2001:db8::1]/bucket", true, "[2001:db8::1]", "bucket", ""},
    {"s3:[::1]:443/bucket", true, "[::1]", "bucket", ""},
    {"s3:http://10.20.0.103:9000/restic-backups", false, "10.20.0.103:9000", "restic-backups", ""},
    // A URL is unescaped, the short forms are not.
    {"s3:https://host/bucket/a%20b%2Bc+d/%C3%A4", true, "host", "bucket", "a b+c+d/\xc3\xa4"},
    {"s3:host/bucket/a%20b?c#d", true, "host", "bucket", "a%20b?c#d"},
    {"s3:https://host/bucket/a@b", true, "host", "bucket", "a@b"},
    {"s3:https://host/bucket/a%3Fb%23%25", true, "host", "bucket", "a?b#%"},
    // Go's path.Clean.
    {"s3:host/bucket/a//b/./c/../d//", true, "host", "bucket", "a/b/d"},
    {"s3:host/bucket/.", true, "host", "bucket", ""},
    {"s3:host/bucket//a", true, "host", "bucket", "/a"},
    {"s3:host/bucket//", true, "host", "bucket", "/"},
    {"s3:host/bucket//..", true, "host", "bucket", "/"},
    {"s3:host/My_bucket.1/a", true, "host", "My_bucket.1", "a"},
};

TEST(s3_location_test, every_spelling) {
  for (const auto& given : spellings) {
    const s3_location expected{{given.use_tls, given.host}, given.bucket, given.prefix};
    EXPECT_EQ(parse_s3_location(given.text), expected) << given.text;
    EXPECT_EQ(parse_s3_endpoint(given.text), expected) << given.text;
    // As text it is a URL, which gives the same again.
    EXPECT_EQ(parse_s3_location(expected.to_string()), expected) << expected.to_string();
  }
}

TEST(s3_location_test, text) {
  EXPECT_EQ(parse_s3_location("s3:host/bucket/a%b c/").to_string(), "s3:https://host/bucket/a%25b%20c");
  EXPECT_EQ(parse_s3_location("s3:http://h:1/bucket").to_string(), "s3:http://h:1/bucket");
  EXPECT_EQ(parse_s3_location("s3:http://h:1/bucket").url(), "http://h:1");
  EXPECT_EQ(parse_s3_location("s3:http://[::1]:1/bucket").host_name(), "::1");
  EXPECT_EQ(parse_s3_location("s3:host:1/bucket").host_name(), "host");
  EXPECT_EQ(parse_s3_location("s3:host/bucket").host_name(), "host");
}

TEST(s3_location_test, keys_are_joined_as_restic_does) {
  EXPECT_EQ(parse_s3_location("s3:host/bucket").key("data/ab/c"), "data/ab/c");
  EXPECT_EQ(parse_s3_location("s3:host/bucket/p/q").key("config"), "p/q/config");
  EXPECT_EQ(parse_s3_location("s3:host/bucket//p").key("config"), "/p/config");
  EXPECT_EQ(parse_s3_location("s3:host/bucket//").key("config"), "/config");
}

void refused(const char* text, std::string_view why) {
  expect_error(error_code::invalid_argument, why, [&] { (void)parse_s3_location(text); });
}

TEST(s3_location_test, refused) {
  refused("", "must begin with s3:");
  refused("local:/a", "must begin with s3:");
  for (const char* text : {"s3:", "s3://", "s3:///", "s3:////", "s3:///bucket/prefix", "s3:/bucket", "s3:https://",
                           "s3:http:///bucket", "s3::9000/bucket"})
    refused(text, "there is no host");
  for (const char* text : {"s3:host", "s3:host/", "s3://host", "s3:https://host", "s3:http://host/", "s3:host//prefix"})
    refused(text, "there is no bucket");
  refused("s3://https://host/bucket", "write s3:https://host/");
  refused("s3:https:/host/bucket", "write s3:https://host/");
  refused("s3:https://host/bucket/a?b", "write them as %3F");
  refused("s3:https://host/bucket#b", "write them as %3F");
  refused("s3:https://host/bucket/50%", "write % itself as %25");
  refused("s3:https://host/bucket/%zz", "write % itself as %25");
  refused("s3:https://host/bucket/%00", "zero byte");
  for (const char* text : {"s3:host:/bucket", "s3:host:0/bucket", "s3:host:65536/bucket", "s3:host:9a/bucket",
                           "s3:[::1]:/bucket", "s3:host:-1/bucket"})
    refused(text, "port must be a number");
  refused("s3:::1/bucket", "IPv6 addresses need brackets");
  refused("s3:http://fe80::1:9000/bucket", "IPv6 addresses need brackets");
  for (const char* text : {"s3:[::1/bucket", "s3:[]/bucket", "s3:[1.2.3.4]/bucket", "s3:[fe80::1%eth0]/bucket"})
    refused(text, "no IPv6 address in brackets");
  for (const char* text : {"s3:ho st/bucket", "s3:h\xc3\xb6st/bucket", "s3:https://ho%20st/bucket", "s3:a?b/bucket"})
    refused(text, "is no name of a host");
  for (const char* text : {"s3:host/bucket/..", "s3:host/bucket/../a", "s3:host/bucket/a/../../b",
                           "s3:https://host/bucket/%2E./a"})
    refused(text, "must not lead out of the bucket");
}

TEST(s3_location_test, bucket_names) {
  const auto bad = [](const std::string& name, std::string_view why) {
    const auto problem = problem_of_bucket_name(name);
    EXPECT_NE(problem.find(why), std::string::npos) << name << ": " << problem;
  };
  for (const char* name : {"abc", "a.b", "A_b:c", "192.168.1.1a", "1a.2"}) EXPECT_EQ(problem_of_bucket_name(name), "");
  EXPECT_EQ(problem_of_bucket_name(std::string(255, 'a')), "");
  bad("", "no name");
  bad("ab", "3 to 63");
  bad(std::string(256, 'a'), "3 to 63");
  for (const char* name : {"a b", "a+b", "a=b", "a%b", "\xc3\xa4pfel", "a/b", "a\nb"}) bad(name, "only letters");
  for (const char* name : {"-ab", "ab-", ".ab", "ab."}) bad(name, "begin and end");
  bad("a..b", "two dots");
  bad("192.168.1.1", "IP address");
  refused("s3:host/a b", "\"a b\" cannot be the name of a bucket");
}

TEST(s3_location_test, secrets_do_not_come_out_again) {
  for (const char* text : {"s3:https://user:pass@host/bucket", "s3:user:pass@host/bucket", "s3://user:pass@host/bucket",
                           "s3:https://user:pa/ss@host/bucket", "s3:https://user/pass@host/bucket",
                           "s3:https://user:pass@/bucket"}) {
    try {
      (void)parse_s3_location(text);
      ADD_FAILURE() << text << " was taken";
    } catch (const error& problem) {
      EXPECT_EQ(problem.code(), error_code::invalid_argument);
      const std::string said = problem.what();
      EXPECT_NE(said.find("secrets do not belong into a location"), std::string::npos) << said;
      for (const char* part : {"user:", "pass", "pa/", "ss@"}) EXPECT_EQ(said.find(part), std::string::npos) << said;
    }
  }
}

TEST(s3_location_test, servers_alone) {
  for (const char* text : {"s3:http://host:9000", "s3:http://host:9000/", "s3:http://host:9000//"}) {
    const s3_location expected{{false, "host:9000"}, "", ""};
    EXPECT_EQ(parse_s3_endpoint(text), expected) << text;
  }
  EXPECT_EQ(parse_s3_endpoint("s3:host").url(), "https://host");
  expect_error(error_code::invalid_argument, "there is no host", [] { (void)parse_s3_endpoint("s3:"); });
}

}  // namespace
}  // namespace recoup
