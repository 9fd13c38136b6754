// Files, answers and JSON with secrets in them, of which no copy shall stay behind.
#pragma once

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/core/parse_setting.hpp>
#include <recoup/core/time.hpp>
#include <recoup/crypto/secret.hpp>
#include <recoup/json/json_reader.hpp>
#include <recoup/s3/credentials/provider.hpp>

namespace recoup {

/// Wipes a string when the scope ends, however it does.
class wiped_at_end {
public:
  explicit wiped_at_end(std::string& text) noexcept : text_(text) {}
  wiped_at_end(const wiped_at_end&) = delete;
  wiped_at_end& operator=(const wiped_at_end&) = delete;
  ~wiped_at_end() { ::sodium_memzero(text_.data(), text_.size()); }

private:
  std::string& text_;
};

/// $HOME, or what the system's user database says; empty if neither knows.
[[nodiscard]] inline std::string home_directory() {
  if (auto home = environment_variable("HOME"); !home.empty()) return home;
  const auto* const entry = ::getpwuid(::geteuid());
  return entry == nullptr || entry->pw_dir == nullptr ? std::string() : std::string(entry->pw_dir);
}

/// All of a small file; nothing if there is none. Throws what reading it throws, and invalid_argument above 1 MiB.
[[nodiscard]] inline std::optional<secret_bytes> read_secret_file(const std::string& path, const std::string& what) {
  constexpr std::size_t most = std::size_t{1} << 20;
  const file_descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!opened) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw system_error(errno, "cannot read " + what + " (" + path + ")");
  }
  secret_bytes buffer(most + 1);
  std::size_t length = 0;
  while (length <= most) {
    const auto got = ::read(opened.get(), buffer.span().data() + length, buffer.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "cannot read " + what + " (" + path + ")");
    if (got == 0) return secret_bytes(buffer.view().first(length));
    length += static_cast<std::size_t>(got);
  }
  throw error(error_code::invalid_argument, "cannot read " + what + " (" + path + "): more than 1 MiB is no such file");
}

/// A JSON string that goes into secret memory. Escapes are rare, and only with them does the reader keep a copy.
[[nodiscard]] inline std::shared_ptr<const secret_bytes> secret_of(json_value& value) {
  const auto raw = raw_string(value);
  return make_secret(raw.find('\\') == std::string_view::npos ? raw : string_of(value));
}

[[nodiscard]] inline std::optional<std::chrono::system_clock::time_point> parse_expiry(std::string_view text) {
  const auto stamp = parse_rfc3339(text);
  if (!stamp) return std::nullopt;
  return std::chrono::system_clock::time_point(std::chrono::seconds(stamp->seconds));
}

/// The JSON that instance metadata, container agents and a credential_process give, which differ in the token's name.
/// `what` names it in messages. Throws damaged if it is not that, or has no key in it.
[[nodiscard]] inline s3_credentials parse_credentials_json(byte_view text, const std::string& what) {
  s3_credentials found;
  std::string code, message, expires;
  read_json(
      text, what,
      [&](json_object root) {
        for_each_field(root, [&](std::string_view key, json_value& value) {
          if (key == "AccessKeyId")
            read(value, found.access_key_id);
          else if (key == "SecretAccessKey" && !is_null(value))
            found.secret_access_key = secret_of(value);
          else if (key == "Token" || key == "SessionToken")
            read(value, found.session_token);
          else if (key == "Expiration")
            read(value, expires);
          else if (key == "Code" || key == "code")
            read(value, code);
          else if (key == "Message" || key == "message")
            read(value, message);
        });
      },
      true);
  if (!code.empty() && code != "Success")
    throw error(error_code::io, what + " says: " + code + (message.empty() ? "" : ": " + message));
  if (found.access_key_id.empty() || !found.secret_access_key || found.secret_access_key->empty())
    throw error(error_code::damaged, what + " has no AccessKeyId or no SecretAccessKey in it");
  if (!expires.empty()) {
    found.expires = parse_expiry(expires);
    if (!found.expires)
      throw error(error_code::damaged, what + ": Expiration must be a time such as 2006-01-02T15:04:05Z");
  }
  found.source = what;
  return found;
}

}  // namespace recoup
