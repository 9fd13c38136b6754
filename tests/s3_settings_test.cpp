// What `-o s3.…` sets.
#include <recoup/s3/settings.hpp>

#include "scoped_environment.hpp"
#include "test_data.hpp"

namespace recoup {
namespace {

using namespace std::chrono_literals;

class s3_settings_test : public testing::Test {
protected:
  s3_settings_test() {
    for (const char* name : {"AWS_DEFAULT_REGION", "AWS_REGION"}) environment_.unset(name);
  }

  static s3_settings parse(const std::map<std::string, std::string>& options, bool use_tls = true) {
    return parse_s3_settings(options, {use_tls, "host"});
  }
  static void refused(const char* option, const char* value, std::string_view why) {
    expect_error(error_code::invalid_argument, why, [&] { (void)parse({{option, value}}); });
  }

  scoped_environment environment_;
};

TEST_F(s3_settings_test, defaults_are_restics) {
  const auto settings = parse({{"local.connections", "x"}});
  EXPECT_EQ(settings.region, "");
  EXPECT_EQ(settings.lookup, s3_bucket_lookup::automatic);
  EXPECT_EQ(settings.connections, 0u);
  EXPECT_EQ(settings.retries, 0u);
  EXPECT_EQ(settings.storage_class, "");
  EXPECT_FALSE(settings.list_objects_v1 || settings.anonymous || settings.unsigned_payload || settings.enable_restore);
  EXPECT_EQ(settings.restore_days, 7u);
  EXPECT_EQ(settings.restore_timeout, 24h);
  EXPECT_EQ(settings.restore_tier, "Standard");
}

TEST_F(s3_settings_test, every_option) {
  const auto settings = parse({{"s3.region", "eu-central-1"},       {"s3.bucket-lookup", "DNS"},
                               {"s3.connections", "32"},            {"s3.retries", "3"},
                               {"s3.storage-class", "STANDARD_IA"}, {"s3.list-objects-v1", "1"},
                               {"s3.unsafe-anonymous-auth", "True"}, {"s3.unsigned-payload", "t"},
                               {"s3.enable-restore", "true"},       {"s3.restore-days", "14"},
                               {"s3.restore-timeout", "1h30m"},     {"s3.restore-tier", "Bulk"},
                               {"s3.layout", "default"}});
  EXPECT_EQ(settings.region, "eu-central-1");
  EXPECT_EQ(settings.lookup, s3_bucket_lookup::dns);
  EXPECT_EQ(settings.connections, 32u);
  EXPECT_EQ(settings.retries, 3u);
  EXPECT_EQ(settings.storage_class, "STANDARD_IA");
  EXPECT_TRUE(settings.list_objects_v1 && settings.anonymous && settings.unsigned_payload && settings.enable_restore);
  EXPECT_EQ(settings.restore_days, 14u);
  EXPECT_EQ(settings.restore_timeout, 90min);
  EXPECT_EQ(settings.restore_tier, "Bulk");
  EXPECT_EQ(parse({{"s3.bucket-lookup", "path"}}).lookup, s3_bucket_lookup::path);
  EXPECT_EQ(parse({{"s3.bucket-lookup", "auto"}}).lookup, s3_bucket_lookup::automatic);
}

TEST_F(s3_settings_test, the_error_for_an_unknown_option_names_them_all) {
  for (const auto name : s3_option::names) refused("s3.conections", "5", "s3." + std::string(name));
  refused("s3.conections", "5", "unknown option s3.conections");
  refused("s3.", "5", "unknown option s3.");
}

TEST_F(s3_settings_test, every_name_in_the_error_is_known) {
  for (const auto name : s3_option::names) {
    if (name == "profile") {  // the only one whose value may be any text
      EXPECT_EQ(parse({{"s3.profile", "?"}}).profile, "?");
      continue;
    }
    try {
      (void)parse({{"s3." + std::string(name), "?"}});
      ADD_FAILURE() << name;
    } catch (const error& problem) {
      EXPECT_EQ(std::string(problem.what()).find("option s3." + std::string(name) + "=?: "), 0u) << problem.what();
    }
  }
}

TEST_F(s3_settings_test, values_that_make_no_sense) {
  for (const char* bad : {"", "0", "1001", "-1", "+1", "5 ", "0x5", "five"})
    refused("s3.connections", bad, "whole number from 1 to 1000");
  refused("s3.retries", "-1", "whole number from 0 to 1000");
  for (const char* bad : {"", "yes", "on", "2"}) refused("s3.list-objects-v1", bad, "give true or false");
  refused("s3.bucket-lookup", "host", "give auto, dns or path");
  refused("s3.restore-days", "0", "whole number from 1");
  for (const char* bad : {"", "24", "-1h", "0", "1d"}) refused("s3.restore-timeout", bad, "such as 24h");
  refused("s3.restore-tier", "bulk", "Standard, Bulk or Expedited");
  refused("s3.layout", "s3legacy", "only the default layout");
  refused("s3.storage-class", "A\r\nB", "A\\r\\nB: only letters");
  refused("s3.region", "eu central", "only letters");
}

TEST_F(s3_settings_test, an_unsigned_payload_needs_tls) {
  expect_error(error_code::invalid_argument, "without TLS",
               [] { (void)parse({{"s3.unsigned-payload", "true"}}, false); });
  EXPECT_FALSE(parse({{"s3.unsigned-payload", "false"}}, false).unsigned_payload);
}

TEST_F(s3_settings_test, regions_from_the_environment) {
  environment_.set("AWS_REGION", "eu-west-1");
  EXPECT_EQ(parse({}).region, "eu-west-1");
  environment_.set("AWS_DEFAULT_REGION", "eu-west-2");
  EXPECT_EQ(parse({}).region, "eu-west-2");
  EXPECT_EQ(parse({{"s3.region", "eu-west-3"}}).region, "eu-west-3");
  environment_.set("AWS_DEFAULT_REGION", "eu west");
  expect_error(error_code::invalid_argument, "environment variable AWS_DEFAULT_REGION", [] { (void)parse({}); });
}

}  // namespace
}  // namespace recoup
