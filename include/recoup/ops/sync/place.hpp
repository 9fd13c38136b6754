// The two ends of a copy: a bucket or a directory, each seen as keys and their contents.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/http/message.hpp>

namespace recoup {

using md5_digest = std::array<std::uint8_t, 16>;

/// S3 names contents by it (ETag). It tells damage, not intent.
[[nodiscard]] inline md5_digest md5(byte_view content) {
  md5_digest digest{};
  unsigned length = 0;
  if (::EVP_Digest(content.data(), content.size(), digest.data(), &length, ::EVP_md5(), nullptr) != 1)
    throw error(error_code::failure, "OpenSSL offers no MD5 here, which S3 servers name contents by");
  return digest;
}

struct sync_entry {
  std::string key;  ///< relative to the place
  std::uint64_t size = 0;
  std::string etag{};  ///< empty for files
  timestamp modified{};
};

/// All parts but the last have this many bytes.
struct part_layout {
  std::uint64_t total = 0, part = 0;

  [[nodiscard]] std::uint64_t count() const noexcept { return total == 0 ? 1 : (total + part - 1) / part; }
  [[nodiscard]] std::uint64_t offset(std::uint64_t number) const noexcept { return number * part; }
  [[nodiscard]] std::size_t size(std::uint64_t number) const noexcept {
    return static_cast<std::size_t>(std::min(part, total - offset(number)));
  }
  [[nodiscard]] bool is_whole() const noexcept { return count() == 1; }
};

/// What was read, part by part.
struct content_digests {
  std::vector<id> sha256{};
  std::vector<md5_digest> md5{};

  /// "d41d8cd9…", or "…-3" for an object in parts: what S3 makes of contents that it stores unencrypted.
  [[nodiscard]] std::string etag(bool in_parts) const {
    if (!in_parts) return md5.empty() ? std::string() : to_hex(md5.front());
    bytes all;
    for (const auto& each : md5) append(all, each);
    return to_hex(recoup::md5(all)) + '-' + std::to_string(md5.size());
  }
};

/// An object or file that is being read.
class sync_source {
public:
  sync_source() = default;
  sync_source(const sync_source&) = delete;
  sync_source& operator=(const sync_source&) = delete;
  virtual ~sync_source() = default;

  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// What S3 calls the contents; empty for files.
  [[nodiscard]] virtual std::string etag() const { return {}; }
  /// The part size the object was uploaded with, 0 if it was not in parts or that cannot be found out.
  [[nodiscard]] virtual std::uint64_t part_size() const { return 0; }
  [[nodiscard]] virtual timestamp modified() const = 0;
  /// Content-Type and such, x-amz-meta-…, and x-amz-tagging for the tags.
  [[nodiscard]] virtual std::vector<http_header> headers() const { return {}; }

  /// From several threads. Throws if the contents are no longer those that were there when this was opened.
  virtual void read(std::uint64_t offset, byte_span into) = 0;
};

/// An object or file that is being written, and seen by nobody until `finish`.
class sync_target {
public:
  sync_target() = default;
  sync_target(const sync_target&) = delete;
  sync_target& operator=(const sync_target&) = delete;
  virtual ~sync_target() = default;

  /// From several threads, in any order.
  virtual void write(std::uint64_t part, byte_view content, const id& sha256) = 0;
  /// Makes it whole. True if it is certain by then that what is stored is what the digests say; false if it has to be
  /// read to know. Throws damaged if it is known to be something else.
  [[nodiscard]] virtual bool finish(const content_digests& digests) = 0;
};

class sync_place {
public:
  sync_place() = default;
  sync_place(const sync_place&) = delete;
  sync_place& operator=(const sync_place&) = delete;
  virtual ~sync_place() = default;

  /// For messages.
  [[nodiscard]] virtual std::string describe() const = 0;
  [[nodiscard]] virtual bool is_directory() const = 0;
  /// Requests worth having in flight.
  [[nodiscard]] virtual unsigned connections() const = 0;

  /// Visits what is there, in any order, and what is there but can be no part of a copy, with the reason.
  virtual void list(const std::function<void(sync_entry)>& visit,
                    const std::function<void(const std::string& name, const std::string& reason)>& visit_unusable) = 0;

  /// Throws not_found.
  [[nodiscard]] virtual std::unique_ptr<sync_source> open(const sync_entry& entry) = 0;
  [[nodiscard]] virtual std::unique_ptr<sync_target> create(const std::string& key, const sync_source& from,
                                                            const part_layout& parts) = 0;
  /// Removes up to 1000. Returns those that could not be, with the reason.
  [[nodiscard]] virtual std::vector<std::pair<std::string, std::string>> remove(
      const std::vector<std::string>& keys) = 0;

  /// Why a key cannot be stored here; empty if it can. `is_directory_too` as in escaped_path().
  [[nodiscard]] virtual std::string problem_of(std::string_view, bool /*is_directory_too*/,
                                               std::uint64_t /*size*/) const {
    return {};
  }
  /// Told of all keys there will be, in order, before anything is created or listed.
  virtual void expect(const std::vector<sync_entry>&) {}
  /// All is written.
  virtual void settle() {}
};

}  // namespace recoup
