// Uploads in parts that were begun and neither completed nor aborted. Their parts take room that no listing of objects
// shows.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <recoup/core/error.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/object.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

struct incomplete_upload {
  std::string key, upload_id;
  std::string initiated{};  ///< RFC 3339, as the server writes it
  std::string storage_class{};
};

/// Visits the incomplete uploads to keys that begin with the prefix. MinIO shows what all its servers began since they
/// were started, and for a prefix that is no whole key nothing at all.
inline void list_incomplete_uploads(s3_client& client, const std::string& bucket, const std::string& prefix,
                                    const std::function<void(const incomplete_upload&)>& visit) {
  std::string key_marker, upload_marker;
  for (;;) {
    s3_request request;
    request.what = "list incomplete uploads";
    request.bucket = bucket;
    request.query = {{"uploads", ""}, {"encoding-type", "url"}};
    if (!prefix.empty()) request.query.emplace_back("prefix", prefix);
    if (!key_marker.empty()) request.query.emplace_back("key-marker", key_marker);
    if (!upload_marker.empty()) request.query.emplace_back("upload-id-marker", upload_marker);
    const auto where = "cannot list incomplete uploads (" + describe(client.endpoint(), bucket, prefix) + ')';
    const auto page = parse_xml(client.send(request).body, where, "ListMultipartUploadsResult");
    for (const auto& each : page.all("Upload"))
      visit({s3_object::plain_key(page, each.text_of("Key"), where), std::string(each.text_of("UploadId")),
             std::string(each.text_of("Initiated")), std::string(each.text_of("StorageClass"))});
    if (page.text_of("IsTruncated") != "true") return;
    auto next_key = s3_object::plain_key(page, page.text_of("NextKeyMarker"), where);
    auto next_upload = std::string(page.text_of("NextUploadIdMarker"));
    if (next_key.empty() || (next_key == key_marker && next_upload == upload_marker))
      throw error(error_code::io, where + ": the server says that there is more, but not how to get it");
    key_marker = std::move(next_key);
    upload_marker = std::move(next_upload);
  }
}

/// Bytes in the parts that arrived so far; 0 if the upload is gone.
[[nodiscard]] inline std::uint64_t size_of_upload(s3_client& client, const std::string& bucket,
                                                  const incomplete_upload& upload) {
  std::uint64_t total = 0;
  std::string marker;
  for (;;) {
    s3_request request;
    request.what = "list the parts of an incomplete upload";
    request.bucket = bucket;
    request.key = upload.key;
    request.query = {{"uploadId", upload.upload_id}};
    if (!marker.empty()) request.query.emplace_back("part-number-marker", marker);
    const auto where = "cannot " + request.what + " (" + describe(client.endpoint(), bucket, upload.key) + ')';
    http_response answer;
    try {
      answer = client.send(request);
    } catch (const s3_error& problem) {
      if (problem.refusal().code == "NoSuchUpload") return total;
      throw;
    }
    const auto page = parse_xml(answer.body, where, "ListPartsResult");
    for (const auto& part : page.all("Part")) total += s3_object::parse_size(part.text_of("Size"), where);
    const auto next = std::string(page.text_of("NextPartNumberMarker"));
    if (page.text_of("IsTruncated") != "true" || next.empty() || next == marker) return total;
    marker = next;
  }
}

/// Succeeds if it is gone already.
inline void abort_upload(s3_client& client, const std::string& bucket, const incomplete_upload& upload) {
  s3_request request;
  request.what = "abort an incomplete upload";
  request.method = "DELETE";
  request.bucket = bucket;
  request.key = upload.key;
  request.query = {{"uploadId", upload.upload_id}};
  try {
    client.send(request);
  } catch (const s3_error& problem) {
    if (problem.refusal().code != "NoSuchUpload") throw;
  }
}

}  // namespace recoup
