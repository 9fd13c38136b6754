// scrypt (RFC 7914) by OpenSSL, whose rounds take three quarters of libsodium 1.0.18's time: opening a repository waits
// for eight or nine of them.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <string>
#include <string_view>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>

namespace recoup {

/// Memory is 128 * n * r bytes, time is proportional to n * r * p.
struct scrypt_parameters {
  std::uint64_t n = 0;  ///< a power of two above 1
  std::uint32_t r = 0;
  std::uint32_t p = 0;

  [[nodiscard]] friend bool operator==(const scrypt_parameters&, const scrypt_parameters&) noexcept = default;
};

/// Fills `derived`. Throws failure if there is not enough memory. Check parameters that come from a file beforehand.
inline void scrypt(std::string_view password, byte_view salt, const scrypt_parameters& parameters, byte_span derived) {
  constexpr std::uint64_t no_limit = std::uint64_t{1} << 40;  // OpenSSL's own is 32 MiB, just below what restic uses
  if (EVP_PBE_scrypt(password.data(), password.size(), salt.data(), salt.size(), parameters.n, parameters.r,
                     parameters.p, no_limit, derived.data(), derived.size()) != 1)
    throw error(error_code::failure, "the key could not be derived from the password: scrypt with N=" +
                                         std::to_string(parameters.n) + " r=" + std::to_string(parameters.r) +
                                         " p=" + std::to_string(parameters.p) + " failed; is there enough memory?");
}

}  // namespace recoup
