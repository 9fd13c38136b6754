// Tags: pairs of words that buckets and objects can carry.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/s3/bucket/setting.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/object.hpp>
#include <recoup/s3/uri.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

struct s3_tag {
  std::string key, value;
  [[nodiscard]] friend bool operator==(const s3_tag&, const s3_tag&) = default;
};

[[nodiscard]] inline std::vector<s3_tag> parse_tags(std::string_view document) {
  const auto root = parse_xml(document, "a set of tags", "Tagging");
  std::vector<s3_tag> tags;
  if (const auto* set = root.child("TagSet"))
    for (const auto& tag : set->all("Tag"))
      tags.push_back({std::string(tag.text_of("Key")), std::string(tag.text_of("Value"))});
  return tags;
}

[[nodiscard]] inline std::string tags_document(const std::vector<s3_tag>& tags) {
  xml_writer document("Tagging");
  document.begin("TagSet");
  for (const auto& tag : tags) document.begin("Tag").element("Key", tag.key).element("Value", tag.value).end();
  return document.take();
}

/// The value of the header x-amz-tagging, with which an object gets its tags while it is saved.
[[nodiscard]] inline std::string tags_header(const std::vector<s3_tag>& tags) {
  uri_query fields;
  for (const auto& tag : tags) fields.emplace_back(tag.key, tag.value);
  return uri_form(fields);
}

[[nodiscard]] inline std::vector<s3_tag> get_bucket_tags(s3_client& client, const std::string& bucket) {
  const auto answer = bucket_setting(client, bucket, "tagging", "the tags").get();
  return answer ? parse_tags(answer->body) : std::vector<s3_tag>{};
}

/// Replaces all tags.
inline void put_bucket_tags(s3_client& client, const std::string& bucket, const std::vector<s3_tag>& tags) {
  const bucket_setting setting(client, bucket, "tagging", "the tags");
  if (tags.empty()) return setting.remove();
  setting.put(tags_document(tags));
}

[[nodiscard]] inline std::vector<s3_tag> get_object_tags(s3_client& client, const object_name& object) {
  auto request = s3_object::make_request("GET", object, "read the tags of an object");
  request.query.emplace_back("tagging", "");
  return parse_tags(client.send(request).body);
}

}  // namespace recoup
