// What the fuzz targets share. A target gives its input to one decoder. The decoder may refuse it with recoup::error
// and must do nothing else; what it accepts must survive being encoded and decoded again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>

/// Ends the process, so that the fuzzer keeps the input.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

/// Whether `decode` took its input. Anything but recoup::error goes up to the fuzzer. What encoding has just made must
/// be taken, so the second decoding of a target is not wrapped in this.
template <class Decode>
bool accepts(Decode&& decode) {
  try {
    decode();
    return true;
  } catch (const recoup::error&) {
    return false;
  }
}
