#include <recoup/chunker/dispatch.hpp>
#include <recoup/core/version.hpp>
#include <recoup/hash/dispatch.hpp>
#include <recoup/json/json_writer.hpp>

#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"

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

void run(context& call) {
  const bool with_kernels = call.options.verbosity() >= 2;
  const auto kernels = with_kernels ? all_kernels() : std::vector<kernel_line>{};
  if (call.options.json) {
    // The names are restic's, whose scripts read them; there is no Go here, so go_version is left out. With -v the same
    // object has one field more.
    json_writer json;
    json.begin_object()
        .field("message_type", "version")
        .field("version", library_version)
        .field("compiler", compiler)
        .field("go_os", system_name)
        .field("go_arch", architecture);
    if (with_kernels) {
      json.key("kernels").begin_array();
      for (const auto& [family, name, runs_here, is_chosen] : kernels)
        json.begin_object()
            .field("family", family)
            .field("name", name)
            .field("runs_here", runs_here)
            .field("chosen", is_chosen)
            .end_object();
      json.end_array();
    }
    call.out.result(json.end_object().take());
    return;
  }
  call.out.result("recoup " + std::string(library_version) + " compiled with " + compiler + " on " + system_name + "/" +
                  architecture);
  for (const auto& [family, name, runs_here, is_chosen] : kernels)
    call.out.result(std::string(family) + " kernel " + std::string(name) +
                    (is_chosen ? ": chosen" : runs_here ? ": runs here" : ": needs another processor"));
}

}  // namespace

void add_version_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "version", "[flags]", "Print version information");
  command.run = run;
}

}  // namespace recoup::cli
