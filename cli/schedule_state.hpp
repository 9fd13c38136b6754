// How a schedule is doing: for `schedule list` and `schedule show`.
#pragma once

#include <string>

#include <recoup/json/json_writer.hpp>

#include "schedule_store.hpp"

namespace recoup::cli {

struct schedule_state {
  std::string state;  ///< "active", "running", "inactive", "failed", "disabled"; "unknown" where systemd is not asked
  std::string next, last;  ///< RFC 3339 or empty
  std::string result;      ///< "success", "partial", "failed (exit-code 1)"; empty if it never ran since the boot
  std::string problem;     ///< why the definition cannot be read
};

[[nodiscard]] schedule_state state_of_schedule(const schedule_store& store, const std::string& name);

/// Members of an object that is open.
void write_state(json_writer& json, const schedule_state& state);

}  // namespace recoup::cli
