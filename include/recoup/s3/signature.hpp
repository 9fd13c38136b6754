// AWS Signature Version 4, as S3 takes it: in the Authorization header, or in the query of a URL that somebody else
// will use.
//
// S3 differs from all other services: the path is escaped once and never normalised, since `a//b` and `a/../b` are
// objects of their own, and a header x-amz-content-sha256 says what the body's hash is.
#pragma once

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/crypto/secret.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/http/message.hpp>
#include <recoup/s3/credentials/provider.hpp>
#include <recoup/s3/uri.hpp>

namespace recoup {

/// In place of a body's hash: the signature does not cover the body.
inline constexpr std::string_view unsigned_payload = "UNSIGNED-PAYLOAD";
/// SHA-256 of nothing, for requests without a body.
inline constexpr std::string_view empty_payload_hash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct signing_request {
  std::string method = "GET";
  std::string host{};           ///< with its port, unless that is the scheme's own
  std::string path = "/";       ///< not escaped, from the first slash on
  uri_query query{};            ///< not escaped, in any order
  std::vector<http_header> headers{};  ///< to be signed beside host; sent as they are
  std::string payload_hash{empty_payload_hash};  ///< SHA-256 in lower-case hexadecimal, or unsigned_payload
};

struct signing_scope {
  std::string region;
  std::string service = "s3";
  /// Every service but S3 takes `//`, `.` and `..` out of paths before it compares signatures.
  bool normalise_path = false;
};

namespace signature_v4 {

using key = std::array<std::uint8_t, 32>;

struct free_mac_context {
  void operator()(EVP_MAC_CTX* context) const noexcept { ::EVP_MAC_CTX_free(context); }
};

/// Looked up once and never freed, for the reasons given at box::found.
[[nodiscard]] inline EVP_MAC* hmac_algorithm() {
  static EVP_MAC* const found = ::EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  if (found == nullptr)
    throw error(error_code::failure, "OpenSSL offers no HMAC: check its configuration (openssl.cnf)");
  return found;
}

inline void hmac_sha256(byte_view secret, std::string_view message, std::span<std::uint8_t, 32> into) {
  thread_local const std::unique_ptr<EVP_MAC_CTX, free_mac_context> context(::EVP_MAC_CTX_new(hmac_algorithm()));
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
  std::size_t written = 0;
  const auto* const text = reinterpret_cast<const unsigned char*>(message.data());
  if (!context || ::EVP_MAC_init(context.get(), secret.data(), secret.size(), parameters) != 1 ||
      ::EVP_MAC_update(context.get(), text, message.size()) != 1 ||
      ::EVP_MAC_final(context.get(), into.data(), &written, into.size()) != 1 || written != into.size())
    throw error(error_code::failure, "signing a request: OpenSSL's HMAC failed");
}

/// The key for one day, region and service.
inline void derive_key(const secret_bytes& secret, std::string_view date, const signing_scope& scope,
                       std::span<std::uint8_t, 32> into) {
  constexpr std::string_view marker = "AWS4";
  secret_bytes start(marker.size() + secret.size());
  std::ranges::copy(as_bytes(marker), start.span().begin());
  std::ranges::copy(secret.view(), start.span().subspan(marker.size()).begin());
  hmac_sha256(start.view(), date, into);
  for (const std::string_view step : {std::string_view(scope.region), std::string_view(scope.service),
                                      std::string_view("aws4_request")})
    hmac_sha256(into, step, into);
}

/// Each thread keeps the keys it used last: deriving one takes four HMACs and a page of guarded memory, against one
/// HMAC for the signature itself. Copying between two servers needs two keys in turn, roles a third.
[[nodiscard]] inline byte_view key_for(const std::shared_ptr<const secret_bytes>& secret, std::string_view date,
                                       const signing_scope& scope) {
  struct entry {
    std::weak_ptr<const secret_bytes> secret;  // does not keep it, and none that comes later can be taken for it
    std::string date, region, service;
    secret_bytes key;
  };
  thread_local std::array<entry, 4> kept;
  thread_local std::size_t next = 0;
  for (auto& known : kept)
    if (!known.key.empty() && !known.secret.owner_before(secret) && !secret.owner_before(known.secret) &&
        known.date == date && known.region == scope.region && known.service == scope.service)
      return known.key.view();
  secret_bytes derived(32);
  derive_key(*secret, date, scope, derived.span().first<32>());
  auto& place = kept[next++ % kept.size()];
  place = {secret, std::string(date), scope.region, scope.service, std::move(derived)};
  return place.key.view();
}

/// "20150830T123600Z"; the day is its first eight characters.
[[nodiscard]] inline std::string time_text(std::chrono::system_clock::time_point now) {
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  const auto day = std::chrono::floor<std::chrono::days>(second);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(second - day);
  char text[40];
  std::snprintf(text, sizeof text, "%04d%02u%02uT%02d%02d%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()));
  return text;
}

[[nodiscard]] inline std::string scope_text(std::string_view date, const signing_scope& scope) {
  return std::string(date) + '/' + scope.region + '/' + scope.service + "/aws4_request";
}

/// Without blanks at either end, and with one for each run of them inside.
[[nodiscard]] inline std::string trimmed(std::string_view value) {
  std::string text;
  for (const char c : value) {
    const bool is_blank = c == ' ' || c == '\t';
    if (!is_blank)
      text += c;
    else if (!text.empty() && text.back() != ' ')
      text += ' ';
  }
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

/// Names in lower case, sorted; values of one name joined in the order given.
[[nodiscard]] inline std::map<std::string, std::string> canonical_headers(std::string_view host,
                                                                          std::span<const http_header> headers) {
  std::map<std::string, std::string> canonical{{"host", std::string(host)}};
  for (const auto& [given, value] : headers) {
    if (value.find_first_of("\r\n") != std::string::npos || given.find_first_of("\r\n: ") != std::string::npos)
      throw error(error_code::invalid_argument, "a request's header must not have line breaks");
    std::string name = given;
    for (char& c : name)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    if (name == "host") continue;
    const auto [place, is_new] = canonical.try_emplace(std::move(name), trimmed(value));
    if (!is_new) place->second += ',' + trimmed(value);
  }
  return canonical;
}

[[nodiscard]] inline std::string names_of(const std::map<std::string, std::string>& canonical) {
  std::string names;
  for (const auto& [name, value] : canonical) {
    if (!names.empty()) names += ';';
    names += name;
  }
  return names;
}

/// Without empty segments, `.` and `..` (RFC 3986 section 5.2.4).
[[nodiscard]] inline std::string normalised(std::string_view path) {
  std::vector<std::string_view> kept;
  bool ends_open = true;
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    const auto segment = path.substr(at, end - at);
    at = end + 1;
    ends_open = segment.empty() || segment == "." || segment == "..";
    if (segment == ".." && !kept.empty()) kept.pop_back();
    if (!ends_open) kept.push_back(segment);
  }
  std::string text;
  for (const auto segment : kept) (text += '/') += segment;
  if (ends_open) text += '/';
  return text;
}

[[nodiscard]] inline std::string signature_of(const signing_request& request, const uri_query& query,
                                              const std::map<std::string, std::string>& headers,
                                              const std::shared_ptr<const secret_bytes>& secret,
                                              const signing_scope& scope, std::string_view time) {
  std::string canonical = request.method + '\n';
  canonical += uri_escape_path(scope.normalise_path ? normalised(request.path) : request.path);
  canonical += '\n' + uri_query_string(query) + '\n';
  for (const auto& [name, value] : headers) canonical += name + ':' + value + '\n';
  canonical += '\n' + names_of(headers) + '\n' + request.payload_hash;

  const auto date = time.substr(0, 8);
  std::string text = "AWS4-HMAC-SHA256\n";
  text += time;
  text += '\n' + scope_text(date, scope) + '\n' + sha256(as_bytes(canonical)).hex();
  key signature;
  hmac_sha256(key_for(secret, date, scope), text, signature);
  return to_hex(signature);
}

inline void check(const signing_request& request, const signing_scope& scope) {
  if (!request.path.starts_with('/'))
    throw error(error_code::invalid_argument, "cannot sign a request: its path must begin with a slash");
  if (scope.region.empty())
    throw error(error_code::invalid_argument,
                "cannot sign a request without a region: give one with -o s3.region=… or AWS_DEFAULT_REGION");
}

}  // namespace signature_v4

/// What to send along with `headers`: x-amz-date, for S3 x-amz-content-sha256, x-amz-security-token if the credentials
/// have one, and authorization. Nothing if they are anonymous. The URL must be what `uri_escape_path` and
/// `uri_query_string` make of path and query. Servers refuse a `now` that is more than 15 minutes off.
[[nodiscard]] inline std::vector<http_header> sign(const signing_request& request, const s3_credentials& credentials,
                                                   const signing_scope& scope,
                                                   std::chrono::system_clock::time_point now) {
  using namespace signature_v4;
  if (credentials.anonymous()) return {};
  check(request, scope);
  const auto time = time_text(now);
  std::vector<http_header> added{{"x-amz-date", time}};
  if (scope.service.starts_with("s3")) added.push_back({"x-amz-content-sha256", request.payload_hash});
  if (!credentials.session_token.empty()) added.push_back({"x-amz-security-token", credentials.session_token});

  auto all = request.headers;
  all.insert(all.end(), added.begin(), added.end());
  const auto headers = canonical_headers(request.host, all);
  const auto signature = signature_of(request, request.query, headers, credentials.secret_access_key, scope, time);
  added.push_back({"authorization", "AWS4-HMAC-SHA256 Credential=" + credentials.access_key_id + '/' +
                                        scope_text(std::string_view(time).substr(0, 8), scope) +
                                        ", SignedHeaders=" + names_of(headers) + ", Signature=" + signature});
  return added;
}

/// A path and query, escaped, that whoever sends them to `host` may use until `lifetime` is over; `headers` have to be
/// sent as well. With anonymous credentials just the path and query. The payload's hash is not part of it. Throws
/// invalid_argument unless the lifetime is 1 second to 7 days, S3's limit.
[[nodiscard]] inline std::string presign(const signing_request& request, const s3_credentials& credentials,
                                         const signing_scope& scope, std::chrono::system_clock::time_point now,
                                         std::chrono::seconds lifetime) {
  using namespace signature_v4;
  const auto path = uri_escape_path(request.path);
  auto query = request.query;
  if (credentials.anonymous()) return query.empty() ? path : path + '?' + uri_query_string(query);
  check(request, scope);
  if (lifetime < std::chrono::seconds(1) || lifetime > std::chrono::days(7))
    throw error(error_code::invalid_argument, "a presigned URL may be valid for 1 second to 7 days, not for " +
                                                  std::to_string(lifetime.count()) + " seconds");
  const auto time = time_text(now);
  const auto headers = canonical_headers(request.host, request.headers);
  query.emplace_back("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
  query.emplace_back("X-Amz-Credential",
                     credentials.access_key_id + '/' + scope_text(std::string_view(time).substr(0, 8), scope));
  query.emplace_back("X-Amz-Date", time);
  query.emplace_back("X-Amz-Expires", std::to_string(lifetime.count()));
  if (!credentials.session_token.empty()) query.emplace_back("X-Amz-Security-Token", credentials.session_token);
  query.emplace_back("X-Amz-SignedHeaders", names_of(headers));

  auto signed_request = request;
  signed_request.payload_hash = unsigned_payload;
  const auto signature = signature_of(signed_request, query, headers, credentials.secret_access_key, scope, time);
  return path + '?' + uri_query_string(query) + "&X-Amz-Signature=" + signature;
}

}  // namespace recoup
