// Which search for cuts runs on this machine.
#pragma once

#include <optional>
#include <string_view>

#include <recoup/chunker/scan.hpp>
#include <recoup/chunker/scan_gfni_avx2.hpp>
#include <recoup/chunker/scan_gfni_avx512.hpp>
#include <recoup/chunker/scan_portable.hpp>
#include <recoup/core/choose_kernel.hpp>

namespace recoup {

/// A kernel for more of the processor's instructions gets a line here and one in `scan_kernels`.
enum class scan_kernel {
  reference,    ///< one byte after another: what the others are tested against
  portable,     ///< eight places at once, plain C++
  gfni_avx2,    ///< 32 lanes of bytes; x86-64 only
  gfni_avx512,  ///< 64 lanes of bytes; x86-64 only
};

struct scan_kernel_entry {
  scan_kernel kernel;
  std::string_view name;
  scan_function function;
  bool (*runs_here)();  ///< whether this processor has the instructions, and its system saves their registers
};

/// All kernels that were compiled in, slowest first.
inline constexpr scan_kernel_entry scan_kernels[] = {
    {scan_kernel::reference, "reference", &scan_reference, [] { return true; }},
    {scan_kernel::portable, "portable", &scan_portable, [] { return true; }},
#ifdef RECOUP_HAS_GFNI_AVX2
    {scan_kernel::gfni_avx2, "gfni-avx2", &scan_gfni_avx2, &runs_gfni_avx2},
#endif
#ifdef RECOUP_HAS_GFNI_AVX512
    {scan_kernel::gfni_avx512, "gfni-avx512", &scan_gfni_avx512, &runs_gfni_avx512},
#endif
};

/// Nothing if `kernel` does not run on this machine.
[[nodiscard]] inline std::optional<scan_function> find_scan_kernel(scan_kernel kernel) {
  for (const auto& entry : scan_kernels)
    if (entry.kernel == kernel && entry.runs_here()) return entry.function;
  return std::nullopt;
}

/// The environment variable that names a kernel.
inline constexpr const char* scan_kernel_variable = "RECOUP_KERNEL";

/// The kernel called `wanted`, or the fastest that runs here if that is empty. Throws as choose_kernel does.
[[nodiscard]] inline const scan_kernel_entry& choose_scan_kernel(std::string_view wanted) {
  return choose_kernel<scan_kernel_entry>(scan_kernels, scan_kernel_variable, wanted);
}

/// What the environment variable RECOUP_KERNEL names, or the fastest kernel that runs here. Decided once. Throws as
/// choose_kernel does.
[[nodiscard]] inline const scan_kernel_entry& best_scan_kernel_entry() {
  static const scan_kernel_entry& chosen = choose_scan_kernel(kernel_named_by(scan_kernel_variable));
  return chosen;
}

[[nodiscard]] inline scan_function best_scan_kernel() { return best_scan_kernel_entry().function; }

}  // namespace recoup
