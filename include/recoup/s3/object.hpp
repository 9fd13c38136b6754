// What can be done with objects. Each function is one request, or one for each page.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

struct object_name {
  std::string bucket, key;
};

struct put_options {
  std::string payload_hash{};   ///< SHA-256 of the content in hexadecimal, if it is known already
  std::string storage_class{};  ///< empty: the bucket's own
  std::string content_type{};
  std::vector<http_header> headers{};  ///< further ones: x-amz-meta-…, x-amz-object-lock-…
};

struct request_manner {
  bool is_urgent = false, ignores_stop = false;  ///< see s3_request
};

struct object_info {
  std::uint64_t size = 0;
  std::string etag{};           ///< without quotes
  std::string last_modified{};  ///< as the server writes it: RFC 3339 in lists, HTTP's form from HEAD
  std::string storage_class{};
  std::string version_id{};
  std::vector<http_header> headers{};  ///< all of them, from HEAD
};

struct listed_object {
  std::string key;
  object_info info;
  bool is_latest = true, is_delete_marker = false;  ///< in lists of versions
};

struct list_options {
  std::string prefix{};
  std::string delimiter{};
  std::string start_after{};
  bool use_version_1 = false;  ///< ListObjects instead of ListObjectsV2, for very old servers
  unsigned page_size = 0;      ///< 0: the server's own, 1000
};

namespace s3_object {

[[nodiscard]] inline std::string without_quotes(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return std::string(text);
}

[[nodiscard]] inline std::uint64_t parse_size(std::string_view text, const std::string& where) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc{} || end != text.data() + text.size())
    throw error(error_code::io, where + ": the server gives \"" + std::string(text.substr(0, 40)) + "\" as a size");
  return value;
}

/// Keys come escaped, so that every byte survives XML; from servers that do so, and then say so: Versity's gateway is
/// none, and there a plus is a plus.
[[nodiscard]] inline std::string plain_key(const xml_element& page, std::string_view text, const std::string& where) {
  if (page.text_of("EncodingType") != "url") return std::string(text);
  auto key = uri_unescape(text, true);
  if (!key) throw error(error_code::io, where + ": the server gives a key that is not escaped rightly: \"" + go_quoted(text) + '"');
  return std::move(*key);
}

[[nodiscard]] inline listed_object read_listed(const xml_element& page, const xml_element& element,
                                               const std::string& where) {
  listed_object found;
  found.key = plain_key(page, element.text_of("Key"), where);
  found.is_delete_marker = element.name == "DeleteMarker";
  if (!found.is_delete_marker) found.info.size = parse_size(element.text_of("Size"), where);
  found.info.etag = without_quotes(element.text_of("ETag"));
  found.info.last_modified = element.text_of("LastModified");
  found.info.storage_class = element.text_of("StorageClass");
  found.info.version_id = element.text_of("VersionId");
  if (const auto* latest = element.first("IsLatest")) found.is_latest = latest->text == "true";
  return found;
}

[[nodiscard]] inline s3_request make_request(const char* method, const object_name& object, const std::string& what,
                                             request_manner manner = {}) {
  s3_request request;
  request.what = what;
  request.method = method;
  request.bucket = object.bucket;
  request.key = object.key;
  request.is_urgent = manner.is_urgent;
  request.ignores_stop = manner.ignores_stop;
  return request;
}

/// What a PUT and the begin of an upload in parts have in common.
inline void add_headers(s3_request& request, const put_options& options) {
  request.headers.insert(request.headers.end(), options.headers.begin(), options.headers.end());
  request.headers.push_back(
      {"content-type", options.content_type.empty() ? "application/octet-stream" : options.content_type});
  if (!options.storage_class.empty()) request.headers.push_back({"x-amz-storage-class", options.storage_class});
}

}  // namespace s3_object

inline void put_object(s3_client& client, const object_name& object, byte_view content, const put_options& options = {},
                       const std::string& what = "save an object", request_manner manner = {}) {
  auto request = s3_object::make_request("PUT", object, what, manner);
  s3_object::add_headers(request, options);
  request.body = content;
  request.payload_hash = options.payload_hash;
  client.send(request);
}

/// Replaces `content` with the whole object.
inline void get_object(s3_client& client, const object_name& object, bytes& content,
                       const std::string& what = "load an object", request_manner manner = {}) {
  auto request = s3_object::make_request("GET", object, what, manner);
  request.content = &content;
  client.send(request);
}

/// Fills `into` with the bytes from `offset` on. Throws damaged if the object ends earlier.
inline void get_object_range(s3_client& client, const object_name& object, std::uint64_t offset, byte_span into,
                             const std::string& what = "load a part of an object") {
  if (into.empty()) return;
  auto request = s3_object::make_request("GET", object, what);
  request.headers.push_back(
      {"range", "bytes=" + std::to_string(offset) + '-' + std::to_string(offset + (into.size() - 1))});
  request.into = into;
  const auto too_short = [&](const std::string& length) {
    return error(error_code::damaged, "cannot " + what + " (" + describe(client.endpoint(), object.bucket, object.key) +
                                          "): " + std::to_string(into.size()) + " bytes from offset " +
                                          std::to_string(offset) + " were asked for, it has only " + length + " bytes");
  };
  if (offset + (into.size() - 1) < offset) throw too_short("fewer");
  request.check = [&](const http_response& response) {
    if (response.status != 206 && !(offset == 0 && response.status == 200))
      return std::string("the server ignores ranges");
    if (response.received == into.size()) return std::string();
    // "bytes 0-99/1000": an object that is long enough was cut off on its way, and that passes.
    if (const auto* range = response.header("content-range")) {
      const auto slash = range->find('/');
      const auto total = slash == std::string::npos ? std::string() : range->substr(slash + 1);
      if (!total.empty() && total != "*" && s3_object::parse_size(total, what) < offset + into.size())
        throw too_short(total);
    } else if (response.status == 200) {
      throw too_short(std::to_string(response.received));
    }
    return std::to_string(response.received) + " of " + std::to_string(into.size()) + " bytes arrived";
  };
  try {
    client.send(request);
  } catch (const s3_error& problem) {
    if (problem.refusal().status != 416) throw;
    throw too_short("fewer");
  }
}

/// Throws not_found if there is no such object.
[[nodiscard]] inline object_info head_object(s3_client& client, const object_name& object,
                                             const std::string& what = "look at an object", request_manner manner = {}) {
  const auto request = s3_object::make_request("HEAD", object, what, manner);
  http_response response;
  try {
    response = client.send(request);
  } catch (const s3_error& problem) {
    const int status = problem.refusal().status;
    if (status != 400 && status != 403) throw;
    // An answer to HEAD has no body, so it cannot say whether the key is unknown, wrong, expired or just not allowed, or
    // the clock is wrong. GET says so; and if that could be mended, HEAD works now.
    std::array<std::uint8_t, 1> nothing{};
    get_object_range(client, object, 0, nothing, what);
    response = client.send(request);
  }
  object_info info;
  const auto value = [&](const char* name) {
    const auto* found = response.header(name);
    return found != nullptr ? *found : std::string();
  };
  info.size = s3_object::parse_size(value("content-length"), "cannot " + what);
  info.etag = s3_object::without_quotes(value("etag"));
  info.last_modified = value("last-modified");
  info.storage_class = value("x-amz-storage-class");
  info.version_id = value("x-amz-version-id");
  info.headers = std::move(response.headers);
  return info;
}

/// Succeeds if there is no such object: S3 does not tell. With a version's id, that version goes for good.
inline void delete_object(s3_client& client, const object_name& object, const std::string& version_id = {},
                          const std::string& what = "remove an object", request_manner manner = {}) {
  auto request = s3_object::make_request("DELETE", object, what, manner);
  if (!version_id.empty()) request.query.emplace_back("versionId", version_id);
  client.send(request);
}

struct object_version {
  std::string key;
  std::string version_id{};
};

struct failed_removal {
  object_version object;
  std::string code, message;
};

/// Removes up to 1000 objects or versions with one request. Returns those that could not be.
[[nodiscard]] inline std::vector<failed_removal> delete_objects(s3_client& client, const std::string& bucket,
                                                                const std::vector<object_version>& objects,
                                                                bool bypass_governance = false,
                                                                const std::string& what = "remove objects") {
  if (objects.empty()) return {};
  xml_writer document("Delete");
  for (const auto& object : objects) {
    document.begin("Object").element("Key", object.key);
    if (!object.version_id.empty()) document.element("VersionId", object.version_id);
    document.end();
  }
  document.element("Quiet", "true");
  const auto body = document.take();
  s3_request request;
  request.what = what;
  request.method = "POST";
  request.bucket = bucket;
  request.query.emplace_back("delete", "");
  request.headers.push_back({"content-type", "application/xml"});
  if (bypass_governance) request.headers.push_back({"x-amz-bypass-governance-retention", "true"});
  request.body = as_bytes(body);
  request.needs_md5 = true;
  request.answers_with_errors = true;
  const auto response = client.send(request);
  std::vector<failed_removal> failed;
  const auto answer = parse_xml(response.body, "the answer to a removal", "DeleteResult");
  for (const auto& each : answer.all("Error"))
    failed.push_back({{std::string(each.text_of("Key")), std::string(each.text_of("VersionId"))},
                      std::string(each.text_of("Code")), std::string(each.text_of("Message"))});
  return failed;
}

/// Calls `visit` for each object whose key begins with the prefix, and `visit_prefix` for each group of keys up to the
/// delimiter if there is one; page by page, in the order of the server (S3's is that of the keys' bytes). An object that
/// pages repeat is visited once.
inline void list_objects(s3_client& client, const std::string& bucket, const list_options& options,
                         const std::function<void(const listed_object&)>& visit,
                         const std::function<void(const std::string&)>& visit_prefix = {},
                         const std::string& what = "list objects") {
  std::string token;
  bool first = true;
  std::unordered_set<std::string> previous;
  for (;;) {
    s3_request request;
    request.what = what;
    request.bucket = bucket;
    if (!options.use_version_1) request.query.emplace_back("list-type", "2");
    request.query.emplace_back("encoding-type", "url");
    if (!options.prefix.empty()) request.query.emplace_back("prefix", options.prefix);
    if (!options.delimiter.empty()) request.query.emplace_back("delimiter", options.delimiter);
    if (options.page_size != 0) request.query.emplace_back("max-keys", std::to_string(options.page_size));
    if (!first)
      request.query.emplace_back(options.use_version_1 ? "marker" : "continuation-token", token);
    else if (!options.start_after.empty())
      request.query.emplace_back(options.use_version_1 ? "marker" : "start-after", options.start_after);
    first = false;

    const auto where = "cannot " + what + " (" + describe(client.endpoint(), bucket, options.prefix) + ')';
    const auto page = parse_xml(client.send(request).body, where);
    std::unordered_set<std::string> seen;
    std::string last_key;
    for (const auto& each : page.all("Contents")) {
      const auto object = s3_object::read_listed(page, each, where);
      last_key = std::max(last_key, object.key);
      if (seen.insert(object.key).second && !previous.contains(object.key)) visit(object);
    }
    for (const auto& each : page.all("CommonPrefixes")) {
      const auto prefix = s3_object::plain_key(page, each.text_of("Prefix"), where);
      last_key = std::max(last_key, prefix);
      if (seen.insert(prefix).second && !previous.contains(prefix) && visit_prefix) visit_prefix(prefix);
    }
    if (page.text_of("IsTruncated") != "true") return;
    auto next = options.use_version_1 ? s3_object::plain_key(page, page.text_of("NextMarker"), where)
                                      : std::string(page.text_of("NextContinuationToken"));
    if (next.empty() && options.use_version_1) next = last_key;
    if (next.empty() || next == token)
      throw error(error_code::io, where + ": the server says that there is more, but not how to get it");
    token = std::move(next);
    previous = std::move(seen);
  }
}

/// The same for all versions and delete markers, newest first for each key; of the options only prefix and delimiter
/// count.
inline void list_object_versions(s3_client& client, const std::string& bucket, const list_options& options,
                                 const std::function<void(const listed_object&)>& visit,
                                 const std::function<void(const std::string&)>& visit_prefix,
                                 const std::string& what = "list object versions") {
  std::string key_marker, version_marker;
  for (;;) {
    s3_request request;
    request.what = what;
    request.bucket = bucket;
    request.query = {{"versions", ""}, {"encoding-type", "url"}};
    if (!options.prefix.empty()) request.query.emplace_back("prefix", options.prefix);
    if (!options.delimiter.empty()) request.query.emplace_back("delimiter", options.delimiter);
    if (!key_marker.empty()) request.query.emplace_back("key-marker", key_marker);
    if (!version_marker.empty()) request.query.emplace_back("version-id-marker", version_marker);
    const auto where = "cannot " + what + " (" + describe(client.endpoint(), bucket, options.prefix) + ')';
    const auto page = parse_xml(client.send(request).body, where);
    for (const auto& each : page.children) {
      if (each.name == "Version" || each.name == "DeleteMarker")
        visit(s3_object::read_listed(page, each, where));
      else if (each.name == "CommonPrefixes" && visit_prefix)
        visit_prefix(s3_object::plain_key(page, each.text_of("Prefix"), where));
    }
    if (page.text_of("IsTruncated") != "true") return;
    auto next_key = s3_object::plain_key(page, page.text_of("NextKeyMarker"), where);
    auto next_version = std::string(page.text_of("NextVersionIdMarker"));
    if (next_key.empty() || (next_key == key_marker && next_version == version_marker))
      throw error(error_code::io, where + ": the server says that there is more, but not how to get it");
    key_marker = std::move(next_key);
    version_marker = std::move(next_version);
  }
}

inline void list_object_versions(s3_client& client, const std::string& bucket, const std::string& prefix,
                                 const std::function<void(const listed_object&)>& visit,
                                 const std::string& what = "list object versions") {
  list_options options;
  options.prefix = prefix;
  list_object_versions(client, bucket, options, visit, {}, what);
}

}  // namespace recoup
