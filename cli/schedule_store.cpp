#include "schedule_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <recoup/core/file_descriptor.hpp>
#include <recoup/storage/temporary_file.hpp>

#include "text_file.hpp"

namespace recoup::cli {

namespace {

constexpr std::string_view definition_suffix = ".json";

std::optional<secret_bytes> read_whole(const std::string& path) {
  const file_descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw system_error(errno, "cannot open " + path);
  }
  return read_secret(file.get(), path);
}

schedule_definition parse_named(std::string_view text, const std::string& path) {
  try {
    auto definition = parse_schedule(text);
    require_valid(definition);
    return definition;
  } catch (const schedule_error& problem) {
    throw schedule_error(path + ": " + problem.path(), problem.reason());
  }
}

}  // namespace

std::vector<std::string> schedule_store::names() const {
  std::vector<std::string> names;
  const auto directory = place(std::string(schedule_directory));
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(directory, problem)) {
    auto name = entry.path().filename().string();
    if (!name.ends_with(definition_suffix) || name.starts_with('.')) continue;
    name.resize(name.size() - definition_suffix.size());
    names.push_back(std::move(name));
  }
  if (problem && problem != std::errc::no_such_file_or_directory)
    throw system_error(problem.value(), "cannot read " + directory);
  std::ranges::sort(names);
  return names;
}

schedule_definition schedule_store::load(const std::string& name) const {
  if (name.find('/') != std::string::npos || name.empty())
    throw error(error_code::invalid_argument, "\"" + name + "\" is not a schedule's name; a file is given with --file");
  const auto path = place(schedule_path(name));
  const auto text = read(schedule_path(name));
  if (!text) {
    std::string others;
    for (const auto& each : names()) others += (others.empty() ? "; there are: " : ", ") + each;
    throw error(error_code::not_found, "there is no schedule " + name + ": " + path + " does not exist" +
                                           (others.empty() ? "; `recoup schedule install` makes one" : others));
  }
  auto definition = parse_named(*text, path);
  if (definition.name != name)
    throw schedule_error(path + ": name", "is \"" + definition.name + "\", but the file's name says \"" + name +
                                              "\": they must be the same");
  return definition;
}

std::optional<std::vector<environment_setting>> schedule_store::environment(
    const schedule_definition& definition) const {
  const auto path = place(definition.environment_file);
  const auto text = read_whole(path);
  if (!text) return std::nullopt;
  return parse_environment_file(as_text(text->view()), path);
}

std::optional<std::string> schedule_store::read(const std::string& path) const {
  const auto content = read_whole(place(path));
  if (!content) return std::nullopt;
  return std::string(as_text(content->view()));
}

bool schedule_store::write(const schedule_file& file) const {
  const auto path = place(file.path);
  struct stat status {};
  const bool is_same_mode = ::stat(path.c_str(), &status) == 0 && (status.st_mode & 07777) == file.mode;
  if (is_same_mode && read(file.path) == file.content) return false;
  const std::filesystem::path target(path);
  std::error_code problem;
  std::filesystem::create_directories(target.parent_path(), problem);
  if (problem) throw system_error(problem.value(), "cannot make the directory of " + path);
  const file_descriptor directory(::open(target.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) throw system_error(errno, "cannot write " + path);
  const auto name = target.filename().string();
  temporary_file temporary(directory.get(), name);
  if (!temporary.is_open()) throw system_error(errno, "cannot write " + path);
  // Before there is anything in it to be read.
  if (::fchmod(temporary.descriptor(), file.mode) != 0) throw system_error(errno, "cannot set the mode of " + path);
  if (!temporary.write(as_bytes(file.content)) || !temporary.sync() || !temporary.rename_to(name))
    throw system_error(errno, "cannot write " + path);
  return true;
}

bool schedule_store::remove(const std::string& path) const {
  if (::unlink(place(path).c_str()) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw system_error(errno, "cannot remove " + place(path));
}

schedule_definition read_definition_file(const std::string& path) {
  const auto text = path == "-" ? read_secret(STDIN_FILENO, "standard input") : [&] {
    auto content = read_whole(path);
    if (!content) throw error(error_code::not_found, path + " does not exist");
    return std::move(*content);
  }();
  return parse_named(as_text(text.view()), path == "-" ? "standard input" : path);
}

}  // namespace recoup::cli
