// Which SHA-256 runs on this machine.
#pragma once

#include <cstdlib>
#include <string_view>

#include <recoup/core/choose_kernel.hpp>
#include <recoup/hash/sha256_avx512.hpp>
#include <recoup/hash/sha256_blocks.hpp>
#include <recoup/hash/sha256_sha_ni.hpp>

namespace recoup {

struct sha256_kernel_entry {
  std::string_view name;
  sha256_function function;
  std::size_t lanes;    ///< how many messages it takes at once; at most `sha256_most_lanes`
  bool (*runs_here)();  ///< whether this processor has the instructions
};

/// The places that the caller of a kernel keeps for its lanes.
inline constexpr std::size_t sha256_most_lanes = 8;

/// All kernels that were compiled in, slowest first.
inline constexpr sha256_kernel_entry sha256_kernels[] = {
    {"reference", &sha256_reference, 1, [] { return true; }},
#ifndef OPENSSL_NO_DEPRECATED_3_0
    {"openssl", &sha256_openssl, 1, [] { return true; }},
#endif
#if defined(__x86_64__)
    {"avx512", &sha256_avx512, sha256_with_avx512::lanes, &sha256_with_avx512::runs_here},
    {"sha-ni", &sha256_sha_ni, sha256_with_sha_ni::lanes, &sha256_with_sha_ni::runs_here},
#endif
};

/// The environment variable that names a kernel.
inline constexpr const char* sha256_kernel_variable = "RECOUP_SHA256_KERNEL";

/// The kernel called `wanted`, or the fastest that runs here if that is null or empty. Throws as choose_kernel
/// does.
[[nodiscard]] inline const sha256_kernel_entry& choose_sha256_kernel(const char* wanted) {
  return choose_kernel<sha256_kernel_entry>(sha256_kernels, sha256_kernel_variable, wanted == nullptr ? "" : wanted);
}

/// The kernel that everything uses: the environment variable RECOUP_SHA256_KERNEL may name it. Decided once. Throws as
/// choose_kernel does.
[[nodiscard]] inline const sha256_kernel_entry& best_sha256_kernel_entry() {
  static const sha256_kernel_entry& chosen = choose_sha256_kernel(std::getenv(sha256_kernel_variable));
  return chosen;
}

}  // namespace recoup
