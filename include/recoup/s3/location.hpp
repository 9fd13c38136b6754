// Where in S3 something lies, in restic's spelling (restic internal/backend/s3/config.go):
//
//   s3:host[:port]/bucket/prefix    s3://host[:port]/bucket/prefix      over TLS, nothing unescaped
//   s3:https://host[:port]/bucket/prefix    s3:http://…                 a URL: %XX stands for a byte
//
// Unlike restic, which drops or misreads them, user names, queries, fragments and ports that are no number are refused.
#pragma once

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/s3/uri.hpp>

namespace recoup {

/// A server, for what concerns no single bucket.
struct s3_endpoint {
  bool use_tls = true;
  std::string host{};  ///< with its port, unless that is the scheme's own; IPv6 addresses in brackets

  /// "https://host:port"
  [[nodiscard]] std::string url() const { return (use_tls ? "https://" : "http://") + host; }
  /// Without port and brackets.
  [[nodiscard]] std::string host_name() const {
    if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
    return host.substr(0, host.find(':'));
  }

  [[nodiscard]] friend bool operator==(const s3_endpoint&, const s3_endpoint&) = default;
};

/// A bucket on a server and what all keys in it begin with.
struct s3_location : s3_endpoint {
  std::string bucket{};
  /// As Go's path.Clean leaves it: no slash at the end and none twice. It begins with a slash only where the location
  /// has two after the bucket, because restic's keys do then too. Join with `key`.
  std::string prefix{};

  /// The key of an object that lies under the prefix at `relative`, which has no slash in front.
  [[nodiscard]] std::string key(std::string_view relative) const {
    if (prefix.empty()) return std::string(relative);
    std::string joined = prefix;
    if (!joined.ends_with('/')) joined += '/';
    return joined += relative;
  }

  /// Reads back as the same location: in the URL form, escaped.
  [[nodiscard]] std::string to_string() const {
    auto text = "s3:" + url() + '/' + uri_escape_path(bucket);
    if (!prefix.empty()) text += '/' + uri_escape_path(prefix);
    return text;
  }

  [[nodiscard]] friend bool operator==(const s3_location&, const s3_location&) = default;
};

namespace location_text {

/// Shows a location in a message, unless it may have a password in it.
[[nodiscard]] inline error refusal(std::string_view location, const std::string& why) {
  const auto shown = location.find('@') == std::string_view::npos ? " \"" + go_quoted(location) + '"' : std::string();
  return {error_code::invalid_argument, "S3 location" + shown + ": " + why};
}

[[nodiscard]] inline error names_user(std::string_view location) {
  return refusal(location, "it names a user; secrets do not belong into a location: give them in the environment "
                           "variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in ~/.aws/credentials");
}

inline constexpr std::string_view forms = "s3:https://host[:port]/bucket/prefix, s3:http://… or s3:host/bucket/prefix";

/// Go's path.Clean for a path that is not empty: `.` goes, `..` takes the segment before it along.
[[nodiscard]] inline std::string cleaned(std::string_view path) {
  std::vector<std::string_view> kept;
  const bool is_rooted = path.starts_with('/');
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    const auto segment = path.substr(at, end - at);
    at = end + 1;
    if (segment.empty() || segment == ".") continue;
    if (segment != "..")
      kept.push_back(segment);
    else if (!kept.empty() && kept.back() != "..")
      kept.pop_back();
    else if (!is_rooted)
      kept.push_back(segment);
  }
  std::string text;
  for (const auto segment : kept) {
    if (!text.empty() || is_rooted) text += '/';
    text += segment;
  }
  return text.empty() && is_rooted ? "/" : text;
}

/// Why a host, without port, cannot be one; empty if it can.
[[nodiscard]] inline std::string problem_of_host(std::string_view host) {
  if (host.starts_with('[')) {
    const std::string address(host.substr(1, host.size() - 2));
    in6_addr parsed{};
    return host.ends_with(']') && ::inet_pton(AF_INET6, address.c_str(), &parsed) == 1
               ? std::string()
               : "\"" + go_quoted(host) + "\" is no IPv6 address in brackets";
  }
  if (host.find(':') != std::string_view::npos)
    return "the host \"" + go_quoted(host) + "\" has several colons; IPv6 addresses need brackets: [::1]:9000";
  const auto is_allowed = [](char c) { return uri::is_unreserved(c) && c != '~'; };
  if (!std::ranges::all_of(host, is_allowed))
    return "\"" + go_quoted(host) +
           "\" is no name of a host: letters, digits, \".\", \"-\" and \"_\" are allowed (other scripts as xn--…)";
  return {};
}

/// Checks `host[:port]` and drops the port that the scheme has anyway.
inline s3_endpoint endpoint(std::string_view location, std::string_view host, bool use_tls) {
  if (host.find('@') != std::string_view::npos) throw names_user(location);
  const auto bracket = host.rfind(']');
  const auto colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  auto name = host.substr(0, colon);
  if (host.find(':') != std::string_view::npos && !host.starts_with('[') && host.rfind(':') != colon) name = host;
  if (name.empty()) throw refusal(location, "there is no host; write " + std::string(forms));
  if (const auto problem = problem_of_host(name); !problem.empty()) throw refusal(location, problem);
  s3_endpoint made{use_tls, std::string(name)};
  if (name.size() == host.size()) return made;
  const auto digits = host.substr(name.size() + 1);
  unsigned port = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (problem != std::errc{} || end != digits.data() + digits.size() || port < 1 || port > 65535) {
    // The beginning of a password that has a slash in it passes for a port.
    if (location.find('@') != std::string_view::npos) throw names_user(location);
    throw refusal(location, "the host's port must be a number from 1 to 65535");
  }
  if (port != (use_tls ? 443u : 80u)) made.host += ':' + std::to_string(port);
  return made;
}

struct parts {
  s3_endpoint where;
  std::string path;  ///< after the host, without the slash between
};

[[nodiscard]] inline parts split(std::string_view location) {
  if (!location.starts_with("s3:"))
    throw refusal(location, "it must begin with s3:, as in " + std::string(forms));
  auto rest = location.substr(3);
  const bool is_http = rest.starts_with("http://");
  const bool is_url = is_http || rest.starts_with("https://");
  if (is_url)
    rest.remove_prefix(is_http ? 7 : 8);
  else if (rest.starts_with("//"))
    rest.remove_prefix(2);
  if (!is_url && (rest.starts_with("http:/") || rest.starts_with("https:/")))
    throw refusal(location, "write s3:https://host/… or s3:http://host/…, with two slashes after the scheme and none "
                            "in front of it");
  const auto slash = std::min(rest.find('/'), rest.size());
  parts found{endpoint(location, rest.substr(0, slash), !is_http), {}};
  const auto path = rest.substr(std::min(slash + 1, rest.size()));
  if (!is_url) {
    found.path = path;
    return found;
  }
  if (path.find_first_of("?#") != std::string_view::npos)
    throw refusal(location, "in a URL ? and # end the path; write them as %3F and %23");
  auto unescaped = uri_unescape(path);
  if (!unescaped) throw refusal(location, "in a URL two hexadecimal digits must follow a %; write % itself as %25");
  found.path = std::move(*unescaped);
  return found;
}

}  // namespace location_text

/// What is wrong with a bucket's name, empty if nothing is. Not stricter than minio-go, which restic uses; 255
/// characters were allowed in us-east-1 until 2018. A server may refuse more.
[[nodiscard]] inline std::string problem_of_bucket_name(std::string_view name) {
  const auto is_letter_or_digit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  if (name.empty()) return "there is no name of a bucket";
  const auto quoted = "\"" + go_quoted(name) + "\" cannot be the name of a bucket: ";
  if (name.size() < 3 || name.size() > 255) return quoted + "it must have 3 to 63 characters";
  if (!std::ranges::all_of(name, [&](char c) {
        return is_letter_or_digit(c) || c == '.' || c == '-' || c == '_' || c == ':';
      }))
    return quoted + "only letters, digits, \".\" and \"-\" are allowed";
  if (!is_letter_or_digit(name.front()) || !is_letter_or_digit(name.back()))
    return quoted + "it must begin and end with a letter or digit";
  if (name.find("..") != std::string_view::npos) return quoted + "it has two dots in a row";
  in_addr address{};
  if (::inet_pton(AF_INET, std::string(name).c_str(), &address) == 1) return quoted + "it looks like an IP address";
  return {};
}

/// Throws invalid_argument for what is no location of a bucket.
[[nodiscard]] inline s3_location parse_s3_location(std::string_view text) {
  using namespace location_text;
  auto [where, path] = split(text);
  const auto slash = std::min(path.find('/'), path.size());
  s3_location found{{std::move(where)}, path.substr(0, slash), {}};
  if (found.bucket.empty())
    throw refusal(text, "there is no bucket after the host; write " + std::string(forms));
  if (const auto problem = problem_of_bucket_name(found.bucket); !problem.empty()) {
    if (found.bucket.find('@') != std::string::npos) throw names_user(text);
    throw refusal(text, problem);
  }
  const auto prefix = std::string_view(path).substr(std::min(slash + 1, path.size()));
  if (!prefix.empty()) found.prefix = cleaned(prefix);
  // Servers and proxies on the way would resolve these.
  if (found.prefix == ".." || found.prefix.starts_with("../"))
    throw refusal(text, "the prefix must not lead out of the bucket");
  if (found.prefix.find('\0') != std::string::npos) throw refusal(text, "the prefix has a zero byte in it");
  return found;
}

/// For the administration of buckets: the same forms, where bucket and prefix may be missing and are then empty.
[[nodiscard]] inline s3_location parse_s3_endpoint(std::string_view text) {
  auto [where, path] = location_text::split(text);
  if (path.find_first_not_of('/') == std::string::npos) return {{std::move(where)}, {}, {}};
  return parse_s3_location(text);
}

}  // namespace recoup
