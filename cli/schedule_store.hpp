// Schedules on the disk of this machine, or below another root: reading them, and writing files so that nobody ever
// sees half of one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <recoup/schedule/definition.hpp>
#include <recoup/schedule/environment_file.hpp>
#include <recoup/schedule/schedule_files.hpp>

namespace recoup::cli {

/// `root` is put before each path; empty is this machine.
class schedule_store {
public:
  explicit schedule_store(std::string root = {}) : root_(std::move(root)) {}

  [[nodiscard]] bool is_this_machine() const noexcept { return root_.empty(); }
  [[nodiscard]] std::string place(const std::string& path) const { return root_ + path; }

  /// The names of all that are installed, sorted.
  [[nodiscard]] std::vector<std::string> names() const;
  /// Throws not_found with the names that there are, or schedule_error with the file's path.
  [[nodiscard]] schedule_definition load(const std::string& name) const;
  /// What the environment file says; nothing if there is none. Throws access_denied, invalid_argument.
  [[nodiscard]] std::optional<std::vector<environment_setting>> environment(
      const schedule_definition& definition) const;

  /// The whole content; nothing if the file does not exist.
  [[nodiscard]] std::optional<std::string> read(const std::string& path) const;
  /// Makes directories where they are missing. The file appears whole, with its mode, or not at all. True if it is
  /// another than before.
  bool write(const schedule_file& file) const;
  /// True if it was there.
  bool remove(const std::string& path) const;

private:
  const std::string root_;
};

/// A file that somebody named on the command line; "-" is standard input.
[[nodiscard]] schedule_definition read_definition_file(const std::string& path);

}  // namespace recoup::cli
