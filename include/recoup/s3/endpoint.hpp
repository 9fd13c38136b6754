// Which server, and how a bucket is named to it: in the path (http://host/bucket/key) or in the host
// (http://bucket.host/key).
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <recoup/s3/location.hpp>
#include <recoup/s3/settings.hpp>

namespace recoup {

[[nodiscard]] inline bool is_aws(const s3_endpoint& endpoint) noexcept {
  const auto& host = endpoint.host;
  return (host.starts_with("s3") && host.ends_with(".amazonaws.com")) || host.ends_with(".amazonaws.com.cn");
}

/// Before anybody said otherwise. MinIO and its like take us-east-1 unless set up differently, and then say so.
[[nodiscard]] inline std::string default_region(const s3_endpoint& endpoint) {
  // s3.eu-west-1.amazonaws.com, s3-eu-west-1.amazonaws.com, s3.dualstack.eu-west-1.amazonaws.com
  if (is_aws(endpoint)) {
    auto name = std::string_view(endpoint.host).substr(3);
    if (name.starts_with("dualstack.")) name.remove_prefix(10);
    name = name.substr(0, name.find('.'));
    if (std::ranges::count(name, '-') >= 2) return std::string(name);
  }
  return "us-east-1";
}

/// AWS has a host for each region; everybody else has one.
[[nodiscard]] inline std::string host_for(const s3_endpoint& endpoint, const std::string& region) {
  if (endpoint.host != "s3.amazonaws.com" || region == "us-east-1") return endpoint.host;
  return "s3." + region + (region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com");
}

[[nodiscard]] inline bool puts_bucket_into_host(const s3_endpoint& endpoint, std::string_view bucket,
                                                s3_bucket_lookup lookup) {
  if (lookup != s3_bucket_lookup::automatic) return lookup == s3_bucket_lookup::dns;
  // A dot in the name makes it two labels, for which no wildcard certificate holds.
  const bool fits = bucket.size() >= 3 && bucket.size() <= 63 &&
                    !(endpoint.use_tls && bucket.find('.') != std::string_view::npos) &&
                    bucket.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string_view::npos;
  // Services that know, or soon will know, no other form; the same as minio-go's list.
  constexpr std::array<std::string_view, 3> suffixes{".aliyuncs.com", ".myqcloud.com", ".storage.googleapis.com"};
  const std::string_view host = endpoint.host;
  return fits && (is_aws(endpoint) || host == "storage.googleapis.com" ||
                  std::ranges::any_of(suffixes, [host](std::string_view each) { return host.ends_with(each); }));
}

/// "s3:http://host:9000/bucket/key", in the form that locations have, but with nothing escaped: for messages.
[[nodiscard]] inline std::string describe(const s3_endpoint& endpoint, std::string_view bucket = {},
                                          std::string_view key = {}) {
  auto text = "s3:" + endpoint.url();
  if (!bucket.empty()) text.append("/").append(bucket);
  if (!key.empty()) text.append("/").append(key);
  return text;
}

}  // namespace recoup
