// SHA-256, the name of everything in a repository. OpenSSL's uses SHA-NI and its like where the processor has them.
#pragma once

#include <openssl/evp.h>

#include <memory>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>

namespace recoup {

/// Hashes what comes in pieces. Not thread-safe. After `finish` it starts again from nothing.
class sha256_stream {
public:
  sha256_stream() : context_(::EVP_MD_CTX_new()) {
    if (context_ == nullptr) throw error(error_code::failure, "SHA-256: no memory for a context");
    check(::EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr));
  }

  void update(byte_view more) { check(::EVP_DigestUpdate(context_.get(), more.data(), more.size())); }

  [[nodiscard]] id finish() {
    id result;
    check(::EVP_DigestFinal_ex(context_.get(), result.value.data(), nullptr));
    restart();
    return result;
  }

  /// Forgets what came in.
  void restart() { check(::EVP_DigestInit_ex2(context_.get(), nullptr, nullptr)); }

private:
  struct free_context {
    void operator()(EVP_MD_CTX* context) const noexcept { ::EVP_MD_CTX_free(context); }
  };

  /// Looked up once: a look-up takes locks and more time than hashing a small tree does. Never freed, because objects
  /// with static lifetime may still hash while the process ends.
  [[nodiscard]] static const EVP_MD* algorithm() {
    static const EVP_MD* const found = ::EVP_MD_fetch(nullptr, "SHA256", nullptr);
    if (found == nullptr)
      throw error(error_code::failure, "OpenSSL offers no SHA-256: check its configuration (openssl.cnf)");
    return found;
  }

  static void check(int result) {
    if (result != 1) throw error(error_code::failure, "SHA-256: OpenSSL failed");
  }

  std::unique_ptr<EVP_MD_CTX, free_context> context_;
};

/// Thread-safe: each thread keeps a context.
[[nodiscard]] inline id sha256(byte_view content) {
  thread_local sha256_stream stream;
  try {
    stream.update(content);
    return stream.finish();
  } catch (...) {
    stream.restart();
    throw;
  }
}

}  // namespace recoup
