// Which SHA-256 runs on this machine.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include <recoup/core/error.hpp>
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

/// The fastest kernel that runs here, or the one called `wanted` if that is neither null nor empty. Throws
/// invalid_argument if there is no such kernel or this machine cannot run it: a name is given in tests and
/// measurements, where a silent other choice would mislead.
[[nodiscard]] inline const sha256_kernel_entry& choose_sha256_kernel(const char* wanted) {
  const sha256_kernel_entry* best = nullptr;
  std::string names;
  for (const auto& entry : sha256_kernels) {
    if (!entry.runs_here()) continue;
    names.append(names.empty() ? "" : ", ").append(entry.name);
    if (wanted == nullptr || *wanted == '\0' || entry.name == wanted) best = &entry;
  }
  if (best == nullptr)
    throw error(error_code::invalid_argument, std::string("RECOUP_SHA256_KERNEL=") + wanted +
                                                  ": no such kernel, or this processor cannot run it; it can run " +
                                                  names);
  return *best;
}

/// The kernel that everything uses: the environment variable RECOUP_SHA256_KERNEL may name it. Decided once. Throws as
/// `choose_sha256_kernel` does.
[[nodiscard]] inline const sha256_kernel_entry& best_sha256_kernel_entry() {
  static const sha256_kernel_entry& chosen = choose_sha256_kernel(std::getenv("RECOUP_SHA256_KERNEL"));
  return chosen;
}

}  // namespace recoup
