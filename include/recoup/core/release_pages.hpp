// Memory that is kept for the next use, without the pages that only a rare large use needs.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include <recoup/core/bytes.hpp>

namespace recoup {

/// Most chunks are far smaller than the largest (max_chunk, 8 MiB), but sooner or later each buffer has held one.
inline constexpr std::size_t usual_chunk_memory = std::size_t{2} << 20;

/// Gives whole pages in `memory` back to the system. The range stays usable; what was in it is lost.
inline void release_pages(byte_span memory) noexcept {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(memory.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(memory.data() + memory.size()) / page * page;
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

/// Empties scratch memory, and keeps of its pages what a usual chunk needs.
inline void clear_scratch(bytes& scratch) noexcept {
  if (scratch.size() > usual_chunk_memory) release_pages(byte_span(scratch).subspan(usual_chunk_memory));
  scratch.clear();
}

}  // namespace recoup
