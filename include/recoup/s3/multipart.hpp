// Objects that come in parts: larger than one PUT may be, or not in memory as a whole.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/object.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

/// S3's limits: 10,000 parts, each but the last of 5 MiB at least, 5 TiB in all.
inline constexpr std::uint64_t most_parts = 10'000;

/// A part size that fits an object of `total` bytes, and at least `wanted`.
[[nodiscard]] constexpr std::uint64_t part_size_for(std::uint64_t total, std::uint64_t wanted = std::uint64_t{16} << 20) {
  constexpr std::uint64_t mebibyte = 1 << 20;
  const auto needed = (total / most_parts + mebibyte) / mebibyte * mebibyte;
  return std::max({wanted, needed, 5 * mebibyte});
}

/// One upload in parts. Whatever ends without `complete` is aborted, so that the server does not keep the parts for ever.
/// Parts may be uploaded from several threads.
class multipart_upload {
public:
  multipart_upload(s3_client& client, object_name object, const put_options& options = {},
                   std::string what = "save an object in parts")
      : client_(client), object_(std::move(object)), what_(std::move(what)) {
    auto request = make_request("POST");
    request.query.emplace_back("uploads", "");
    s3_object::add_headers(request, options);
    upload_id_ = parse_xml(client_.send(request).body, "the answer to a multipart upload").text_of("UploadId");
    if (upload_id_.empty()) throw error(error_code::io, "cannot " + what_ + ": the server gives no id for the upload");
  }

  multipart_upload(const multipart_upload&) = delete;
  multipart_upload& operator=(const multipart_upload&) = delete;

  ~multipart_upload() {
    if (upload_id_.empty()) return;
    try {
      auto request = make_request("DELETE");
      request.query.emplace_back("uploadId", upload_id_);
      request.ignores_stop = true;
      client_.send(request);
    } catch (const std::exception&) {
      // A lifecycle rule (AbortIncompleteMultipartUpload) or `recoup bucket` removes what is left.
    }
  }

  /// Numbers count from 1.
  void upload_part(unsigned number, byte_view content) {
    auto request = make_request("PUT");
    request.query = {{"partNumber", std::to_string(number)}, {"uploadId", upload_id_}};
    request.body = content;
    const auto response = client_.send(request);
    const auto* etag = response.header("etag");
    if (etag == nullptr) throw error(error_code::io, "cannot " + what_ + ": the server gives no ETag for a part");
    const std::lock_guard lock(mutex_);
    parts_[number] = *etag;
    bytes_ += content.size();
  }

  /// Makes the object of all parts. Returns its ETag.
  std::string complete() {
    xml_writer document("CompleteMultipartUpload");
    for (const auto& [number, etag] : parts_)
      document.begin("Part").element("PartNumber", std::to_string(number)).element("ETag", etag).end();
    const auto body = document.take();
    auto request = make_request("POST");
    request.query.emplace_back("uploadId", upload_id_);
    request.headers.push_back({"content-type", "application/xml"});
    request.body = as_bytes(body);
    std::string etag;
    try {
      etag = s3_object::without_quotes(parse_xml(client_.send(request).body, "the answer to a multipart upload").text_of("ETag"));
    } catch (const s3_error& problem) {
      // The answer to an earlier attempt may have been lost after the object was made.
      if (problem.refusal().code != "NoSuchUpload") throw;
      const auto made = head_object(client_, object_, what_);
      if (made.size != bytes_) throw;
      etag = made.etag;
    }
    upload_id_.clear();
    return etag;
  }

private:
  [[nodiscard]] s3_request make_request(const char* method) const {
    return s3_object::make_request(method, object_, what_);
  }

  s3_client& client_;
  const object_name object_;
  const std::string what_;
  std::string upload_id_;
  std::mutex mutex_;  // guards the rest
  std::map<unsigned, std::string> parts_;
  std::uint64_t bytes_ = 0;
};

/// Several parts at once, from memory.
inline void put_object_in_parts(s3_client& client, const object_name& object, byte_view content,
                                const put_options& options = {}, const std::string& what = "save an object in parts") {
  const auto size = static_cast<std::size_t>(part_size_for(content.size(), std::uint64_t{64} << 20));
  const auto count = static_cast<unsigned>((content.size() + size - 1) / size);
  multipart_upload upload(client, object, options, what);
  parallel_for_each(
      std::min(count, client.connections()), std::views::iota(0u, count),
      [&](unsigned number) {
        const auto offset = number * size;
        upload.upload_part(number + 1, content.subspan(offset, std::min(size, content.size() - offset)));
      },
      client.stop());
  upload.complete();
}

}  // namespace recoup
