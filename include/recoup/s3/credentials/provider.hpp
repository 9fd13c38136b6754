// Credentials for S3 and what hands them out.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/crypto/secret.hpp>

namespace recoup {

struct s3_credentials {
  std::string access_key_id{};
  std::shared_ptr<const secret_bytes> secret_access_key{};  ///< wiped when the last copy goes
  std::string session_token{};                              ///< empty for lasting credentials
  std::optional<std::chrono::system_clock::time_point> expires{};
  std::string source{};  ///< for messages: "environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

  /// Requests go out unsigned: what a bucket gives to everybody.
  [[nodiscard]] bool anonymous() const noexcept { return access_key_id.empty(); }
};

[[nodiscard]] inline std::shared_ptr<const secret_bytes> make_secret(std::string_view text) {
  return std::make_shared<const secret_bytes>(as_bytes(text));
}

/// Thread-safe: many requests ask at once, and one of them fetches for all.
class credential_provider {
public:
  credential_provider() = default;
  credential_provider(const credential_provider&) = delete;
  credential_provider& operator=(const credential_provider&) = delete;
  virtual ~credential_provider() = default;

  /// Credentials that are valid for some minutes more, fetched if need be. Throws what fetching them throws, and
  /// interrupted if it is asked to stop meanwhile.
  [[nodiscard]] virtual std::shared_ptr<const s3_credentials> get(std::stop_token stop) = 0;

  /// The server said that these are expired or unknown, so the next `get` shall fetch new ones. False if new ones
  /// cannot differ.
  virtual bool renew(const s3_credentials& rejected) = 0;
};

/// Always the same.
class fixed_credentials final : public credential_provider {
public:
  explicit fixed_credentials(s3_credentials given)
      : given_(std::make_shared<const s3_credentials>(std::move(given))) {}

  [[nodiscard]] std::shared_ptr<const s3_credentials> get(std::stop_token) override { return given_; }
  bool renew(const s3_credentials&) override { return false; }

private:
  std::shared_ptr<const s3_credentials> given_;
};

[[nodiscard]] inline std::shared_ptr<credential_provider> anonymous_credentials() {
  s3_credentials nobody;
  nobody.source = "none: requests are not signed (s3.unsafe-anonymous-auth)";
  return std::make_shared<fixed_credentials>(std::move(nobody));
}

}  // namespace recoup
