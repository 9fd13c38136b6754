// What is set on a bucket as a whole. S3 keeps each such thing as a document of its own behind a word in the query:
// "?versioning", "?lifecycle", "?object-lock".
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/s3/bucket.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/error.hpp>

namespace recoup {

/// The server does not have the operation at all, whoever asks.
[[nodiscard]] inline bool is_unknown_operation(const s3_refusal& refusal) noexcept {
  constexpr std::array<std::string_view, 6> codes{"NotImplemented",       "XNotImplemented", "MethodNotAllowed",
                                                  "UnsupportedOperation", "NotSupported",    "APINotSupported"};
  return refusal.status == 501 || refusal.status == 405 || is_one_of(refusal.code, codes);
}

class bucket_setting {
public:
  /// `word` is the one in the query, `name` what messages call it: "the lifecycle rules".
  bucket_setting(s3_client& client, std::string bucket, std::string word, std::string name)
      : client_(client), bucket_(std::move(bucket)), word_(std::move(word)), name_(std::move(name)) {}

  /// Nothing if it is not set. Throws unsupported where the server does not know such a thing, not_found if there is no
  /// such bucket.
  [[nodiscard]] std::optional<http_response> get() const {
    try {
      return client_.send(make_request("GET", "read "));
    } catch (const s3_error& problem) {
      if (!is_unset(problem.refusal())) throw explained(problem);
    }
    // MinIO says so of the lock of a bucket that does not exist, too.
    if (!bucket_exists(client_, bucket_))
      throw error(error_code::not_found, "there is no bucket " + bucket_ + " on " + client_.endpoint().url());
    return std::nullopt;
  }

  void put(std::string_view document, std::vector<http_header> headers = {},
           const char* content_type = "application/xml") const {
    auto request = make_request("PUT", "set ");
    request.body = as_bytes(document);
    request.headers = std::move(headers);
    request.headers.push_back({"content-type", content_type});
    request.needs_md5 = true;  // AWS demands it for some of them, and it harms none
    try {
      client_.send(request);
    } catch (const s3_error& problem) {
      throw explained(problem);
    }
  }

  /// Succeeds if it is not set.
  void remove() const {
    try {
      client_.send(make_request("DELETE", "remove "));
    } catch (const s3_error& problem) {
      if (!is_unset(problem.refusal())) throw explained(problem);
    }
  }

private:
  [[nodiscard]] static bool is_unset(const s3_refusal& refusal) noexcept {
    return refusal.status == 404 && refusal.code != "NoSuchBucket" && !is_unknown_operation(refusal);
  }

  [[nodiscard]] s3_request make_request(const char* method, const char* verb) const {
    s3_request request;
    request.what = verb + name_ + " of a bucket";
    request.method = method;
    request.bucket = bucket_;
    request.query.emplace_back(word_, "");
    return request;
  }

  [[nodiscard]] s3_error explained(const s3_error& problem) const {
    if (!is_unknown_operation(problem.refusal())) return problem;
    return {error_code::unsupported,
            "this S3 server has no such thing as " + name_ + " of a bucket (" + describe(client_.endpoint(), bucket_) +
                "): it answers " + problem.refusal().describe(),
            problem.refusal()};
  }

  s3_client& client_;
  const std::string bucket_, word_, name_;
};

}  // namespace recoup
