// What a backup leaves out because it is the backup's own: copies of what is in the repository, and its journal.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/fs/path.hpp>

namespace recoup {

class own_files {
public:
  /// Empty names stand for nothing; relative ones are below the working directory.
  own_files(std::initializer_list<std::string_view> directories) {
    for (const auto directory : directories) add(directory);
  }

  void add(std::string_view directory) {
    if (directory.empty()) return;
    auto path = absolute_path(directory);
    if (std::ranges::find(directories_, path) == directories_.end()) directories_.push_back(std::move(path));
  }

  [[nodiscard]] bool contain(const std::string& absolute_path) const {
    return std::ranges::any_of(directories_,
                               [&](const std::string& each) { return is_at_or_below(absolute_path, each); });
  }

private:
  std::vector<std::string> directories_;
};

}  // namespace recoup
