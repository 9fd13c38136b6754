// Memory that the allocator has taken back, and that goes on to the system.
#pragma once

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace recoup {

/// For when something large is gone and something else that is large comes: glibc keeps what was allocated in pieces of less
/// than its mmap threshold, and takes more for pieces above it. Elsewhere it does nothing.
inline void release_free_memory() noexcept {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

}  // namespace recoup
