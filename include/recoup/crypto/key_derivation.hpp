// From a password to the key that opens a key file: scrypt (RFC 7914; restic.md section 2.3).
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/crypto/scrypt.hpp>
#include <recoup/crypto/secret.hpp>

namespace recoup {

/// restic's; it opens no key file that has another.
inline constexpr std::size_t key_salt_size = 64;

/// What a key file may ask of us. A key file can be read, and replaced, by whoever stores the repository, and these
/// numbers are used before any password is checked: without bounds they could take all memory or days.
inline constexpr std::uint64_t max_scrypt_memory = std::uint64_t{1} << 30;  ///< bytes; restic writes 32 MiB
inline constexpr std::uint64_t max_scrypt_work = std::uint64_t{1} << 26;    ///< n * r * p: about 15 s

/// Throws damaged if no key can or should be derived with these.
inline void check_scrypt(const scrypt_parameters& parameters) {
  const std::uint64_t n = parameters.n, r = parameters.r, p = parameters.p;
  const auto refuse = [&](const std::string& why) {
    throw error(error_code::damaged, "scrypt parameters N=" + std::to_string(n) + " r=" + std::to_string(r) +
                                         " p=" + std::to_string(p) + ": " + why +
                                         "; the key file is damaged or was not written by a backup program");
  };
  if (n < 2 || !std::has_single_bit(n)) refuse("N must be a power of two above 1");
  if (r == 0 || p == 0) refuse("r and p must not be 0");
  if (n > max_scrypt_memory / 128 || n * 128 > max_scrypt_memory / r) refuse("this takes more than 1 GiB of memory");
  if (n * r > max_scrypt_work / p) refuse("this takes minutes or more");
  // Below the limits above only with an n of nearly nothing. RFC 7914 section 2 allows 2^30.
  if (r * p > max_scrypt_memory / 128) refuse("r * p must be below 2^23");
}

/// The key a password stands for. The password is used byte for byte.
/// Throws damaged if salt or parameters cannot be a key file's.
[[nodiscard]] inline box_key derive_key(std::string_view password, byte_view salt,
                                        const scrypt_parameters& parameters) {
  check_scrypt(parameters);
  if (salt.size() != key_salt_size)
    throw error(error_code::damaged, "the salt of a key file has " + std::to_string(key_salt_size) + " bytes, not " +
                                         std::to_string(salt.size()) + ": the key file is damaged");
  secret_bytes derived(box_key::size);
  scrypt(password, salt, parameters, derived.span());
  return box_key::from(derived.view());
}

/// Parameters for a new key: about half a second and 32 MiB on this machine, as restic chooses them. restic takes the
/// largest power of two that stays below 60 MiB and then fills the time with p; a machine so slow that one round takes
/// longer gets a smaller n, but never one that is cheap to attack.
[[nodiscard]] inline scrypt_parameters calibrated() {
  using namespace std::chrono;
  constexpr auto target = duration<double>(0.5);
  scrypt_parameters parameters{32768, 8, 1};
  const bytes salt(key_salt_size, 0x5a);
  const auto measure = [&] {
    const auto start = steady_clock::now();
    (void)derive_key("weak", salt, parameters);
    return duration<double>(steady_clock::now() - start);
  };
  auto round = std::min(measure(), measure());  // the first one also pays for touching the memory
  while (round > target && parameters.n > 4096) {
    parameters.n /= 2;
    round = measure();
  }
  parameters.p = static_cast<std::uint32_t>(std::clamp(target / round, 1.0, 32.0));
  return parameters;
}

}  // namespace recoup
