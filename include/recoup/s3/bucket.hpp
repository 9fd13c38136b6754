// Buckets themselves: whether they are there, making and removing them. What can be set on one is in s3/bucket/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

enum class bucket_presence : std::uint8_t {
  absent,
  forbidden,  ///< there, and perhaps somebody else's: these credentials may not look at it
  visible,
};

[[nodiscard]] inline bucket_presence look_at_bucket(s3_client& client, const std::string& bucket) {
  s3_request request;
  request.what = "look at a bucket";
  request.method = "HEAD";
  request.bucket = bucket;
  try {
    client.send(request);
    return bucket_presence::visible;
  } catch (const error& problem) {
    if (problem.code() == error_code::access_denied) return bucket_presence::forbidden;
    if (problem.code() != error_code::not_found) throw;
    return bucket_presence::absent;
  }
}

/// A bucket that may not be looked at counts as being there: whoever may only write to it need not be able to see it.
[[nodiscard]] inline bool bucket_exists(s3_client& client, const std::string& bucket) {
  return look_at_bucket(client, bucket) != bucket_presence::absent;
}

struct create_bucket_options {
  bool object_lock = false;  ///< can be had only at birth on most servers; brings versioning with it
};

/// Makes a bucket in the client's region. One of ours that is there already is fine, somebody else's is an error.
inline void create_bucket(s3_client& client, const std::string& bucket, const create_bucket_options& options = {}) {
  std::string body;
  // The first region of S3 is the only one that must not be named (AWS CreateBucket, LocationConstraint).
  if (const auto region = client.region_of(bucket); region != "us-east-1")
    body = xml_writer("CreateBucketConfiguration").element("LocationConstraint", region).take();
  s3_request request;
  request.what = "create a bucket";
  request.method = "PUT";
  request.bucket = bucket;
  request.body = as_bytes(body);
  if (options.object_lock) request.headers.push_back({"x-amz-bucket-object-lock-enabled", "true"});
  try {
    client.send(request);
  } catch (const s3_error& problem) {
    if (problem.refusal().code != "BucketAlreadyOwnedByYou") throw;
  }
}

}  // namespace recoup
