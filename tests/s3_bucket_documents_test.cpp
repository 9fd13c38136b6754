// What is set on buckets, as XML and JSON: read, changed and written, with what others put there kept.
#include <recoup/ops/bucket_repositories.hpp>
#include <recoup/s3/bucket/anonymous_access.hpp>
#include <recoup/s3/bucket/lifecycle_json.hpp>
#include <recoup/s3/bucket/versioning.hpp>
#include <recoup/s3/object_lock.hpp>
#include <recoup/s3/tags.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

// From AWS's description of PutBucketLifecycleConfiguration, with elements that do not exist in it (Future…).
constexpr char foreign_rules[] = R"(<?xml version="1.0" encoding="UTF-8"?>
<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Rule><ID>archive &amp; go</ID><Status>Enabled</Status>
    <Filter><And><Prefix>logs/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>
      <ObjectSizeGreaterThan>500</ObjectSizeGreaterThan><FutureCondition>1</FutureCondition></And></Filter>
    <Transition><Days>30</Days><StorageClass>GLACIER</StorageClass>
      <FuturePart><A>1</A></FuturePart></Transition>
    <Transition><Date>2030-01-01T00:00:00Z</Date><StorageClass>DEEP_ARCHIVE</StorageClass></Transition>
    <NoncurrentVersionTransition><NoncurrentDays>3</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions>
      <StorageClass>GLACIER</StorageClass></NoncurrentVersionTransition>
    <Expiration><Days>365</Days><ExpiredObjectAllVersions>true</ExpiredObjectAllVersions></Expiration>
    <NoncurrentVersionExpiration><NoncurrentDays>10</NoncurrentDays>
      <FutureCount>3</FutureCount></NoncurrentVersionExpiration>
    <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>
    <FutureAction><Days>1</Days></FutureAction></Rule>
  <Rule><ID>old form</ID><Prefix>old/</Prefix><Status>Disabled</Status>
    <Expiration><Date>2031-02-03T00:00:00Z</Date></Expiration></Rule>
  <Rule><Filter/><Status>Enabled</Status>
    <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>
  <FutureSetting>x</FutureSetting>
</LifecycleConfiguration>)";

std::string written(const bucket_lifecycle& lifecycle) {
  xml_writer document("LifecycleConfiguration");
  for (const auto& each : to_xml(lifecycle).children) document.copy(each);
  return document.take();
}

TEST(s3_bucket_documents_test, rules_are_understood) {
  const auto found = parse_lifecycle(foreign_rules);
  ASSERT_EQ(found.rules.size(), 3u);
  const auto& first = found.rules[0];
  EXPECT_EQ(first.id, "archive & go");
  EXPECT_TRUE(first.is_enabled);
  EXPECT_EQ(first.filter.prefix, "logs/");
  EXPECT_EQ(first.filter.tags, (std::vector<s3_tag>{{"k", "v"}}));
  EXPECT_EQ(first.filter.larger_than, 500u);
  EXPECT_EQ(first.expire_days, 365u);
  EXPECT_EQ(first.noncurrent_days, 10u);
  EXPECT_EQ(first.abort_upload_days, 7u);
  ASSERT_EQ(first.transitions.size(), 2u);
  EXPECT_EQ(first.transitions[1].date, "2030-01-01T00:00:00Z");
  EXPECT_EQ(first.noncurrent_transitions.at(0).newer_versions, 2u);
  EXPECT_EQ(found.rules[1].filter.prefix, "old/");
  EXPECT_FALSE(found.rules[1].is_enabled);
  EXPECT_TRUE(found.rules[2].remove_lone_delete_markers);
}

TEST(s3_bucket_documents_test, what_is_not_understood_is_kept) {
  const auto found = parse_lifecycle(foreign_rules);
  const auto text = written(found);
  for (const auto* part : {"<FutureCondition>1</FutureCondition>", "<FuturePart><A>1</A></FuturePart>",
                           "<ExpiredObjectAllVersions>true</ExpiredObjectAllVersions>", "<FutureCount>3</FutureCount>",
                           "<FutureAction><Days>1</Days></FutureAction>", "<FutureSetting>x</FutureSetting>"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  EXPECT_EQ(parse_lifecycle(text), found);
}

TEST(s3_bucket_documents_test, rules_as_json_come_back) {
  const auto found = parse_lifecycle(foreign_rules);
  auto without_setting = found;
  without_setting.others.clear();
  const auto json = to_json(without_setting);
  EXPECT_EQ(parse_lifecycle_json(json, "rules"), without_setting) << json;
  EXPECT_NE(json.find(R"("Transitions":[{"Days":30,"StorageClass":"GLACIER")"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("Tags":[{"Key":"k","Value":"v"}])"), std::string::npos) << json;
  EXPECT_EQ(to_json(bucket_lifecycle{}), R"({"Rules":[]})");
  EXPECT_TRUE(parse_lifecycle_json(R"({"Rules":[]})", "rules").rules.empty());
}

TEST(s3_bucket_documents_test, rules_in_the_form_of_mc) {
  const auto found = parse_lifecycle_json(
      R"({"Rules":[{"ID":"x","Status":"Enabled","Filter":{"Prefix":"a/"},
                    "Expiration":{"Days":5,"ExpiredObjectAllVersions":true},
                    "Transition":{"Days":3,"StorageClass":"TIER"}}]})",
      "rules");
  EXPECT_EQ(found.rules.at(0).expire_days, 5u);
  EXPECT_EQ(found.rules.at(0).transitions.at(0).storage_class, "TIER");
}

TEST(s3_bucket_documents_test, json_that_is_no_set_of_rules) {
  const auto refused = [](std::string_view part, std::string_view text) {
    expect_error(error_code::invalid_argument, part, [&] { (void)parse_lifecycle_json(text, "rules.json"); });
  };
  refused("rules.json is not valid JSON", "{");
  refused("rules.json must be a JSON object", "[]");
  refused("must be a list", R"({"Rules":{"ID":"x"}})");
  refused("\"Rulez\" stands where", R"({"Rulez":[1]})");
  refused("\"Days\" must be a text, a whole number", R"({"Rules":[{"Expiration":{"Days":-1}}]})");
  refused("cannot be a part of a lifecycle rule", R"({"Rules":[{"a b":1}]})");
}

TEST(s3_bucket_documents_test, what_a_server_did_not_keep) {
  bucket_lifecycle wanted;
  lifecycle_rule rule;
  rule.id = "x";
  rule.abort_upload_days = 3;
  rule.noncurrent_days = 4;
  wanted.rules = {rule};
  auto stored = wanted;
  EXPECT_TRUE(parts_not_kept(wanted, stored).empty());
  stored.rules[0].abort_upload_days.reset();
  EXPECT_EQ(parts_not_kept(wanted, stored), std::vector<std::string>{"rule \"x\": AbortIncompleteMultipartUpload"});
  stored.rules[0].noncurrent_days = 5;
  EXPECT_EQ(parts_not_kept(wanted, stored).size(), 2u);
  EXPECT_EQ(parts_not_kept(wanted, {}), std::vector<std::string>{"rule \"x\""});
}

TEST(s3_bucket_documents_test, danger_for_repositories) {
  const auto judged = [](std::string prefix, std::string_view repository, auto change) {
    lifecycle_rule rule;
    rule.filter.prefix = std::move(prefix);
    change(rule);
    return danger_of(rule, repository);
  };
  const auto expire = [](lifecycle_rule& rule) { rule.expire_days = 1; };
  EXPECT_EQ(judged("", "", expire), lifecycle_danger::expires);
  EXPECT_EQ(judged("", "a/", expire), lifecycle_danger::expires);
  EXPECT_EQ(judged("a", "ab/", expire), lifecycle_danger::expires);
  EXPECT_EQ(judged("ab/data/", "ab/", expire), lifecycle_danger::expires);
  EXPECT_EQ(judged("b", "ab/", expire), lifecycle_danger::none);
  EXPECT_EQ(judged("ab/locks/", "ab/", expire), lifecycle_danger::none);
  EXPECT_EQ(judged("ab/lock", "ab/", expire), lifecycle_danger::expires);
  EXPECT_EQ(judged("", "a/", [](lifecycle_rule& rule) { rule.noncurrent_days = 1; }), lifecycle_danger::none);
  EXPECT_EQ(judged("", "a/", [](lifecycle_rule& rule) { rule.expire_date = "2030-01-01T00:00:00Z"; }),
            lifecycle_danger::expires);
  EXPECT_EQ(judged("", "a/", [](lifecycle_rule& rule) { rule.expire_days = 1, rule.is_enabled = false; }),
            lifecycle_danger::none);
  EXPECT_EQ(judged("", "a/", [](lifecycle_rule& rule) { rule.expire_days = 1, rule.filter.tags = {{"a", "b"}}; }),
            lifecycle_danger::none);
  EXPECT_EQ(judged("", "a/", [](lifecycle_rule& rule) { rule.transitions = {{1, {}, {}, "DEEP_ARCHIVE", {}}}; }),
            lifecycle_danger::archives);
  EXPECT_EQ(judged("", "a/", [](lifecycle_rule& rule) { rule.transitions = {{1, {}, {}, "STANDARD_IA", {}}}; }),
            lifecycle_danger::none);
}

TEST(s3_bucket_documents_test, repositories_in_a_list_of_keys) {
  const std::string name(64, 'a');
  repository_detector detector;
  for (const auto& key : {std::string("config"), "keys/" + name, std::string("x/config"), "x/keys/" + name + "b",
                          std::string("y/z/config"), "y/z/keys/" + name, "notkeys/" + name, std::string("notconfig"),
                          "w/keys/" + name, std::string("v/config/"), "v/keys/" + name})
    detector.see(key);
  EXPECT_EQ(detector.repositories(), (std::vector<std::string>{"", "y/z/"}));
}

TEST(s3_bucket_documents_test, versioning) {
  EXPECT_EQ(parse_versioning("<VersioningConfiguration/>"), bucket_versioning{});
  const auto found = parse_versioning(
      "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete><ExcludedPrefixes><Prefix>a/</"
      "Prefix>"
      "</ExcludedPrefixes><ExcludedPrefixes><Prefix>b</Prefix></ExcludedPrefixes><ExcludeFolders>true</ExcludeFolders>"
      "</VersioningConfiguration>");
  EXPECT_EQ(found, (bucket_versioning{versioning_state::enabled, true, {"a/", "b"}, true}));
  expect_error(error_code::io, "<Error> stands where", [] { (void)parse_versioning("<Error/>"); });
}

TEST(s3_bucket_documents_test, object_lock) {
  EXPECT_EQ(parse_bucket_object_lock("<ObjectLockConfiguration/>"), bucket_object_lock{});
  const auto found = parse_bucket_object_lock(
      "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</"
      "ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode>"
      "<Years>2</Years></DefaultRetention></Rule></ObjectLockConfiguration>");
  EXPECT_EQ(found, (bucket_object_lock{true, default_retention{retention_mode::compliance, 0, 2}}));
  expect_error(error_code::unsupported, "FOREVER", [] {
    (void)parse_bucket_object_lock(
        "<ObjectLockConfiguration><Rule><DefaultRetention><Mode>FOREVER</Mode></DefaultRetention>"
        "</Rule></ObjectLockConfiguration>");
  });
  // Rounded up: a lock is never shorter than asked for.
  EXPECT_EQ(object_lock::write_time({0, 1, 3600}), "1970-01-01T00:00:01Z");
}

TEST(s3_bucket_documents_test, tags) {
  const std::vector<s3_tag> tags{{"a", "b c"}, {"d&", "=ä"}};
  EXPECT_EQ(parse_tags(tags_document(tags)), tags);
  EXPECT_EQ(tags_header(tags), "a=b%20c&d%26=%3D%C3%A4");
  EXPECT_TRUE(parse_tags("<Tagging/>").empty());
}

TEST(s3_bucket_documents_test, anonymous_access_by_prefix) {
  bucket_policy policy;
  set_anonymous_access(policy, "b", "pub/", anonymous_access::download);
  set_anonymous_access(policy, "b", "", anonymous_access::upload);
  using access = std::map<std::string, anonymous_access>;
  const auto reread = parse_policy(to_json(policy));
  EXPECT_EQ(anonymous_access_in(reread, "b"),
            (access{{"", anonymous_access::upload}, {"pub/", anonymous_access::download}}));
  EXPECT_EQ(anonymous_access_in(reread, "other"), access{});
  EXPECT_EQ(count_other_public_statements(reread), 0u);
  set_anonymous_access(policy, "b", "", anonymous_access::none);
  set_anonymous_access(policy, "b", "pub/", anonymous_access::none);
  EXPECT_TRUE(policy.statements.empty());
}

TEST(s3_bucket_documents_test, statements_of_others_are_not_touched) {
  constexpr char document[] =
      R"({"Version":"2012-10-17","Id":"x","Statement":[
        {"Sid":"A","Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/*",
         "Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},
        {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"},"NotAction":"s3:Get*","Resource":"arn:aws:s3:::b"},
        {"Effect":"Allow","Principal":"*","Action":["s3:PutBucketPolicy"],"Resource":["arn:aws:s3:::b"]}]})";
  auto policy = parse_policy(document);
  EXPECT_TRUE(anonymous_access_in(policy, "b").empty());
  EXPECT_EQ(count_other_public_statements(policy), 2u);
  set_anonymous_access(policy, "b", "", anonymous_access::full);
  EXPECT_EQ(anonymous_access_in(policy, "b").at(""), anonymous_access::full);
  set_anonymous_access(policy, "b", "", anonymous_access::none);
  EXPECT_EQ(to_json(policy), to_json(parse_policy(document)));
  expect_error(error_code::invalid_argument, "a statement must be an object",
               [] { (void)parse_policy(R"({"Statement":["x"]})"); });
}

}  // namespace
}  // namespace recoup
