#include "systemctl.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>

#include "child_process.hpp"
#include "format.hpp"

namespace recoup::cli {

namespace {

/// systemd prints "Sat 2026-11-28 02:00:00 CET", in the process's zone; --timestamp=unix is there only since version
/// 248.
std::string time_of(const std::string& text) {
  const auto words = split(text, ' ');
  if (words.size() < 3) return {};
  const auto time = parse_local_time(words[1] + " " + words[2]);
  return time ? to_rfc3339(*time) : std::string();
}

std::map<std::string, std::string> properties(const std::string& unit, const std::string& names) {
  std::map<std::string, std::string> found;
  for (const auto& line : split(systemctl({"show", unit, "--property=" + names}), '\n'))
    if (const auto equals = line.find('='); equals != std::string::npos)
      found[line.substr(0, equals)] = line.substr(equals + 1);
  return found;
}

}  // namespace

bool systemd_is_running() { return ::access("/run/systemd/system", F_OK) == 0; }  // sd_booted(3)

std::string systemctl(const std::vector<std::string>& arguments) {
  std::vector<std::string> words{"systemctl", "--no-pager"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  child_process child(words);
  std::string output;
  char buffer[4096];
  for (;;) {
    const auto got = ::read(child.output(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    output.append(buffer, static_cast<std::size_t>(got));
  }
  if (const auto problem = child.wait(); !problem.empty())
    throw error(error_code::failure, "`" + join(words, " ") + "` failed: " + problem + "; what it says stands above");
  return output;
}

std::optional<timer_state> state_of_timer(const std::string& name) {
  if (!systemd_is_running()) return std::nullopt;
  auto timer = properties(name + ".timer", "ActiveState,UnitFileState,NextElapseUSecRealtime,LastTriggerUSec");
  auto service = properties(name + ".service", "ActiveState,Result,ExecMainStatus,ExecMainExitTimestamp");
  timer_state state;
  state.timer = timer["ActiveState"];
  state.enabled = timer["UnitFileState"];
  state.service = service["ActiveState"];
  state.next = time_of(timer["NextElapseUSecRealtime"]);
  state.last = time_of(service["ExecMainExitTimestamp"]);
  if (!state.last.empty()) {
    state.result = service["Result"];
    state.exit_status = service["ExecMainStatus"];
  } else {
    state.last = time_of(timer["LastTriggerUSec"]);  // outlives a restart of the machine
  }
  return state;
}

}  // namespace recoup::cli
