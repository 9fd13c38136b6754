// One end of a copy that is a bucket, or what lies in it below a prefix.
//
// How it is known that what a server has is what was read: every PUT is signed with the SHA-256 of its bytes, so the
// server refuses bytes that changed on their way. Afterwards HEAD tells the size and the ETag of what it keeps. Where
// that is the MD5 of what was read (S3's and MinIO's is, unless a bucket encrypts with keys of KMS), the copy is right;
// where it is anything else, the object is read back and its SHA-256 compared.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <curl/curl.h>

#include <recoup/ops/sync/place.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/multipart.hpp>
#include <recoup/s3/object.hpp>
#include <recoup/s3/tags.hpp>

namespace recoup {

/// "9bb58f26192e4ba00f01e2e7b136bbd8", which can be an MD5.
[[nodiscard]] inline bool is_md5_etag(std::string_view etag) noexcept {
  return etag.size() == 32 && etag.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// "…-3": the object came in three parts. 0 for any other.
[[nodiscard]] inline std::uint64_t parts_in_etag(std::string_view etag) noexcept {
  if (etag.size() < 34 || etag[32] != '-' || !is_md5_etag(etag.substr(0, 32))) return 0;
  std::uint64_t count = 0;
  const auto digits = etag.substr(33);
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  return problem == std::errc{} && end == digits.data() + digits.size() && count <= most_parts ? count : 0;
}

namespace bucket_copy {

class source : public sync_source {
public:
  source(s3_client& client, object_name name) : client_(client), name_(std::move(name)) {
    auto info = head_object(client_, name_, "look at an object to copy");
    size_ = info.size;
    etag_ = info.etag;
    const auto instant = ::curl_getdate(info.last_modified.c_str(), nullptr);
    modified_.seconds = instant < 0 ? 0 : static_cast<std::int64_t>(instant);
    keep_headers(info.headers);
    if (const auto parts = parts_in_etag(etag_); parts > 0) part_size_ = find_part_size(parts);
  }

  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] std::string etag() const override { return etag_; }
  [[nodiscard]] std::uint64_t part_size() const override { return part_size_; }
  [[nodiscard]] timestamp modified() const override { return modified_; }
  [[nodiscard]] std::vector<http_header> headers() const override { return headers_; }

  void read(std::uint64_t offset, byte_span into) override {
    if (into.empty()) return;
    s3_request request;
    request.what = "copy an object";
    request.bucket = name_.bucket;
    request.key = name_.key;
    request.headers.push_back({"if-match", '"' + etag_ + '"'});
    if (into.size() != size_)
      request.headers.push_back(
          {"range", "bytes=" + std::to_string(offset) + '-' + std::to_string(offset + into.size() - 1)});
    request.into = into;
    request.check = [&](const http_response& response) {
      return response.received == into.size()
                 ? std::string()
                 : std::to_string(response.received) + " of " + std::to_string(into.size()) + " bytes arrived";
    };
    try {
      client_.send(request);
    } catch (const s3_error& problem) {
      if (problem.refusal().status != 412) throw;
      throw error(error_code::io, "it was changed while it was copied; copy again to get the new one");
    }
  }

private:
  void keep_headers(const std::vector<http_header>& all) {
    constexpr std::array<std::string_view, 7> kept{"content-type",
                                                   "content-encoding",
                                                   "content-language",
                                                   "content-disposition",
                                                   "cache-control",
                                                   "expires",
                                                   "x-amz-website-redirect-location"};
    bool has_tags = false;
    for (const auto& header : all) {
      std::string name = header.name;
      for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
      if (name.starts_with("x-amz-meta-") || std::ranges::find(kept, name) != kept.end())
        headers_.push_back({name, header.value});
      if (name == "x-amz-tagging-count") has_tags = header.value != "0";
    }
    if (has_tags) headers_.push_back({"x-amz-tagging", tags_header(get_object_tags(client_, name_))});
  }

  /// The length of the first part, if that makes for the right number of parts.
  [[nodiscard]] std::uint64_t find_part_size(std::uint64_t parts) {
    s3_request request;
    request.what = "look at the parts of an object";
    request.method = "HEAD";
    request.bucket = name_.bucket;
    request.key = name_.key;
    request.query.emplace_back("partNumber", "1");
    try {
      const auto answer = client_.send(request);
      const auto* length = answer.header("content-length");
      const auto first = length == nullptr ? 0 : s3_object::parse_size(*length, "cannot " + request.what);
      return first != 0 && (size_ + first - 1) / first == parts ? first : 0;
    } catch (const s3_error&) {
      return 0;  // a server that does not know parts once they are together
    }
  }

  s3_client& client_;
  const object_name name_;
  std::uint64_t size_ = 0, part_size_ = 0;
  std::string etag_;
  timestamp modified_;
  std::vector<http_header> headers_;
};

class target : public sync_target {
public:
  target(s3_client& client, object_name name, const sync_source& from, const part_layout& parts)
      : client_(client),
        name_(std::move(name)),
        total_(from.size()),
        in_parts_(!parts.is_whole() || from.part_size() != 0) {
    for (auto& header : from.headers()) {
      if (header.name == "content-type")
        options_.content_type = header.value;
      else
        options_.headers.push_back(std::move(header));
    }
    options_.storage_class = client.settings().storage_class;
    if (in_parts_) upload_.emplace(client_, name_, options_, "copy an object in parts");
  }

  void write(std::uint64_t part, byte_view content, const id& sha256) override {
    if (in_parts_) return upload_->upload_part(static_cast<unsigned>(part + 1), content);
    options_.payload_hash = sha256.hex();
    put_object(client_, name_, content, options_, "copy an object");
  }

  [[nodiscard]] bool finish(const content_digests& digests) override {
    if (in_parts_) upload_->complete();
    const auto stored = head_object(client_, name_, "look at an object that was copied");
    if (stored.size != total_)
      throw error(error_code::damaged,
                  "the copy has " + std::to_string(stored.size) + " bytes instead of " + std::to_string(total_));
    return stored.etag == digests.etag(in_parts_);
  }

private:
  s3_client& client_;
  const object_name name_;
  const std::uint64_t total_;
  const bool in_parts_;
  put_options options_;
  std::optional<multipart_upload> upload_;
};

}  // namespace bucket_copy

class bucket_place : public sync_place {
public:
  /// `prefix` is "" or ends in a slash. The client must outlive this.
  bucket_place(s3_client& client, std::string bucket, std::string prefix)
      : client_(client), bucket_(std::move(bucket)), prefix_(std::move(prefix)) {}

  [[nodiscard]] const std::string& bucket() const noexcept { return bucket_; }
  [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }
  [[nodiscard]] s3_client& client() const noexcept { return client_; }

  [[nodiscard]] std::string describe() const override { return recoup::describe(client_.endpoint(), bucket_, prefix_); }
  [[nodiscard]] bool is_directory() const override { return false; }
  [[nodiscard]] unsigned connections() const override { return client_.connections(); }

  void list(const std::function<void(sync_entry)>& visit,
            const std::function<void(const std::string&, const std::string&)>& visit_unusable) override {
    list_options options;
    options.prefix = prefix_;
    options.use_version_1 = client_.settings().list_objects_v1;
    list_objects(client_, bucket_, options, [&](const listed_object& object) {
      if (!object.key.starts_with(prefix_)) return;
      if (object.key.size() == prefix_.size())
        return visit_unusable(object.key, "it is the marker of the directory itself");
      sync_entry entry{object.key.substr(prefix_.size()), object.info.size, object.info.etag, {}};
      if (const auto time = parse_rfc3339(object.info.last_modified)) entry.modified = *time;
      visit(std::move(entry));
    });
  }

  [[nodiscard]] std::unique_ptr<sync_source> open(const sync_entry& entry) override {
    return std::make_unique<bucket_copy::source>(client_, object_name{bucket_, prefix_ + entry.key});
  }

  [[nodiscard]] std::unique_ptr<sync_target> create(const std::string& key, const sync_source& from,
                                                    const part_layout& parts) override {
    return std::make_unique<bucket_copy::target>(client_, object_name{bucket_, prefix_ + key}, from, parts);
  }

  [[nodiscard]] std::vector<std::pair<std::string, std::string>> remove(const std::vector<std::string>& keys) override {
    std::vector<object_version> together;
    std::vector<std::pair<std::string, std::string>> failed;
    for (const auto& key : keys) {
      if (is_xml_text(prefix_ + key)) {
        together.push_back({prefix_ + key, {}});
        continue;
      }
      try {
        delete_object(client_, {bucket_, prefix_ + key});
      } catch (const s3_error& problem) {
        failed.emplace_back(key, problem.what());
      }
    }
    for (const auto& each : delete_objects(client_, bucket_, together))
      failed.emplace_back(each.object.key.substr(std::min(prefix_.size(), each.object.key.size())),
                          each.code + ": " + each.message);
    return failed;
  }

  [[nodiscard]] std::string problem_of(std::string_view key, bool, std::uint64_t) const override {
    if (prefix_.size() + key.size() > 1024)
      return "below the prefix it has more than the 1024 bytes that a key may have";
    return {};
  }

private:
  s3_client& client_;
  const std::string bucket_, prefix_;
};

}  // namespace recoup
