// The settings of a schedule's run: from its environment file into this process.
#pragma once

#include <string>
#include <vector>

#include <recoup/schedule/definition.hpp>

#include "command.hpp"

namespace recoup::cli {

/// The environment of this process as it is now, for programs that are none of the backup's and need not learn its
/// secrets.
[[nodiscard]] std::vector<std::string> current_environment();

/// Sets what the file and the definition say. The file counts most, then the definition, then what was set before. The
/// file is the credential that systemd hands over (LoadCredential=), and the definition's environment_file where there
/// is none. Others do not see in /proc what is set here, only what a process was started with; programs that this one
/// starts inherit it. Throws not_found if there is no file, and nothing says where the repository is either.
void load_schedule_environment(const context& call, const schedule_definition& definition);

}  // namespace recoup::cli
