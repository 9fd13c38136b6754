#include <recoup/chunker/dispatch.hpp>
#include <recoup/core/version.hpp>
#include <recoup/hash/dispatch.hpp>
#include <recoup/json/json_writer.hpp>

#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"
#include "program_name.hpp"

namespace recoup::cli {

namespace {

#if defined(__x86_64__)
constexpr const char* architecture = "amd64";
#elif defined(__aarch64__)
constexpr const char* architecture = "arm64";
#elif defined(__riscv)
constexpr const char* architecture = "riscv64";
#else
constexpr const char* architecture = "unknown";
#endif

#if defined(__linux__)
constexpr const char* system_name = "linux";
#elif defined(__APPLE__)
constexpr const char* system_name = "darwin";
#elif defined(__FreeBSD__)
constexpr const char* system_name = "freebsd";
#else
constexpr const char* system_name = "unknown";
#endif

#if defined(__clang__)
constexpr const char* compiler = "clang " __clang_version__;
#else
constexpr const char* compiler = "gcc " __VERSION__;
#endif

/// One of several implementations of the same thing, between which the processor decides.
struct kernel_line {
  std::string_view family, name;
  bool runs_here, is_chosen;
};

/// Every kernel of every family, fastest first. Throws if a variable names one that cannot be had.
std::vector<kernel_line> all_kernels() {
  std::vector<kernel_line> lines;
  const auto add = [&lines](std::string_view family, const auto& entries, const auto& chosen) {
    for (auto entry = std::rbegin(entries); entry != std::rend(entries); ++entry)
      lines.push_back({family, entry->name, entry->runs_here(), entry->name == chosen.name});
  };
  add("chunker", scan_kernels, best_scan_kernel_entry());
  add("sha256", sha256_kernels, best_sha256_kernel_entry());
  return lines;
}

/// What stands where restic names the Go that compiled it: none did, and parsers want digits.
constexpr const char* no_go = "go0";

std::string platform() { return std::string(" on ") + system_name + "/" + architecture; }

std::string own_line() {
  return "recoup " + std::string(library_version) + " compiled with " + compiler + platform();
}

/// The names are restic's, whose scripts read them. As recoup there is no go_version; called as restic there is, since
/// programs take it for granted. With -v the same object has one field more.
std::string as_json(bool as_restic, const std::vector<kernel_line>* kernels) {
  json_writer json;
  json.begin_object()
      .field("message_type", "version")
      .field("version", as_restic ? replaced_restic_version : library_version);
  if (as_restic)
    json.field("go_version", no_go).field("go_os", system_name).field("go_arch", architecture);
  json.field(as_restic ? "recoup_version" : "restic_version", as_restic ? library_version : replaced_restic_version)
      .field("compiler", compiler);
  if (!as_restic) json.field("go_os", system_name).field("go_arch", architecture);
  if (kernels != nullptr) {
    json.key("kernels").begin_array();
    for (const auto& [family, name, runs_here, is_chosen] : *kernels)
      json.begin_object()
          .field("family", family)
          .field("name", name)
          .field("runs_here", runs_here)
          .field("chosen", is_chosen)
          .end_object();
    json.end_array();
  }
  return json.end_object().take();
}

void run(context& call) {
  const bool as_restic = call.commands.program != "recoup";
  const bool with_kernels = call.options.verbosity() >= 2;
  const auto kernels = with_kernels ? all_kernels() : std::vector<kernel_line>{};
  if (call.options.json) return call.out.result(as_json(as_restic, with_kernels ? &kernels : nullptr));
  const auto other = "restic " + std::string(replaced_restic_version);
  // One line that programs take apart; the form, to the last word, is restic's. As recoup the line ends with what whoever
  // looks for restic's version anywhere in it must find.
  call.out.result(as_restic ? other + " compiled with " + no_go + platform() : own_line() + ", " + other + " compatible");
  if (!with_kernels) return;
  if (as_restic) call.out.result(own_line());
  for (const auto& [family, name, runs_here, is_chosen] : kernels)
    call.out.result(std::string(family) + " kernel " + std::string(name) +
                    (is_chosen ? ": chosen" : runs_here ? ": runs here" : ": needs another processor"));
}

}  // namespace

void add_version_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "version", "[flags]", "Print version information");
  command.details =
      "Prints the version. With -v also the implementations of the inner loops that this processor can run.\n\n"
      "Called as `restic`, by a link or a copy of that name, it answers as the restic whose place it takes; -v tells\n"
      "what it is.\n";
  command.run = run;
}

}  // namespace recoup::cli
