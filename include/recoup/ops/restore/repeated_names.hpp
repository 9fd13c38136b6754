// Which names of a tree are there more than once.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace recoup {

/// For one tree, name by name. Trees are sorted, so a repeated name follows its twin. For those that are not (old
/// programs, or an attack), all names are remembered.
class repeated_names {
public:
  [[nodiscard]] bool is_repeated(const std::string& name) {
    if (ascending_ && name > last_) {
      last_ = name;
      earlier_.push_back(name);
      return false;
    }
    if (ascending_) {
      ascending_ = false;
      names_.insert(earlier_.begin(), earlier_.end());
    }
    return !names_.insert(name).second;
  }

private:
  std::string last_;
  bool ascending_ = true;
  std::set<std::string> names_;  // only once the names turned out not to ascend
  std::vector<std::string> earlier_;
};

}  // namespace recoup
