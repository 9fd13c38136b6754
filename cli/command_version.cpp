#include <recoup/core/version.hpp>
#include <recoup/json/json_writer.hpp>

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

void run(context& call) {
  if (call.options.json) {
    // The names are restic's, whose scripts read them; there is no Go here, so go_version is left out.
    call.out.result(json_writer{}
                        .begin_object()
                        .field("message_type", "version")
                        .field("version", library_version)
                        .field("compiler", compiler)
                        .field("go_os", system_name)
                        .field("go_arch", architecture)
                        .end_object()
                        .take());
    return;
  }
  call.out.result("recoup " + std::string(library_version) + " compiled with " + compiler + " on " + system_name + "/" +
                  architecture);
}

}  // namespace

void add_version_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "version", "[flags]", "Print version information");
  command.run = run;
}

}  // namespace recoup::cli
