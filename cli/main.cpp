// The executable: reads the command line, runs the command, and turns what went wrong into a message and restic's exit
// code.
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/json/json_writer.hpp>

#include "child_process.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "features.hpp"
#include "password.hpp"
#include "processors.hpp"
#include "program_name.hpp"

namespace recoup::cli {
namespace {

constexpr int failure_exit_code = 1;

struct failure {
  int code;
  std::string message;
};

/// What restic prints before the message depends on what went wrong; scripts look for it.
failure describe(const std::exception& problem) {
  if (dynamic_cast<const std::bad_alloc*>(&problem) != nullptr)
    return {failure_exit_code, "Fatal: out of memory"};
  const auto* known = dynamic_cast<const error*>(&problem);
  if (known == nullptr) return {failure_exit_code, std::string("Fatal: ") + problem.what()};
  const int code = exit_code(known->code());
  const std::string message = known->what();
  if (dynamic_cast<const plain_error*>(known) != nullptr) return {code, message};
  switch (known->code()) {
    case error_code::locked: return {code, message};
    case error_code::incomplete: return {code, "Warning: " + message};
    default: return {code, "Fatal: " + message};
  }
}

int fail(terminal& screen, bool json, const failure& what) {
  if (json)
    screen.error(json_writer{}
                     .begin_object()
                     .field("message_type", "exit_error")
                     .field("code", what.code)
                     .field("message", what.message)
                     .end_object()
                     .take());
  else
    screen.error(what.message);
  return what.code;
}

/// Runs the executable recoup-NAME instead of this one. Returns only if there is none.
void run_external(const parsed_command_line& line, std::vector<std::string> arguments) {
  const auto name = "recoup-" + line.unknown_command;
  if (line.unknown_command.find('/') != std::string::npos || line.app->get_parent() != nullptr) return;
  const auto path = find_in_path(name);
  if (path.empty()) return;
  arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(line.unknown_position));
  std::vector<char*> raw{const_cast<char*>(path.c_str())};
  for (auto& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  ::execv(path.c_str(), raw.data());
  throw system_error(errno, "cannot run " + path);
}

std::string unknown_command_message(const parsed_command_line& line, const std::string& program) {
  const auto* parent = line.app;
  const bool nested = parent->get_parent() != nullptr;
  auto text = "unknown command \"" + line.unknown_command + "\" for \"" + full_name(*parent, program) + "\"";
  std::string names;
  for (const auto* each : parent->get_subcommands([](const CLI::App*) { return true; }))
    names += (names.empty() ? "" : ", ") + each->get_name();
  text += "\nThere are: " + names;
  if (!nested) text += "\nNor is there a program recoup-" + line.unknown_command + " in PATH";
  return text;
}

int run_command(command_tree& tree, const command& what, parsed_command_line line, terminal& screen) {
  ::signal(SIGPIPE, SIG_IGN);  // a write then fails, which ends the command in order, with its lock removed
  interrupt signals;
  signals.on_kill([] { restore_echo(); });
  signals.on_stop([&screen](int signal) {
    screen.error(std::string("\rsignal ") + (signal == SIGINT ? "interrupt" : "terminated") +
                 " received, cleaning up");
  });
  screen.on_output_lost([&signals] { signals.request_stop(); });

  const printer out(screen, tree.options.verbosity(), tree.options.json);
  context call{tree.options, screen, signals, out, std::move(line.arguments), tree};
  int code = 0;
  try {
    what.run(call);
    screen.set_status({});
    screen.flush();
    if (signals.token().stop_requested() && !call.ends_by_signal) code = interrupted_exit_code;
  } catch (const std::exception& problem) {
    screen.set_status({});
    const auto reason = describe(problem);
    // If nobody takes our output any more, that is the reason, and run() tells it.
    code = screen.output_problem() != 0 ? reason.code : fail(screen, tree.options.json, reason);
  }
  signals.on_stop({});
  screen.on_output_lost({});
  return code;
}

/// The reader of our output went away, or the disk it went to is full.
int output_lost(terminal& screen, bool json, int problem) {
  if (problem == EPIPE) {
    ::signal(SIGPIPE, SIG_DFL);
    ::raise(SIGPIPE);
  }
  return fail(screen, json,
              {failure_exit_code, std::string("Fatal: cannot write to stdout: ") + std::strerror(problem)});
}

int run(const std::string& program, const std::vector<std::string>& arguments) {
  terminal screen;
  screen.call_program(program);
  const bool json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
  int code = 0;
  try {
    command_tree tree(program);
    tree.options.features = chosen_features(environment("RESTIC_FEATURES"),
                                            [&screen](const std::string& warning) { screen.error(warning); });
    auto line = parse_command_line(tree, arguments);
    const auto* what = tree.find(line.app);
    if (!line.unknown_command.empty()) {
      run_external(line, arguments);
      throw usage_error(unknown_command_message(line, program));
    }
    if (line.help || what == nullptr || !what->run) {
      screen.print(help_text(tree, *line.app));
    } else {
      tree.options.finish();
      limit_processors(environment("RESTIC_PROCS"));
      code = run_command(tree, *what, std::move(line), screen);
    }
  } catch (const std::exception& problem) {
    return fail(screen, json, describe(problem));
  }
  screen.flush();
  const int problem = screen.output_problem();
  return problem == 0 ? code : output_lost(screen, json, problem);
}

/// glibc takes the first large block that is freed, the 32 MiB in which a password's key was derived, for a sign that
/// blocks of up to that size should stay with the process from then on: packs' memory would never go back to the
/// system.
void give_large_blocks_back() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 16 << 20);
#endif
}

}  // namespace
}  // namespace recoup::cli

int main(int argument_count, char** arguments) {
  recoup::cli::give_large_blocks_back();
  const std::string path = argument_count > 0 ? arguments[0] : "recoup";
  return recoup::cli::run(
      recoup::cli::own_name(path),
      std::vector<std::string>(arguments + std::min(argument_count, 1), arguments + argument_count));
}
