#include "program_name.hpp"

namespace recoup::cli {

std::string own_name(std::string_view path) {
  constexpr std::string_view other = "restic", separators = "-_.";
  const auto name = path.substr(path.rfind('/') + 1);
  const bool is_other =
      name.starts_with(other) &&
      (name.size() == other.size() || separators.find(name[other.size()]) != std::string_view::npos);
  return is_other ? std::string(other) : "recoup";
}

std::string in_own_words(std::string text, std::string_view program) {
  constexpr std::string_view ours = "`recoup ";
  const auto theirs = "`" + std::string(program) + " ";
  for (std::size_t at = 0; (at = text.find(ours, at)) != std::string::npos; at += theirs.size())
    text.replace(at, ours.size(), theirs);
  return text;
}

}  // namespace recoup::cli
