// A schedule's files and times as JSON: for `schedule render --json` and the machine interface's `schedule.render`.
#pragma once

#include <string>
#include <vector>

#include <recoup/schedule/definition.hpp>
#include <recoup/schedule/schedule_files.hpp>

namespace recoup::cli {

/// docs/engine.md, "schedule.render".
[[nodiscard]] std::string render_json(const schedule_definition& definition, const std::vector<schedule_file>& files);

}  // namespace recoup::cli
