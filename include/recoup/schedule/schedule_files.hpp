// Where the files of a schedule lie, and all of them at once.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/schedule/definition.hpp>
#include <recoup/schedule/definition_check.hpp>
#include <recoup/schedule/definition_json.hpp>
#include <recoup/schedule/environment_file.hpp>
#include <recoup/schedule/on_calendar_lines.hpp>
#include <recoup/schedule/units.hpp>

namespace recoup {

inline constexpr std::string_view schedule_directory = "/etc/recoup/schedules";
inline constexpr std::string_view unit_directory = "/etc/systemd/system";
/// Under which name the environment file is given to the service (LoadCredential=).
inline constexpr std::string_view environment_credential = "environment";

[[nodiscard]] inline std::string schedule_path(std::string_view name) {
  return std::string(schedule_directory) + "/" + std::string(name) + ".json";
}
[[nodiscard]] inline std::string service_path(std::string_view name) {
  return std::string(unit_directory) + "/" + std::string(name) + ".service";
}
[[nodiscard]] inline std::string timer_path(std::string_view name) {
  return std::string(unit_directory) + "/" + std::string(name) + ".timer";
}

struct schedule_file {
  std::string path;
  unsigned mode;
  std::string content;
  bool is_secret = false;
};

/// What the environment says about where a run writes: of several settings the last counts, as for systemd.
[[nodiscard]] inline unit_surroundings surroundings_of(const schedule_definition& definition,
                                                       const std::vector<environment_setting>& file) {
  unit_surroundings around;
  around.definition_path = schedule_path(definition.name);
  around.on_calendar = on_calendar_lines(definition);
  const auto setting = [&](const std::string& name) {
    const auto found = std::ranges::find(file, name, &environment_setting::name);
    if (found != file.end()) return found->value;
    const auto own = definition.environment.find(name);
    return own == definition.environment.end() ? std::string() : own->second;
  };
  if (auto directory = local_directory_of(setting("RESTIC_REPOSITORY")); !directory.empty())
    around.writable.push_back(std::move(directory));
  if (auto cache = setting("RESTIC_CACHE_DIR"); !cache.empty()) {
    around.has_own_cache_directory = true;
    around.writable.push_back(std::move(cache));
  }
  return around;
}

/// The definition, the units, and the environment file if there is something to write into it (`secrets`: null leaves
/// the file alone). `environment`: what is in it otherwise, as far as known. Throws schedule_error, or invalid_argument
/// for a variable that cannot be written.
[[nodiscard]] inline std::vector<schedule_file> render_schedule_files(
    const schedule_definition& definition, const std::vector<environment_setting>* secrets,
    const std::vector<environment_setting>& environment = {}) {
  require_valid(definition);
  const auto around = surroundings_of(definition, secrets != nullptr ? *secrets : environment);
  const auto units = render_units(definition, around);
  std::vector<schedule_file> files;
  if (secrets != nullptr) files.push_back({definition.environment_file, 0600, render_environment_file(*secrets), true});
  files.push_back({around.definition_path, 0644, render_schedule(definition)});
  files.push_back({service_path(definition.name), 0644, units.service});
  files.push_back({timer_path(definition.name), 0644, units.timer});
  return files;
}

}  // namespace recoup
