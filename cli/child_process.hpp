// A program run beside us whose output we read: --password-command and --stdin-from-command.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/file_descriptor.hpp>

namespace recoup::cli {

/// Splits a command line into words as restic does: white space separates, single and double quotes hold together, and
/// a backslash before a quote makes it an ordinary character. No variables, no globbing. Throws if a quote is left open
/// or there is no word.
[[nodiscard]] std::vector<std::string> split_command(std::string_view text);

/// Where `name` is in PATH, "" if nowhere. A name with a slash stands for itself.
[[nodiscard]] std::string find_in_path(const std::string& name);

class child_process {
public:
  /// Starts `arguments[0]`, looked up in PATH, with nothing to read and our stderr. Throws if it cannot be started.
  explicit child_process(const std::vector<std::string>& arguments);
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;
  /// Ends and collects it if nobody waited.
  ~child_process();

  /// The end of the pipe that its stdout goes to.
  [[nodiscard]] int output() const noexcept { return output_.get(); }

  /// Waits for its end. "" if it succeeded, otherwise "exit status 3" or "signal: killed". May be asked again.
  [[nodiscard]] std::string wait();

private:
  file_descriptor output_;
  pid_t process_ = -1;
  std::string problem_;
};

}  // namespace recoup::cli
