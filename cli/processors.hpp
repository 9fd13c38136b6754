// $RESTIC_PROCS: how many processors the program uses at most.
#pragma once

#include <string>

namespace recoup::cli {

/// Lets this thread, and those that it starts from here on, run on so many processors at a time, whatever the number of
/// threads. An empty text sets no limit; a number above what there is changes nothing. Throws invalid_argument for
/// anything but a number from 1 on.
void limit_processors(const std::string& text);

}  // namespace recoup::cli
