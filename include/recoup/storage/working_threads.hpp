// How many threads a piece of work is worth that waits for storage as well as for the processor.
#pragma once

#include <algorithm>

#include <recoup/core/worker_group.hpp>
#include <recoup/storage/backend.hpp>

namespace recoup {

/// One per processor, and one per connection of the storage up to `most`: that is for the caller to choose, by what each
/// thread holds in memory.
[[nodiscard]] inline unsigned working_threads(const backend& storage, unsigned most) {
  return std::max(processor_count(), std::min(storage.connections(), most));
}

}  // namespace recoup
