// One run of a schedule: back up, forget, prune, check. See schedule_run.cpp for the order of locks.
#pragma once

#include <recoup/schedule/definition.hpp>

#include "command.hpp"

namespace recoup::cli {

/// `with_commands`: false where the unit runs them before and after us. Throws when all is done that could be done:
/// incomplete if only some files could not be read; the error of the backup if there is no snapshot; else failure.
void run_schedule(context& call, const schedule_definition& definition, bool with_commands);

}  // namespace recoup::cli
