// Which buckets there are, and in which region one lies.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/s3/bucket/setting.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

struct listed_bucket {
  std::string name;
  std::string created{};  ///< RFC 3339, as the server writes it
  std::string region{};   ///< empty unless the server says so in its list
};

/// The buckets that belong to whoever asks, or that the server shows them.
[[nodiscard]] inline std::vector<listed_bucket> list_buckets(s3_client& client) {
  std::vector<listed_bucket> found;
  std::string token;
  for (;;) {
    s3_request request;
    request.what = "list the buckets";
    if (!token.empty()) request.query.emplace_back("continuation-token", token);
    const auto page = parse_xml(client.send(request).body, "the list of buckets", "ListAllMyBucketsResult");
    if (const auto* buckets = page.child("Buckets"))
      for (const auto& each : buckets->all("Bucket"))
        found.push_back({std::string(each.text_of("Name")), std::string(each.text_of("CreationDate")),
                         std::string(each.text_of("BucketRegion"))});
    const auto next = page.text_of("ContinuationToken");
    if (next.empty() || next == token) return found;
    token = next;
  }
}

/// "eu-west-1". S3's first region has no name in this answer, and its second an old one.
[[nodiscard]] inline std::string get_bucket_region(s3_client& client, const std::string& bucket) {
  const auto answer = bucket_setting(client, bucket, "location", "the region").get();
  if (!answer) return client.region_of(bucket);
  const auto region = parse_xml(answer->body, "the region of a bucket", "LocationConstraint").text;
  if (region == "EU") return "eu-west-1";
  return region.empty() ? "us-east-1" : region;
}

/// Removes an empty bucket. Throws s3_error (BucketNotEmpty) if it is not.
inline void delete_bucket(s3_client& client, const std::string& bucket) {
  s3_request request;
  request.what = "remove a bucket";
  request.method = "DELETE";
  request.bucket = bucket;
  client.send(request);
}

}  // namespace recoup
