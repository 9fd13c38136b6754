// One run of a schedule at a time on this machine.
#pragma once

#include <string>

#include <recoup/core/file_descriptor.hpp>

namespace recoup::cli {

/// Held from construction to destruction, and by nobody any more once the process is gone, however it ended.
class run_lock {
public:
  /// Throws locked, naming the process that runs the schedule.
  explicit run_lock(const std::string& schedule);

private:
  file_descriptor file_;
};

}  // namespace recoup::cli
