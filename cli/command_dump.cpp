#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include <recoup/core/file_descriptor.hpp>
#include <recoup/ops/dump.hpp>
#include <recoup/ops/snapshots.hpp>

#include "command.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

struct dump_flags {
  snapshot_flags choice;
  archive_format format = archive_format::tar;
  std::string target;
};

/// Where the bytes go: a file of the given name, or stdout.
class dump_output {
public:
  dump_output(terminal& screen, const std::string& path) : screen_(screen), path_(path) {
    if (path.empty()) return;
    file_ = file_descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!file_) throw system_error(errno, "cannot dump to file " + path);
  }

  void write(byte_view content) {
    if (!file_) return screen_.write_raw(content);
    while (!content.empty()) {
      const auto written = ::write(file_.get(), content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw system_error(errno, "cannot write " + path_);
      content = content.subspan(static_cast<std::size_t>(written));
    }
  }

  void finish() {
    if (const int reason = file_.close(); reason != 0) throw system_error(reason, "cannot write " + path_);
  }

private:
  terminal& screen_;
  const std::string path_;
  file_descriptor file_;
};

void run(context& call, const dump_flags& flags) {
  if (call.arguments.size() != 2) throw error(error_code::invalid_argument, "no file and no snapshot ID specified");
  found_snapshot found;
  session open(call, unless_no_lock(call, lock_mode::shared), [&](session& opened) {
    found = find_snapshot_and_load_index(opened, call.arguments[0], flags.choice.filter());
  });
  auto& repo = open.repo();
  const auto root = find_subtree(repo, found.snapshot.tree, found.subfolder);
  try {
    const auto target = find_dump_target(repo, root, call.arguments[1]);
    if (target.is_directory() && flags.target.empty() && call.screen.output_is_tty())
      throw error(error_code::invalid_argument, "stdout is the terminal, please redirect output");
    dump_options options;
    options.format = flags.format;
    options.stop = open.token();
    dump_output output(call.screen, flags.target);
    dump(repo, target, options, [&](byte_view more) { output.write(more); });
    output.finish();
  } catch (const error& problem) {
    if (problem.code() == error_code::interrupted) throw;
    throw error(problem.code(), std::string("cannot dump file: ") + problem.what());
  }
}

}  // namespace

void add_dump_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "dump", "[flags] snapshotID file", "Print backed-up files or folders to stdout");
  command.details =
      "Prints a single file's content to stdout, a folder as a tar (default) or zip archive. \"/\" as file name dumps\n"
      "the whole snapshot. With \"snapshotID:folder\" the names in the archive begin at that folder.\n";
  const auto flags = std::make_shared<dump_flags>();
  auto& app = *command.app;
  add_snapshot_flags(app, flags->choice, snapshot_choice::one);
  add_parsed(
      app, "-a,--archive",
      [flags](const std::string& text) {
        const auto format = parse_archive_format(text);
        if (!format) throw error(error_code::invalid_argument, "unknown archive format \"" + text + "\"");
        flags->format = *format;
      },
      "set archive format (default: tar)", "tar|zip");
  add_text(app, "-t,--target", flags->target, "write the output to a file", "path");
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
