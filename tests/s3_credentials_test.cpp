// Where credentials are looked for, and how they are kept.
#include <recoup/s3/credentials.hpp>

#include <atomic>
#include <thread>

#include "credentials_fixture.hpp"

namespace recoup {
namespace {

using namespace std::chrono_literals;

class s3_credentials_test : public credentials_fixture {
protected:
  s3_credentials_test() {
    // Nothing listens there: a look at the last place must not leave this machine.
    environment_.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9");
  }

  std::shared_ptr<credential_provider> provider() { return default_credentials(options_, http_); }
  std::string found() {
    const auto given = provider()->get({});
    return shown(*given) + " from " + given->source;
  }
  void refused(std::string_view why, error_code code = error_code::invalid_argument) {
    expect_error(code, why, [&] { (void)provider()->get({}); });
  }

  std::shared_ptr<http_client> http_ = std::make_shared<http_client>();
  credential_options options_{{false, "127.0.0.1:9000"}, "", false, ""};
};

TEST_F(s3_credentials_test, aws_environment) {
  environment_.set("AWS_ACCESS_KEY_ID", "id");
  environment_.set("AWS_SECRET_ACCESS_KEY", "secret");
  EXPECT_EQ(found(), "id/secret/ from environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  environment_.set("AWS_SESSION_TOKEN", "token");
  EXPECT_EQ(found().substr(0, 15), "id/secret/token");
  EXPECT_FALSE(provider()->renew(*provider()->get({})));
}

TEST_F(s3_credentials_test, old_aws_names) {
  environment_.set("AWS_ACCESS_KEY", "old");
  environment_.set("AWS_SECRET_KEY", "old secret");
  EXPECT_EQ(found(), "old/old secret/ from environment variables AWS_ACCESS_KEY and AWS_SECRET_KEY");
  environment_.set("AWS_ACCESS_KEY_ID", "id");
  EXPECT_EQ(found().substr(0, 14), "id/old secret/");
}

TEST_F(s3_credentials_test, minio_environment) {
  environment_.set("MINIO_ACCESS_KEY", "access");
  environment_.set("MINIO_SECRET_KEY", "secret");
  EXPECT_EQ(found(), "access/secret/ from environment variables MINIO_ACCESS_KEY and MINIO_SECRET_KEY");
  environment_.set("MINIO_ROOT_USER", "root");
  environment_.set("MINIO_ROOT_PASSWORD", "password");
  EXPECT_EQ(found().substr(0, 14), "root/password/");
  environment_.set("AWS_ACCESS_KEY_ID", "id");
  environment_.set("AWS_SECRET_ACCESS_KEY", "secret");
  EXPECT_EQ(found().substr(0, 10), "id/secret/");
}

TEST_F(s3_credentials_test, what_is_half_given_is_an_error_that_does_not_repeat_it) {
  home_.write(".aws/credentials", "[default]\naws_access_key_id = a\naws_secret_access_key = b\n");
  environment_.set("AWS_SECRET_ACCESS_KEY", "hush");
  refused("AWS_SECRET_ACCESS_KEY is set but AWS_ACCESS_KEY_ID is empty");
  try {
    (void)provider();
  } catch (const error& problem) {
    EXPECT_EQ(std::string_view(problem.what()).find("hush"), std::string_view::npos);
  }
  environment_.unset("AWS_SECRET_ACCESS_KEY");
  environment_.set("AWS_ACCESS_KEY", "id");
  refused("AWS_ACCESS_KEY is set but AWS_SECRET_ACCESS_KEY is empty");
  environment_.unset("AWS_ACCESS_KEY");
  environment_.set("MINIO_ROOT_USER", "root");
  refused("MINIO_ROOT_USER is set but MINIO_ROOT_PASSWORD is empty");
}

TEST_F(s3_credentials_test, nothing_anywhere) {
  const auto lazily = provider();
  for (const auto& part : std::vector<std::string>{"no credentials for S3 found", "MINIO_*", home_ / ".aws/credentials",
                                                   home_ / ".aws/config", home_ / ".mc/config.json",
                                                   "the instance metadata service http://127.0.0.1:9 does not answer",
                                                   "s3.unsafe-anonymous-auth=true"})
    expect_error(error_code::invalid_argument, part, [&] { (void)lazily->get({}); });
  environment_.set("AWS_EC2_METADATA_DISABLED", "true");
  expect_error(error_code::invalid_argument, "AWS_EC2_METADATA_DISABLED turns off", [&] { (void)provider(); });
}

TEST_F(s3_credentials_test, anonymous) {
  environment_.set("AWS_SECRET_ACCESS_KEY", "half given");
  options_.anonymous = true;
  const auto nobody = provider()->get({});
  EXPECT_TRUE(nobody->anonymous());
  EXPECT_FALSE(provider()->renew(*nobody));
}

TEST_F(s3_credentials_test, options_come_from_settings) {
  const auto made = credential_options_for({true, "host"}, parse_s3_settings({{"s3.region", "eu"}}, {true, "host"}));
  EXPECT_EQ(made.endpoint.host, "host");
  EXPECT_EQ(made.region, "eu");
  EXPECT_FALSE(made.anonymous);
}

TEST_F(s3_credentials_test, mc_aliases) {
  home_.write(".mc/config.json", R"({"version": "10", "aliases": {
    "gcs": {"url": "https://storage.googleapis.com", "accessKey": "YOUR-ACCESS-KEY-HERE", "secretKey": "x"},
    "home": {"url": "http://127.0.0.1:9000", "accessKey": "home", "secretKey": "h\"s", "api": "s3v4", "path": "auto"},
    "other": {"url": "http://127.0.0.1:9001", "accessKey": "other", "secretKey": "o", "sessionToken": "t"},
    "s3": {"url": "https://s3.amazonaws.com", "accessKey": "aws", "secretKey": "a"}}})");
  EXPECT_EQ(found(), "home/h\"s/ from alias home of " + (home_ / ".mc/config.json"));
  options_.endpoint.host = "elsewhere";
  EXPECT_EQ(found().substr(0, 6), "aws/a/");
  environment_.set("MINIO_ALIAS", "other");
  EXPECT_EQ(found().substr(0, 9), "other/o/t");
  for (const char* name : {"gcs", "none"}) {
    environment_.set("MINIO_ALIAS", name);
    refused("MINIO_ALIAS is " + std::string(name));
  }
}

TEST_F(s3_credentials_test, mc_files_of_other_kinds) {
  environment_.set("MINIO_SHARED_CREDENTIALS_FILE", home_ / "mc.json");
  refused("no credentials for S3 found");
  home_.write("mc.json", R"({"version": "9", "hosts": {"s3": {"accessKey": "old", "secretKey": "s"}}})");
  EXPECT_EQ(found().substr(0, 6), "old/s/");
  home_.write("mc.json", R"({"aliases": {"s3": {"accessKey": "YOUR-ACCESS-KEY-HERE", "secretKey": "x"}, "b": {},
                                         "c": {"secretKey": null}}})");
  refused("no credentials for S3 found");
  home_.write("mc.json", R"({"aliases": {"s3": {"accessKey": 1}}})");
  refused("field aliases.s3.accessKey", error_code::damaged);
  home_.write("mc.json", "{");
  refused(home_ / "mc.json", error_code::damaged);
}

// ---- how they are kept ----

class counted_credentials final : public fetched_credentials {
public:
  explicit counted_credentials(std::chrono::milliseconds interval = shortest_interval)
      : fetched_credentials(interval) {}

  std::atomic<int> fetched = 0;
  std::atomic<bool> fails = false;
  std::chrono::milliseconds delay{0}, first_delay{0};
  std::optional<std::chrono::seconds> lifetime;
  bool always_same = false;

private:
  s3_credentials fetch(const std::stop_token& stop) override {
    const auto number = ++fetched;
    if (!sleep_unless_stopped(stop, number == 1 ? first_delay + delay : delay)) throw error(error_code::interrupted, "interrupted");
    if (fails) throw error(error_code::io, "failure " + std::to_string(number));
    s3_credentials made;
    made.access_key_id = always_same ? "same" : std::to_string(number);
    made.secret_access_key = make_secret("secret");
    if (lifetime) made.expires = std::chrono::system_clock::now() + *lifetime;
    return made;
  }
};

TEST(fetched_credentials_test, kept_as_long_as_they_hold) {
  counted_credentials lasting;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(lasting.get({})->access_key_id, "1");
  counted_credentials long_lived;
  long_lived.lifetime = 6min;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(long_lived.get({})->access_key_id, "1");
  counted_credentials over;
  over.lifetime = -1s;
  for (int i = 1; i < 4; ++i) EXPECT_EQ(over.get({})->access_key_id, std::to_string(i));
}

TEST(fetched_credentials_test, short_lives_do_not_make_every_request_ask) {
  counted_credentials short_lived;
  short_lived.lifetime = 4min;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(short_lived.get({})->access_key_id, "1");
}

TEST(fetched_credentials_test, renewed_once_for_all_who_were_refused) {
  counted_credentials source;
  const auto first = source.get({});
  EXPECT_TRUE(source.renew(*first));
  EXPECT_TRUE(source.renew(*first));
  const auto second = source.get({});
  EXPECT_EQ(second->access_key_id, "2");
  EXPECT_TRUE(source.renew(*first));  // late
  EXPECT_EQ(source.get({})->access_key_id, "2");
  EXPECT_TRUE(source.renew(*second));
  EXPECT_EQ(source.get({})->access_key_id, "3");
}

TEST(fetched_credentials_test, no_renewal_where_the_same_come_back) {
  counted_credentials source;
  source.always_same = true;
  const auto first = source.get({});
  EXPECT_TRUE(source.renew(*first));
  EXPECT_FALSE(source.renew(*source.get({})));
  EXPECT_EQ(source.fetched, 2);
}

TEST(fetched_credentials_test, many_threads_one_fetch) {
  counted_credentials source;
  source.delay = 50ms;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { EXPECT_EQ(source.get({})->access_key_id, "1"); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(source.fetched, 1);
}

TEST(fetched_credentials_test, a_failure_is_everybodys_and_the_next_who_asks_tries_again) {
  counted_credentials source;
  source.delay = 200ms;
  source.fails = true;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] { expect_error(error_code::io, "failure", [&] { (void)source.get({}); }); });
  for (auto& thread : threads) thread.join();
  EXPECT_LT(source.fetched, 4);
  source.fails = false;
  const auto at_last = source.get({});
  EXPECT_EQ(at_last->access_key_id, std::to_string(source.fetched));
}

TEST(fetched_credentials_test, a_failure_does_not_show_while_the_old_ones_hold) {
  counted_credentials source(0ms);
  source.lifetime = 2s;
  EXPECT_EQ(source.get({})->access_key_id, "1");
  source.fails = true;
  EXPECT_EQ(source.get({})->access_key_id, "1");
  EXPECT_EQ(source.fetched, 2);
  std::this_thread::sleep_for(2100ms);
  expect_error(error_code::io, "failure 3", [&] { (void)source.get({}); });
}

TEST(fetched_credentials_test, stopping_one_does_not_stop_the_others) {
  counted_credentials source;
  source.first_delay = 1h;
  std::stop_source stop;
  std::thread stopped([&] {
    expect_error(error_code::interrupted, "", [&] { (void)source.get(stop.get_token()); });
  });
  while (source.fetched == 0) std::this_thread::sleep_for(1ms);
  std::thread other([&] { EXPECT_EQ(source.get({})->access_key_id, "2"); });
  std::this_thread::sleep_for(20ms);
  stop.request_stop();
  stopped.join();
  other.join();
}

TEST(fetched_credentials_test, who_waits_can_be_stopped) {
  counted_credentials source;
  source.first_delay = 1h;
  std::stop_source stop, stop_fetching;
  std::thread fetching([&] {
    expect_error(error_code::interrupted, "", [&] { (void)source.get(stop_fetching.get_token()); });
  });
  while (source.fetched == 0) std::this_thread::sleep_for(1ms);
  std::thread stopper([&] {
    std::this_thread::sleep_for(20ms);
    stop.request_stop();
  });
  expect_error(error_code::interrupted, "", [&] { (void)source.get(stop.get_token()); });
  EXPECT_EQ(source.fetched, 1) << "it waited for the other one, and asked for nothing itself";
  stopper.join();
  stop_fetching.request_stop();
  fetching.join();
}

}  // namespace
}  // namespace recoup
