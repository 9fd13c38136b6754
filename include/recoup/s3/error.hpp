// What an S3 server answers when it refuses, and what that means for whoever asked.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <recoup/core/error.hpp>
#include <recoup/http/message.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

/// The error document of an answer (AWS "Error responses"), as far as it is there: HEAD requests and proxies send none.
struct s3_refusal {
  int status = 0;
  std::string code;     ///< "NoSuchKey"; made up from the status if the server names none
  std::string message;  ///< the server's own words
  std::string region;   ///< where the bucket really is, if the server says so
  std::string endpoint;

  /// "404 NoSuchKey: The specified key does not exist."
  [[nodiscard]] std::string describe() const {
    return std::to_string(status) + ' ' + code + (message.empty() ? "" : ": " + message);
  }
};

/// The name that S3 gives to a status when the answer has no body.
[[nodiscard]] constexpr const char* usual_code(int status) noexcept {
  switch (status) {
    case 301: return "PermanentRedirect";
    case 307: return "TemporaryRedirect";
    case 400: return "BadRequest";
    case 401: return "Unauthorized";
    case 403: return "AccessDenied";
    case 404: return "NotFound";
    case 405: return "MethodNotAllowed";
    case 409: return "Conflict";
    case 412: return "PreconditionFailed";
    case 416: return "InvalidRange";
    case 429: return "TooManyRequests";
    case 500: return "InternalError";
    case 501: return "NotImplemented";
    case 503: return "ServiceUnavailable";
    case 507: return "InsufficientStorage";
    default: return "Error";
  }
}

[[nodiscard]] inline s3_refusal read_refusal(const http_response& response) {
  s3_refusal refusal{response.status, {}, {}, {}, {}};
  if (const auto* region = response.header("x-amz-bucket-region")) refusal.region = *region;
  const auto start = response.body.find_first_not_of(" \t\r\n");
  if (start != std::string::npos && response.body[start] == '<') {
    try {
      const auto document = parse_xml(response.body, "an error");
      if (document.name == "Error") {
        refusal.code = document.text_of("Code");
        refusal.message = document.text_of("Message");
        refusal.endpoint = document.text_of("Endpoint");
        if (const auto region = document.text_of("Region"); !region.empty()) refusal.region = std::string(region);
      }
    } catch (const error&) {
      // A page of some proxy's: its status says enough.
    }
  }
  if (refusal.code.empty()) {
    refusal.code = usual_code(response.status);
    if (response.status == 200) refusal.code = "InternalError";
  }
  return refusal;
}

template <std::size_t Size>
[[nodiscard]] constexpr bool is_one_of(std::string_view code, const std::array<std::string_view, Size>& codes) noexcept {
  return std::ranges::find(codes, code) != codes.end();
}

/// The server may take the same request later.
[[nodiscard]] inline bool is_passing(const s3_refusal& refusal) noexcept {
  constexpr std::array<std::string_view, 10> codes{
      "SlowDown",           "SlowDownRead",     "SlowDownWrite",    "RequestTimeout", "InternalError",
      "ServiceUnavailable", "OperationAborted", "TooManyRequests",  "Throttling",     "RequestThrottled"};
  if (is_one_of(refusal.code, codes)) return true;
  return refusal.status >= 500 && refusal.status != 501 && refusal.status != 505 && refusal.status != 507;
}

/// versitygw, a gateway to a file system, says that an object's name is a directory's whenever it cannot put the object into
/// its directory: also while the removal of another object takes away the directory, empty at that moment, that the upload
/// has just found. So it is worth another try, but not minutes of them, as it can be true.
[[nodiscard]] inline bool may_be_race_of_directories(const s3_refusal& refusal) noexcept {
  return refusal.code == "ExistingObjectIsDirectory";
}

/// The server has more to do than it can.
[[nodiscard]] inline bool asks_to_slow_down(const s3_refusal& refusal) noexcept {
  return refusal.status == 503 || refusal.status == 429 || refusal.code.starts_with("SlowDown");
}

[[nodiscard]] inline bool names_other_region(const s3_refusal& refusal) noexcept {
  return refusal.status == 301 || refusal.status == 307 || refusal.status == 302 || refusal.status == 308 ||
         refusal.code == "AuthorizationHeaderMalformed" || refusal.code == "PermanentRedirect" ||
         refusal.code == "IllegalLocationConstraintException" ||
         (refusal.status == 400 && !refusal.region.empty());
}

/// Expired, or unknown because keys were replaced: whoever hands them out may have newer ones.
[[nodiscard]] inline bool may_have_newer_credentials(const s3_refusal& refusal) noexcept {
  constexpr std::array<std::string_view, 5> codes{"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired",
                                                  "InvalidToken", "InvalidAccessKeyId"};
  return is_one_of(refusal.code, codes);
}

/// An answer that says no. `refusal()` has it in the server's words.
class s3_error : public error {
public:
  s3_error(error_code code, const std::string& message, s3_refusal refusal)
      : error(code, message), refusal_(std::move(refusal)) {}

  [[nodiscard]] const s3_refusal& refusal() const noexcept { return refusal_; }

private:
  s3_refusal refusal_;
};

[[nodiscard]] inline error_code code_of(const s3_refusal& refusal) noexcept {
  constexpr std::array<std::string_view, 3> full{"XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded"};
  if (refusal.status == 507 || is_one_of(refusal.code, full)) return error_code::no_space;
  if (refusal.status == 404) return error_code::not_found;
  if (refusal.status == 401 || refusal.status == 403) return error_code::access_denied;
  if (refusal.status == 416) return error_code::damaged;
  if (refusal.status == 501) return error_code::unsupported;
  return error_code::io;
}

/// What a request would do, as far as credentials may or may not allow it.
enum class s3_action : std::uint8_t { read, write, remove, list, other };

/// What the credentials lack, by AWS's name for it.
[[nodiscard]] constexpr const char* missing_permission(s3_action action) noexcept {
  switch (action) {
    case s3_action::read:
      return "may not read there (s3:GetObject), or it does not exist and they may not list the bucket (s3:ListBucket)";
    case s3_action::write: return "may not write there (s3:PutObject)";
    case s3_action::remove: return "may not remove anything there (s3:DeleteObject)";
    case s3_action::list: return "may not list the bucket (s3:ListBucket)";
    case s3_action::other: break;
  }
  return "do not allow it";
}

/// What can be done about it; "" if nothing is known.
[[nodiscard]] inline std::string advice_for(const s3_refusal& refusal, s3_action action = s3_action::other) {
  const std::string_view code = refusal.code;
  if (code == "InvalidAccessKeyId")
    return "the server does not know this access key: check AWS_ACCESS_KEY_ID, or the profile in ~/.aws";
  if (code == "SignatureDoesNotMatch")
    return "the secret key is wrong for this access key: check AWS_SECRET_ACCESS_KEY (a proxy that changes the Host header "
           "or the path has the same effect)";
  if (may_have_newer_credentials(refusal)) return "the session token has run out: get new credentials";
  if (code == "RequestTimeTooSkewed") return "this machine's clock and the server's differ by more than 15 minutes";
  if (code == "NoSuchBucket") return "there is no such bucket: check its name, or make it with `recoup bucket create`";
  if (code == "InvalidObjectState")
    return "the object lies in an archive storage class: restore it there first (-o s3.enable-restore=true)";
  if (code == "XMinioStorageFull" || refusal.status == 507) return "the server's disks are full";
  if (code_of(refusal) == error_code::no_space) return "the bucket's quota is used up: raise it, or forget and prune";
  if (code == "MissingContentMD5") return "the bucket has object lock";
  if (refusal.status == 301 || code == "PermanentRedirect")
    return refusal.region.empty() ? "the bucket is in another region: name it with -o s3.region=…"
                                  : "the bucket is in region " + refusal.region;
  if (refusal.status == 403 || refusal.status == 401)
    return std::string("these credentials ") + missing_permission(action);
  return {};
}

}  // namespace recoup
