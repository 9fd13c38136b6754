// Paths as text, by the rules of Go's path/filepath on Unix, because those decide which names a snapshot holds.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>

namespace recoup {

[[nodiscard]] constexpr bool is_absolute(std::string_view path) noexcept { return path.starts_with('/'); }

/// The names between the slashes, without empty ones and "."; ".." stays.
[[nodiscard]] inline std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> names;
  while (!path.empty()) {
    const auto end = path.find('/');
    const auto name = path.substr(0, end);
    if (!name.empty() && name != ".") names.push_back(name);
    path.remove_prefix(end == path.npos ? path.size() : end + 1);
  }
  return names;
}

/// The shortest equal path by text alone: "a/./b//../c/" is "a/c", "" is ".", "/.." is "/". Symlinks are not looked at.
[[nodiscard]] inline std::string clean_path(std::string_view path) {
  const bool rooted = is_absolute(path);
  std::vector<std::string_view> kept;
  for (const auto name : split_path(path)) {
    if (name != "..")
      kept.push_back(name);
    else if (!kept.empty() && kept.back() != "..")
      kept.pop_back();
    else if (!rooted)
      kept.push_back(name);
  }
  std::string cleaned = rooted ? "/" : "";
  for (const auto name : kept) {
    if (!cleaned.empty() && cleaned.back() != '/') cleaned += '/';
    cleaned += name;
  }
  return cleaned.empty() ? "." : cleaned;
}

/// `name` below `directory`, cleaned; either may be empty.
[[nodiscard]] inline std::string join_path(std::string_view directory, std::string_view name) {
  if (directory.empty()) return name.empty() ? "" : clean_path(name);
  if (name.empty()) return clean_path(directory);
  return clean_path(std::string(directory) + "/" + std::string(name));
}

/// Appends one entry's name to an already clean directory: what walking does a million times.
[[nodiscard]] inline std::string child_path(std::string_view clean_directory, std::string_view name) {
  std::string path;
  path.reserve(clean_directory.size() + 1 + name.size());
  if (clean_directory != ".") {
    path += clean_directory;
    if (!path.ends_with('/')) path += '/';
  }
  path += name;
  return path;
}

/// By the text of two clean absolute paths.
[[nodiscard]] constexpr bool is_at_or_below(std::string_view path, std::string_view directory) noexcept {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || directory.ends_with('/') || path[directory.size()] == '/');
}

[[nodiscard]] inline std::string current_directory() {
  const std::unique_ptr<char, decltype(&::free)> path(::getcwd(nullptr, 0), &::free);
  if (!path) throw system_error(errno, "cannot tell the working directory");
  return path.get();
}

[[nodiscard]] inline std::string absolute_path(std::string_view path) {
  return is_absolute(path) ? clean_path(path) : join_path(current_directory(), path);
}

}  // namespace recoup
