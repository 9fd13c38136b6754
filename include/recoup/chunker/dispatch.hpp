// Which search for cuts runs on this machine.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include <recoup/chunker/scan.hpp>
#include <recoup/core/error.hpp>

namespace recoup {

/// In order of speed. A kernel for more of the processor's instructions gets a line here and one in `scan_kernels`.
enum class scan_kernel {
  reference,    ///< one byte after another: what the others are tested against
  interleaved,  ///< eight places at once, portable C++
};

struct scan_kernel_entry {
  scan_kernel kernel;
  std::string_view name;
  scan_function function;
  bool (*runs_here)();  ///< whether this processor has the instructions
};

/// All kernels that were compiled in, slowest first.
inline constexpr scan_kernel_entry scan_kernels[] = {
    {scan_kernel::reference, "reference", &scan_reference, [] { return true; }},
    {scan_kernel::interleaved, "interleaved", &scan_interleaved, [] { return true; }},
};

/// Nothing if `kernel` does not run on this machine.
[[nodiscard]] inline std::optional<scan_function> find_scan_kernel(scan_kernel kernel) {
  for (const auto& entry : scan_kernels)
    if (entry.kernel == kernel && entry.runs_here()) return entry.function;
  return std::nullopt;
}

/// The fastest kernel that runs here, or the one that the environment variable RECOUP_SCAN_KERNEL names. Decided once.
/// Throws invalid_argument if that variable names none, or one this machine cannot run: it is for tests and
/// measurements, where a silent other choice would mislead.
[[nodiscard]] inline const scan_kernel_entry& best_scan_kernel_entry() {
  static const scan_kernel_entry& chosen = [&]() -> const scan_kernel_entry& {
    const char* const wanted = std::getenv("RECOUP_SCAN_KERNEL");
    const scan_kernel_entry* best = nullptr;
    for (const auto& entry : scan_kernels)
      if (entry.runs_here() && (wanted == nullptr || *wanted == '\0' || entry.name == wanted)) best = &entry;
    if (best == nullptr)
      throw error(error_code::invalid_argument,
                  std::string("RECOUP_SCAN_KERNEL=") + wanted + ": no such kernel, or this processor cannot run it");
    return *best;
  }();
  return chosen;
}

[[nodiscard]] inline scan_function best_scan_kernel() { return best_scan_kernel_entry().function; }

}  // namespace recoup
