#include "schedule_environment.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <optional>

#include <recoup/core/file_descriptor.hpp>
#include <recoup/schedule/environment_file.hpp>
#include <recoup/schedule/schedule_files.hpp>

#include "text_file.hpp"

extern "C" char** environ;

namespace recoup::cli {

namespace {

/// Nothing if there is no such file.
std::optional<std::vector<environment_setting>> read_settings(const context& call, const std::string& path,
                                                              bool is_credential) {
  const file_descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw system_error(errno, "cannot open " + path + ", in which it says where the repository is");
  }
  struct stat status {};
  constexpr mode_t others = 077;
  if (!is_credential && ::fstat(file.get(), &status) == 0 && (status.st_mode & others) != 0)
    call.out.error("Warning: " + path + " is not only its owner's to read, although secrets are in it: `chmod 600 " +
                   path + "`");
  const auto text = read_secret(file.get(), path);
  return parse_environment_file(as_text(text.view()), path);
}

}  // namespace

std::vector<std::string> current_environment() {
  std::vector<std::string> all;
  for (char** each = environ; *each != nullptr; ++each) all.emplace_back(*each);
  return all;
}

void load_schedule_environment(const context& call, const schedule_definition& definition) {
  for (const auto& [name, value] : definition.environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::optional<std::vector<environment_setting>> settings;
  if (const auto directory = environment("CREDENTIALS_DIRECTORY"); !directory.empty())
    settings = read_settings(call, directory + "/" + std::string(environment_credential), true);
  if (!settings) settings = read_settings(call, definition.environment_file, false);
  if (settings)
    for (const auto& [name, value] : *settings) ::setenv(name.c_str(), value.c_str(), 1);
  else if (environment("RESTIC_REPOSITORY").empty() && environment("RESTIC_REPOSITORY_FILE").empty())
    throw error(error_code::not_found,
                definition.environment_file +
                    " does not exist: write RESTIC_REPOSITORY, RESTIC_PASSWORD and what else opens the "
                    "repository into it, a line each, and let nobody else read it (chmod 600)");
}

}  // namespace recoup::cli
