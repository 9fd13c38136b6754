// --exclude and --include with all their forms, as commands have them that choose among the files of a snapshot.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <recoup/fs/patterns.hpp>

#include "flags.hpp"

namespace recoup::cli {

struct pattern_flags {
  std::vector<std::string> patterns, insensitive, files, insensitive_files;

  [[nodiscard]] bool given() const noexcept {
    return !patterns.empty() || !insensitive.empty() || !files.empty() || !insensitive_files.empty();
  }
};

/// `kind` is "exclude" or "include", `short_name` "-e" or "-i".
void add_pattern_flags(CLI::App& app, pattern_flags& flags, const std::string& kind, const std::string& short_name);

/// The patterns of one kind, from flags and files: those that heed case, and those that do not.
class pattern_pair {
public:
  /// Throws invalid_argument for patterns that make no sense, and what reading the files throws.
  pattern_pair(const pattern_flags& flags, const std::string& kind);

  [[nodiscard]] bool empty() const noexcept { return sensitive_.empty() && insensitive_.empty(); }
  [[nodiscard]] match_result match(std::string_view path) const;
  [[nodiscard]] bool matches(std::string_view path) const {
    return sensitive_.matches(path) || insensitive_.matches(path);
  }

private:
  pattern_list sensitive_, insensitive_;
};

}  // namespace recoup::cli
