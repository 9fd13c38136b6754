// The systemd service and timer of a schedule. No secret stands in either: units are for everybody to read.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/schedule/definition.hpp>
#include <recoup/schedule/hardening.hpp>
#include <recoup/schedule/unit_text.hpp>

namespace recoup {

/// What a unit that was made here begins with: others are not overwritten.
inline constexpr std::string_view unit_mark = "# Made by `recoup schedule` ";

/// What rendering needs to know beside the definition.
struct unit_surroundings {
  std::string definition_path;           ///< told in the units
  std::vector<std::string> on_calendar;  ///< the calendar in systemd's words: see on_calendar_lines()
  /// Directories that the run writes into: a repository that is a directory, a cache of one's own.
  std::vector<std::string> writable{};
  bool has_own_cache_directory = false;  ///< $RESTIC_CACHE_DIR is set elsewhere
};

struct schedule_units {
  std::string service, timer;
};

/// The directory in which a repository lies; empty if it is none here.
[[nodiscard]] inline std::string local_directory_of(std::string_view location) {
  if (location.starts_with("local:")) location.remove_prefix(6);
  return location.starts_with('/') ? std::string(location) : std::string();
}

namespace unit_texts {

[[nodiscard]] inline std::string command_line(std::string_view key, const schedule_command& command) {
  auto line = std::string(key) + unit_program(command.front());
  for (std::size_t i = 1; i < command.size(); ++i) line += " " + unit_argument(command[i]);
  return line + "\n";
}

[[nodiscard]] inline std::string head(const unit_surroundings& around) {
  return std::string(unit_mark) + "from " + around.definition_path +
         ": what is changed here is lost when it is made again.\n# To change something for good: `recoup schedule "
         "install`, or "
         "`systemctl edit` for a file beside this one.\n";
}

[[nodiscard]] inline std::string description(const schedule_definition& definition) {
  return without_specifiers(definition.description.empty() ? "Backup " + definition.name : definition.description);
}

[[nodiscard]] inline std::string limits(const schedule_limits& limits) {
  std::string text;
  const auto add = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) ((text += key) += without_specifiers(value)) += "\n";
  };
  // Here "%" is no specifier: CPUQuota= and MemoryMax= know none.
  if (!limits.cpu_quota.empty()) text += "CPUQuota=" + limits.cpu_quota + "\n";
  if (!limits.memory_max.empty()) text += "MemoryMax=" + limits.memory_max + "\n";
  if (limits.io_weight) add("IOWeight=", std::to_string(*limits.io_weight));
  if (limits.nice) add("Nice=", std::to_string(*limits.nice));
  add("IOSchedulingClass=", limits.io_class);
  add("TimeoutStartSec=", limits.timeout);
  return text;
}

}  // namespace unit_texts

/// The definition is valid (require_valid()). Throws invalid_argument for a path that no unit can name.
[[nodiscard]] inline std::string render_service(const schedule_definition& definition,
                                                const unit_surroundings& around) {
  using namespace unit_texts;
  auto text = head(around) + "[Unit]\nDescription=" + description(definition) +
              "\nDocumentation=man:recoup-schedule(1)\nAfter=network-online.target\nWants=network-online.target\n";
  for (const auto& unit : definition.on_failure) text += "OnFailure=" + unit + "\n";
  // Whoever starts it by hand a few times must not keep the timer from starting it.
  text += "StartLimitIntervalSec=0\n\n[Service]\nType=oneshot\n";
  // Commands are the administrator's, and may write where they like: "+" runs them outside of what confines the backup.
  for (const auto& command : definition.commands_before) text += command_line("ExecStartPre=+", command);
  schedule_command run{definition.executable, "schedule", "run"};
  if (!definition.commands_before.empty() || !definition.commands_after.empty()) run.emplace_back("--no-commands");
  run.push_back(definition.name);
  text += command_line("ExecStart=", run);
  for (const auto& command : definition.commands_after) text += command_line("ExecStopPost=+", command);
  text += "LoadCredential=environment:" + without_specifiers(definition.environment_file) + "\n";
  if (!definition.partial_is_failure) text += "SuccessExitStatus=3\n";
  text += "CacheDirectory=recoup\nCacheDirectoryMode=0700\n";
  if (!around.has_own_cache_directory) text += "Environment=RESTIC_CACHE_DIR=/var/cache/recoup\n";
  // Schedules share the directory with their locks: it must not go when one of them is done.
  text += "RuntimeDirectory=recoup\nRuntimeDirectoryMode=0755\nRuntimeDirectoryPreserve=yes\nUMask=0077\n";
  text += "StandardOutput=journal\nStandardError=journal\nSyslogIdentifier=" + definition.name + "\n";
  text += limits(definition.limits);
  if (definition.hardening) text += render_hardening(definition, around.writable);
  return text;
}

[[nodiscard]] inline std::string render_timer(const schedule_definition& definition, const unit_surroundings& around) {
  using namespace unit_texts;
  auto text = head(around) + "[Unit]\nDescription=Timer: " + description(definition) +
              "\nDocumentation=man:recoup-schedule(1)\n\n[Timer]\nUnit=" + definition.name + ".service\n";
  for (const auto& line : around.on_calendar) text += "OnCalendar=" + line + "\n";
  if (definition.persistent) text += "Persistent=yes\n";
  if (!definition.on_boot.empty()) text += "OnBootSec=" + definition.on_boot + "\n";
  if (!definition.randomized_delay.empty()) text += "RandomizedDelaySec=" + definition.randomized_delay + "\n";
  // systemd's own choice is a minute, in which it moves timers together to save laptops' batteries.
  return text + "AccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n";
}

[[nodiscard]] inline schedule_units render_units(const schedule_definition& definition,
                                                 const unit_surroundings& around) {
  return {render_service(definition, around), render_timer(definition, around)};
}

}  // namespace recoup
