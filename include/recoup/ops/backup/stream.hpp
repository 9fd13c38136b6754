// Backing up what a program writes instead of what lies in a file system.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include <recoup/core/bytes.hpp>

namespace recoup {

/// Becomes one file in the snapshot, with mode 0644 and the snapshot's time.
struct backup_stream {
  std::string path = "/stdin";  ///< in the snapshot; made absolute
  /// Fills the span with at least one byte and returns how many; 0 at the end. Throws to abandon the backup, for
  /// example because the program that writes has failed.
  std::function<std::size_t(byte_span)> read;
};

}  // namespace recoup
