#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>

#include "command.hpp"
#include "completion.hpp"

namespace recoup::cli {

namespace {

struct generate_flags {
  std::string manual, bash, fish, zsh, powershell;
};

void write_file(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  if (!file) throw system_error(errno, "cannot write " + path);
}

void run(context& call, const generate_flags& flags) {
  expect_no_arguments(call, "generate");
  struct wanted_script {
    const char* shell;
    const std::string& file;
    std::string (*make)(const command_tree&);
  };
  const wanted_script scripts[] = {{"bash", flags.bash, bash_completion},
                                   {"fish", flags.fish, fish_completion},
                                   {"zsh", flags.zsh, zsh_completion},
                                   {"powershell", flags.powershell, powershell_completion}};
  int to_stdout = 0;
  bool nothing = flags.manual.empty();
  for (const auto& script : scripts) {
    to_stdout += script.file == "-" ? 1 : 0;
    nothing = nothing && script.file.empty();
  }
  if (nothing)
    throw error(error_code::invalid_argument, "nothing to do, please specify at least one output file/dir");
  if (to_stdout > 1)
    throw error(error_code::invalid_argument,
                "the generate command can generate shell completions to stdout for single shell only");

  if (!flags.manual.empty()) {
    call.out.info("writing man pages to directory " + flags.manual);
    std::filesystem::create_directories(flags.manual);
    for (const auto& [name, content] : manual_pages(call.commands)) write_file(flags.manual + "/" + name, content);
  }
  for (const auto& script : scripts) {
    if (script.file.empty()) continue;
    call.out.info_on_terminal(std::string("writing ") + script.shell + " completion file to " + script.file);
    if (script.file == "-")
      call.out.result(script.make(call.commands));
    else
      write_file(script.file, script.make(call.commands));
  }
}

}  // namespace

void add_generate_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "generate", "[flags]",
                           "Generate manual pages and auto-completion files (bash, fish, zsh, powershell)");
  const auto flags = std::make_shared<generate_flags>();
  add_text(*command.app, "--man", flags->manual, "write man pages to a directory", "directory");
  add_text(*command.app, "--bash-completion", flags->bash, "write bash completion to a file (- for stdout)", "file");
  add_text(*command.app, "--fish-completion", flags->fish, "write fish completion to a file (- for stdout)", "file");
  add_text(*command.app, "--zsh-completion", flags->zsh, "write zsh completion to a file (- for stdout)", "file");
  add_text(*command.app, "--powershell-completion", flags->powershell,
           "write powershell completion to a file (- for stdout)", "file");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
