// What systemd knows and does, through its own command.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace recoup::cli {

/// True if this machine runs systemd.
[[nodiscard]] bool systemd_is_running();

/// Runs systemctl with these arguments and returns what it prints. Throws failure with its own words.
std::string systemctl(const std::vector<std::string>& arguments);

/// What is known of a timer and its service.
struct timer_state {
  std::string timer;    ///< "active", "inactive", "failed"
  std::string enabled;  ///< "enabled", "disabled", …
  std::string service;  ///< "active", "activating" while it runs, "inactive", "failed"
  std::string result;   ///< of the last run: "success", "exit-code", "timeout", …
  std::string exit_status;
  std::string next, last;  ///< RFC 3339 or empty
};

/// Nothing if systemd does not run here. Throws failure if it does not answer.
[[nodiscard]] std::optional<timer_state> state_of_timer(const std::string& name);

}  // namespace recoup::cli
