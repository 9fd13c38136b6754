// What an HTTP client is asked and what it answers.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>

namespace recoup {

struct http_header {
  std::string name, value;
};

/// Header names differ in case only (RFC 9110 section 5.1).
[[nodiscard]] inline bool same_header_name(std::string_view left, std::string_view right) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  return std::ranges::equal(left, right, [&](char a, char b) { return lower(a) == lower(b); });
}

/// What a success (2xx) brings goes straight to `into` if that is not empty, else to `*content` if given, else to the
/// response's `body`. What any other status brings is always the response's `body`. All memory must stay until the
/// request is over.
struct http_request {
  std::string method = "GET";
  std::string url;  ///< complete and escaped
  std::vector<http_header> headers{};
  byte_view body{};
  byte_span into{};          ///< a longer body than this is an error, a shorter one is not: see received
  bytes* content = nullptr;  ///< emptied first
  std::chrono::milliseconds connect_timeout{0};  ///< 0: the client's own
  std::chrono::milliseconds timeout{0};          ///< for the whole request; 0: as long as bytes flow
  std::chrono::milliseconds grace_after_stop{0};  ///< how long it may go on when a stop was requested
};

struct http_response {
  int status = 0;
  std::vector<http_header> headers{};
  std::string body{};
  std::uint64_t received = 0;  ///< bytes of the body, wherever they went
  std::chrono::microseconds answered_after{0};  ///< from when the request began to be sent until its answer began

  [[nodiscard]] bool is_success() const noexcept { return status >= 200 && status < 300; }

  /// The last header of this name; null if there is none.
  [[nodiscard]] const std::string* header(std::string_view name) const noexcept {
    for (auto at = headers.rbegin(); at != headers.rend(); ++at)
      if (same_header_name(at->name, name)) return &at->value;
    return nullptr;
  }
};

enum class http_failure : std::uint8_t {
  unreachable,   ///< no address, no route, connection refused: nothing was sent
  tls,           ///< certificate or handshake: trying again will not help
  broken,        ///< the connection ended before the answer was complete
  stalled,       ///< no byte moved for too long
  bad_response,  ///< not HTTP, or more than was asked for
  local,         ///< something here: memory, a file with certificates
};

/// No answer, or not all of it. A status such as 404 is an answer, not an error.
class http_error : public error {
public:
  http_error(http_failure kind, const std::string& message) : error(error_code::io, message), kind_(kind) {}

  [[nodiscard]] http_failure kind() const noexcept { return kind_; }
  /// True if the same request may succeed later.
  [[nodiscard]] bool is_passing() const noexcept { return kind_ != http_failure::tls && kind_ != http_failure::local; }

private:
  http_failure kind_;
};

}  // namespace recoup
